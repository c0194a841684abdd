/* SPDX-License-Identifier: Apache-2.0 */
/* The five counter rules of billing-rules 2.6, as a table. */
#include "base/counter.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct reading_case {
	const char *why;
	int64_t last_s;
	uint64_t last;
	uint64_t last_epoch;
	int64_t now_s;
	uint64_t now;
	uint64_t now_epoch;
	uint64_t max_per_second;
	unsigned width;
	enum counter_story story;
	uint64_t delta;
};

static const struct reading_case cases[] = {
	{ "moves on", 0, 100, 1, 10, 250, 1, 0, 64, COUNTER_MOVED, 150 },
	{ "stands still", 0, 100, 1, 10, 100, 1, 0, 64, COUNTER_MOVED, 0 },
	{ "same instant again", 10, 100, 1, 10, 900, 1, 0, 64, COUNTER_STALE, 0 },
	{ "late sample is no reset", 10, 200, 1, 5, 150, 1, 0, 64, COUNTER_STALE, 0 },
	{ "late sample of another life", 10, 200, 1, 5, 7, 2, 0, 64, COUNTER_STALE, 0 },
	{ "new life, lower", 0, 9500, 1, 10, 12, 2, 0, 64, COUNTER_NEW_EPOCH, 12 },
	{ "new life, higher", 0, 9500, 1, 10, 12000, 2, 0, 64, COUNTER_NEW_EPOCH, 12000 },
	{ "reset at 64 bits", 0, 6500, 1, 10, 300, 1, 1000, 64, COUNTER_RESET, 300 },
	{ "wrap at 32 bits", 0, 4294967290, 1, 300, 10, 1, 1250000, 32, COUNTER_WRAPPED,
	    16 },
	{ "wrap just believable", 0, 4294967290, 1, 4, 10, 1, 4, 32, COUNTER_WRAPPED,
	    16 },
	{ "wrap a little too fast", 0, 4294967290, 1, 3, 10, 1, 5, 32, COUNTER_RESET,
	    10 },
	{ "32 bits, speed unknown", 0, 4294967290, 1, 300, 10, 1, 0, 32, COUNTER_RESET,
	    10 },
	{ "last is no 32 bit value", 0, 5000000000, 1, 300, 10, 1, UINT64_MAX, 32,
	    COUNTER_RESET, 10 },
	{ "whole range", 0, 0, 1, 1, UINT64_MAX, 1, 0, 64, COUNTER_MOVED, UINT64_MAX },
};

static void
every_pair_of_readings_tells_its_story(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct reading_case *c = &cases[i];
		struct counter_reading last = { { c->last_s * NS_PER_S }, c->last,
			c->last_epoch };
		struct counter_reading now = { { c->now_s * NS_PER_S }, c->now,
			c->now_epoch };
		struct counter_rule rule = { c->width, false, c->max_per_second };
		uint64_t delta = 77;
		enum counter_story story = counter_delta(&delta, &last, &now, &rule);

		if (story != c->story || delta != c->delta)
			fail_msg("%s: story %d delta %" PRIu64, c->why, (int)story,
			    delta);
	}
}

static void
first_reading_counts_only_when_born_under_our_eyes(void **state)
{
	struct counter_reading now = { { 5 }, 4242, 1 };
	struct counter_rule rule = COUNTER_RULE_INIT;
	uint64_t delta = 1;

	(void)state;
	assert_int_equal(counter_delta(&delta, NULL, &now, &rule), COUNTER_FIRST);
	assert_int_equal(delta, 0);
	rule.from_zero = true;
	assert_int_equal(counter_delta(&delta, NULL, &now, &rule), COUNTER_FIRST);
	assert_int_equal(delta, 4242);
}

static void
epoch_of_a_text_is_stable_and_its_own(void **state)
{
	(void)state;
	assert_true(counter_epoch("src") == counter_epoch("src"));
	assert_true(counter_epoch("src") != counter_epoch("dst"));
	/* The published test value of FNV-1a: stored epochs must survive a release. */
	assert_true(counter_epoch("a") == UINT64_C(0xaf63dc4c8601ec8c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_readings_tells_its_story),
		cmocka_unit_test(first_reading_counts_only_when_born_under_our_eyes),
		cmocka_unit_test(epoch_of_a_text_is_stable_and_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
