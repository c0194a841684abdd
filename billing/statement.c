/* SPDX-License-Identifier: Apache-2.0 */
/* statement: closed periods read back, as JSON, CSV, or HTML for print */
#include "billing/statement.h"
#include "base/mem.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

bool
statement_open(struct issued *s, struct db *db, int64_t account_id, const char *which,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	*s = (struct issued){ .db = db };
	if (!db_query(db, STMT_STATEMENT_FIND,
		DB_ARGS(which, account_id == 0 ? NULL : DB_NUMBER(account_id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no statement %.80s", which);
	if (rows_count(r) > 1)
		return err_set(e, ERR_CONFLICT,
		    "more than one issuer has a statement %.80s: name it by its id",
		    which);
	s->account_id = rows_i64(r, 0, 0);
	s->id = rows_i64(r, 0, 1);
	s->document = mem_strdup(rows_text(r, 0, 2));
	if (json_parse(&s->head, s->document, strlen(s->document), e))
		return true;
	statement_done(s);
	return err_wrap(e, "statement %.80s", which);
}

void
statement_done(struct issued *s)
{
	json_free(s->head);
	json_free(s->line);
	rows_clear(&s->rows);
	free(s->document);
	*s = (struct issued){ .db = NULL };
}

const struct jval *
statement_head(const struct issued *s)
{
	return json_root(s->head);
}

static bool
lines_fetch(struct issued *s, struct err *e)
{
	if (s->rows != NULL && s->row < rows_count(s->rows))
		return true;
	rows_clear(&s->rows);
	s->row = 0;
	return db_query(s->db, STMT_STATEMENT_LINES,
	    DB_ARGS(DB_NUMBER(s->account_id), DB_NUMBER(s->id), DB_NUMBER(s->last)),
	    &s->rows, e);
}

bool
statement_line(struct issued *s, const char **text, const struct jval **line,
    struct err *e)
{
	json_free(s->line);
	s->line = NULL;
	*text = NULL;
	*line = NULL;
	if (!lines_fetch(s, e))
		return false;
	if (rows_count(s->rows) == 0)
		return true;
	s->last = rows_i64(s->rows, s->row, 0);
	*text = rows_text(s->rows, s->row, 1);
	s->row++;
	if (!json_parse(&s->line, *text, strlen(*text), e))
		return err_wrap(e, "line %lld of a statement", (long long)s->last);
	*line = json_root(s->line);
	return true;
}

bool
text_flush(const struct text_out *out, struct buf *b, struct err *e)
{
	bool ok = buf_ok(b) || err_set(e, ERR_LIMIT, "a piece of the text is too long");

	ok = ok && out->write(out->context, buf_text(b), b->length, e);
	buf_clear(b);
	return ok;
}

bool
statement_json(struct issued *s, const struct text_out *out, struct err *e)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	const struct jval *line = NULL;
	const char *text = NULL;
	bool first = true;

	buf_printf(&b, "{\"statement\":%s,\"lines\":[", s->document);
	do {
		if (!text_flush(out, &b, e) || !statement_line(s, &text, &line, e))
			return false;
		if (text != NULL)
			buf_printf(&b, "%s%s", first ? "\n" : ",\n", text);
		first = false;
	} while (text != NULL);
	buf_puts(&b, "]}\n");
	return text_flush(out, &b, e);
}

void
csv_field(struct buf *out, const char *text, bool last)
{
	if (text != NULL && strpbrk(text, ",\"\r\n") != NULL) {
		buf_putc(out, '"');
		for (const char *p = text; *p != '\0'; p++) {
			if (*p == '"')
				buf_putc(out, '"');
			buf_putc(out, *p);
		}
		buf_putc(out, '"');
	} else if (text != NULL) {
		buf_puts(out, text);
	}
	buf_puts(out, last ? "\r\n" : ",");
}

static const char *const csv_names[] = { "statement", "line", "kind", "sku",
	"resource_id", "resource_name", "band", "period_start", "period_end",
	"original_statement", "quantity", "unit", "exact", "amount", "currency",
	"tax_class", "tax_rate" };

static const char *
inner(const struct jval *v, const char *object, const char *key)
{
	return json_text(json_get(json_get(v, object), key));
}

static void
csv_line(struct buf *b, const struct jval *head, const struct jval *line)
{
	const struct jval *body = json_get(head, "body");
	const struct jval *original = json_get(line, "original");
	const struct jval *period = json_get(original == NULL ? body : original,
	    "period");
	const struct jval *tax = json_get(line, "tax");
	int64_t place = 0;
	struct err e = ERR_INIT;

	if (!json_i64(&place, tax, &e))
		place = 0;
	tax = json_at(json_get(body, "taxes"), (size_t)place);
	csv_field(b, json_text(json_get(head, "number")), false);
	csv_field(b, json_text(json_get(line, "n")), false);
	csv_field(b, json_text(json_get(line, "kind")), false);
	csv_field(b, json_text(json_get(line, "sku")), false);
	csv_field(b, inner(line, "resource", "id"), false);
	csv_field(b, inner(line, "resource", "name"), false);
	csv_field(b, json_text(json_get(line, "band")), false);
	csv_field(b, json_text(json_get(period, "start")), false);
	csv_field(b, json_text(json_get(period, "end")), false);
	csv_field(b, json_text(json_get(original, "statement")), false);
	csv_field(b, json_text(json_get(line, "quantity")), false);
	csv_field(b, json_text(json_get(line, "unit")), false);
	csv_field(b, json_text(json_get(line, "exact")), false);
	csv_field(b, json_text(json_get(line, "amount")), false);
	csv_field(b, json_text(json_get(body, "currency")), false);
	csv_field(b, json_text(json_get(tax, "class")), false);
	csv_field(b, json_text(json_get(tax, "rate")), true);
}

bool
statement_csv(struct issued *s, const struct text_out *out, struct err *e)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	const struct jval *line = NULL;
	const char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(csv_names); i++)
		csv_field(&b, csv_names[i], i + 1 == ARRAY_LEN(csv_names));
	do {
		if (!text_flush(out, &b, e) || !statement_line(s, &text, &line, e))
			return false;
		if (line != NULL)
			csv_line(&b, statement_head(s), line);
	} while (line != NULL);
	return true;
}

struct rendering {
	const char *form;
	bool (*render)(struct issued *s, const struct text_out *out, struct err *e);
};
static const struct rendering renderings[] = { { "json", statement_json },
	{ "csv", statement_csv }, { "html", statement_html } };

bool
statement_render(struct issued *s, const char *form, const struct text_out *out,
    struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(renderings); i++)
		if (strcmp(renderings[i].form, form) == 0)
			return renderings[i].render(s, out, e);
	return err_set(e, ERR_INPUT,
	    "a statement comes as json, csv or html, not as %.20s", form);
}
