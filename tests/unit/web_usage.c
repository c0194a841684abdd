/* SPDX-License-Identifier: Apache-2.0 */
/* CSV as RFC 4180 has it, and usage records: what is taken, and what is told of the rest
 */
#include "web/csv.h"
#include "web/usage_record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int
begin(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* Fields joined by |, rows by /, each row with the line that it begins in. */
static const char *
rows(const char *text)
{
	struct csv c;
	struct csv_row row;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	const char *out;
	bool more = true;

	csv_open(&c, arena, text, strlen(text));
	while (more) {
		if (!csv_next(&c, &row, &more, &e)) {
			buf_puts(&b, e.text);
			break;
		}
		if (!more)
			break;
		buf_printf(&b, "%s%u:", b.length > 0 ? "/" : "", row.line);
		for (size_t i = 0; i < row.count; i++)
			buf_printf(&b, "%s%s", i > 0 ? "|" : "", row.fields[i]);
	}
	out = arena_strdup(arena, buf_text(&b));
	buf_done(&b);
	return out;
}

static void
csv_is_read_as_the_rfc_says(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "\n\r\n\n", "" },
		{ "a,b\n1,2\n", "1:a|b/2:1|2" },
		{ "a,b\r\n1,2", "1:a|b/2:1|2" },
		{ "\xef\xbb\xbf"
		  "a\n",
		    "1:a" },
		{ ",\n", "1:|" },
		{ "a,\n,b", "1:a|/2:|b" },
		{ "\"\"\n", "1:" },
		{ "\"a,b\",\"c\"\"d\",\"\"\"\"\n", "1:a,b|c\"d|\"" },
		{ "\"1\n2\r\n3\",x\ny\n", "1:1\n2\r\n3|x/4:y" },
		{ "a\n\n\n\nb\n", "1:a/5:b" },
		{ " a , b \n", "1: a | b " },
		{ "a\tb\n", "1:a\tb" },
		{ "\xec\xa0\x80\xec\x9a\xb8\n", "1:\xec\xa0\x80\xec\x9a\xb8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(rows(cases[i][0]), cases[i][1]);
}

static void
csv_that_is_none_names_its_line(void **state)
{
	static const char *const cases[][2] = {
		{ "a\n\"b", "line 2: a quote is opened" },
		{ "a\n\"b\n\n\nc", "line 2: a quote is opened" },
		{ "a\nb\"c\n", "line 2: a quote stands inside" },
		{ "\"a\"b\n", "line 1: text stands behind" },
		{ "\"a\nb\" \n", "line 2: text stands behind" },
		{ "a\n\x01\n", "line 2: the control character 1" },
		{ "a\n\xff\n", "line 2: this is not UTF-8" },
		{ "a\n\"\xc0\x80\"\n", "line 2: this is not UTF-8" },
		{ ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,",
		    "line 1: it has more than 64" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (strstr(rows(cases[i][0]), cases[i][1]) == NULL)
			fail_msg("case %zu: %s", i, rows(cases[i][0]));
}

#define HEAD "source,id,account,sku,unit,quantity,at,from,to,seq,resource,tags,corrects\n"

static const char *
csv_taken(const char *row, const char *source, int64_t first)
{
	struct usage_batch b;
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	const char *text = arena_printf(arena, "%s%s", HEAD, row);

	if (!usage_batch_csv(&b, arena, text, source, first, &e)) {
		assert_int_equal(e.kind, ERR_INPUT);
		return arena_strdup(arena, e.text);
	}
	usage_batch_write(&out, &b);
	text = arena_strdup(arena, buf_text(&out));
	buf_done(&out);
	return text;
}

static void
a_record_is_written_as_it_was_told(void **state)
{
	(void)state;
	assert_string_equal(csv_taken("s,1,acme,x,GiB,0012.500,2026-03-01T09:00:00+09:00,"
				      ",,,,b=2;a=1,\n",
				NULL, -1),
	    "[{\"n\":0,\"account_id\":0,\"record\":\"1\",\"kind\":\"amount\",\"used_"
	    "from\":"
	    "\"2026-03-01T00:00:00.000000Z\",\"tags\":{\"a\":\"1\",\"b\":\"2\"},"
	    "\"source\":\"s\",\"account\":\"acme\",\"sku\":\"x\",\"unit\":\"GiB\","
	    "\"quantity\":\"0012.500\",\"seq\":\"0\"}]");
	/* A correction comes after what it corrects; a level may have no end. */
	assert_non_null(strstr(csv_taken(",2,acme,x,GiB,1,,2026-03-01T00:00:00Z,,,r,,1\n",
				   "s", -1),
	    "\"kind\":\"level\",\"used_from\":\"2026-03-01T00:00:00.000000Z\",\"tags\":{}"
	    ",\"source\":\"s\",\"account\":\"acme\",\"sku\":\"x\",\"unit\":\"GiB\","
	    "\"quantity\":\"1\",\"seq\":\"1\",\"resource\":\"r\",\"corrects\":\"1\""));
}

static void
quantities_are_exact_or_refused(void **state)
{
	static const char *const good[] = { "0", "1", "0.1", "00.10",
		"99999999999999999999.999999999999999999" };
	static const char *const bad[] = { "", ".5", "5.", "1e3", "0x1", "1/3", "+1",
		"-1", "1 000", "1'000", "NaN", "inf", "100000000000000000000",
		"0.0000000000000000001" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const char *row = arena_printf(arena,
		    "s,1,a,x,u,%s,2026-03-01T00:00:00Z,,,,,,\n", good[i]);
		const char *want = arena_printf(arena, "\"quantity\":\"%s\"", good[i]);
		assert_non_null(strstr(csv_taken(row, NULL, -1), want));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *row = arena_printf(arena,
		    "s,1,a,x,u,\"%s\",2026-03-01T00:00:00Z,,,,,,\n", bad[i]);
		const char *got = csv_taken(row, NULL, -1);
		if (strstr(got, "line 2, field quantity: ") != got)
			fail_msg("%s: %s", bad[i], got);
	}
}

static void
messages_count_lines_of_the_whole_file(void **state)
{
	struct usage_batch b;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(
	    strstr(csv_taken("\n\n,,,\n", NULL, 7001), "line 7003: it has 4"));
	assert_false(usage_batch_json(&b, arena, "[{\"id\":\"1\"}]", "s", 500, &e));
	assert_non_null(strstr(e.text, "records[500], field account"));
}

static void
json_says_the_same(void **state)
{
	static const char *const bad[][2] = {
		{ "{}", "records: a list of 1 to 5000" },
		{ "[]", "records: a list of 1 to 5000" },
		{ "[1]", "records[0]: an object" },
		{ "[{\"id\":1}]", "records[0], field id: it is no string" },
		{ "[{\"id\":\"a\\u0000b\"}]", "U+0000" },
		{ "[{\"\\u0007\":\"\"}]", "\"?\" is not known" },
		{ "[{\"tags\":{\"simulated\":\"true\"}}]", "simulated is ours" },
		{ "[{\"tags\":{\"\":\"x\"}}]", "1 to 63 bytes" },
		{ "[{\"source\":\"s\",\"id\":\"1\",\"account\":\"a\",\"sku\":\"x\","
		  "\"unit\":\"u\",\"quantity\":\"1\",\"at\":\"2026-03-01T00:00:00."
		  "0000001Z\"}]",
		    "finer than a microsecond" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct usage_batch b;
		struct err e = ERR_INIT;
		assert_false(usage_batch_json(&b, arena, bad[i][0], NULL, -1, &e));
		if (strstr(e.text, bad[i][1]) == NULL)
			fail_msg("%s: %s", bad[i][0], e.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_is_read_as_the_rfc_says),
		cmocka_unit_test(csv_that_is_none_names_its_line),
		cmocka_unit_test(a_record_is_written_as_it_was_told),
		cmocka_unit_test(quantities_are_exact_or_refused),
		cmocka_unit_test(messages_count_lines_of_the_whole_file),
		cmocka_unit_test(json_says_the_same),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
