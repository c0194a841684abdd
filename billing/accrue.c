/* SPDX-License-Identifier: Apache-2.0 */
/* accrue: a bill written down as the running charges of its period */
#include "billing/accrue.h"
#include "billing/answer.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>

#define PLACES_PER_HOUR 6

/* Stable while the tariff is: sku, resource, price and version, band, portion. */
static char *
line_key(const struct portion *p, size_t portion, const struct line *l)
{
	return mem_printf("%s|%s|%lld.%lld.%zu.%zu.%zu|%s", l->sku,
	    l->resource == NULL ? "" : l->resource, (long long)p->tariff_id,
	    (long long)p->tariff_version, portion, (size_t)(l->price - p->tariff->prices),
	    (size_t)(l->version - l->price->versions), l->band == NULL ? "" : l->band);
}

static bool
line_put(struct db *db, const struct bill *b, size_t portion, const struct line *l,
    int64_t generation, struct err *e)
{
	const struct portion *p = &b->portions[portion];
	scoped_free char *key = line_key(p, portion, l);
	scoped_free char *quantity = rat_text(l->quantity);
	scoped_free char *unit = sku_unit(l->price);
	scoped_free char *exact = rat_text(l->exact);
	scoped_free char *amount = amount_text(p->tariff, l->amount);

	return db_run(db, STMT_ACCRUAL_PUT,
	    DB_ARGS(DB_NUMBER(b->account_id), DB_INSTANT(b->period.from), key,
		DB_INSTANT(b->period.to), l->sku, l->resource,
		account_usage_name(&b->used, l->resource), DB_NUMBER(p->tariff_id),
		DB_NUMBER(p->tariff_version), b->currency, quantity, unit, exact, amount,
		l->band, DB_INSTANT(b->through), DB_NUMBER(generation)),
	    NULL, e);
}

static void
sku_write(void *context, const char *sku)
{
	jout_string(context, NULL, sku);
}

static bool
run_put(struct db *db, const struct bill *b, int64_t generation, struct err *e)
{
	scoped(buf_done) struct buf unrated = BUF_INIT;
	struct jout j = JOUT_INIT(&unrated);
	scoped_free char *subtotal = bill_amount_text(b, b->totals.subtotal);
	scoped_free char *tax = bill_amount_text(b, b->totals.tax);
	scoped_free char *total = bill_amount_text(b, b->totals.total);
	scoped_free char *per_hour = rat_decimal(b->per_hour, PLACES_PER_HOUR);

	jout_open(&j, NULL, '[');
	bill_unrated(b, sku_write, &j);
	jout_close(&j, ']');
	return db_run(db, STMT_ACCRUAL_RUN_PUT,
	    DB_ARGS(DB_NUMBER(b->account_id), DB_INSTANT(b->period.from),
		DB_INSTANT(b->period.to), DB_INSTANT(b->through), DB_NUMBER(generation),
		b->currency, subtotal, tax, total, per_hour, buf_text(&unrated)),
	    NULL, e);
}

bool
accrue(struct db *db, const struct bill *b, struct instant now, struct err *e)
{
	int64_t generation = now.ns / NS_PER_US;

	for (size_t i = 0; i < b->portion_count; i++) {
		const struct portion *p = &b->portions[i];

		for (size_t k = 0; p->rated && k < p->rating.count; k++)
			if (!line_put(db, b, i, &p->rating.lines[k], generation, e))
				return false;
	}
	return run_put(db, b, generation, e);
}
