/* SPDX-License-Identifier: Apache-2.0 */
/* cost: estimates and cost reports for people */
#include "base/mem.h"
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

static const char *
text_of(const struct jval *object, const char *key)
{
	const char *text = json_text(json_get(object, key));

	return text == NULL ? "" : text;
}

/* "2026-03-01T00:00:00" is enough. */
static void
period_print(const char *what, const struct jval *window)
{
	(void)printf("%s (%.16s to %.16s UTC)\n", what, text_of(window, "start"),
	    text_of(window, "end"));
}

static void
rate_print(const char *what, const struct jval *window, const char *currency)
{
	(void)printf("%-12s %s %s\n", what, text_of(window, "shown"), currency);
}

static void
sums_print(const struct jval *window, const char *currency)
{
	static const char *const sums[] = { "subtotal", "tax", "total" };

	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		(void)printf("%-12s %s %s\n", sums[i], text_of(window, sums[i]),
		    currency);
}

static void
list_print(const char *what, const struct jval *list)
{
	if (json_count(list) == 0)
		return;
	(void)fputs(what, stdout);
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		scoped_free char *word = text_tame(mem_strdup(json_text(v)));

		(void)printf("%s %s", v == json_first(list) ? "" : ",", word);
	}
	(void)putchar('\n');
}

void
cost_estimate_print(const struct cli *c, const struct jval *estimate, const char *columns)
{
	const char *currency = text_of(estimate, "currency");
	const struct jval *first = json_get(estimate, "first");
	const struct jval *month = json_get(estimate, "month");

	period_print("in the next whole period", month);
	print_table(json_get(month, "lines"), columns, c->color);
	sums_print(month, currency);
	(void)putchar('\n');
	period_print("until this period ends", first);
	sums_print(first, currency);
	(void)puts("\nbefore tax");
	rate_print("per hour", json_get(estimate, "hour"), currency);
	rate_print("per day", json_get(estimate, "day"), currency);
	if (json_count(json_get(estimate, "unrated")) +
		json_count(json_get(estimate, "notcounted")) >
	    0)
		(void)putchar('\n');
	list_print("has no price, and is not in the sums:",
	    json_get(estimate, "unrated"));
	list_print("hangs on what was not said:", json_get(estimate, "notcounted"));
}

static bool
is_nothing(const char *amount)
{
	return amount[strspn(amount, "-0.")] == '\0';
}

static void
sum_print(const struct jval *sum)
{
	static const char *const keys[] = { "charge", "adjustment", "credit_note",
		"tax_included", "tax", "total", "credit", "prepaid", "due" };
	const char *due = text_of(sum, "due");

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *amount = text_of(sum, keys[i]);
		bool plain = strcmp(keys[i], "due") == 0 &&
		    strcmp(due, text_of(sum, "total")) == 0;

		if (!plain && (!is_nothing(amount) || strcmp(keys[i], "total") == 0))
			(void)printf("%-12s %s %s\n", keys[i], amount,
			    text_of(sum, "currency"));
	}
}

void
cost_report_print(const struct cli *c, const struct jval *report, const char *columns)
{
	const struct jval *sums = json_get(report, "sums");

	print_table(json_get(report, "rows"), columns, c->color);
	for (const struct jval *v = json_first(sums); v != NULL; v = json_next(v)) {
		(void)putchar('\n');
		sum_print(v);
	}
	if (json_count(json_get(report, "documents")) > 0) {
		(void)putchar('\n');
		print_table(json_get(report, "documents"),
		    "number kind account firstday lastday shown leftout total currency",
		    c->color);
	}
	for (const struct jval *v = json_first(json_get(report, "troubles")); v != NULL;
	     v = json_next(v)) {
		scoped_free char *why = text_tame(mem_strdup(json_text(v)));

		(void)fprintf(stderr, "left out: %s\n", why);
	}
}
