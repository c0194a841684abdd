/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: both languages are whole, and the reader gets the one that was asked for. */
#include "base/json.h"
#include "web/assets.h"
#include "web/pages.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct language_case {
	const char *cookie;
	const char *accept;
	const char *wanted;
};

static const struct language_case cases[] = {
	{ NULL, NULL, "en" },
	{ NULL, "ko", "ko" },
	{ NULL, "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko" },
	{ NULL, "en-US,en;q=0.9,ko;q=0.8", "en" },
	{ NULL, "fr, ko;q=0.5, en;q=0.4", "ko" },
	{ NULL, "fr;q=1.0,de", "en" },
	{ NULL, "kok", "en" },
	{ NULL, "ko;q=0, en;q=0.1", "en" },
	{ "jeoul_lang=ko", "en", "ko" },
	{ "a=b; jeoul_lang=en", "ko", "en" },
	{ "jeoul_lang=xx", "ko", "ko" },
	{ "xjeoul_lang=en", "ko", "ko" },
};

static void
language_is_the_readers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request r = { .arena = arena_new() };
		r.headers[HEADER_COOKIE] = cases[i].cookie;
		r.headers[HEADER_ACCEPT_LANGUAGE] = cases[i].accept;
		if (strcmp(pages_language(&r), cases[i].wanted) != 0)
			fail_msg("%s, %s: %s", cases[i].cookie, cases[i].accept,
			    pages_language(&r));
		arena_free(r.arena);
	}
}

static void
every_text_of_a_page_is_in_both_catalogues(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (!pages_load(&e)) /* fails on the first key that is missing */
		fail_msg("%s", e.text);
}

static void
keys_are_replaced_and_escaped(void **state)
{
	struct err e = ERR_INIT;
	struct json *doc = NULL;
	struct buf b = BUF_INIT;
	static const char catalogue[] = "{\"a\":\"1 < 2 & \\\"3\\\"\"}";
	static const char page[] = "<p lang={{lang}}>{{a}}</p>{{";

	(void)state;
	assert_true(json_parse(&doc, catalogue, strlen(catalogue), &e));
	assert_true(pages_translate(&b, page, strlen(page), json_root(doc), "ko", &e));
	assert_string_equal(buf_text(&b),
	    "<p lang=ko>1 &lt; 2 &amp; &quot;3&quot;</p>{{");
	assert_false(pages_translate(&b, "{{b}}", 5, json_root(doc), "ko", &e));
	assert_non_null(strstr(e.text, "\"b\""));
	buf_done(&b);
	json_free(doc);
}

static struct json *
catalogue_of(const char *path)
{
	const struct asset *a = asset_find(path);
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	assert_non_null(a);
	if (!json_parse(&doc, a->start, (size_t)(a->end - a->start), &e))
		fail_msg("%s: %s", path, e.text);
	return doc;
}

static void
keys_are_all_in(const struct json *one, const struct json *other, const char *name)
{
	for (const struct jval *m = json_first(json_root(one)); m != NULL;
	     m = json_next(m)) {
		const char *text = json_text(json_get(json_root(other), json_name(m)));
		if (text == NULL || text[0] == '\0')
			fail_msg("%s has no text for %s", name, json_name(m));
	}
}

static void
no_key_is_missing_in_either_language(void **state)
{
	struct json *en = catalogue_of("/pages/en.json");
	struct json *ko = catalogue_of("/pages/ko.json");

	(void)state;
	keys_are_all_in(en, ko, "ko");
	keys_are_all_in(ko, en, "en");
	json_free(en);
	json_free(ko);
}

/* Texts of scripts: t("key"). */
static void
every_text_of_a_script_is_in_the_catalogue(void **state)
{
	struct json *en = catalogue_of("/pages/en.json");

	(void)state;
	for (size_t i = 0; i < assets_count; i++) {
		const char *at = assets[i].start;
		if (strstr(assets[i].path, ".js") == NULL ||
		    strstr(assets[i].path, "dygraph") != NULL)
			continue;
		while ((at = strstr(at, "t(\"")) != NULL && at < assets[i].end) {
			char key[64] = "";
			bool call = strchr(" (,[`{!.?:\t", at[-1]) != NULL &&
			    at[-1] != '.';
			size_t n = strcspn(at + 3, "\"");
			if (n < sizeof(key))
				memcpy(key, at + 3, n);
			at += 3;
			if (call && json_get(json_root(en), key) == NULL)
				fail_msg("%s: t(\"%s\")", assets[i].path, key);
		}
	}
	json_free(en);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(language_is_the_readers),
		cmocka_unit_test(every_text_of_a_page_is_in_both_catalogues),
		cmocka_unit_test(keys_are_replaced_and_escaped),
		cmocka_unit_test(no_key_is_missing_in_either_language),
		cmocka_unit_test(every_text_of_a_script_is_in_the_catalogue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
