/* SPDX-License-Identifier: Apache-2.0 */
/* What is due next, and which window an instant belongs to. */
#include "meter/due.h"
#include "meter/window.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR WINDOW_HOUR_NS
#define MINUTE (60 * NS_PER_S)
enum { ITEMS = 500 };

static void
the_earliest_comes_first_whatever_was_moved_or_dropped(void **unused_state unused)
{
	struct due q = { NULL, 0, 0 };
	struct due_item items[ITEMS] = { 0 };
	uint64_t random = 42;
	size_t left = 0;
	int64_t last = -1;

	for (int i = 0; i < 5 * ITEMS; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		struct due_item *item = &items[(random >> 33) % ITEMS];
		if ((random >> 20) % 5 == 0)
			due_drop(&q, item);
		else
			due_set(&q, item, (struct mono){ (int64_t)(random >> 40) });
	}
	for (int i = 0; i < ITEMS; i++)
		left += items[i].place != 0;
	assert_int_equal(left, q.count);
	for (struct due_item *i; (i = due_first(&q)) != NULL; left--) {
		assert_true(i->at.ns >= last);
		last = i->at.ns;
		due_drop(&q, i);
	}
	assert_int_equal(left, 0);
	due_done(&q);
}

static void
slots_are_spread_over_the_step_and_stay_where_they_are(void **unused_state unused)
{
	const int64_t step = 10 * NS_PER_S;
	int64_t a = due_smear("0b8e4f3c-host-a", step);
	int64_t b = due_smear("0b8e4f3c-host-b", step);
	struct instant now = { 1700000003 * NS_PER_S };

	assert_true(a >= 0 && a < step && b >= 0 && b < step && a != b);
	for (int i = 0; i < 100; i++) {
		struct instant next = due_slot(now, step, a);
		assert_true(next.ns > now.ns && next.ns - now.ns <= step);
		assert_true((next.ns - a) % step == 0);
		now = next;
	}
	assert_true(due_slot((struct instant){ 0 }, step, 0).ns == step);
}

static void
a_host_that_fails_is_asked_less_and_less(void **unused_state unused)
{
	assert_true(due_backoff(10 * NS_PER_S, 1) == 10 * NS_PER_S);
	assert_true(due_backoff(10 * NS_PER_S, 2) == 20 * NS_PER_S);
	assert_true(due_backoff(10 * NS_PER_S, 9) == 30 * NS_PER_S);
	assert_true(due_backoff(2 * NS_PER_S, 9) == 8 * NS_PER_S);
	assert_true(due_backoff(300 * NS_PER_S, 9) == 300 * NS_PER_S);
}

static void
an_hour_holds_what_was_counted_up_to_its_end(void **unused_state unused)
{
	struct instant from;
	struct instant to;

	window_of((struct instant){ 5 * HOUR }, NULL, &from, &to);
	assert_true(from.ns == 4 * HOUR && to.ns == 5 * HOUR);
	window_of((struct instant){ 5 * HOUR + 1 }, NULL, &from, &to);
	assert_true(from.ns == 5 * HOUR && to.ns == 6 * HOUR);
}

/* Every window holds its instant, and windows follow each other without a hole. */
static void
chain(const struct window_rule *rule, int64_t begin, int64_t end, const int64_t *want,
    size_t count)
{
	struct instant from;
	struct instant to = { begin };

	for (size_t i = 0; i < count; i++) {
		struct instant t = { to.ns + 1 };
		window_of(t, rule, &from, &to);
		assert_true(from.ns == t.ns - 1 && to.ns == want[i]);
		window_of(to, rule, &from, &to);
		assert_true(from.ns == t.ns - 1 && to.ns == want[i]);
	}
	assert_true(to.ns == end);
}

static void
local_hours_of_half_and_quarter_zones_are_borders(void **unused_state unused)
{
	const struct window_shift kolkata[] = { { { 0 }, 30 * MINUTE } };
	const struct window_shift nepal[] = { { { 0 }, 15 * MINUTE } };
	const struct window_rule half = { .shifts = kolkata, .shift_count = 1 };
	const struct window_rule quarter = { .shifts = nepal, .shift_count = 1 };
	const int64_t halves[] = { 18 * HOUR + HOUR / 2, 19 * HOUR, 19 * HOUR + HOUR / 2,
		20 * HOUR };
	const int64_t quarters[] = { 18 * HOUR + HOUR / 4, 19 * HOUR };

	chain(&half, 18 * HOUR, 20 * HOUR, halves, 4);
	chain(&quarter, 18 * HOUR, 19 * HOUR, quarters, 2);
}

static void
a_zone_that_changes_its_shift_is_cut_by_what_holds(void **unused_state unused)
{
	/* Lord Howe: +11 in summer, +10:30 in winter. */
	const struct window_shift list[] = { { { 0 }, 0 }, { { 10 * HOUR }, 30 * MINUTE },
		{ { 12 * HOUR }, 0 } };
	const struct window_rule rule = { .shifts = list, .shift_count = 3 };
	const int64_t want[] = { 9 * HOUR, 10 * HOUR, 10 * HOUR + HOUR / 2, 11 * HOUR,
		11 * HOUR + HOUR / 2, 12 * HOUR, 13 * HOUR };

	chain(&rule, 8 * HOUR, 13 * HOUR, want, ARRAY_LEN(want));
}

static void
single_cuts_and_a_finer_grain(void **unused_state unused)
{
	const struct instant cuts[] = { { 100 * MINUTE }, { 107 * MINUTE } };
	const struct window_rule rule = { .cuts = cuts, .cut_count = 2 };
	const struct window_rule fine = { .grain_ns = 5 * MINUTE,
		.cuts = cuts,
		.cut_count = 2 };
	const int64_t want[] = { 100 * MINUTE, 107 * MINUTE, 120 * MINUTE };
	const int64_t wanted[] = { 100 * MINUTE, 105 * MINUTE, 107 * MINUTE,
		110 * MINUTE };

	chain(&rule, 60 * MINUTE, 120 * MINUTE, want, ARRAY_LEN(want));
	chain(&fine, 95 * MINUTE, 110 * MINUTE, wanted, ARRAY_LEN(wanted));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earliest_comes_first_whatever_was_moved_or_dropped),
		cmocka_unit_test(slots_are_spread_over_the_step_and_stay_where_they_are),
		cmocka_unit_test(a_host_that_fails_is_asked_less_and_less),
		cmocka_unit_test(an_hour_holds_what_was_counted_up_to_its_end),
		cmocka_unit_test(local_hours_of_half_and_quarter_zones_are_borders),
		cmocka_unit_test(a_zone_that_changes_its_shift_is_cut_by_what_holds),
		cmocka_unit_test(single_cuts_and_a_finer_grain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
