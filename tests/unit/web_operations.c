/* SPDX-License-Identifier: Apache-2.0 */
/* The operations table agrees with itself, and with what CloudStack's clients insist on.
 */
#include "base/json.h"
#include "web/face.h"
#include "web/operations.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
names_and_paths_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; i < OP_COUNT; i++) {
		assert_int_equal(operations[i].id, i);
		assert_ptr_equal(operation_find(operations[i].name), &operations[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(operations[i].path, operations[k].path) == 0 &&
			    strcmp(operations[i].method, operations[k].method) == 0)
				fail_msg("%s and %s have one path", operations[i].name,
				    operations[k].name);
	}
	assert_null(operation_find("listzones"));
}

/* cmk cuts a name at its first upper-case letter into verb and noun. */
static void
names_start_with_a_verb_and_descriptions_are_not_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < OP_COUNT; i++) {
		const struct operation *op = &operations[i];
		size_t n = strlen(op->description);
		if (!islower((unsigned char)op->name[0]) || n == 0 ||
		    strchr("'\"", op->description[0]) != NULL ||
		    strchr("'\".", op->description[n - 1]) != NULL)
			fail_msg("%s: %s", op->name, op->description);
		assert_int_equal(strncmp(op->path, "/v1/", 4), 0);
		assert_true(op->param_count < 24);
	}
}

static void
every_response_exists_and_is_used(void **state)
{
	const struct op_response *r;

	(void)state;
	for (size_t i = 0; i < OP_COUNT; i++)
		if (operations[i].response[0] != '\0' &&
		    operation_response(operations[i].response) == NULL)
			fail_msg("%s answers an unknown %s", operations[i].name,
			    operations[i].response);
	for (size_t i = 0; (r = operation_response_at(i)) != NULL; i++)
		for (size_t k = 0; k < r->count; k++) {
			const struct op_field *f = &r->fields[k];
			if (f->of != NULL && operation_response(f->of) == NULL)
				fail_msg("%s.%s is of an unknown %s", r->name, f->name,
				    f->of);
			if (f->description[0] == '\0')
				fail_msg("%s.%s has no description", r->name, f->name);
			for (size_t m = 0; m < k; m++)
				assert_string_not_equal(f->name, r->fields[m].name);
		}
}

static void
each_brace_of_a_path_is_a_required_parameter(void **state)
{
	(void)state;
	for (size_t i = 0; i < OP_COUNT; i++) {
		const char *at = operations[i].path;
		while ((at = strchr(at, '{')) != NULL) {
			char name[32] = "";
			const struct op_param *p;
			memcpy(name, at + 1, strcspn(at + 1, "}"));
			p = operation_param(&operations[i], name);
			if (p == NULL || (p->flags & REQUIRED) == 0)
				fail_msg("%s: {%s}", operations[i].name, name);
			at++;
		}
	}
}

static void
parameters_are_lower_case_and_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < OP_COUNT; i++)
		for (size_t k = 0; k < operations[i].param_count; k++) {
			const struct op_param *p = &operations[i].params[k];
			for (const char *c = p->name; *c != '\0'; c++)
				assert_true(islower((unsigned char)*c));
			if (p->description[0] == '\0' || p->length == 0)
				fail_msg("%s.%s", operations[i].name, p->name);
			for (size_t m = 0; m < k; m++)
				assert_string_not_equal(p->name,
				    operations[i].params[m].name);
		}
}

/* clients.md 5: some clients have it hard-wired which calls are jobs. */
static void
jobs_are_jobs_where_clients_expect_it(void **state)
{
	static const char *const jobs[] = { "deployVirtualMachine", "startVirtualMachine",
		"stopVirtualMachine", "rebootVirtualMachine", "destroyVirtualMachine" };
	static const char *const direct[] = { "createAccount", "registerTemplate",
		"registerUserKeys", "addHost", "deleteHost", "assignVirtualMachine",
		"createServiceOffering", "queryAsyncJobResult" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(operation_find(jobs[i])->mode, OP_JOB);
	for (size_t i = 0; i < ARRAY_LEN(direct); i++)
		assert_int_equal(operation_find(direct[i])->mode, OP_SYNC);
}

struct found {
	char name[32];
	char value[64];
};

static void
note(void *context, const char *name, const char *value, size_t length)
{
	struct found *f = context;

	memcpy(f->name, name, strlen(name) + 1);
	memcpy(f->value, value, length);
	f->value[length] = '\0';
}

static void
paths_match_as_a_whole(void **state)
{
	const struct operation *op = operation_find("startVirtualMachine");
	struct found f = { .name = "" };

	(void)state;
	assert_true(operation_path(op, "/v1/virtual-machines/abc-1/start", note, &f));
	assert_string_equal(f.name, "id");
	assert_string_equal(f.value, "abc-1");
	assert_false(operation_path(op, "/v1/virtual-machines//start", NULL, NULL));
	assert_false(operation_path(op, "/v1/virtual-machines/abc/start/x", NULL, NULL));
	assert_false(operation_path(op, "/v1/virtual-machines/abc/stop", NULL, NULL));
	assert_false(operation_path(op, "/v1/virtual-machines/a/b/start", NULL, NULL));
	assert_false(operation_path(op, "/v1", NULL, NULL));
}

static void
openapi_is_json_with_every_operation(void **state)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct json *doc = NULL;
	size_t found = 0;

	(void)state;
	openapi_write(&b);
	if (!json_parse(&doc, buf_text(&b), b.length, &e))
		fail_msg("%s", e.text);
	const struct jval *paths = json_get(json_root(doc), "paths");
	for (const struct jval *p = json_first(paths); p != NULL; p = json_next(p))
		found += json_count(p);
	assert_int_equal(found, OP_COUNT);
	json_free(doc);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_paths_are_unique),
		cmocka_unit_test(names_start_with_a_verb_and_descriptions_are_not_empty),
		cmocka_unit_test(every_response_exists_and_is_used),
		cmocka_unit_test(each_brace_of_a_path_is_a_required_parameter),
		cmocka_unit_test(parameters_are_lower_case_and_described),
		cmocka_unit_test(jobs_are_jobs_where_clients_expect_it),
		cmocka_unit_test(paths_match_as_a_whole),
		cmocka_unit_test(openapi_is_json_with_every_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
