/* SPDX-License-Identifier: Apache-2.0 */
/* What a call carries: query strings, forms, JSON bodies, maps and dates. */
#include "web/params.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int
fresh(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
gone(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static bool
query(struct param_list *p, const char *text, struct err *e)
{
	*p = (struct param_list){ .arena = arena };
	return params_query(p, text, strlen(text), e);
}

static bool
json(struct param_list *p, const char *text, struct err *e)
{
	*p = (struct param_list){ .arena = arena };
	return params_json(p, text, strlen(text), e);
}

static void
names_are_found_in_any_case_and_values_decoded(void **state)
{
	struct err e = ERR_INIT;
	struct param_list p;

	(void)state;
	assert_true(
	    query(&p, "diskOfferingId=a%20b+c&&empty=&flag&ko=%ec%a0%80%EC%9A%B8", &e));
	assert_int_equal(p.count, 4);
	assert_string_equal(params_get(&p, "diskofferingid"), "a b c");
	assert_string_equal(p.list[0].name, "diskOfferingId");
	assert_string_equal(params_get(&p, "empty"), "");
	assert_string_equal(params_get(&p, "flag"), "");
	assert_string_equal(params_get(&p, "ko"), "저울");
	assert_null(params_get(&p, "absent"));
}

static void
first_value_of_a_name_stays(void **state)
{
	struct err e = ERR_INIT;
	struct param_list p;

	(void)state;
	assert_true(query(&p, "id=1&ID=2&id=3", &e));
	assert_int_equal(p.count, 1);
	assert_string_equal(params_get(&p, "id"), "1");
}

static void
broken_encodings_are_refused(void **state)
{
	static const char *const broken[] = { "a=%", "a=%4", "a=%4x", "a=%zz", "a=%00",
		"%00=1", "=1", "a=1&=2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct err e = ERR_INIT;
		struct param_list p;
		if (query(&p, broken[i], &e) || e.kind != ERR_INPUT)
			fail_msg("%s was taken", broken[i]);
	}
}

static void
more_than_the_limit_is_refused(void **state)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	struct param_list p;
	char name[200];

	(void)state;
	for (int i = 0; i < PARAMS_MAX; i++)
		buf_printf(&b, "p%d=x&", i);
	assert_true(query(&p, buf_text(&b), &e));
	buf_puts(&b, "one=more");
	assert_false(query(&p, buf_text(&b), &e));
	buf_done(&b);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(query(&p, name, &e));
}

static void
json_members_become_parameters(void **state)
{
	struct err e = ERR_INIT;
	struct param_list p;

	(void)state;
	assert_true(json(&p,
	    "{\"name\":\"web\\u00e9\",\"cpu\":2,\"big\":9007199254740993,\"on\":true,"
	    "\"none\":null,\"ids\":[\"a\",\"b\"],\"details\":{\"kernel\":\"/"
	    "k\",\"n\":5}}",
	    &e));
	assert_string_equal(params_get(&p, "name"), "webé");
	assert_string_equal(params_get(&p, "cpu"), "2");
	assert_string_equal(params_get(&p, "big"), "9007199254740993");
	assert_string_equal(params_get(&p, "on"), "true");
	assert_null(params_get(&p, "none"));
	assert_string_equal(params_get(&p, "ids"), "a,b");
	assert_string_equal(params_get(&p, "details"), "{\"kernel\":\"/k\",\"n\":5}");
	assert_string_equal(params_map_get(&p, "details", "kernel"), "/k");
	assert_string_equal(params_map_get(&p, "details", "n"), "5");
	assert_false(json(&p, "[1]", &e));
	assert_false(json(&p, "{\"a\":1", &e));
	assert_false(json(&p, "{\"a\":1,\"a\":2}", &e));
}

static void
maps_are_read_in_both_forms(void **state)
{
	struct err e = ERR_INIT;
	struct param_list p;

	(void)state;
	assert_true(query(&p,
	    "details%5B0%5D.cpuNumber=2&details[1].key=Memory&details[1].value=96&"
	    "detailsx=1&"
	    "details[].kernel=/bad",
	    &e));
	assert_string_equal(params_map_get(&p, "details", "cpunumber"), "2");
	assert_string_equal(params_map_get(&p, "details", "memory"), "96");
	assert_null(params_map_get(&p, "details", "absent"));
	assert_null(params_map_get(&p, "detail", "cpunumber"));
}

struct date_case {
	const char *text;
	bool end;
	const char *wanted; /* NULL: refused */
};

static const struct date_case dates[] = {
	{ "2023-01-01T12:00:00+01:00", false, "2023-01-01T11:00:00.000000Z" },
	{ "2023-01-01T12:00:00+0100", false, "2023-01-01T11:00:00.000000Z" },
	{ "2023-01-01T12:00:00Z", true, "2023-01-01T12:00:00.000000Z" },
	{ "2023-01-01T12:00:00.5Z", true, "2023-01-01T12:00:00.500000Z" },
	{ "2023-01-01 12:00:00", true, "2023-01-01T12:00:00.000000Z" },
	{ "2023-01-01T12:00:00", false, "2023-01-01T12:00:00.000000Z" },
	{ "2024-02-29", false, "2024-02-29T00:00:00.000000Z" },
	{ "2024-02-29", true, "2024-03-01T00:00:00.000000Z" },
	{ "2023-02-29", false, NULL },
	{ "2023-13-01", false, NULL },
	{ "2023-01-01T25:00:00Z", false, NULL },
	{ "yesterday", false, NULL },
	{ "", false, NULL },
	{ "2023-01-01T12:00:00+0100 and more and more and more", false, NULL },
};

static void
dates_of_all_clients_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		struct err e = ERR_INIT;
		struct instant t = { 0 };
		char text[CLOCK_TEXT_MAX];
		bool ok = date_read(&t, dates[i].text, dates[i].end, &e);
		if (ok != (dates[i].wanted != NULL))
			fail_msg("%s: %d", dates[i].text, ok);
		if (ok && strcmp(instant_text(t, text), dates[i].wanted) != 0)
			fail_msg("%s: %s", dates[i].text, text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_in_any_case_and_values_decoded),
		cmocka_unit_test(first_value_of_a_name_stays),
		cmocka_unit_test(broken_encodings_are_refused),
		cmocka_unit_test(more_than_the_limit_is_refused),
		cmocka_unit_test(json_members_become_parameters),
		cmocka_unit_test(maps_are_read_in_both_forms),
		cmocka_unit_test(dates_of_all_clients_are_read),
	};

	return cmocka_run_group_tests(tests, fresh, gone);
}
