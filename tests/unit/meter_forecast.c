/* SPDX-License-Identifier: Apache-2.0 */
/* Forecasts: of curves whose future is known, since the test makes it. */
#include "base/attr.h"
#include "base/mem.h"
#include "meter/forecast.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define LAST_DAYS ((size_t)(HISTORY - 3 * DAY_ROWS))

enum { STEP = 300, DAY_ROWS = 288, HISTORY = 7 * DAY_ROWS, ALL = HISTORY + DAY_ROWS };

static uint32_t dice;

/* -1 .. 1, the same each time. */
static double
noise(void)
{
	dice = dice * 1664525U + 1013904223U;
	return (double)(dice >> 8) / (double)(1U << 23) - 1;
}

/* A quiet night, a slope up and down again, a job each noon. */
static double
day(size_t row)
{
	size_t time = row % DAY_ROWS;
	double slope = time < 144 ? (double)time : (double)(288 - time);

	return 10 + slope / 4 + (time >= 150 && time < 162 ? 30 : 0);
}

struct curve {
	double values[ALL];
	struct forecast_band bands[ALL];
	int64_t known;
};

static struct curve *
curve_of(double growth, double loud)
{
	struct curve *c = mem_alloc(sizeof(*c));

	dice = 7;
	for (size_t i = 0; i < ALL; i++)
		c->values[i] = day(i) + growth * (double)i / DAY_ROWS + loud * noise();
	return c;
}

static bool
run(struct curve *c)
{
	return forecast_run(c->values, HISTORY, DAY_ROWS, STEP, DAY_ROWS, c->bands,
	    &c->known);
}

/* Of the day ahead: how far off at most, and how many of a hundred lie in the band. */
static double
worst(const struct curve *c)
{
	double most = 0;

	for (size_t i = HISTORY; i < ALL; i++) {
		double off = fabs(c->values[i] - c->bands[i].expected);
		most = off > most ? off : most;
	}
	return most;
}

static size_t
percent_inside(const struct curve *c, size_t from, size_t to)
{
	size_t inside = 0;

	for (size_t i = from; i < to; i++)
		inside += c->values[i] >= c->bands[i].low &&
		    c->values[i] <= c->bands[i].high;
	return inside * 100 / (to - from);
}

static void
a_day_that_repeats_itself_is_foreseen(void **unused_state unused)
{
	scoped_free struct curve *c = curve_of(0, 0);

	assert_true(run(c));
	assert_int_equal(c->known, 7 * 86400);
	assert_true(worst(c) < 5); /* the job's edges were smoothed in the beginning */
	for (size_t i = HISTORY + 20; i < HISTORY + 130; i++)
		assert_true(fabs(c->values[i] - c->bands[i].expected) < 1);
	assert_true(c->bands[HISTORY + 155].expected > 65); /* the job is in it */
}

static void
the_band_holds_what_is_usual(void **unused_state unused)
{
	scoped_free struct curve *c = curve_of(0, 3);
	double width;

	assert_true(run(c));
	assert_true(percent_inside(c, HISTORY, ALL) >= 85);
	assert_true(percent_inside(c, 3 * DAY_ROWS, HISTORY) >= 85);
	width = c->bands[HISTORY + 50].high - c->bands[HISTORY + 50].low;
	assert_true(width > 3 && width < 15); /* noise of 3 to each side */
}

static void
what_is_unusual_leaves_the_band(void **unused_state unused)
{
	scoped_free struct curve *c = curve_of(0, 1);

	for (size_t i = HISTORY - 12; i < HISTORY; i++)
		c->values[i] += 40;
	assert_true(run(c));
	assert_int_equal(percent_inside(c, HISTORY - 12, HISTORY), 0);
	/* One such hour does not turn the days to come around. */
	assert_true(fabs(c->bands[HISTORY + 60].expected - day(60)) < 8);
}

static void
a_growing_curve_is_followed(void **unused_state unused)
{
	scoped_free struct curve *c = curve_of(4, 0.5);

	assert_true(run(c));
	/* It was at 10 on the first day, and grew by 28 until now. */
	assert_true(c->bands[HISTORY + 20].expected > day(20) + 22);
	assert_true(c->bands[HISTORY + 20].expected < day(20) + 34);
}

/* each: one hour of so many is unknown; 4: the same hours of all days. */
static void
hours_unknown(size_t each, double off)
{
	scoped_free struct curve *c = curve_of(0, 0);

	for (size_t i = 0; i < HISTORY; i++)
		if (i / 12 % each == 1)
			c->values[i] = (double)NAN;
	assert_true(run(c));
	for (size_t i = HISTORY + 20; i < HISTORY + 130; i++)
		assert_true(fabs(c->values[i] - c->bands[i].expected) < off);
}

static void
unknown_hours_are_no_zeroes(void **unused_state unused)
{
	hours_unknown(5, 2);
	hours_unknown(4, 4);
}

static void
little_history_is_no_forecast(void **unused_state unused)
{
	scoped_free struct curve *c = curve_of(0, 0);

	for (size_t i = 0; i <= LAST_DAYS; i++)
		c->values[i] = (double)NAN;
	assert_false(run(c));
	assert_true(c->known == 3 * 86400 - STEP);
	c->values[LAST_DAYS] = 10;
	assert_true(run(c));
	/* What was learned from first is not told as foreseen. */
	assert_true(isnan(c->bands[HISTORY - DAY_ROWS - 1].expected) != 0);
	assert_true(!isnan(c->bands[HISTORY - DAY_ROWS].expected));
	/* Half of the time unknown is too much of it. */
	for (size_t i = 0; i < HISTORY; i++)
		if (i % 2 == 0)
			c->values[i] = (double)NAN;
	assert_false(run(c));
	for (size_t i = 0; i < HISTORY; i++)
		c->values[i] = (double)NAN;
	assert_false(run(c));
	assert_int_equal(c->known, 0);
}

static void
nothing_is_expected_below_zero(void **unused_state unused)
{
	scoped_free struct curve *c = curve_of(-20, 5);

	for (size_t i = 0; i < ALL; i++)
		c->values[i] = c->values[i] > 0 ? c->values[i] : 0;
	assert_true(run(c));
	for (size_t i = 2 * DAY_ROWS; i < ALL; i++)
		assert_true(c->bands[i].low >= 0 && c->bands[i].expected >= 0 &&
		    c->bands[i].high >= c->bands[i].expected &&
		    c->bands[i].expected >= c->bands[i].low);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_day_that_repeats_itself_is_foreseen),
		cmocka_unit_test(the_band_holds_what_is_usual),
		cmocka_unit_test(what_is_unusual_leaves_the_band),
		cmocka_unit_test(a_growing_curve_is_followed),
		cmocka_unit_test(unknown_hours_are_no_zeroes),
		cmocka_unit_test(little_history_is_no_forecast),
		cmocka_unit_test(nothing_is_expected_below_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
