/* SPDX-License-Identifier: Apache-2.0 */
/* A rating vector (tariff, usage, terms, period) as one JSON object: refused, or an
 * invoice that adds up to the last digit.  Days and months here are those of UTC, counted
 * by hand. */
#include "base/mem.h"
#include "billing/invoice.h"
#include "billing/vector.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YEAR_FIRST = 1980, YEAR_LAST = 2100 };
#define DAY_NS (86400 * NS_PER_S)

static int64_t
days_of(int64_t year, int64_t month) /* month from 0 on, may be past the year */
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304,
		334 };
	int64_t y = year + month / 12;
	int64_t m = month % 12;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return (y - 1) * 365 + (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400 - 719162 +
	    before[m] + (leap && m > 1);
}

static bool
in_reach(struct instant at, struct err *e)
{
	return (at.ns >= days_of(YEAR_FIRST, 0) * DAY_NS &&
		   at.ns < days_of(YEAR_LAST, 0) * DAY_NS) ||
	    err_set(e, ERR_INPUT, "a time out of reach");
}

static bool
unit_of(void *context unused, const char *zone unused, enum calendar_unit unit,
    struct instant at, struct span *out, struct err *e)
{
	int64_t months = 0;
	int64_t length = unit == UNIT_YEAR ? 12 : 1;

	if (!in_reach(at, e))
		return false;
	if (unit == UNIT_HOUR || unit == UNIT_DAY) {
		out->from = instant_floor(at,
		    unit == UNIT_HOUR ? 3600 * NS_PER_S : DAY_NS);
		out->to.ns = out->from.ns +
		    (unit == UNIT_HOUR ? 3600 * NS_PER_S : DAY_NS);
		return true;
	}
	while (days_of(YEAR_FIRST, months + length) * DAY_NS <= at.ns)
		months += length;
	out->from.ns = days_of(YEAR_FIRST, months) * DAY_NS;
	out->to.ns = days_of(YEAR_FIRST, months + length) * DAY_NS;
	return true;
}

static struct instant
clamped(int64_t year, int64_t month, int64_t day)
{
	int64_t length = days_of(year, month + 1) - days_of(year, month);

	return (struct instant){
		(days_of(year, month) + (day > length ? length : day) - 1) * DAY_NS
	};
}

static bool
anchored_of(void *context unused, const char *zone unused, const struct anchored *which,
    struct span *out, struct err *e)
{
	int year = 0;
	int month = 0;
	int day = 0;
	int64_t months;

	if (sscanf(which->date, "%d-%d-%d", &year, &month, &day) != 3 ||
	    year < YEAR_FIRST || year >= YEAR_LAST || which->n < -1200 ||
	    which->n > 1200 || which->months < 1 || which->months > 1200)
		return err_set(e, ERR_INPUT, "a time out of reach");
	months = (int64_t)year * 12 + month - 1 + which->n * which->months;
	if (months < YEAR_FIRST * 12 || months + which->months >= YEAR_LAST * 12)
		return err_set(e, ERR_INPUT, "a time out of reach");
	out->from = clamped(months / 12, months % 12, day);
	months += which->months;
	out->to = clamped(months / 12, months % 12, day);
	return true;
}

static bool
wall_of(void *context unused, const char *zone unused, struct instant day, int minutes,
    struct wall_time *out, struct err *e)
{
	struct instant midnight = instant_floor(day, DAY_NS);

	if (!in_reach(day, e))
		return false;
	out->at.ns = midnight.ns + minutes * 60 * NS_PER_S;
	out->weekday = (int)(((midnight.ns / DAY_NS + 3) % 7 + 7) % 7) + 1;
	return true;
}

static const struct calendar by_hand = { NULL, unit_of, anchored_of, wall_of };

struct run {
	struct arena *arena;
	struct tariff *tariff;
	struct usage_list usage;
	struct terms terms;
	struct period period;
	struct invoice invoice;
};

static bool
run_make(struct run *r, const struct jval *v, struct err *e)
{
	if (!tariff_read(&r->tariff, json_get(v, "tariff"), e) ||
	    !usage_read(&r->usage, json_get(v, "usage"), e) ||
	    !terms_read(&r->terms, json_get(v, "account"), json_get(v, "credit_notes"),
		json_get(v, "allocate"), e) ||
	    !period_read(&r->period, r->arena, json_get(v, "period"),
		&(struct local){ &by_hand, r->tariff->timezone }, e))
		return false;
	/* A mutated century of seconds is no new case, only a slow one. */
	if (r->period.span.to.ns - r->period.span.from.ns > 3 * 366 * DAY_NS)
		return err_set(e, ERR_INPUT, "too long a period for this test");
	return invoice_make(&r->invoice,
	    &(struct invoice_job){ r->tariff, &r->usage, &by_hand, &r->period,
		&r->terms },
	    e);
}

/* One rounding a line: the amount is a multiple of the step, less than one step away. */
static void
line_check(const struct line *l, const struct tariff *t)
{
	mpq_t apart;

	mpq_init(apart);
	mpq_div(apart, l->amount, t->step);
	must(mpz_cmp_ui(mpq_denref(apart), 1) == 0, "%s: no multiple of its step",
	    l->sku);
	mpq_sub(apart, l->amount, l->exact);
	mpq_abs(apart, apart);
	must(mpq_cmp(apart, t->step) < 0, "%s: rounded too far", l->sku);
	mpq_clear(apart);
}

static void
invoice_check(const struct run *r)
{
	const struct invoice *i = &r->invoice;
	mpq_t sum;
	mpq_t used;

	mpq_inits(sum, used, NULL);
	for (size_t k = 0; k < i->rating.count; k++) {
		line_check(&i->rating.lines[k], r->tariff);
		mpq_add(sum, sum, i->rating.lines[k].amount);
	}
	for (size_t k = 0; k < i->adjustment_count; k++)
		mpq_add(sum, sum, i->adjustments[k].amount);
	must(mpq_equal(sum,
		 r->tariff->tax_inclusive ? i->totals.total : i->totals.subtotal),
	    "the lines do not add up");
	mpq_add(sum, i->totals.subtotal, i->totals.tax);
	must(mpq_equal(sum, i->totals.total), "net and tax do not add up");
	mpq_set(sum, i->totals.total);
	for (size_t k = 0; k < i->credit_count; k++) {
		must(mpq_sgn(i->credits[k].used) >= 0 && mpq_sgn(i->credits[k].left) >= 0,
		    "credit %s", i->credits[k].id);
		mpq_sub(sum, sum, i->credits[k].used);
	}
	must(mpq_equal(sum, i->due), "total and credits are not what is due");
	must(i->credit_count == 0 || mpq_sgn(i->totals.total) <= 0 ||
		mpq_sgn(i->due) >= 0,
	    "more credit than bill");
	mpq_set_ui(sum, 0, 1);
	for (size_t k = 0; k < i->part_count; k++)
		mpq_add(sum, sum, i->parts[k].amount);
	must(i->part_count == 0 || mpq_equal(sum, i->totals.subtotal),
	    "the parts are not the whole");
	mpq_clears(sum, used, NULL);
}

static void
run_check(const struct jval *v)
{
	struct run r = { .arena = arena_new() };
	struct err e = ERR_INIT;
	struct buf why = BUF_INIT;
	enum verdict verdict = VECTOR_FAILED;

	usage_list_init(&r.usage);
	terms_init(&r.terms);
	if (run_make(&r, v, &e)) {
		invoice_check(&r);
		invoice_done(&r.invoice);
		/* What it expects is from outside as well. */
		must(vector_run(&verdict, &why, v, &by_hand, &e), "%s", e.text);
		must(verdict == VECTOR_PASSED || why.length > 0, "it does not say why");
	} else
		must((e.kind == ERR_INPUT || e.kind == ERR_NOT_FOUND) &&
			e.text[0] != '\0',
		    "a refusal says why: %s", e.text);
	buf_done(&why);
	terms_done(&r.terms);
	usage_list_done(&r.usage);
	tariff_free(r.tariff);
	arena_free(r.arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	if (json_parse(&doc, (const char *)data, size, &e) &&
	    json_type(json_root(doc)) == JSON_OBJECT)
		run_check(json_root(doc));
	json_free(doc);
	return 0;
}
