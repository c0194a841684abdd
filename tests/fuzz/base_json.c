/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside: what is read and written again is the same, numbers to the last
 * digit */
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static void
value_write(struct jout *j, const char *key, const struct jval *v)
{
	switch (json_type(v)) {
	case JSON_STRING:
		must(fuzz_utf8(json_text(v), strlen(json_text(v))), "text must be UTF-8");
		jout_string(j, key, json_text(v));
		return;
	case JSON_NUMBER:
		jout_raw(j, key, json_text(v));
		return;
	case JSON_BOOL:
		jout_bool(j, key, json_bool(v, false));
		return;
	case JSON_OBJECT:
	case JSON_ARRAY:
		jout_open(j, key, json_type(v) == JSON_OBJECT ? '{' : '[');
		for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
			value_write(j, json_type(v) == JSON_OBJECT ? json_name(m) : NULL,
			    m);
		jout_close(j, json_type(v) == JSON_OBJECT ? '}' : ']');
		return;
	case JSON_NULL:
		jout_raw(j, key, "null");
		return;
	case JSON_ABSENT:
	default:
		must(false, "a member that is absent");
	}
}

static void
same_members(const struct jval *v)
{
	size_t n = 0;

	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m), n++) {
		if (json_type(v) == JSON_OBJECT) {
			must(strcmp(json_key_at(v, n), json_name(m)) == 0, "member %zu",
			    n);
			must(json_get(v, json_name(m)) == m,
			    "\"%s\" is found as another: a key that stands twice",
			    json_name(m));
		}
		must(json_at(v, n) == m, "member %zu", n);
		same_members(m);
	}
	must(json_count(v) == n, "%zu members, %zu were walked", json_count(v), n);
}

/* How many characters of number tokens there are outside of strings: none may get lost.
 */
static size_t
digits_outside(const char *text, size_t length)
{
	size_t n = 0;
	bool inside = false;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"')
			inside = !inside;
		else if (inside && text[i] == '\\')
			i++;
		else if (!inside && strchr("0123456789.+-", text[i]) != NULL)
			n++;
	}
	return n;
}

/* Bytes of UTF-8 that the strings of a text stand for, keys too, each escape undone. */
static size_t
characters_inside(const char *text, size_t length)
{
	size_t n = 0;
	bool inside = false;

	for (size_t i = 0; i < length; i++) {
		char hex[5] = "";
		unsigned long code;
		if (text[i] == '"') {
			inside = !inside;
			continue;
		}
		if (!inside || text[i] != '\\') {
			n += inside;
			continue;
		}
		if (text[++i] != 'u') {
			n++;
			continue;
		}
		memcpy(hex, text + i + 1, 4);
		i += 4;
		code = strtoul(hex, NULL, 16);
		/* Each half of a pair stands for two of the four bytes. */
		n += code < 0x80 ? 1 : code < 0x800 || (code & 0xf800) == 0xd800 ? 2 : 3;
	}
	return n;
}

static size_t
characters_of(const struct jval *v)
{
	size_t n = json_type(v) == JSON_STRING ? strlen(json_text(v)) : 0;

	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
		n += characters_of(m) +
		    (json_type(v) == JSON_OBJECT ? strlen(json_name(m)) : 0);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct json *first = NULL;
	struct json *second = NULL;
	struct buf one = BUF_INIT;
	struct buf two = BUF_INIT;
	struct jout j = JOUT_INIT(&one);

	if (!json_parse(&first, (const char *)data, size, &e)) {
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
		must(first == NULL, "what is handed back stays untouched");
		return 0;
	}
	must(fuzz_utf8((const char *)data, size), "bytes that are no UTF-8 were taken");
	same_members(json_root(first));
	must(characters_inside((const char *)data, size) ==
		characters_of(json_root(first)),
	    "%zu bytes of text became %zu", characters_inside((const char *)data, size),
	    characters_of(json_root(first)));
	value_write(&j, NULL, json_root(first));
	must(digits_outside((const char *)data, size) ==
		digits_outside(one.data, one.length),
	    "numbers were changed: %s", buf_text(&one));
	must(json_parse(&second, buf_text(&one), one.length, &e), "%s: %s", e.text,
	    buf_text(&one));
	j = (struct jout)JOUT_INIT(&two);
	value_write(&j, NULL, json_root(second));
	must(strcmp(buf_text(&one), buf_text(&two)) == 0, "written %s, then %s",
	    buf_text(&one), buf_text(&two));
	buf_done(&one);
	buf_done(&two);
	json_free(first);
	json_free(second);
	return 0;
}
