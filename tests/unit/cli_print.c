/* SPDX-License-Identifier: Apache-2.0 */
/* What the jeoul command prints, and which status it ends with. */
/* Taken in whole under another name: cmocka has a print_error that ours would replace. */
#define print_error cli_print_error
#include "cli/print.c"
#undef print_error
#include "base/json.h"
#include "base/mem.h"
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct json *
document(const char *text)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	assert_true(json_parse(&doc, text, strlen(text), &e));
	return doc;
}

/* What print_table writes to standard output. */
static void
table_text(char *out, size_t room, const char *rows, const char *columns)
{
	struct json *doc = document(rows);
	FILE *file = tmpfile();
	int old = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(file);
	assert_true(old >= 0 && fflush(stdout) == 0);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	print_table(json_root(doc), columns, false);
	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(old, STDOUT_FILENO) >= 0);
	(void)close(old);
	rewind(file);
	n = fread(out, 1, room - 1, file);
	out[n] = '\0';
	(void)fclose(file);
	json_free(doc);
}

static void
hangul_takes_two_columns(void **unused_state unused)
{
	assert_int_equal(text_width("web1"), 4);
	assert_int_equal(text_width("\xed\x95\x9c\xea\xb8\x80"), 4);
	assert_int_equal(text_width("a\xed\x95\x9c"), 3);
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("\xff"), 1); /* broken UTF-8 ends nowhere */
}

static void
columns_line_up_beside_korean_names(void **unused_state unused)
{
	char out[512];

	table_text(out, sizeof(out),
	    "[{\"name\":\"\xed\x95\x9c\xea\xb8\x80\",\"state\":\"Up\"},"
	    "{\"name\":\"kvm07\",\"state\":\"Down\"}]",
	    "name state");
	assert_string_equal(out,
	    "name   state  \n"
	    "\xed\x95\x9c\xea\xb8\x80   Up     \n"
	    "kvm07  Down   \n");
}

static void
empty_columns_are_left_out_and_inner_fields_found(void **unused_state unused)
{
	char out[512];

	table_text(out, sizeof(out),
	    "[{\"resource\":{\"name\":\"web1\"},\"error\":null,\"simulated\":false}]",
	    "resource.name error simulated");
	assert_string_equal(out, "resource.name  \nweb1           \n");
}

static void
amounts_are_printed_as_given(void **unused_state unused)
{
	char out[512];

	table_text(out, sizeof(out),
	    "[{\"amount\":\"9007199254740993.10\",\"raw\":9007199254740993}]",
	    "amount raw");
	assert_non_null(strstr(out, "9007199254740993.10  9007199254740993"));
}

static void
json_goes_out_as_it_came_in(void **unused_state unused)
{
	const char *text = "{\"a\":[1,\"0.10\",true,null,{\"b\":\"\\\"\"}],\"c\":1e400}";
	struct json *doc = document(text);
	struct buf b = BUF_INIT;

	json_write(&b, json_root(doc));
	assert_string_equal(buf_text(&b), text);
	buf_done(&b);
	json_free(doc);
}

static void
every_kind_of_error_has_its_status(void **unused_state unused)
{
	static const struct {
		enum err_kind kind;
		int status;
	} cases[] = { { ERR_NONE, 0 }, { ERR_INTERNAL, 1 }, { ERR_INPUT, 2 },
		{ ERR_NOT_FOUND, 3 }, { ERR_CONFLICT, 4 }, { ERR_LIMIT, 4 },
		{ ERR_DENIED, 5 }, { ERR_GONE, 6 }, { ERR_AGAIN, 6 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(exit_code_of(cases[i].kind), cases[i].status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hangul_takes_two_columns),
		cmocka_unit_test(columns_line_up_beside_korean_names),
		cmocka_unit_test(empty_columns_are_left_out_and_inner_fields_found),
		cmocka_unit_test(amounts_are_printed_as_given),
		cmocka_unit_test(json_goes_out_as_it_came_in),
		cmocka_unit_test(every_kind_of_error_has_its_status),
	};

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
