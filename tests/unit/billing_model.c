/* SPDX-License-Identifier: Apache-2.0 */
/* F(q), what the first q units cost, for each model and modifier. */
#include "billing/model.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct total_case {
	const char *model;
	const char *q;
	const char *total;
};

#define TIERS                                                                            \
	"\"tiers\":[{\"up_to\":\"10\",\"price\":\"3\",\"flat\":\"1\"},"                  \
	"{\"up_to\":\"20\",\"price\":\"2\",\"flat\":\"5\"},"                             \
	"{\"up_to\":null,\"price\":\"1\"}]"
#define GRADUATED "{\"type\":\"graduated\"," TIERS "}"
#define VOLUME "{\"type\":\"volume\"," TIERS "}"
#define PACKAGE "{\"type\":\"package\",\"size\":\"7\",\"price\":\"2.5\"}"
#define COMMIT                                                                           \
	"{\"type\":\"commit\",\"units\":\"100\",\"price\":\"0.5\",\"overage\":\"0.75\"}"

static const struct total_case cases[] = {
	{ "{\"type\":\"unit\",\"price\":\"0.3\"}", "10/3", "1" },
	{ "{\"type\":\"unit\",\"price\":\"0.3\"}", "0", "0" },
	{ "{\"type\":\"unit\",\"price\":\"2\",\"free_units\":\"5\"}", "4.999", "0" },
	{ "{\"type\":\"unit\",\"price\":\"2\",\"free_units\":\"5\"}", "5.5", "1" },
	{ "{\"type\":\"unit\",\"price\":\"8\",\"discount_pct\":\"12.5\"}", "3", "21" },
	{ "{\"type\":\"unit\",\"price\":\"8\",\"maximum\":\"20\"}", "3", "20" },
	{ "{\"type\":\"unit\",\"price\":\"8\",\"discount_pct\":\"50\",\"maximum\":"
	  "\"20\"}",
	    "3", "12" },
	{ GRADUATED, "0", "0" },
	{ GRADUATED, "10", "31" },
	{ GRADUATED, "10.5", "37" },
	{ GRADUATED, "20", "56" },
	{ GRADUATED, "25", "61" },
	{ VOLUME, "0", "0" },
	{ VOLUME, "10", "31" },
	{ VOLUME, "10.001", "25.002" },
	{ VOLUME, "21", "21" },
	{ PACKAGE, "0", "0" },
	{ PACKAGE, "0.001", "2.5" },
	{ PACKAGE, "7", "2.5" },
	{ PACKAGE, "7.001", "5" },
	{ COMMIT, "0", "50" },
	{ COMMIT, "100", "50" },
	{ COMMIT, "101", "50.75" },
};

static void
model_of(struct model *m, struct arena *a, const char *text)
{
	struct json *document = NULL;
	struct err e = ERR_INIT;

	model_init(m);
	assert_true(json_parse(&document, text, strlen(text), &e));
	if (!model_read(m, a, json_root(document), "model", &e))
		fail_msg("%s", e.text);
	json_free(document);
}

static void
the_first_q_units_cost_what_the_model_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new();
		struct err e = ERR_INIT;
		struct model m;
		scoped_exact mpq_t q;
		scoped_exact mpq_t total;
		scoped_free char *text = NULL;

		mpq_inits(q, total, NULL);
		model_of(&m, a, cases[i].model);
		assert_true(rat_parse(q, cases[i].q, &e));
		model_total(total, &m, q);
		text = rat_text(total);
		if (strcmp(text, cases[i].total) != 0)
			fail_msg("%s of %s: %s, not %s", cases[i].model, cases[i].q, text,
			    cases[i].total);
		model_done(&m);
		arena_free(a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_q_units_cost_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
