/* SPDX-License-Identifier: Apache-2.0 */
/* What the shells are told may stand next on a command line. */
/* Taken in whole under another name: cmocka has a print_error that ours would replace. */
/* clang-format off */
#define print_error cli_print_error
#include "cli/print.c"
#include "cli/call.c"
#include "cli/tariff.c"
#undef print_error
/* clang-format on */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MOST = 12 };

/* The candidates behind a line, each followed by a blank: "start stop "; a line that ends
 * in a blank asks for a new word. */
static char *
after(const char *line)
{
	struct cli c = { .conf = NULL }; /* nobody to ask for names */
	char *words[WORDS_MOST];
	struct buf out = BUF_INIT;
	struct buf list = BUF_INIT;
	scoped_free char *copy = mem_strdup(line);
	char *rest = copy;
	int count = 0;

	while (rest != NULL && count < WORDS_MOST)
		words[count++] = strsep(&rest, " ");
	complete_words(&c, count - 1, words, words[count - 1], &out);
	for (const char *p = buf_text(&out); *p != '\0';) {
		size_t n = strcspn(p, "\t");
		buf_add(&list, p, n);
		buf_putc(&list, ' ');
		p += n + strcspn(p + n, "\n") + 1;
	}
	buf_done(&out);
	return buf_take(&list);
}

struct line {
	const char *typed, *all; /* exactly these */
};

static void
words_are_completed_from_the_tables(void **unused_state unused)
{
	static const struct line lines[] = {
		{ "stat", "statement status " },
		{ "doc", "doctor " },
		{ "vm sta", "start " },
		{ "alarm l", "list " },
		{ "no-such-noun l", "" },
		{ "config ", "check show explain " },
		{ "completion z", "zsh " },
		{ "help hos", "host " },
		{ "config explain web.l", "web.listen " },
		{ "--set web.l", "web.listen= " },
		{ "vm create web --off", "--offering " },
		{ "vm create web --startvm ", "true false " },
		{ "vm create web --startvm=f", "--startvm=false " },
		{ "vm create web --startvm = f", "false " },
		{ "vm create web --name x --startvm t", "true " },
		{ "tariff import ", "" }, /* a file stands there */
		{ "vm list --jso", "--json " },
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		scoped_free char *got = after(lines[i].typed);
		assert_string_equal(got, lines[i].all);
	}
}

static void
what_is_written_already_is_not_offered_again(void **unused_state unused)
{
	scoped_free char *before = after("vm create web --");
	scoped_free char *behind = after("vm create web --offering small --");

	assert_non_null(strstr(before, "--offering "));
	assert_non_null(strstr(before, "--template "));
	assert_null(strstr(before, "--serviceofferingid "));
	assert_null(strstr(before, "--name ")); /* the word that needs no flag */
	assert_null(strstr(behind, "--offering "));
	assert_non_null(strstr(behind, "--template "));
}

static void
every_verb_of_every_noun_is_offered(void **unused_state unused)
{
	for (size_t i = 0; i < verbs_count; i++) {
		scoped_free char *line = mem_printf("%s ", verbs[i].noun);
		scoped_free char *word = mem_printf("%s ", verbs[i].verb);
		scoped_free char *nouns = after("");
		scoped_free char *got = after(line);
		assert_non_null(strstr(got, word));
		assert_non_null(strstr(nouns, line));
	}
}

static void
short_flags_lead_back_to_their_parameters(void **unused_state unused)
{
	const struct operation *op = &operations[OP_deployVirtualMachine];

	for (size_t i = 0; i < op->param_count; i++) {
		const char *name = op->params[i].name;
		assert_string_equal(param_name(op, flag_of(name)), name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_completed_from_the_tables),
		cmocka_unit_test(what_is_written_already_is_not_offered_again),
		cmocka_unit_test(every_verb_of_every_noun_is_offered),
		cmocka_unit_test(short_flags_lead_back_to_their_parameters),
	};

	return cmocka_run_group_tests_name("cli_complete", tests, NULL, NULL);
}
