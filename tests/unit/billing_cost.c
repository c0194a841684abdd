/* SPDX-License-Identifier: Apache-2.0 */
/* Parts add up to their whole, whatever the weights; rows add up to what was charged. */
#include "billing/cost_report.h"
#include "billing/split.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 3000
#define PARTS_MOST 40

static uint64_t seed = 20260301;

static int64_t
dice(int64_t sides)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int64_t)((seed >> 33) % (uint64_t)sides);
}

static void
number(mpq_t q, const char *text)
{
	struct err e = ERR_INIT;

	assert_true(rat_parse(q, text, &e));
}

static void
add_up(mpq_t sum, mpq_t *list, size_t count)
{
	mpq_set_ui(sum, 0, 1);
	for (size_t i = 0; i < count; i++)
		exact_add(sum, list[i]);
}

/* Parts of any size, some below zero, a whole that was rounded any way. */
static void
parts_add_up_and_are_multiples_of_the_minor_unit(void **state)
{
	static const char *const minors[] = { "1", "0.01", "0.001", "0.05" };
	mpq_t whole, minor, sum, rest;

	(void)state;
	mpq_inits(whole, minor, sum, rest, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = (size_t)dice(PARTS_MOST) + 1;
		mpq_t *weights = exact_array(count);
		mpq_t *parts = exact_array(count);
		bool positive = dice(3) > 0;

		number(minor, minors[dice(4)]);
		for (size_t i = 0; i < count; i++)
			rat_set_i64(weights[i], dice(100000) - (positive ? 0 : 50000),
			    dice(977) + 1);
		add_up(sum, weights, count);
		rat_round(whole, sum, minor, dice(2) == 0 ? ROUND_HALF_EVEN : ROUND_UP);
		split_amount(parts, weights, count, whole, minor);
		add_up(sum, parts, count);
		assert_true(mpq_equal(sum, whole));
		for (size_t i = 0; i < count; i++) {
			mpq_div(rest, parts[i], minor);
			assert_int_equal(mpz_cmp_ui(mpq_denref(rest), 1), 0);
			assert_true(!positive || mpq_sgn(parts[i]) >= 0);
		}
		exact_array_free(weights, count);
		exact_array_free(parts, count);
	}
	mpq_clears(whole, minor, sum, rest, NULL);
}

/* Each part is off by less than a minor unit where the whole is what the weights are. */
static void
no_part_is_off_by_a_minor_unit(void **state)
{
	mpq_t whole, minor, off;

	(void)state;
	mpq_inits(whole, minor, off, NULL);
	number(minor, "0.01");
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = (size_t)dice(PARTS_MOST) + 2;
		mpq_t *weights = exact_array(count);
		mpq_t *parts = exact_array(count);

		for (size_t i = 0; i + 1 < count; i++)
			rat_set_i64(weights[i], dice(100000), 977 * 100);
		/* The last one makes it whole. */
		add_up(whole, weights, count - 1);
		rat_round(off, whole, minor, ROUND_UP);
		mpq_sub(weights[count - 1], off, whole);
		mpq_set(whole, off);
		split_amount(parts, weights, count, whole, minor);
		for (size_t i = 0; i < count; i++) {
			mpq_sub(off, parts[i], weights[i]);
			mpq_abs(off, off);
			assert_true(mpq_cmp(off, minor) < 0);
		}
		exact_array_free(weights, count);
		exact_array_free(parts, count);
	}
	mpq_clears(whole, minor, off, NULL);
}

static void
what_is_left_over_goes_to_the_largest_rests_then_to_the_first(void **state)
{
	static const struct {
		const char *weights[3], *whole, *parts[3];
	} cases[] = {
		{ { "10/3", "10/3", "10/3" }, "10", { "3.34", "3.33", "3.33" } },
		{ { "0.004", "0.004", "0.002" }, "0.01", { "0.01", "0", "0" } },
		{ { "0.001", "0.004", "0.005" }, "0.01", { "0", "0", "0.01" } },
		{ { "5", "-5", "0" }, "0", { "5", "-5", "0" } },
		{ { "0", "0", "0" }, "1.5", { "1.5", "0", "0" } },
		{ { "-10/3", "-10/3", "-10/3" }, "-10", { "-3.33", "-3.33", "-3.34" } },
	};
	mpq_t whole, minor, want;

	(void)state;
	mpq_inits(whole, minor, want, NULL);
	number(minor, "0.01");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		mpq_t *weights = exact_array(3);
		mpq_t *parts = exact_array(3);

		for (size_t k = 0; k < 3; k++)
			number(weights[k], cases[i].weights[k]);
		number(whole, cases[i].whole);
		split_amount(parts, weights, 3, whole, minor);
		for (size_t k = 0; k < 3; k++) {
			number(want, cases[i].parts[k]);
			if (!mpq_equal(parts[k], want))
				fail_msg("case %zu, part %zu", i, k);
		}
		exact_array_free(weights, 3);
		exact_array_free(parts, 3);
	}
	mpq_clears(whole, minor, want, NULL);
}

/* The order in which weights come does not matter: ties go by key. */
static void
table_fill(struct cost_table *t, bool backwards)
{
	static const enum cost_by by[] = { BY_DAY, BY_SKU };
	mpq_t amount, weight, minor;

	mpq_inits(amount, weight, minor, NULL);
	number(minor, "0.01");
	cost_table_init(t, by, ARRAY_LEN(by));
	for (int i = 0; i < 60; i++) {
		int n = backwards ? 59 - i : i;
		char day[16];
		char sku[16];
		struct cost_place p = { .currency = "USD", .hidden = n % 7 == 0 };

		(void)snprintf(day, sizeof(day), "2026-03-%02d", n % 20 + 1);
		(void)snprintf(sku, sizeof(sku), "sku%d", n % 3);
		p.by[BY_DAY] = day;
		p.by[BY_SKU] = sku;
		p.by[BY_RESOURCE] = "not asked for";
		number(amount, "0.10");
		rat_set_i64(weight, n % 11 + 1, 70);
		cost_cell_add(t, cost_pool_add(t, sku, amount), &p, weight);
	}
	cost_document_close(t, minor);
	mpq_clears(amount, weight, minor, NULL);
}

static void
rows_and_what_is_hidden_add_up_in_any_order_of_arrival(void **state)
{
	struct cost_table a, b;
	size_t count = 0, other = 0;
	mpq_t sum, want;

	(void)state;
	mpq_inits(sum, want, NULL);
	table_fill(&a, false);
	table_fill(&b, true);
	const struct cost_row **rows = cost_table_rows(&a, &count);
	const struct cost_row **rows_b = cost_table_rows(&b, &other);

	assert_int_equal(count, other);
	for (size_t i = 0; i < count; i++) {
		assert_true(mpq_equal(rows[i]->amount, rows_b[i]->amount));
		assert_string_equal(rows[i]->place.by[BY_DAY],
		    rows_b[i]->place.by[BY_DAY]);
		assert_string_equal(rows[i]->place.by[BY_RESOURCE], "");
		exact_add(sum, rows[i]->amount);
	}
	assert_true(mpq_equal(sum, a.shown));
	exact_add(sum, a.left_out);
	number(want, "6");
	assert_true(mpq_equal(sum, want));
	assert_true(mpq_sgn(a.left_out) > 0);
	free(rows);
	free(rows_b);
	cost_table_done(&a);
	cost_table_done(&b);
	mpq_clears(sum, want, NULL);
}

static void
keys_are_numbered_as_they_come_however_many(void **state)
{
	struct keys k;
	char text[32];

	(void)state;
	keys_init(&k);
	for (size_t i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "key %zu", i * 7);
		assert_true(keys_find(&k, text) == KEYS_NONE);
		assert_int_equal(keys_number(&k, text), i);
	}
	for (size_t i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "key %zu", i * 7);
		assert_int_equal(keys_number(&k, text), i);
	}
	assert_int_equal(k.count, 5000);
	keys_done(&k);
}

static void
what_may_be_asked_is_read_to_the_last_letter(void **state)
{
	static const char *const bad[] = { "", "week", "tag", "tag:", "day,day", "day:x",
		"days", ",day" };
	struct arena *a = arena_new();
	struct cost_wish w = { .from = "2026-03-01", .to = "2026-03-31" };
	struct err e = ERR_INIT;

	(void)state;
	assert_true(cost_by_read(&w, a, "resource,tag:team,day", &e));
	assert_int_equal(w.by_count, 3);
	assert_int_equal(w.by[0], BY_RESOURCE);
	assert_string_equal(w.tag_key, "team");
	assert_true(cost_wish_check(&w, &e));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(cost_by_read(&w, a, bad[i], &e));
	w.to = "2026-02-31x";
	assert_false(cost_wish_check(&w, &e));
	w.to = "2026-02-28";
	assert_false(cost_wish_check(&w, &e));
	w.to = NULL;
	w.statement = "2026-000001";
	assert_false(cost_wish_check(&w, &e));
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_add_up_and_are_multiples_of_the_minor_unit),
		cmocka_unit_test(no_part_is_off_by_a_minor_unit),
		cmocka_unit_test(
		    what_is_left_over_goes_to_the_largest_rests_then_to_the_first),
		cmocka_unit_test(rows_and_what_is_hidden_add_up_in_any_order_of_arrival),
		cmocka_unit_test(keys_are_numbered_as_they_come_however_many),
		cmocka_unit_test(what_may_be_asked_is_read_to_the_last_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
