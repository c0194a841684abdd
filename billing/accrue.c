/* SPDX-License-Identifier: Apache-2.0 */
/* accrue: a bill written down as the running charges of its period */
#include "billing/accrue.h"
#include "base/log.h"
#include "billing/answer.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>

#define PLACES_PER_HOUR 6
#define LINES_AT_ONCE 500

/* Lines wait here and go out together, as one statement. */
struct accrual {
	struct db *db;
	int64_t generation;
	const struct bill *bill;
	struct buf text;
	struct jout lines;
	size_t count;
};

static void
lines_begin(struct accrual *a)
{
	buf_clear(&a->text);
	a->lines = (struct jout)JOUT_INIT(&a->text);
	a->count = 0;
	jout_open(&a->lines, NULL, '[');
}

static bool
lines_put(struct accrual *a, struct err *e)
{
	const struct bill *b = a->bill;

	jout_close(&a->lines, ']');
	if (!buf_ok(&a->text))
		return err_set(e, ERR_LIMIT, "account %s: its lines are too long",
		    b->account_name);
	if (a->count > 0 &&
	    !db_run(a->db, STMT_ACCRUAL_PUT,
		DB_ARGS(DB_NUMBER(b->account_id), DB_INSTANT(b->period.from),
		    DB_INSTANT(b->period.to), b->currency, DB_INSTANT(b->through),
		    DB_NUMBER(a->generation), buf_text(&a->text)),
		NULL, e))
		return false;
	lines_begin(a);
	return true;
}

/* Stable while the tariff is: sku, resource, price and version, band, portion. */
static char *
line_key(const struct bill_line *l)
{
	const struct line *line = l->line;
	const struct portion *p = l->portion;

	return mem_printf("%s|%s|%lld.%lld.%zu.%zu.%zu|%s", line->sku,
	    line->resource == NULL ? "" : line->resource, (long long)p->tariff_id,
	    (long long)p->tariff_version, l->portion_index,
	    (size_t)(line->price - p->tariff->prices),
	    (size_t)(line->version - line->price->versions),
	    line->band == NULL ? "" : line->band);
}

static bool
line_put(void *context, const struct bill *b unused, const struct bill_line *l,
    struct err *e)
{
	struct accrual *a = context;
	struct jout *j = &a->lines;
	const struct line *line = l->line;
	scoped_free char *key = line_key(l);
	scoped_free char *unit = sku_unit(line->price);

	jout_open(j, NULL, '{');
	jout_string(j, "key", key);
	jout_string(j, "sku", line->sku);
	jout_string(j, "resource", line->resource);
	jout_string(j, "name", l->resource_name);
	jout_number(j, "tariff", l->portion->tariff_id);
	jout_number(j, "version", l->portion->tariff_version);
	answer_exact(j, "quantity", line->quantity);
	jout_string(j, "unit", unit);
	answer_exact(j, "exact", line->exact);
	answer_amount(j, "amount", l->portion->tariff, line->amount);
	jout_string(j, "band", line->band);
	jout_close(j, '}');
	return ++a->count < LINES_AT_ONCE || lines_put(a, e);
}

static void
unrated_write(struct buf *out, const struct balance *b)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '[');
	for (size_t i = 0; i < b->count; i++)
		if (b->rows[i].unrated > 0)
			jout_string(&j, NULL, b->rows[i].sku);
	jout_close(&j, ']');
}

/* What does not add up is our own mistake: it is told, and stands in the table. */
static bool
balance_note(struct db *db, struct bill *b, struct instant now, struct err *e)
{
	struct balance_of of = { b->account_id, b->period, b->through, now, b->summed,
		false };
	const char *lost = NULL;

	if (!balance_put(&b->balance, b->arena, db, &of, &lost, e))
		return false;
	if (lost != NULL)
		log_error(
		    "account %s: usage of %s that was received is neither rated nor "
		    "refused; see usage_balance and report this as a defect",
		    b->account_name, lost);
	return true;
}

static bool
run_put(struct db *db, const struct bill *b, int64_t generation, struct err *e)
{
	scoped(buf_done) struct buf unrated = BUF_INIT;
	scoped_free char *subtotal = bill_amount_text(b, b->totals.subtotal);
	scoped_free char *tax = bill_amount_text(b, b->totals.tax);
	scoped_free char *total = bill_amount_text(b, b->totals.total);
	scoped_free char *per_hour = rat_decimal(b->per_hour, PLACES_PER_HOUR);

	unrated_write(&unrated, &b->balance);
	return db_run(db, STMT_ACCRUAL_RUN_PUT,
	    DB_ARGS(DB_NUMBER(b->account_id), DB_INSTANT(b->period.from),
		DB_INSTANT(b->period.to), DB_INSTANT(b->through), DB_NUMBER(generation),
		b->currency, subtotal, tax, total, per_hour, buf_text(&unrated)),
	    NULL, e);
}

bool
accrue(struct bill *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, struct err *e)
{
	struct accrual a = { .db = db,
		.generation = ask->now.ns / NS_PER_US,
		.bill = out,
		.text = BUF_INIT };
	struct bill_sink sink = { &a, line_put };
	bool ok;

	lines_begin(&a);
	ok = bill_make(out, db, c, ask, &sink, e);
	if (ok && !out->planned &&
	    !(lines_put(&a, e) && run_put(db, out, a.generation, e) &&
		balance_note(db, out, ask->now, e))) {
		bill_done(out);
		ok = false;
	}
	buf_done(&a.text);
	return ok;
}
