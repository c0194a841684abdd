/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters against the operations table. */
#include "web/check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UUID "12854d60-e7ba-43eb-98b1-6604483c4d79"

struct check_case {
	const char *operation;
	const char *query;
	const char *said; /* part of the message; NULL: fine */
};

static const struct check_case cases[] = {
	{ "startVirtualMachine", "id=" UUID, NULL },
	{ "startVirtualMachine", "id=12854D60-E7BA-43EB-98B1-6604483C4D79", NULL },
	{ "startVirtualMachine", "",
	    "Unable to execute API command startvirtualmachine due to missing parameter "
	    "id" },
	{ "startVirtualMachine", "id=", "missing parameter id" },
	{ "startVirtualMachine", "id=-1", "invalid value" },
	{ "startVirtualMachine", "id=" UUID "0", "max allowed length 36" },
	{ "startVirtualMachine", "id=12854d60-e7ba-43eb-98b1-6604483c4d7g",
	    "invalid value" },
	{ "startVirtualMachine", "id=12854d60e7ba-43eb-98b1-6604483c4d79-",
	    "invalid value" },
	{ "listVirtualMachines", "projectid=-1&unknown=x&filter=y", NULL },
	{ "listVirtualMachines", "ids=" UUID "," UUID, NULL },
	{ "listVirtualMachines", "ids=" UUID ",x", "for parameter ids" },
	{ "listVirtualMachines", "name=a%09b", "non-printable" },
	{ "listVirtualMachines", "name=a%0Ab", NULL },
	{ "listVirtualMachines", "page=1x", "invalid value 1x for parameter page" },
	{ "listVirtualMachines", "page=9999999999", "parameter page" },
	{ "listVirtualMachines", "page=%201", "parameter page" },
	{ "listVirtualMachines", "listall=maybe", NULL },
	{ "listUsageRecords", "startdate=2020-01-01&enddate=2020-02-30",
	    "parameter enddate" },
	{ "listUsageRecords", "startdate=2020-01-01&enddate=2020-02-28", NULL },
	{ "registerTemplate", "name=x&details[0].kernel=/a%01b", "non-printable" },
	{ "registerTemplate", "name=x&details[0].kernel=/vmlinuz", NULL },
	{ "login", "username=x", "missing parameter password" },
};

static void
wrong_parameters_are_told_in_the_words_of_cloudstack(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct check_case *c = &cases[i];
		struct param_list p = { .arena = arena_new() };
		struct err e = ERR_INIT;
		const struct operation *op = operation_find(c->operation);
		assert_non_null(op);
		assert_true(params_query(&p, c->query, strlen(c->query), &e));
		bool ok = check_params(op, &p, &e);
		if (ok != (c->said == NULL))
			fail_msg("%s %s: %s", c->operation, c->query, e.text);
		if (!ok && c->said != NULL && strstr(e.text, c->said) == NULL)
			fail_msg("%s %s: said %s", c->operation, c->query, e.text);
		arena_free(p.arena);
	}
}

static void
secret_values_are_not_repeated(void **state)
{
	const struct operation *op = operation_find("login");
	struct param_list p = { .arena = arena_new() };
	struct err e = ERR_INIT;
	char query[1200] = "username=x&password=";

	(void)state;
	memset(query + strlen(query), 'p', 1100);
	assert_true(params_query(&p, query, strlen(query), &e));
	assert_false(check_params(op, &p, &e));
	assert_null(strstr(e.text, "ppp"));
	arena_free(p.arena);
}

static const char *
value(struct param_list *p, const char *operation, const char *name, const char *query)
{
	struct err e = ERR_INIT;

	p->count = 0;
	assert_true(params_query(p, query, strlen(query), &e));
	return check_value(operation_param(operation_find(operation), name), p);
}

static void
values_are_made_ready_for_statements(void **state)
{
	struct param_list p = { .arena = arena_new() };

	(void)state;
	assert_null(value(&p, "listVirtualMachines", "name", "name="));
	assert_null(value(&p, "listVirtualMachines", "projectid", "projectid=-1"));
	assert_string_equal(value(&p, "listVirtualMachines", "listall", "listAll=TRUE"),
	    "true");
	assert_string_equal(value(&p, "listVirtualMachines", "listall", "listall=1"),
	    "false");
	assert_string_equal(value(&p, "listUsageRecords", "startdate",
				"startdate=2020-01-31"),
	    "2020-01-31T00:00:00.000000Z");
	assert_string_equal(value(&p, "listUsageRecords", "enddate",
				"enddate=2020-01-31"),
	    "2020-02-01T00:00:00.000000Z");
	arena_free(p.arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_parameters_are_told_in_the_words_of_cloudstack),
		cmocka_unit_test(secret_values_are_not_repeated),
		cmocka_unit_test(values_are_made_ready_for_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
