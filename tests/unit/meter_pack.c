/* SPDX-License-Identifier: Apache-2.0 */
/* Samples come back as they were put in, whatever they are. */
#include "base/attr.h"
#include "meter/pack.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
same(const struct pack *p, const struct pack_sample *were, size_t count)
{
	struct pack_walk walk = PACK_WALK_INIT;
	struct pack_sample is;

	for (size_t i = 0; i < count; i++) {
		assert_true(pack_next(p, &walk, &is));
		assert_true(is.second == were[i].second && is.has == were[i].has);
		for (unsigned f = 0; f < PACK_VALUES_MOST; f++)
			assert_true(is.values[f] ==
			    ((were[i].has & 1U << f) != 0 ? were[i].values[f] : 0));
	}
	assert_false(pack_next(p, &walk, &is));
}

static void
the_largest_the_smallest_and_what_is_missing_come_back(void **unused_state unused)
{
	const struct pack_sample samples[] = {
		{ 1795000000, 0x7, { UINT64_MAX, 0, 5 } },
		{ 1795000010, 0x7, { 0, UINT64_MAX, 5 } },
		{ 1795000011, 0x9, { UINT64_C(1) << 63, 0, 0, 7 } },
		{ 1795000400, 0, { 0 } },
		{ 1795000401, 0xffff, { [15] = UINT64_MAX / 2 } },
	};
	struct pack p = { .bytes = NULL };

	for (size_t i = 0; i < 5; i++)
		pack_add(&p, &samples[i]);
	assert_int_equal(pack_first(&p), 1795000000);
	assert_int_equal(p.last, 1795000401);
	same(&p, samples, 5);
	pack_done(&p);
	assert_int_equal(p.last, 1795000401);
	assert_int_equal(p.count, 0);
}

static void
as_many_as_are_allowed_have_room_at_their_largest(void **unused_state unused)
{
	struct pack_sample samples[255];
	struct pack p = { .bytes = NULL };

	for (size_t i = 0; i < 255; i++) {
		samples[i] = (struct pack_sample){ (int64_t)(i + 1), 0xffff, { 0 } };
		for (size_t f = 0; f < PACK_VALUES_MOST; f++)
			samples[i].values[f] = i % 2 == 0 ? 0 : UINT64_C(1) << 63;
		pack_add(&p, &samples[i]);
	}
	same(&p, samples, 255);
	pack_done(&p);
}

static void
two_minutes_of_a_guest_take_three_hundred_bytes(void **unused_state unused)
{
	struct pack p = { .bytes = NULL };

	for (uint64_t i = 0; i < 12; i++) {
		const struct pack_sample s = { (int64_t)(1795000000 + 10 * i), 0x3f,
			{ 1, 900000000000000 + i * 19876543210, UINT64_C(1) << 32,
			    70000000000 + i * 1234567, 900000000000 + i * 76543, 4 } };
		pack_add(&p, &s);
	}
	assert_true(p.room <= 320);
	pack_done(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_the_smallest_and_what_is_missing_come_back),
		cmocka_unit_test(as_many_as_are_allowed_have_room_at_their_largest),
		cmocka_unit_test(two_minutes_of_a_guest_take_three_hundred_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
