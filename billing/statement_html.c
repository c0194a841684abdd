/* SPDX-License-Identifier: Apache-2.0 */
/* statement_html: a statement as a page for people, on screen and on paper */
#include "base/mem.h"
#include "base/rat.h"
#include "billing/statement.h"
#include <stdlib.h>
#include <string.h>

#define PLACES_SHOWN 6

enum language { ENGLISH, KOREAN, LANGUAGES };

enum word {
	INVOICE,
	SHOWBACK,
	CREDIT_NOTE,
	NOT_AN_INVOICE,
	NUMBER,
	ISSUED,
	PERIOD,
	ORIGINAL,
	BILL_TO,
	TAX_NUMBER,
	WHAT,
	RESOURCE,
	QUANTITY,
	AMOUNT,
	SUBTOTAL,
	TAX,
	TAX_INCLUDED,
	TOTAL,
	CREDIT,
	PREPAID,
	DUE,
	ADJUSTMENT,
	UNCHARGED,
	PREVIOUS,
	WORDS
};
static const char *const words[LANGUAGES][WORDS] = {
	[ENGLISH] = { "Invoice", "Cost statement", "Credit note",
	    "For information. This is not an invoice.", "Number", "Date", "Period", "For",
	    "To", "Tax number", "Item", "Resource", "Quantity", "Amount", "Subtotal",
	    "Tax", "Tax included", "Total", "Credit", "Paid in advance", "Amount due",
	    "Correction of", "Used and not charged, as there is no price:", "Follows" },
	[KOREAN] = { "청구서", "비용 명세서", "대변표", "참고용이며 청구서가 아닙니다.",
	    "번호", "발행일", "사용 기간", "원본", "받는 분", "사업자등록번호", "항목",
	    "자원", "수량", "금액", "공급가액", "부가세", "포함된 부가세", "합계",
	    "크레딧", "선불 사용", "청구 금액", "정정 대상",
	    "가격이 없어 청구하지 않은 사용량:", "이전 문서" },
};

struct sku_word {
	const char *sku;
	const char *words[LANGUAGES];
};
static const struct sku_word skus[] = {
	{ "vm.running", { "Virtual machine, running", "가상 머신 실행" } },
	{ "vcpu", { "Virtual CPUs", "가상 CPU" } },
	{ "memory.gib", { "Memory", "메모리" } },
	{ "vm.allocated", { "Virtual machine", "가상 머신" } },
	{ "volume.gib", { "Disk space", "디스크 공간" } },
	{ "snapshot.gib", { "Disk snapshots", "디스크 스냅샷" } },
	{ "vm.snapshot.gib", { "Snapshots of virtual machines", "가상 머신 스냅샷" } },
	{ "template.gib", { "Templates", "템플릿" } },
	{ "iso.gib", { "Installation images", "설치 이미지" } },
	{ "network", { "Networks", "네트워크" } },
	{ "address", { "Addresses", "IP 주소" } },
	{ "port.forward", { "Forwarded ports", "포트 포워딩" } },
	{ "security.group", { "Security groups", "보안 그룹" } },
	{ "cpu.time", { "CPU time worked", "CPU 사용 시간" } },
	{ "disk.read.bytes", { "Disk, read", "디스크 읽기" } },
	{ "disk.write.bytes", { "Disk, written", "디스크 쓰기" } },
	{ "disk.read.requests", { "Disk, read requests", "디스크 읽기 요청" } },
	{ "disk.write.requests", { "Disk, write requests", "디스크 쓰기 요청" } },
	{ "net.rx.bytes", { "Network, received", "네트워크 수신" } },
	{ "net.tx.bytes", { "Network, sent", "네트워크 송신" } },
	{ "host.socket", { "Processor sockets", "프로세서 소켓" } },
	{ "host.core", { "Processor cores", "프로세서 코어" } },
	{ "host.core16",
	    { "Processor cores, at least 16 a socket",
		"프로세서 코어 (소켓당 최소 16)" } },
};

/* Print needs no colour; a page break never parts a line or the totals. */
static const char style[] =
    "@page{size:A4;margin:18mm 16mm 20mm}"
    "body{font:10.5pt/1.45 'Noto Sans CJK KR','Noto Sans KR',sans-serif;color:#111;"
    "max-width:180mm;margin:8mm auto;padding:0 4mm}"
    "h1{font-size:20pt;margin:0 0 2mm}p{margin:0 0 1mm}"
    ".head{display:flex;justify-content:space-between;gap:10mm;margin-bottom:8mm}"
    ".head div{white-space:pre-line}.meta td:first-child{color:#555;padding-right:4mm}"
    ".notice{border:1px solid #111;padding:1.5mm 3mm;display:inline-block;margin:0 0 4mm}"
    "table{border-collapse:collapse}table.lines,table.sums{width:100%}"
    "th{text-align:left;border-bottom:1.5px solid #111;padding:1mm 2mm;font-size:9pt}"
    "td{padding:1mm 2mm;vertical-align:top}table.lines td{border-bottom:.5px solid #ccc}"
    "tr{break-inside:avoid}thead{display:table-header-group}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".small{font-size:8.5pt;color:#555}table.sums{margin-top:4mm;break-inside:avoid}"
    ".due td{font-weight:700;border-top:1.5px solid #111;font-size:12pt}"
    "footer{margin-top:10mm;font-size:7.5pt;color:#555;overflow-wrap:anywhere}";

struct page {
	struct buf b;
	enum language language;
	const struct jval *head;
	const struct jval *body;
	const char *currency;
};

static const char *
word(const struct page *p, enum word w)
{
	return words[p->language][w];
}

static const char *
text_at(const struct jval *v, const char *key)
{
	const char *text = json_text(json_get(v, key));

	return text == NULL ? "" : text;
}

static void
escaped(struct buf *b, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '<')
			buf_puts(b, "&lt;");
		else if (*c == '>')
			buf_puts(b, "&gt;");
		else if (*c == '&')
			buf_puts(b, "&amp;");
		else if (*c == '"')
			buf_puts(b, "&quot;");
		else
			buf_putc(b, *c);
	}
}

/* "1234567.80" as "1,234,567.80". */
static void
grouped(struct buf *b, const char *number)
{
	size_t whole;

	if (*number == '-')
		buf_putc(b, *number++);
	whole = strspn(number, "0123456789");
	for (size_t i = 0; i < whole; i++) {
		if (i > 0 && (whole - i) % 3 == 0)
			buf_putc(b, ',');
		buf_putc(b, number[i]);
	}
	escaped(b, number + whole);
}

/* Exact numbers are cut for the eye; JSON and CSV have them whole. */
static void
quantity_write(struct buf *b, const char *exact)
{
	scoped_free char *shown = NULL;
	struct err e = ERR_INIT;
	char *end;
	mpq_t q;

	mpq_init(q);
	if (rat_parse(q, exact, &e)) {
		shown = rat_decimal(q, PLACES_SHOWN);
		end = shown + strlen(shown);
		while (end[-1] == '0')
			*--end = '\0';
		if (end[-1] == '.')
			end[-1] = '\0';
		grouped(b, shown);
	}
	mpq_clear(q);
}

static const char *
sku_name(const struct page *p, const char *sku)
{
	for (size_t i = 0; i < ARRAY_LEN(skus); i++)
		if (strcmp(skus[i].sku, sku) == 0)
			return skus[i].words[p->language];
	return sku;
}

static void
meta_row(struct page *p, enum word w, const char *value)
{
	if (*value == '\0')
		return;
	buf_printf(&p->b, "<tr><td>%s</td><td>", word(p, w));
	escaped(&p->b, value);
	buf_puts(&p->b, "</td></tr>");
}

/* Days of the customer's zone, whose name stands beside them. */
static char *
period_text(const struct page *p)
{
	return mem_printf("%s – %s (%s)", text_at(p->head, "first_day"),
	    text_at(p->head, "last_day"),
	    text_at(json_get(p->body, "period"), "timezone"));
}

static enum word
title_of(const char *kind)
{
	if (strcmp(kind, "showback") == 0)
		return SHOWBACK;
	return strcmp(kind, "credit_note") == 0 ? CREDIT_NOTE : INVOICE;
}

static void
parties_write(struct page *p)
{
	const struct jval *issuer = json_get(p->head, "issuer");
	const struct jval *customer = json_get(p->head, "customer");

	buf_puts(&p->b, "<div class=head><div><b>");
	escaped(&p->b, text_at(issuer, "legal_name"));
	buf_puts(&p->b, "</b>\n");
	escaped(&p->b, text_at(issuer, "address"));
	if (*text_at(issuer, "tax_number") != '\0') {
		buf_printf(&p->b, "\n%s: ", word(p, TAX_NUMBER));
		escaped(&p->b, text_at(issuer, "tax_number"));
	}
	buf_printf(&p->b, "</div><div><span class=small>%s</span>\n", word(p, BILL_TO));
	escaped(&p->b, text_at(customer, "address"));
	buf_puts(&p->b, "</div></div>");
}

static void
head_write(struct page *p)
{
	const char *kind = text_at(p->head, "kind");
	enum word title = title_of(kind);
	scoped_free char *period = period_text(p);

	buf_printf(&p->b,
	    "<!doctype html><html lang=%s><head><meta charset=utf-8>"
	    "<meta name=viewport content=\"width=device-width\"><title>%s ",
	    p->language == KOREAN ? "ko" : "en", word(p, title));
	escaped(&p->b, text_at(p->head, "number"));
	buf_printf(&p->b, "</title><style>%s</style></head><body>", style);
	parties_write(p);
	buf_printf(&p->b, "<h1>%s</h1>", word(p, title));
	if (title == SHOWBACK)
		buf_printf(&p->b, "<p class=notice>%s</p>", word(p, NOT_AN_INVOICE));
	buf_puts(&p->b, "<table class=meta>");
	meta_row(p, NUMBER, text_at(p->head, "number"));
	meta_row(p, ISSUED, text_at(p->head, "issued_on"));
	meta_row(p, ORIGINAL, text_at(json_get(p->head, "original"), "number"));
	meta_row(p, PERIOD, period);
	buf_printf(&p->b,
	    "</table><br><table class=lines><thead><tr><th>%s</th><th>%s</th>"
	    "<th class=n>%s</th><th class=n>%s (",
	    word(p, WHAT), word(p, RESOURCE), word(p, QUANTITY), word(p, AMOUNT));
	escaped(&p->b, p->currency);
	buf_puts(&p->b, ")</th></tr></thead><tbody>\n");
}

static void
line_write(struct page *p, const struct jval *line)
{
	const struct jval *original = json_get(line, "original");

	buf_puts(&p->b, "<tr><td>");
	escaped(&p->b, sku_name(p, text_at(line, "sku")));
	if (*text_at(line, "band") != '\0') {
		buf_puts(&p->b, " · ");
		escaped(&p->b, text_at(line, "band"));
	}
	if (original != NULL) {
		buf_printf(&p->b, "<br><span class=small>%s ", word(p, ADJUSTMENT));
		escaped(&p->b, text_at(original, "statement"));
		buf_printf(&p->b, " (%.10s)</span>",
		    text_at(json_get(original, "period"), "end"));
	}
	buf_puts(&p->b, "</td><td>");
	escaped(&p->b, text_at(json_get(line, "resource"), "name"));
	buf_puts(&p->b, "</td><td class=n>");
	quantity_write(&p->b, text_at(line, "quantity"));
	buf_puts(&p->b, " ");
	escaped(&p->b, text_at(line, "unit"));
	buf_puts(&p->b, "</td><td class=n>");
	grouped(&p->b, text_at(line, "amount"));
	buf_puts(&p->b, "</td></tr>\n");
}

static void
sum_row(struct page *p, const char *class, const char *name, const char *amount)
{
	buf_printf(&p->b, "<tr class=%s><td>", class);
	escaped(&p->b, name);
	buf_puts(&p->b, "</td><td class=n>");
	grouped(&p->b, amount);
	buf_puts(&p->b, " ");
	escaped(&p->b, p->currency);
	buf_puts(&p->b, "</td></tr>");
}

/* "Tax standard 0.19 of 100.00". */
static void
tax_row(struct page *p, const struct jval *tax)
{
	bool inclusive = strcmp(text_at(tax, "mode"), "inclusive") == 0;
	scoped_free char *name = NULL;

	if (*text_at(tax, "rate") == '\0')
		return;
	name = mem_printf("%s %s × %s (%s)", word(p, inclusive ? TAX_INCLUDED : TAX),
	    text_at(tax, "net"), text_at(tax, "rate"), text_at(tax, "class"));
	sum_row(p, "small", name, text_at(tax, "tax"));
}

static void
credit_row(struct page *p, const struct jval *credit)
{
	scoped_free char *name = mem_printf("%s %s", word(p, CREDIT),
	    text_at(credit, "name"));
	scoped_free char *used = mem_printf("-%s", text_at(credit, "used"));

	sum_row(p, "credit", name, used);
}

static void
sums_write(struct page *p)
{
	const struct jval *taxes = json_get(p->body, "taxes");
	const struct jval *credits = json_get(p->head, "credits");
	const struct jval *prepaid = json_get(p->head, "prepaid");

	buf_puts(&p->b, "</tbody></table><table class=sums>");
	sum_row(p, "sum", word(p, SUBTOTAL), text_at(p->body, "subtotal"));
	for (const struct jval *v = json_first(taxes); v != NULL; v = json_next(v))
		tax_row(p, v);
	sum_row(p, "sum", word(p, TOTAL), text_at(p->body, "total"));
	for (const struct jval *v = json_first(credits); v != NULL; v = json_next(v))
		credit_row(p, v);
	if (prepaid != NULL) {
		scoped_free char *used = mem_printf("-%s", text_at(prepaid, "used"));

		sum_row(p, "credit", word(p, PREPAID), used);
	}
	sum_row(p, "due", word(p, DUE), text_at(p->head, "due"));
	buf_puts(&p->b, "</table>");
}

static void
uncharged_write(struct page *p)
{
	const struct jval *usage = json_get(p->body, "usage");
	bool any = false;

	for (const struct jval *v = json_first(usage); v != NULL; v = json_next(v)) {
		if (strcmp(text_at(v, "unrated"), "0") == 0)
			continue;
		buf_printf(&p->b, "%s%s", any ? ", " : "<p class=small>",
		    any ? "" : word(p, UNCHARGED));
		buf_puts(&p->b, any ? "" : " ");
		escaped(&p->b, sku_name(p, text_at(v, "sku")));
		any = true;
	}
	if (any)
		buf_puts(&p->b, "</p>");
}

static void
foot_write(struct page *p)
{
	const struct jval *previous = json_get(p->head, "previous");

	uncharged_write(p);
	buf_puts(&p->b, "<p style=\"white-space:pre-line\">");
	escaped(&p->b, text_at(json_get(p->head, "issuer"), "note"));
	buf_puts(&p->b, "</p><footer>");
	if (json_type(previous) == JSON_OBJECT) {
		buf_printf(&p->b, "%s ", word(p, PREVIOUS));
		escaped(&p->b, text_at(previous, "number"));
		buf_printf(&p->b, ", SHA-256 %s<br>", text_at(previous, "sha256"));
	}
	buf_printf(&p->b, "SHA-256 %s", text_at(json_get(p->body, "lines"), "sha256"));
	buf_puts(&p->b, "</footer></body></html>\n");
}

bool
statement_html(struct issued *s, const struct text_out *out, struct err *e)
{
	struct page p = { .b = BUF_INIT, .head = statement_head(s) };
	const struct jval *line = NULL;
	const char *text = NULL;
	bool ok = true;

	p.body = json_get(p.head, "body");
	p.currency = text_at(p.body, "currency");
	if (strcmp(text_at(json_get(p.head, "customer"), "locale"), "ko") == 0)
		p.language = KOREAN;
	head_write(&p);
	do {
		ok = text_flush(out, &p.b, e) && statement_line(s, &text, &line, e);
		if (ok && line != NULL)
			line_write(&p, line);
	} while (ok && line != NULL);
	if (ok) {
		sums_write(&p);
		foot_write(&p);
		ok = text_flush(out, &p.b, e);
	}
	buf_done(&p.b);
	return ok;
}
