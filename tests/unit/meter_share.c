/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks how many hosts. */
#include "base/attr.h"
#include "meter/share.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COLLECTORS = 40 };

/* Everybody gives what is too much, then takes what is free: how many hosts have moved.
 */
static size_t
settle(size_t held[COLLECTORS], size_t collectors, size_t hosts)
{
	size_t moved = 0;
	size_t free_ones = hosts;

	for (size_t i = 0; i < collectors; i++) {
		held[i] -= share_surplus(share_of(hosts, collectors, i), held[i]);
		free_ones -= held[i];
	}
	for (size_t i = 0; i < collectors; i++) {
		size_t wanted = share_wanted(share_of(hosts, collectors, i), held[i]);
		assert_true(wanted <= free_ones);
		held[i] += wanted;
		free_ones -= wanted;
		moved += wanted;
	}
	assert_true(free_ones == 0);
	return moved;
}

static void
all_hosts_are_shared_out_evenly(void **unused_state unused)
{
	for (size_t hosts = 0; hosts < 200; hosts++)
		for (size_t n = 1; n < COLLECTORS; n++) {
			size_t sum = 0;
			for (size_t i = 0; i < n; i++) {
				size_t share = share_of(hosts, n, i);
				assert_true(share == hosts / n || share == hosts / n + 1);
				sum += share;
			}
			assert_true(sum == hosts);
		}
}

static void
one_that_comes_takes_its_share_and_nothing_else_moves(void **unused_state unused)
{
	for (size_t hosts = 1; hosts < 400; hosts += 7) {
		size_t held[COLLECTORS] = { 0 };
		for (size_t n = 1; n < COLLECTORS; n++) {
			size_t moved = settle(held, n, hosts);
			size_t share = n == 1 ? hosts : hosts / n + 1;
			assert_true(moved <= share);
		}
	}
}

static void
one_that_goes_leaves_its_share_and_nothing_else_moves(void **unused_state unused)
{
	for (size_t gone = 0; gone < 9; gone++) {
		size_t held[COLLECTORS] = { 0 };
		size_t orphans;
		(void)settle(held, 9, 100);
		orphans = held[gone];
		memmove(&held[gone], &held[gone + 1], (9 - gone) * sizeof(*held));
		/* One more where those that have one more are others now. */
		assert_true(settle(held, 8, 100) <= orphans + 1);
	}
}

static void
one_alone_has_all(void **unused_state unused)
{
	assert_true(share_of(40000, 1, 0) == 40000 && share_of(40000, 0, 0) == 40000);
	assert_true(share_of(0, 3, 0) == 0 && share_wanted(3, 5) == 0 &&
	    share_surplus(3, 5) == 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_hosts_are_shared_out_evenly),
		cmocka_unit_test(one_that_comes_takes_its_share_and_nothing_else_moves),
		cmocka_unit_test(one_that_goes_leaves_its_share_and_nothing_else_moves),
		cmocka_unit_test(one_alone_has_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
