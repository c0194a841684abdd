/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a tariff document is told with its place and a remedy. */
#include "billing/tariff.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fault_case {
	const char *document;
	const char *told; /* stands in the message */
};

#define ONE(price) "{\"currency\":\"USD\",\"prices\":[{" price "}]}"
#define MODEL(model) ONE("\"sku\":\"a\",\"model\":{" model "}")
#define UNIT "\"model\":{\"type\":\"unit\",\"price\":\"1\"}"
#define OPEN "{\"up_to\":null,\"price\":\"1\"}"

static const struct fault_case faults[] = {
	{ "[]", "tariff: an object" },
	{ "{\"currency\":\"USD\",\"prices\":[],\"price\":[]}", "unknown key \"price\"" },
	{ "{\"prices\":[]}", "\"currency\" is missing" },
	{ "{\"currency\":\"usd\",\"prices\":[]}", "tariff.currency: " },
	{ "{\"currency\":\"USD\"}", "prices: a list" },
	{ "{\"currency\":\"USD\",\"rounding\":\"bankers\",\"prices\":[]}",
	    "use one of: half_even, half_up, down, up" },
	{ "{\"currency\":\"USD\",\"increment\":\"0\",\"prices\":[]}",
	    "tariff.increment: must be more than 0" },
	{ "{\"currency\":\"USD\",\"increment\":0.05,\"prices\":[]}",
	    "write the number as a string" },
	{ "{\"currency\":\"USD\",\"fx\":{\"to\":\"KRW\"},\"prices\":[]}",
	    "fx: \"rate\" is missing" },
	{ "{\"currency\":\"USD\",\"tax\":{\"mode\":\"exclusive\"},\"prices\":[]}",
	    "write at least one" },
	{ "{\"currency\":\"USD\",\"tax\":{\"classes\":{\"standard\":\"19\"}},"
	  "\"prices\":[]}",
	    "tax.classes.standard: is a share from 0 to 1" },
	{ "{\"currency\":\"USD\",\"tax\":{\"classes\":{\"standard\":\"0.19\"}},"
	  "\"prices\":[{\"sku\":\"a\",\"tax_class\":\"low\"," UNIT "}]}",
	    "prices[0].tax_class: \"low\" is not in tax.classes" },
	{ ONE(UNIT), "prices[0]: \"sku\" is missing" },
	{ ONE("\"sku\":\"a\""), "either \"model\" or \"versions\"" },
	{ ONE("\"sku\":\"a\",\"per\":\"week\"," UNIT), "prices[0].per: unknown word" },
	{ ONE("\"sku\":\"a\",\"divisor\":\"0\"," UNIT), "prices[0].divisor" },
	{ ONE("\"sku\":\"a\",\"anchor\":\"2023-02-29\",\"per\":\"year\"," UNIT),
	    "write an existing date" },
	{ ONE("\"sku\":\"a\",\"anchor\":\"2024-02-29\"," UNIT), "only \"per\":\"year\"" },
	{ ONE("\"sku\":\"a\",\"granularity\":\"day\"," UNIT), "need \"per\"" },
	{ ONE("\"sku\":\"a\",\"match\":{\"x\":1}," UNIT), "prices[0].match.x" },
	{ ONE("\"sku\":\"a\",\"versions\":[]"), "prices[0].versions" },
	{ ONE("\"sku\":\"a\",\"versions\":[{\"from\":\"2024-02-01T00:00:00Z\","
	      "\"to\":\"2024-01-01T00:00:00Z\"," UNIT "}]"),
	    "must be later" },
	{ ONE("\"sku\":\"a\"," UNIT "},{\"sku\":\"a\"," UNIT),
	    "prices[1]: prices[0] is for a too" },
	{ MODEL("\"type\":\"unit\""), "prices[0].model: \"price\" is missing" },
	{ MODEL("\"type\":\"unit\",\"price\":\"1e3\""), "prices[0].model.price" },
	{ MODEL("\"type\":\"unit\",\"price\":\"1\",\"size\":\"3\""),
	    "unknown key \"size\"" },
	{ MODEL("\"type\":\"unit\",\"price\":\"1\",\"discount_pct\":\"101\""),
	    "discount_pct" },
	{ MODEL("\"type\":\"volume\",\"tiers\":[]"), "tiers: a list" },
	{ MODEL("\"type\":\"volume\",\"tiers\":[{\"up_to\":\"5\",\"price\":\"1\"}]"),
	    "last tier needs \"up_to\": null" },
	{ MODEL("\"type\":\"volume\",\"tiers\":[" OPEN "," OPEN "]"),
	    "tiers[1]: stands behind an open tier" },
	{ MODEL("\"type\":\"graduated\",\"tiers\":[{\"up_to\":\"5\",\"price\":\"1\"},"
		"{\"up_to\":\"5\",\"price\":\"1\"}," OPEN "]"),
	    "tiers[1].up_to: must be larger" },
	{ MODEL("\"type\":\"package\",\"price\":\"1\",\"size\":\"0\""), "model.size" },
	{ MODEL("\"type\":\"tou\",\"price\":\"1\",\"bands\":[{\"name\":\"n\","
		"\"from\":\"25:00\",\"to\":\"06:00\",\"price\":\"1\"}]"),
	    "bands[0].from: this is no time of a day" },
	{ MODEL("\"type\":\"tou\",\"price\":\"1\",\"bands\":[{\"name\":\"n\","
		"\"days\":[1,1],\"from\":\"22:00\",\"to\":\"06:00\",\"price\":\"1\"}]"),
	    "bands[0].days" },
	{ MODEL("\"type\":\"auction\""), "unknown word \"auction\"" },
};

static void
every_fault_is_told_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct tariff *t = NULL;
		struct err e = ERR_INIT;

		if (tariff_parse(&t, faults[i].document, strlen(faults[i].document), &e))
			fail_msg("taken: %s", faults[i].document);
		assert_null(t);
		assert_int_equal(e.kind, ERR_INPUT);
		if (strstr(e.text, faults[i].told) == NULL)
			fail_msg("%s: told \"%s\", not \"%s\"", faults[i].document,
			    e.text, faults[i].told);
	}
}

static struct tariff *
tariff_of(const char *text)
{
	struct tariff *t = NULL;
	struct err e = ERR_INIT;

	if (!tariff_parse(&t, text, strlen(text), &e))
		fail_msg("%s", e.text);
	return t;
}

static void
most_tags_win_then_priority_and_a_tie_is_refused(void **state)
{
	struct tag both[] = { { "class", "ssd" }, { "zone", "z1" } };
	struct tags tags = { both, 2 };
	struct tags none = { NULL, 0 };
	const struct price *p = NULL;
	struct err e = ERR_INIT;
	struct tariff *t = tariff_of(
	    "{\"currency\":\"USD\",\"prices\":["
	    "{\"sku\":\"v\",\"priority\":9," UNIT "},"
	    "{\"sku\":\"v\",\"match\":{\"class\":\"ssd\"}," UNIT "},"
	    "{\"sku\":\"v\",\"match\":{\"zone\":\"z1\"}," UNIT "},"
	    "{\"sku\":\"w\"," UNIT "}]}");

	(void)state;
	assert_true(tariff_price(t, "v", &none, &p, &e));
	assert_ptr_equal(p, &t->prices[0]);
	tags.count = 1;
	assert_true(tariff_price(t, "v", &tags, &p, &e));
	assert_ptr_equal(p, &t->prices[1]);
	tags.count = 2;
	assert_false(tariff_price(t, "v", &tags, &p, &e));
	assert_non_null(strstr(e.text, "give one of them a higher priority"));
	t->prices[2].priority = 1;
	assert_true(tariff_price(t, "v", &tags, &p, &e));
	assert_ptr_equal(p, &t->prices[2]);
	assert_true(tariff_price(t, "x", &tags, &p, &e));
	assert_null(p);
	tariff_free(t);
}

static void
the_preset_is_a_good_tariff(void **state)
{
	static char text[65536];
	FILE *f = fopen("billing/presets/small-hoster.json", "re");
	struct tariff *t;

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	t = tariff_of(text);
	assert_string_equal(t->currency, "USD");
	assert_true(t->price_count >= 8);
	tariff_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_is_told_with_its_place),
		cmocka_unit_test(most_tags_win_then_priority_and_a_tie_is_refused),
		cmocka_unit_test(the_preset_is_a_good_tariff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
