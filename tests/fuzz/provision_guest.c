/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest says of itself by its agent: any names and values, and what becomes of
 * them is a document that the database takes and people can be shown. */
#include "base/mem.h"
#include "provision/guest.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* All lists full of the longest, each byte written as an escape. */
#define BYTES_MOST ((size_t)256 * 1024)

static void
strings_check(const struct jval *v)
{
	const char *text = json_type(v) == JSON_STRING ? json_text(v) : NULL;

	must(text == NULL || (fuzz_printable(text) && fuzz_utf8(text, strlen(text))),
	    "not to be shown: %s", text);
	must(text == NULL || (text[0] != '\0' && strlen(text) < GUEST_TEXT_MAX),
	    "%zu bytes", strlen(text != NULL ? text : ""));
	must(json_type(v) != JSON_NUMBER, "a number that a reader may round");
	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
		strings_check(m);
}

static void
lists_check(const struct jval *root)
{
	const struct jval *cards = json_get(root, "interfaces");

	must(json_count(json_get(root, "filesystems")) <= GUEST_LIST_MOST, "too many");
	must(json_count(cards) <= GUEST_LIST_MOST, "too many");
	for (const struct jval *n = json_first(cards); n != NULL; n = json_next(n))
		must(json_count(json_get(n, "addresses")) <= GUEST_ADDRESSES_MOST,
		    "too many");
}

static void
written_check(const struct guest_facts *f)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	guest_facts_write(&j, f);
	must(buf_ok(&b) && b.length < BYTES_MOST, "%zu bytes", b.length);
	must(json_parse(&doc, buf_text(&b), b.length, &e), "%s: %s", e.text,
	    buf_text(&b));
	strings_check(json_root(doc));
	lists_check(json_root(doc));
	json_free(doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free struct guest_facts *f = mem_alloc(sizeof(*f));

	while (size > 0) {
		bool text = fuzz_choice(&data, &size, 2) == 0;
		scoped_free char *name = fuzz_piece(&data, &size);
		scoped_free char *value = fuzz_piece(&data, &size);
		if (text)
			guest_text(f, name, value);
		else
			guest_number(f, name, strtoull(value, NULL, 10));
	}
	written_check(f);
	return 0;
}
