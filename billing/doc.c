/* SPDX-License-Identifier: Apache-2.0 */
/* doc: lines and bodies of statements as canonical JSON (docs/billing.md) */
#include "billing/doc.h"
#include "billing/answer.h"
#include "billing/periods.h"
#include "billing/sku.h"
#include <string.h>

void
doc_exact(struct jout *j, const char *key, const mpq_t q)
{
	answer_exact(j, key, q);
}

/* Whole seconds are written as such: "2026-03-01T00:00:00Z". */
void
doc_instant(struct jout *j, const char *key, struct instant t)
{
	char text[CLOCK_TEXT_MAX];
	char *point = strstr(instant_text(t, text), ".000000Z");

	if (point != NULL)
		memcpy(point, "Z", 2);
	jout_string(j, key, text);
}

static void
amount_write(struct jout *j, const char *key, const struct bill *b, const mpq_t amount)
{
	scoped_free char *text = bill_amount_text(b, amount);

	jout_string(j, key, text);
}

static void
resource_write(struct jout *j, const char *id, const char *name)
{
	if (id == NULL)
		return;
	jout_open(j, "resource", '{');
	jout_string(j, "id", id);
	jout_string(j, "name", name);
	jout_close(j, '}');
}

static void
part_write(struct jout *j, const struct part *p)
{
	jout_open(j, NULL, '{');
	jout_string(j, "what", part_name(p->kind));
	if (p->index > 0)
		jout_number(j, "tier", (int64_t)p->index);
	if (mpq_sgn(p->quantity) != 0) {
		doc_exact(j, "quantity", p->quantity);
		doc_exact(j, "price", p->price);
	} else if (p->kind == PART_DISCOUNT) {
		doc_exact(j, "percent", p->price);
	}
	doc_exact(j, "amount", p->amount);
	jout_close(j, '}');
}

void
doc_line(struct buf *out, const struct bill *b, const struct bill_line *l,
    const struct doc_extra *x)
{
	struct jout j = JOUT_INIT(out);
	const struct line *line = l->line;
	const struct tariff *t = l->portion->tariff;
	scoped_free char *unit = sku_unit(line->price);
	size_t tariff = 0;

	for (size_t i = 0; i < l->portion_index; i++)
		tariff += b->portions[i].tariff != NULL ? 1 : 0;
	jout_open(&j, NULL, '{');
	jout_number(&j, "n", x->n);
	jout_string(&j, "kind", "charge");
	jout_string(&j, "sku", line->sku);
	resource_write(&j, line->resource, l->resource_name);
	if (x->tags != NULL)
		jout_raw(&j, "tags", x->tags);
	jout_string(&j, "band", line->band);
	jout_number(&j, "tariff", (int64_t)tariff);
	jout_number(&j, "price", line->price - t->prices);
	jout_number(&j, "version", line->version - line->price->versions);
	doc_instant(&j, "from", line->start);
	doc_instant(&j, "to", line->end);
	doc_exact(&j, "quantity", line->quantity);
	jout_string(&j, "unit", unit);
	doc_exact(&j, "exact", line->exact);
	answer_amount(&j, "amount", t, line->amount);
	jout_number(&j, "tax", (int64_t)x->tax);
	jout_open(&j, "parts", '[');
	for (size_t i = 0; i < line->parts.count; i++)
		part_write(&j, &line->parts.list[i]);
	jout_close(&j, ']');
	told_write(&j, l->told);
	jout_close(&j, '}');
}

static void
span_write(struct jout *j, const char *key, const struct span *s)
{
	jout_open(j, key, '{');
	doc_instant(j, "start", s->from);
	doc_instant(j, "end", s->to);
	jout_close(j, '}');
}

void
doc_adjustment(struct buf *out, int64_t n, const struct bill *b,
    const struct doc_adjustment *a)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '{');
	jout_number(&j, "n", n);
	jout_string(&j, "kind", "adjustment");
	jout_string(&j, "sku", a->sku);
	resource_write(&j, a->resource, a->resource_name);
	jout_string(&j, "band", a->band);
	jout_open(&j, "original", '{');
	jout_string(&j, "statement", a->statement);
	span_write(&j, "period", &a->period);
	jout_close(&j, '}');
	doc_exact(&j, "quantity", a->quantity);
	jout_string(&j, "unit", a->unit);
	amount_write(&j, "amount", b, a->amount);
	jout_number(&j, "tax", (int64_t)a->tax);
	jout_close(&j, '}');
}

static void
tariff_write(struct jout *j, const struct portion *p)
{
	jout_open(j, NULL, '{');
	jout_string(j, "id", p->tariff_uuid);
	jout_string(j, "name", p->tariff_name);
	jout_number(j, "version", p->tariff_version);
	jout_string(j, "sha256", p->tariff_sha256);
	doc_instant(j, "from", p->span.from);
	doc_instant(j, "to", p->span.to);
	jout_string(j, "currency", p->tariff->currency);
	if (p->tariff->invoiced != p->tariff->currency)
		doc_exact(j, "fx_rate", p->tariff->fx_rate);
	jout_string(j, "timezone", p->tariff->timezone);
	jout_string(j, "rounding", rounding_name(p->tariff->rounding));
	doc_exact(j, "step", p->tariff->step);
	jout_close(j, '}');
}

static void
tax_write(struct jout *j, const struct bill *b, const struct tax_entry *x)
{
	jout_open(j, NULL, '{');
	jout_string(j, "class", x->name);
	if (x->taxed) {
		doc_exact(j, "rate", x->rate);
		jout_string(j, "mode", x->inclusive ? "inclusive" : "exclusive");
		jout_string(j, "rounding", rounding_name(x->rounding));
	}
	amount_write(j, "net", b, x->net);
	amount_write(j, "tax", b, x->tax);
	jout_close(j, '}');
}

static void
balance_write(struct jout *j, const struct balance *b)
{
	jout_open(j, "usage", '[');
	for (size_t i = 0; i < b->count; i++) {
		jout_open(j, NULL, '{');
		jout_string(j, "sku", b->rows[i].sku);
		jout_u64_string(j, "received", b->rows[i].received);
		jout_u64_string(j, "rated", b->rows[i].rated);
		jout_u64_string(j, "unrated", b->rows[i].unrated);
		jout_u64_string(j, "rejected", b->rows[i].rejected);
		if (b->rows[i].pending > 0)
			jout_u64_string(j, "pending", b->rows[i].pending);
		if (b->rows[i].corrected > 0)
			jout_u64_string(j, "corrected", b->rows[i].corrected);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
settled_write(struct jout *j, const struct doc_body *d)
{
	jout_open(j, "settles", '[');
	for (size_t i = 0; i < d->settled_count; i++) {
		const struct doc_settled *s = &d->settled[i];

		jout_open(j, NULL, '{');
		jout_string(j, "statement", s->statement);
		span_write(j, "period", &s->period);
		jout_string(j, "usage_sha256", s->print);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
totals_write(struct jout *j, const struct bill *b)
{
	jout_open(j, "tariffs", '[');
	for (size_t i = 0; i < b->portion_count; i++)
		if (b->portions[i].tariff != NULL)
			tariff_write(j, &b->portions[i]);
	jout_close(j, ']');
	jout_open(j, "taxes", '[');
	for (size_t i = 0; i < b->taxes.count; i++)
		tax_write(j, b, &b->taxes.entries[i]);
	jout_close(j, ']');
	jout_string(j, "currency", b->currency);
	amount_write(j, "subtotal", b, b->totals.subtotal);
	amount_write(j, "tax", b, b->totals.tax);
	amount_write(j, "total", b, b->totals.total);
}

void
doc_body(struct buf *out, const struct doc_body *d)
{
	struct jout j = JOUT_INIT(out);
	const struct bill *b = d->bill;

	jout_open(&j, NULL, '{');
	jout_open(&j, "period", '{');
	doc_instant(&j, "start", b->period.from);
	doc_instant(&j, "end", b->period.to);
	jout_string(&j, "timezone", b->timezone);
	jout_string(&j, "tzdata", tzdata_version());
	jout_close(&j, '}');
	totals_write(&j, b);
	jout_open(&j, "lines", '{');
	jout_number(&j, "count", d->line_count);
	jout_string(&j, "sha256", d->lines_sha256);
	jout_close(&j, '}');
	balance_write(&j, &b->balance);
	jout_number(&j, "unmetered_seconds", b->unmetered_s);
	jout_string(&j, "usage_sha256", d->usage_sha256);
	settled_write(&j, d);
	jout_close(&j, '}');
}
