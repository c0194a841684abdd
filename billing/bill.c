/* SPDX-License-Identifier: Apache-2.0 */
/* bill: what an account's open period has come to, from the rows to the total */
#include "billing/bill.h"
#include "billing/answer.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (3600 * NS_PER_S)

enum {
	TARIFF_FROM,
	TARIFF_ID,
	TARIFF_UUID,
	TARIFF_NAME,
	TARIFF_VERSION,
	TARIFF_DOCUMENT
};

static bool
account_read(struct bill *b, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_BILL_ACCOUNT, DB_ARGS(DB_NUMBER(b->account_id)), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_NOT_FOUND, "there is no account %lld",
		    (long long)b->account_id);
	b->account_uuid = arena_strdup(b->arena, rows_text(r, 0, 0));
	b->account_name = arena_strdup(b->arena, rows_text(r, 0, 1));
	b->currency = arena_strdup(b->arena, rows_text(r, 0, 2));
	b->timezone = arena_strdup(b->arena, rows_text(r, 0, 3));
	return true;
}

static bool
portion_read(struct portion *p, struct bill *b, const struct rows *r, size_t row,
    struct err *e)
{
	const char *document = rows_text(r, row, TARIFF_DOCUMENT);

	p->span = b->period;
	if (p->span.from.ns < rows_i64(r, row, TARIFF_FROM) * NS_PER_US)
		p->span.from.ns = rows_i64(r, row, TARIFF_FROM) * NS_PER_US;
	if (row + 1 < rows_count(r))
		p->span.to.ns = rows_i64(r, row + 1, TARIFF_FROM) * NS_PER_US;
	p->tariff_id = rows_i64(r, row, TARIFF_ID);
	p->tariff_uuid = arena_strdup(b->arena, rows_text(r, row, TARIFF_UUID));
	p->tariff_name = arena_strdup(b->arena, rows_text(r, row, TARIFF_NAME));
	p->tariff_version = rows_i64(r, row, TARIFF_VERSION);
	if (!tariff_parse(&p->tariff, document, strlen(document), e))
		return err_wrap(e, "tariff %s version %lld", p->tariff_name,
		    (long long)p->tariff_version);
	return true;
}

/* Amounts of two currencies have no sum. */
static bool
currency_settle(struct bill *b, struct err *e)
{
	for (size_t i = 0; i < b->portion_count; i++) {
		const struct portion *p = &b->portions[i];

		if (i > 0 && strcmp(p->tariff->invoiced, b->currency) != 0)
			return err_set(e, ERR_INPUT,
			    "account %s: tariff %s invoices in %s and the one before it "
			    "in %s; begin it with the next month",
			    b->account_name, p->tariff_name, p->tariff->invoiced,
			    b->currency);
		b->currency = p->tariff->invoiced;
	}
	return true;
}

static bool
portions_read(struct bill *b, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_BILL_TARIFFS,
		DB_ARGS(DB_NUMBER(b->account_id), DB_INSTANT(b->period.from),
		    DB_INSTANT(b->period.to)),
		&r, e))
		return false;
	b->portions = arena_alloc(b->arena, (rows_count(r) + 1) * sizeof(*b->portions));
	for (size_t row = 0; row < rows_count(r); row++)
		if (!portion_read(&b->portions[b->portion_count++], b, r, row, e))
			return false;
	return currency_settle(b, e);
}

/* Whether it matters when in the period something was consumed. */
static bool
time_matters(const struct bill *b)
{
	for (size_t i = 0; i < b->portion_count; i++) {
		const struct tariff *t = b->portions[i].tariff;

		for (size_t k = 0; k < t->price_count; k++)
			if (t->prices[k].version_count > 1 ||
			    t->prices[k].versions->model.type == MODEL_TOU)
				return true;
	}
	return b->portion_count > 1;
}

static bool
portion_rate(struct rating *out, const struct bill *b, const struct portion *p,
    const struct calendar *c, struct instant until, struct err *e)
{
	struct rate_job job = { .tariff = p->tariff,
		.usage = &b->used.list,
		.calendar = c,
		.window = { p->span.from, until },
		.known = INSTANT_LAST };

	if (!rate(out, &job, e))
		return err_wrap(e, "account %s, tariff %s", b->account_name,
		    p->tariff_name);
	return true;
}

/* One hour longer, with what is alive now: the difference knows tiers and caps. */
static bool
hour_rate(struct bill *b, const struct portion *p, const struct calendar *c,
    struct err *e)
{
	struct rating later;
	scoped_exact mpq_t now;

	mpq_init(now);
	if (!portion_rate(&later, b, p, c, (struct instant){ b->through.ns + HOUR_NS },
		e))
		return false;
	rating_exact(b->per_hour, &later);
	rating_exact(now, &p->rating);
	mpq_sub(b->per_hour, b->per_hour, now);
	rating_done(&later);
	return true;
}

static bool
portions_rate(struct bill *b, const struct calendar *c, struct err *e)
{
	for (size_t i = 0; i < b->portion_count; i++) {
		struct portion *p = &b->portions[i];
		bool current = span_holds(&p->span, b->through);
		struct instant until = current ? b->through : p->span.to;

		if (p->span.from.ns >= b->through.ns)
			continue;
		if (!portion_rate(&p->rating, b, p, c, until, e))
			return false;
		p->rated = true;
		if (current && !hour_rate(b, p, c, e))
			return false;
	}
	return true;
}

static void
portion_total(struct totals *sum, const struct portion *p)
{
	struct tax_sums sums;
	struct totals totals;

	tax_sums_init(&sums, p->tariff);
	totals_init(&totals);
	for (size_t k = 0; k < p->rating.count; k++)
		tax_sums_add(&sums, p->rating.lines[k].price->tax_class,
		    p->rating.lines[k].amount);
	tax_totals(&totals, &sums);
	exact_add(sum->subtotal, totals.subtotal);
	exact_add(sum->tax, totals.tax);
	exact_add(sum->total, totals.total);
	tax_sums_done(&sums);
	totals_done(&totals);
}

static bool
bill_fill(struct bill *b, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, struct err *e)
{
	struct span used;

	if (!account_read(b, db, e) ||
	    !c->unit(c->context, b->timezone, UNIT_MONTH, ask->within, &b->period, e))
		return false;
	b->through = instant_floor(ask->now, NS_PER_S);
	if (b->through.ns > b->period.to.ns)
		b->through = b->period.to;
	used = (struct span){ b->period.from, b->through };
	if (!portions_read(b, db, e) ||
	    !account_usage_read(&b->used, db, b->account_id, &used, time_matters(b), e) ||
	    !portions_rate(b, c, e))
		return false;
	for (size_t i = 0; i < b->portion_count; i++)
		if (b->portions[i].rated)
			portion_total(&b->totals, &b->portions[i]);
	return true;
}

bool
bill_make(struct bill *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, struct err *e)
{
	struct bill b = { .arena = arena_new(), .account_id = ask->account_id };

	account_usage_init(&b.used);
	totals_init(&b.totals);
	mpq_init(b.per_hour);
	if (!bill_fill(&b, db, c, ask, e)) {
		bill_done(&b);
		return false;
	}
	*out = b;
	return true;
}

void
bill_done(struct bill *b)
{
	for (size_t i = 0; i < b->portion_count; i++) {
		if (b->portions[i].rated)
			rating_done(&b->portions[i].rating);
		tariff_free(b->portions[i].tariff);
	}
	account_usage_done(&b->used);
	totals_done(&b->totals);
	mpq_clear(b->per_hour);
	arena_free(b->arena);
}

const struct tariff *
bill_tariff(const struct bill *b)
{
	return b->portion_count == 0 ? NULL : b->portions[b->portion_count - 1].tariff;
}

char *
bill_amount_text(const struct bill *b, const mpq_t amount)
{
	const struct tariff *t = bill_tariff(b);
	struct err e = ERR_INIT;
	unsigned places = 2;

	if (t != NULL)
		return amount_text(t, amount);
	/* The schema lets only three capital letters in: the standard can't be needed. */
	(void)!currency_places(&places, b->currency, &e);
	return rat_decimal(amount, places);
}

static bool
item_unrated(const struct bill *b, size_t item)
{
	if (b->portion_count == 0)
		return true;
	for (size_t i = 0; i < b->portion_count; i++)
		if (b->portions[i].rated && b->portions[i].rating.unrated[item])
			return true;
	return false;
}

void
bill_unrated(const struct bill *b, void (*visit)(void *context, const char *sku),
    void *context)
{
	const char *told[64];
	size_t count = 0;

	for (size_t i = 0; i < b->used.list.count && count < ARRAY_LEN(told); i++) {
		const char *sku = b->used.list.items[i].sku;
		size_t k = 0;

		if (!item_unrated(b, i))
			continue;
		while (k < count && strcmp(told[k], sku) != 0)
			k++;
		if (k < count)
			continue;
		told[count++] = sku;
		visit(context, sku);
	}
}
