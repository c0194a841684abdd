/* SPDX-License-Identifier: Apache-2.0 */
/* expect: an invoice beside what a test vector expects of it */
#include "billing/expect.h"
#include "billing/answer.h"
#include <stdlib.h>
#include <string.h>

/* Lists whose order is the product's own: compared as sets. */
static const char *const unordered[] = { "adjustments", "unrated", "rejected" };

/* Numbers, however they are written: "10/3", "12.50". */
static const char *const numbers[] = { "quantity", "exact" };

struct place {
	struct buf *why;
	const char *path;
};

static bool values_match(const struct place *at, const char *key,
    const struct jval *expected, const struct jval *got);

static bool
listed(const char *const *list, size_t count, const char *key)
{
	for (size_t i = 0; key != NULL && i < count; i++)
		if (strcmp(list[i], key) == 0)
			return true;
	return false;
}

static bool
mismatch(const struct place *at, const char *expected, const char *got)
{
	if (at->why != NULL)
		buf_printf(at->why, "%s%s: expected %s, got %s",
		    at->why->length == 0 ? "" : "; ", at->path,
		    expected == NULL ? "null" : expected, got == NULL ? "null" : got);
	return false;
}

static bool
numbers_match(const struct place *at, const char *expected, const char *got)
{
	scoped_exact mpq_t a;
	scoped_exact mpq_t b;
	struct err e = ERR_INIT;

	mpq_inits(a, b, NULL);
	if (expected == NULL || got == NULL || !rat_parse(a, expected, &e) ||
	    !rat_parse(b, got, &e) || !mpq_equal(a, b))
		return mismatch(at, expected, got);
	return true;
}

static bool
object_matches(const struct place *at, const struct jval *expected,
    const struct jval *got)
{
	bool ok = true;

	for (const struct jval *v = json_first(expected); v != NULL; v = json_next(v)) {
		scoped_free char *path = mem_printf("%s.%s", at->path, json_name(v));
		struct place below = { at->why, path };

		if (!values_match(&below, json_name(v), v, json_get(got, json_name(v))))
			ok = false;
	}
	return ok;
}

static bool
contains(const struct jval *list, const struct jval *wanted)
{
	struct place silent = { NULL, "" };

	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v))
		if (values_match(&silent, NULL, wanted, v))
			return true;
	return false;
}

static bool
array_matches(const struct place *at, const char *key, const struct jval *expected,
    const struct jval *got)
{
	bool any_order = listed(unordered, ARRAY_LEN(unordered), key);
	bool ok = true;
	size_t i = 0;

	if (json_type(got) != JSON_ARRAY || json_count(got) != json_count(expected)) {
		scoped_free char *want = mem_printf("%zu entries", json_count(expected));
		scoped_free char *have = mem_printf("%zu", json_count(got));

		return mismatch(at, want, have);
	}
	for (const struct jval *v = json_first(expected); v != NULL; v = json_next(v)) {
		scoped_free char *path = mem_printf("%s[%zu]", at->path, i);
		struct place below = { at->why, path };

		if (any_order ? !contains(got, v)
			      : !values_match(&below, NULL, v, json_at(got, i)))
			ok = any_order ? mismatch(&below, "one that is there", "none")
				       : false;
		i++;
	}
	return ok;
}

static bool
values_match(const struct place *at, const char *key, const struct jval *expected,
    const struct jval *got)
{
	const char *a = json_text(expected);
	const char *b = json_text(got);

	if (json_type(expected) == JSON_OBJECT)
		return object_matches(at, expected, got);
	if (json_type(expected) == JSON_ARRAY)
		return array_matches(at, key, expected, got);
	if (json_type(expected) == JSON_NULL)
		return json_type(got) == JSON_NULL || mismatch(at, "null", b);
	if (listed(numbers, ARRAY_LEN(numbers), key))
		return numbers_match(at, a, b);
	return (a != NULL && b != NULL && strcmp(a, b) == 0) || mismatch(at, a, b);
}

/* The answer has every key that is known; what else is expected is a feature of others.
 */
static const char *
unknown_key(const struct jval *expect, const struct jval *answer)
{
	for (const struct jval *v = json_first(expect); v != NULL; v = json_next(v))
		if (json_type(json_get(answer, json_name(v))) == JSON_ABSENT)
			return json_name(v);
	return NULL;
}

enum verdict
expect_check(struct buf *why, const struct jval *expect, const struct tariff *tariff,
    const struct usage_list *usage, const struct period *period,
    const struct invoice *invoice)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct place top = { why, "expect" };
	struct err e = ERR_INIT;
	struct json *answer = NULL;
	enum verdict verdict = VECTOR_PASSED;
	const char *unknown;

	answer_write(&text, tariff, usage, period, invoice);
	if (!json_parse(&answer, buf_text(&text), text.length, &e)) {
		buf_puts(why, e.text);
		return VECTOR_FAILED;
	}
	unknown = unknown_key(expect, json_root(answer));
	if (unknown != NULL) {
		buf_printf(why, "expect: unknown key \"%s\"", unknown);
		verdict = VECTOR_SKIPPED;
	} else if (!object_matches(&top, expect, json_root(answer))) {
		verdict = VECTOR_FAILED;
	}
	json_free(answer);
	return verdict;
}
