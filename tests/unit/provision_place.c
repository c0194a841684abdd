/* SPDX-License-Identifier: Apache-2.0 */
/* Placement: what each filter takes out, what each strategy puts first. */
#include "base/mem.h"
#include "provision/place.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { HOSTS = 6 };

/* Host i is named h<i>; each has 100 bytes and 8 virtual CPUs, of which some are used. */
static void
hosts_make(struct candidate list[HOSTS])
{
	static const int64_t used[HOSTS] = { 60, 20, 90, 20, 40, 0 };

	memset(list, 0, HOSTS * sizeof(*list));
	for (int i = 0; i < HOSTS; i++) {
		list[i] = (struct candidate){ .id = i + 1,
			.zone_id = 1,
			.cluster_id = i < 3 ? 1 : 2,
			.up = true,
			.enabled = true,
			.memory_room = 100,
			.memory_used = used[i],
			.vcpus_room = 8,
			.vcpus_used = 8 * used[i] / 100,
			.own_vms = i };
		(void)snprintf(list[i].name, sizeof(list[i].name), "h%d", i + 1);
	}
}

static const struct place_request small = { .memory_bytes = 30, .vcpus = 1 };

/* "5 2 4": the ids in order. */
static const char *
ordered(const char *strategy, const struct place_request *want, struct candidate *list,
    char out[64])
{
	size_t n = place_order(strategy, want, list, HOSTS, NULL);

	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		(void)snprintf(out + strlen(out), 64 - strlen(out), i == 0 ? "%d" : " %d",
		    (int)list[i].id);
	return out;
}

static void
each_strategy_has_its_order(void **unused_state unused)
{
	static const char *const wanted[][2] = {
		{ "simple", "6 2 4 5 1" }, /* most free memory; h3 has no 30 */
		{ "firstfit", "1 2 4 5 6" }, { "pack", "1 5 2 4 6" },
		{ "spread", "1 2 4 5 6" }, /* fewest of the same account */
		{ "filter", "6 2 4 5 1" }, { "no such strategy", "6 2 4 5 1" }
	};
	struct candidate list[HOSTS];
	char out[64];

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		hosts_make(list);
		assert_string_equal(ordered(wanted[i][0], &small, list, out),
		    wanted[i][1]);
	}
}

static void
chance_reaches_every_host_that_fits_and_no_other(void **unused_state unused)
{
	int first[HOSTS + 1] = { 0 };
	struct candidate list[HOSTS];

	for (uint32_t dice = 1; dice <= 600; dice++) {
		struct place_request want = small;
		hosts_make(list);
		want.dice = dice * 2654435761U;
		assert_int_equal(place_order("chance", &want, list, HOSTS, NULL), 5);
		first[list[0].id]++;
	}
	assert_int_equal(first[3], 0);
	for (int i = 1; i <= HOSTS; i++)
		if (i != 3)
			assert_in_range(first[i], 60, 200); /* 120 of 600 each */
}

typedef void (*change)(struct candidate *c, struct place_request *w);

static void
goes_down(struct candidate *c, struct place_request *unused_w unused)
{
	c->up = false;
}
static void
goes_into_maintenance(struct candidate *c, struct place_request *unused_w unused)
{
	c->enabled = false;
}
static void
is_simulated(struct candidate *c, struct place_request *unused_w unused)
{
	c->simulated = true;
}
static void
is_of_others(struct candidate *c, struct place_request *unused_w unused)
{
	c->dedicated_account = 7;
}
static void
is_for_failures(struct candidate *c, struct place_request *unused_w unused)
{
	c->ha_only = true;
}
static void
is_an_enemy(struct candidate *c, struct place_request *unused_w unused)
{
	c->affinity = AFFINITY_ENEMY;
}
static void
has_no_cpu(struct candidate *c, struct place_request *unused_w unused)
{
	c->vcpus_used = 8;
}
static void
is_avoided(struct candidate *c, struct place_request *w)
{
	w->avoid_host_id = c->id;
}

static void
each_filter_takes_out_and_says_so(void **unused_state unused)
{
	static const struct {
		change change;
		const char *says;
	} cases[] = { { goes_down, "1 not answering" },
		{ goes_into_maintenance, "1 in maintenance or disabled" },
		{ is_simulated, "1 simulated" },
		{ is_of_others, "1 dedicated to others" },
		{ is_for_failures, "1 kept for failures" },
		{ is_an_enemy, "1 against its affinity groups" },
		{ has_no_cpu, "1 without enough virtual CPUs free" },
		{ is_avoided, "1 elsewhere than asked for" } };
	struct candidate list[HOSTS];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf explain = BUF_INIT;
		struct place_request want = small;
		hosts_make(list);
		cases[i].change(&list[5], &want);
		assert_int_equal(place_order("simple", &want, list, HOSTS, &explain), 4);
		assert_int_equal(list[0].id, 2);
		assert_non_null(strstr(buf_text(&explain), cases[i].says));
		assert_non_null(
		    strstr(buf_text(&explain), "1 without enough memory free"));
		assert_int_equal(strncmp(buf_text(&explain), "6 hosts: ", 9), 0);
		buf_done(&explain);
	}
}

static void
tags_must_all_be_there(void **unused_state unused)
{
	struct place_request want = small;
	struct candidate list[HOSTS];
	char out[64];

	hosts_make(list);
	(void)snprintf(want.tags, sizeof(want.tags), "ssd,gpu");
	(void)snprintf(list[1].tags, sizeof(list[1].tags), "gpu,fast,ssd");
	(void)snprintf(list[4].tags, sizeof(list[4].tags), "ssdx,gpu");
	assert_string_equal(ordered("simple", &want, list, out), "2");
}

static void
strict_groups_decide_and_others_only_wish(void **unused_state unused)
{
	struct place_request want = small;
	struct candidate list[HOSTS];
	char out[64];

	hosts_make(list);
	want.keep_together = true;
	list[4].affinity = AFFINITY_MEMBER;
	assert_string_equal(ordered("simple", &want, list, out), "5");
	hosts_make(list);
	want.keep_together = false;
	list[5].soft_enemy = true;
	list[0].soft_friend = true;
	assert_string_equal(ordered("simple", &want, list, out), "1 2 4 5 6");
}

static void
what_it_holds_already_it_keeps(void **unused_state unused)
{
	struct place_request want = { .memory_bytes = 95, .vcpus = 8 };
	struct candidate list[HOSTS];
	char out[64];

	hosts_make(list);
	list[2].holds = true;
	assert_string_equal(ordered("simple", &want, list, out), "6 3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_strategy_has_its_order),
		cmocka_unit_test(chance_reaches_every_host_that_fits_and_no_other),
		cmocka_unit_test(each_filter_takes_out_and_says_so),
		cmocka_unit_test(tags_must_all_be_there),
		cmocka_unit_test(strict_groups_decide_and_others_only_wish),
		cmocka_unit_test(what_it_holds_already_it_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
