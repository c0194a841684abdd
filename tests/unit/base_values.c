/* SPDX-License-Identifier: Apache-2.0 */
/* Values at the borders: numbers, times, settings, JSON. */
#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rat.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rounding_case {
	const char *value, *step;
	enum rounding mode;
	const char *want;
	unsigned places;
};

static void
ties_and_signs_round_as_each_mode_says(void **unused_state unused)
{
	static const struct rounding_case cases[] = {
		{ "0.125", "0.01", ROUND_HALF_EVEN, "0.12", 2 },
		{ "0.375", "0.01", ROUND_HALF_EVEN, "0.38", 2 },
		{ "0.125", "0.01", ROUND_HALF_UP, "0.13", 2 },
		{ "-0.125", "0.01", ROUND_HALF_UP, "-0.13", 2 },
		{ "-0.125", "0.01", ROUND_HALF_EVEN, "-0.12", 2 },
		{ "0.1299", "0.01", ROUND_DOWN, "0.12", 2 },
		{ "-0.1299", "0.01", ROUND_DOWN, "-0.12", 2 },
		{ "0.1201", "0.01", ROUND_UP, "0.13", 2 },
		{ "0.12", "0.01", ROUND_UP, "0.12", 2 },
		{ "0.1249999999", "0.01", ROUND_HALF_EVEN, "0.12", 2 },
		{ "4736.55", "1", ROUND_HALF_EVEN, "4737", 0 },
		{ "7.47", "0.05", ROUND_HALF_EVEN, "7.45", 2 },
		{ "10/3", "0.01", ROUND_HALF_EVEN, "3.33", 2 },
	};
	struct err e = ERR_INIT;
	mpq_t q;
	mpq_t step;

	mpq_inits(q, step, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(rat_parse(q, cases[i].value, &e) &&
		    rat_parse(step, cases[i].step, &e));
		rat_round(q, q, step, cases[i].mode);
		scoped_free char *text = rat_decimal(q, cases[i].places);
		assert_string_equal(text, cases[i].want);
	}
	mpq_clears(q, step, NULL);
}

static void
exact_text_ends_or_is_a_fraction(void **unused_state unused)
{
	static const char *const cases[][2] = { { "12.50", "12.5" }, { "10/3", "10/3" },
		{ "-0.001", "-0.001" }, { "1/8", "0.125" }, { "0", "0" },
		{ "9007199254740993", "9007199254740993" } };
	struct err e = ERR_INIT;
	mpq_t q;

	mpq_init(q);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(rat_parse(q, cases[i][0], &e));
		scoped_free char *text = rat_text(q);
		assert_string_equal(text, cases[i][1]);
	}
	mpq_clear(q);
}

static void
what_is_no_number_is_refused(void **unused_state unused)
{
	static const char *const bad[] = { "", "-", "1e5", "+1", " 1", "1.", ".5", "1/0",
		"0x10", "1,5", "NaN" };
	struct err e = ERR_INIT;
	mpq_t q;

	mpq_init(q);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(rat_parse(q, bad[i], &e));
	mpq_clear(q);
}

static void
times_are_read_and_written_exactly(void **unused_state unused)
{
	static const char *const cases[][2] = {
		{ "2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000000Z" },
		{ "2024-03-01 00:00:00.25+09:00", "2024-02-29T15:00:00.250000Z" },
		{ "2026-11-21 06:12:52.958327+00", "2026-11-21T06:12:52.958327Z" },
	};
	static const char *const bad[] = { "2023-02-29T00:00:00Z", "2024-01-01",
		"2024-13-01T00:00:00Z", "2024-01-01T25:00:00Z", "now",
		"2024-01-01T00:00:00" };
	struct err e = ERR_INIT;
	struct instant t;
	char text[CLOCK_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(instant_parse(&t, cases[i][0], &e));
		assert_string_equal(instant_text(t, text), cases[i][1]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(instant_parse(&t, bad[i], &e));
}

static void
settings_say_what_is_wrong_and_change_nothing(void **unused_state unused)
{
	static const char *const bad[][2] = { { "web.listne=1", "web.listen" },
		{ "meter.step=10", "10" }, { "meter.step=2h", "between" },
		{ "log.level=loud", "warning" }, { "state=relative", "absolute" },
		{ "web.listen=nowhere", "address:port" } };
	struct conf *c = conf_new();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		const char *flags[] = { "web.listen=127.0.0.1:9999", bad[i][0] };
		assert_false(conf_load(c, NULL, flags, 2, &e));
		assert_non_null(strstr(e.text, bad[i][1]));
		assert_string_equal(conf_text(c, CONF_WEB_LISTEN), "127.0.0.1:8080");
	}
	conf_free(c);
}

static void
settings_survive_the_way_to_a_role(void **unused_state unused)
{
	const char *flags[] = { "meter.step=5s", "snmp.trap=127.0.0.1:162 10.0.0.1:162" };
	struct conf *c = conf_new();
	struct conf *role = conf_new();
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_true(conf_load(c, NULL, flags, 2, &e));
	conf_dump(c, &b);
	assert_true(conf_undump(role, buf_text(&b), &e));
	for (int i = 0; i < CONF_COUNT; i++)
		assert_string_equal(conf_text(c, (enum conf_id)i),
		    conf_text(role, (enum conf_id)i));
	assert_int_equal(conf_span_ns(role, CONF_METER_STEP), 5 * NS_PER_S);
	buf_done(&b);
	conf_free(c);
	conf_free(role);
}

static void
json_numbers_keep_their_digits(void **unused_state unused)
{
	const char *text =
	    "{\"a\":9007199254740993,\"b\":0.1000,\"c\":\"x\",\"d\":[1,-2e3]}";
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	int64_t n = 0;

	assert_true(json_parse(&doc, text, strlen(text), &e));
	assert_string_equal(json_text(json_get(json_root(doc), "a")), "9007199254740993");
	assert_string_equal(json_text(json_get(json_root(doc), "b")), "0.1000");
	assert_int_equal(json_type(json_get(json_root(doc), "a")), JSON_NUMBER);
	assert_int_equal(json_type(json_get(json_root(doc), "c")), JSON_STRING);
	assert_true(json_i64(&n, json_get(json_root(doc), "a"), &e));
	assert_true(n == INT64_C(9007199254740993));
	assert_string_equal(json_text(json_at(json_get(json_root(doc), "d"), 1)), "-2e3");
	json_free(doc);
}

static void
json_that_is_none_is_refused(void **unused_state unused)
{
	static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "[1,]", "01",
		"1.", "nul", "{\"a\":1}x", "\"\xff\"",
		"\"\\u0001"
		"1\"",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		"\"a\nb\"" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct json *doc = NULL;
		struct err e = ERR_INIT;
		assert_false(json_parse(&doc, bad[i], strlen(bad[i]), &e));
	}
}

static void
a_place_is_read_out_of_an_error(void **unused_state unused)
{
	size_t line = 7;
	size_t column = 7;
	const char *rest = NULL;

	assert_false(err_place("line twelve, column 3: x", "", &line, &column, &rest));
	assert_false(err_place("in line 12, column 3: x", "", &line, &column, &rest));
	assert_false(err_place("line 12: x", "", &line, &column, &rest));
	assert_true(line == 7 && column == 7 && rest == NULL);
	assert_true(
	    err_place("JSON, line 12, column 3: x", "JSON, ", &line, &column, &rest));
	assert_true(line == 12 && column == 3);
	assert_string_equal(rest, ": x");
	assert_true(err_place("line 1, column 2", "JSON, ", &line, &column, &rest));
	assert_string_equal(rest, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ties_and_signs_round_as_each_mode_says),
		cmocka_unit_test(exact_text_ends_or_is_a_fraction),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(times_are_read_and_written_exactly),
		cmocka_unit_test(settings_say_what_is_wrong_and_change_nothing),
		cmocka_unit_test(settings_survive_the_way_to_a_role),
		cmocka_unit_test(json_numbers_keep_their_digits),
		cmocka_unit_test(json_that_is_none_is_refused),
		cmocka_unit_test(a_place_is_read_out_of_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
