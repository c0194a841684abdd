/* SPDX-License-Identifier: Apache-2.0 */
/* preview: the running bill of an account as JSON, computed this moment */
#include "billing/preview.h"
#include "billing/answer.h"
#include "billing/bill.h"
#include "billing/calendar_db.h"
#include "billing/periods.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"

#define PLACES_SHOWN 6

bool
preview_open(const struct conf *conf, const char *role, struct db **out, struct err *e)
{
	return db_open(conf, role, &billing_statements, out, e);
}

static void
instant_write(struct jout *j, const char *key, struct instant t)
{
	char text[CLOCK_TEXT_MAX];

	jout_string(j, key, instant_text(t, text));
}

/* Lines stand between the head and the totals, which are known only after them. */
struct preview {
	struct jout lines;
	struct buf text;
};

static bool
line_write(void *context, const struct bill *b unused, const struct bill_line *given,
    struct err *e unused)
{
	struct preview *p = context;
	struct jout *j = &p->lines;
	const struct line *l = given->line;
	scoped_free char *unit = sku_unit(l->price);
	scoped_free char *shown = rat_decimal(l->quantity, PLACES_SHOWN);

	jout_open(j, NULL, '{');
	jout_string(j, "sku", l->sku);
	if (l->resource != NULL) {
		jout_open(j, "resource", '{');
		jout_string(j, "id", l->resource);
		jout_string(j, "name", given->resource_name);
		jout_close(j, '}');
	}
	jout_string(j, "band", l->band);
	answer_exact(j, "quantity", l->quantity);
	jout_string(j, "quantity_shown", shown);
	jout_string(j, "unit", unit);
	answer_exact(j, "exact", l->exact);
	answer_amount(j, "amount", given->portion->tariff, l->amount);
	told_write(j, given->told);
	jout_close(j, '}');
	return true;
}

static void
tariff_write(struct jout *j, const struct bill *b)
{
	const struct portion *p = bill_portion(b);

	if (p == NULL) {
		jout_raw(j, "tariff", "null");
		return;
	}
	jout_open(j, "tariff", '{');
	jout_string(j, "id", p->tariff_uuid);
	jout_string(j, "name", p->tariff_name);
	jout_number(j, "version", p->tariff_version);
	jout_close(j, '}');
}

static void
head_write(struct jout *j, const struct bill *b)
{
	jout_open(j, "account", '{');
	jout_string(j, "id", b->account_uuid);
	jout_string(j, "name", b->account_name);
	jout_close(j, '}');
	jout_string(j, "currency", b->currency);
	jout_open(j, "period", '{');
	instant_write(j, "start", b->period.from);
	instant_write(j, "end", b->period.to);
	jout_close(j, '}');
	instant_write(j, "as_of", b->through);
	tariff_write(j, b);
}

static void
total_write(struct jout *j, const char *key, const struct bill *b, const mpq_t amount)
{
	scoped_free char *text = bill_amount_text(b, amount);

	jout_string(j, key, text);
}

static void
totals_write(struct jout *j, const struct bill *b)
{
	scoped_free char *per_hour = rat_decimal(b->per_hour, PLACES_SHOWN);

	total_write(j, "subtotal", b, b->totals.subtotal);
	total_write(j, "tax", b, b->totals.tax);
	total_write(j, "total", b, b->totals.total);
	jout_string(j, "per_hour", per_hour);
}

static void
usage_write(struct jout *j, const struct balance_row *r)
{
	jout_open(j, NULL, '{');
	jout_string(j, "sku", r->sku);
	jout_u64_string(j, "received", r->received);
	jout_u64_string(j, "rated", r->rated);
	jout_u64_string(j, "unrated", r->unrated);
	jout_u64_string(j, "rejected", r->rejected);
	jout_u64_string(j, "pending", r->pending);
	jout_close(j, '}');
}

static void
bill_write(struct jout *j, const struct bill *b, const struct preview *p)
{
	jout_open(j, NULL, '{');
	head_write(j, b);
	jout_raw(j, "lines", buf_text(&p->text));
	totals_write(j, b);
	jout_open(j, "unrated", '[');
	for (size_t i = 0; i < b->balance.count; i++)
		if (b->balance.rows[i].unrated > 0)
			jout_string(j, NULL, b->balance.rows[i].sku);
	jout_close(j, ']');
	jout_open(j, "usage", '[');
	for (size_t i = 0; i < b->balance.count; i++)
		usage_write(j, &b->balance.rows[i]);
	jout_close(j, ']');
	jout_close(j, '}');
}

/* What was received is always shown beside what became of it. */
static bool
usage_count(struct bill *b, struct db *db, struct instant now, struct err *e)
{
	struct balance_of of = { b->account_id, b->period, b->through, now, INSTANT_FIRST,
		true };
	const char *lost = NULL;

	return balance_put(&b->balance, b->arena, db, &of, &lost, e);
}

static bool
preview_make(struct db *db, const struct calendar *c, int64_t account_id,
    struct instant now, struct buf *json_out, struct err *e)
{
	struct preview p = { .text = BUF_INIT };
	struct bill_ask ask = { .account_id = account_id, .now = now, .want_hour = true };
	struct bill_sink sink = { &p, line_write };
	struct jout j = JOUT_INIT(json_out);
	struct bill b;
	bool ok;

	p.lines = (struct jout)JOUT_INIT(&p.text);
	jout_open(&p.lines, NULL, '[');
	ok = period_find(db, c, account_id, now, &ask.period, e) &&
	    bill_make(&b, db, c, &ask, &sink, e);
	jout_close(&p.lines, ']');
	if (ok) {
		ok = usage_count(&b, db, now, e);
		if (ok)
			bill_write(&j, &b, &p);
		bill_done(&b);
	}
	buf_done(&p.text);
	return ok;
}

bool
bill_preview(struct db *db, int64_t account_id, struct instant now, struct buf *json_out,
    struct err *e)
{
	struct calendar *c = calendar_db_new(db, false);
	bool ok = preview_make(db, c, account_id, now, json_out, e);

	calendar_db_free(c);
	return ok;
}
