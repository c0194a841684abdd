/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of billing-rules 2.8, over many made-up months. */
#include "billing/rate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROUNDS UINT64_C(200)
#define ITEMS 30
#define DAY (INT64_C(86400) * NS_PER_S)
#define MARCH (INT64_C(1709251200) * NS_PER_S) /* 2024-03-01T00:00:00Z */

/* UTC alone has a calendar that needs no zone database. */
static bool
utc_unit(void *context unused, const char *zone unused, enum calendar_unit unit,
    struct instant at, struct span *out, struct err *e unused)
{
	time_t seconds = (time_t)(at.ns / NS_PER_S);
	struct tm tm;

	if (unit == UNIT_HOUR || unit == UNIT_DAY) {
		int64_t step = unit == UNIT_DAY ? DAY : DAY / 24;

		out->from = instant_floor(at, step);
		out->to.ns = out->from.ns + step;
		return true;
	}
	assert_non_null(gmtime_r(&seconds, &tm));
	tm = (struct tm){ .tm_year = tm.tm_year,
		.tm_mon = unit == UNIT_MONTH ? tm.tm_mon : 0,
		.tm_mday = 1 };
	out->from.ns = timegm(&tm) * NS_PER_S;
	tm.tm_mon += unit == UNIT_MONTH ? 1 : 12;
	out->to.ns = timegm(&tm) * NS_PER_S;
	return true;
}

static const struct calendar utc = { .unit = utc_unit };

/* Every model that cumulates, proration, grain, and a version that changes midway. */
static const char *const tariffs[] = {
	"{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\",\"per\":\"hour\",\"model\":"
	"{\"type\":\"unit\",\"price\":\"0.0137\"}}]}",
	"{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\",\"per\":\"month\",\"group_by\":"
	"\"resource\",\"model\":{\"type\":\"unit\",\"price\":\"63.75\",\"maximum\":"
	"\"70\"}}]}",
	"{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\",\"per\":\"year\","
	"\"granularity\":"
	"\"day\",\"group_by\":\"resource\",\"model\":{\"type\":\"unit\",\"price\":"
	"\"765\"}}]}",
	"{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\",\"per\":\"hour\",\"model\":"
	"{\"type\":\"graduated\",\"tiers\":[{\"up_to\":\"100\",\"price\":\"1\",\"flat\":"
	"\"2\"},{\"up_to\":null,\"price\":\"0.5\",\"flat\":\"3\"}]}}]}",
	"{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\",\"per\":\"hour\",\"model\":"
	"{\"type\":\"package\",\"size\":\"50\",\"price\":\"7\",\"free_units\":\"20\"}}]}",
};

static uint64_t seed;

static uint64_t
dice(uint64_t sides)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % sides;
}

static void
interval_add(struct usage_list *l, const char *resource, int64_t from, int64_t to,
    unsigned qty)
{
	struct usage *u = usage_add(l, USAGE_INTERVAL, "a", resource);

	u->span = (struct span){ { from }, { to } };
	mpq_set_ui(u->qty, qty, 1);
}

/* Lives that follow one another per resource, some from before and some beyond March. */
static void
month_make(struct usage_list *l)
{
	static const char *const resources[] = { "r1", "r2", "r3" };
	int64_t at[3] = { MARCH - 3 * DAY, MARCH, MARCH + DAY };

	usage_list_init(l);
	for (size_t i = 0; i < ITEMS; i++) {
		size_t r = dice(3);
		int64_t from = at[r] + (int64_t)dice(86400) * NS_PER_S;

		at[r] = from + (int64_t)(1 + dice(UINT64_C(3) * 86400)) * NS_PER_S;
		interval_add(l, resources[r], from, at[r], (unsigned)(1 + dice(8)));
	}
}

static char *
rated(const char *tariff, const struct usage_list *l)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct tariff *t = NULL;
	struct rating r;
	struct rate_job job = { .usage = l,
		.calendar = &utc,
		.window = { { MARCH }, { MARCH + 31 * DAY } },
		.known = INSTANT_LAST };

	if (!tariff_parse(&t, tariff, strlen(tariff), &e))
		fail_msg("%s", e.text);
	job.tariff = t;
	if (!rate(&r, &job, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < r.count; i++) {
		scoped_free char *exact = rat_text(r.lines[i].exact);
		scoped_free char *amount = rat_text(r.lines[i].amount);

		buf_printf(&b, "%s %s %s\n",
		    r.lines[i].resource == NULL ? "-" : r.lines[i].resource, exact,
		    amount);
	}
	rating_done(&r);
	tariff_free(t);
	assert_true(b.length > 0);
	return buf_take(&b);
}

/* Another way to say the same usage. */
typedef void (*retelling)(struct usage_list *out, const struct usage_list *l);

static void
copied(struct usage_list *out, const struct usage *u)
{
	interval_add(out, u->resource, u->span.from.ns, u->span.to.ns,
	    (unsigned)mpz_get_ui(mpq_numref(u->qty)));
}

static void
split_anywhere(struct usage_list *out, const struct usage_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct usage *u = &l->items[i];
		int64_t seconds = (u->span.to.ns - u->span.from.ns) / NS_PER_S;
		int64_t cut = u->span.from.ns +
		    (int64_t)dice((uint64_t)seconds + 1) * NS_PER_S;
		unsigned qty = (unsigned)mpz_get_ui(mpq_numref(u->qty));

		interval_add(out, u->resource, u->span.from.ns, cut, qty);
		interval_add(out, u->resource, cut, u->span.to.ns, qty);
	}
}

static void
in_another_order(struct usage_list *out, const struct usage_list *l)
{
	size_t order[ITEMS];

	for (size_t i = 0; i < ITEMS; i++)
		order[i] = i;
	for (size_t i = ITEMS; i > 1; i--) {
		size_t k = dice(i);
		size_t swapped = order[k];

		order[k] = order[i - 1];
		order[i - 1] = swapped;
	}
	for (size_t i = 0; i < ITEMS; i++)
		copied(out, &l->items[order[i]]);
}

static void
delivered_twice(struct usage_list *out, const struct usage_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		copied(out, &l->items[i]);
		copied(out, &l->items[l->count - 1 - i]);
	}
}

static void
same_however_told(retelling retell)
{
	for (seed = 1; seed < ROUNDS * 1000; seed = (seed / 1000 + 1) * 1000 + 1) {
		uint64_t round = seed;
		struct usage_list told;
		struct usage_list again;

		month_make(&told);
		usage_list_init(&again);
		retell(&again, &told);
		for (size_t i = 0; i < ARRAY_LEN(tariffs); i++) {
			scoped_free char *a = rated(tariffs[i], &told);
			scoped_free char *b = rated(tariffs[i], &again);

			if (strcmp(a, b) != 0)
				fail_msg("%s:\n%s---\n%s", tariffs[i], a, b);
		}
		usage_list_done(&told);
		usage_list_done(&again);
		seed = round;
	}
}

static void
splitting_an_interval_anywhere_changes_nothing(void **state)
{
	(void)state;
	same_however_told(split_anywhere);
}

static void
any_order_of_arrival_gives_the_same(void **state)
{
	(void)state;
	same_however_told(in_another_order);
}

static void
everything_delivered_twice_counts_once(void **state)
{
	(void)state;
	same_however_told(delivered_twice);
}

static void
a_full_month_measures_exactly_one(void **state)
{
	struct usage_list l;
	scoped_free char *text = NULL;

	(void)state;
	usage_list_init(&l);
	interval_add(&l, "r", MARCH - DAY, MARCH + 40 * DAY, 1);
	text = rated("{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\",\"per\":\"month\","
		     "\"model\":{\"type\":\"unit\",\"price\":\"17.77\"}}]}",
	    &l);
	assert_string_equal(text, "- 17.77 17.77\n");
	usage_list_done(&l);
}

static void
usage_that_lasts_needs_a_unit_of_time(void **state)
{
	static const char text[] = "{\"currency\":\"USD\",\"prices\":[{\"sku\":\"a\","
				   "\"model\":{\"type\":\"unit\",\"price\":\"1\"}}]}";
	struct tariff *t = NULL;
	struct err e = ERR_INIT;
	struct usage_list l;
	struct rating r;
	struct rate_job job = { .usage = &l,
		.calendar = &utc,
		.window = { { MARCH }, { MARCH + DAY } },
		.known = INSTANT_LAST };

	(void)state;
	usage_list_init(&l);
	interval_add(&l, "r", MARCH, MARCH + DAY, 1);
	assert_true(tariff_parse(&t, text, strlen(text), &e));
	job.tariff = t;
	assert_false(rate(&r, &job, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, "its price has no \"per\""));
	tariff_free(t);
	usage_list_done(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splitting_an_interval_anywhere_changes_nothing),
		cmocka_unit_test(any_order_of_arrival_gives_the_same),
		cmocka_unit_test(everything_delivered_twice_counts_once),
		cmocka_unit_test(a_full_month_measures_exactly_one),
		cmocka_unit_test(usage_that_lasts_needs_a_unit_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
