/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON body of the REST API: every member comes out as the parameter that it is, and as
 * JSON it reads back the same */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "web/check.h"
#include "web/operations.h"
#include <stdlib.h>
#include <string.h>

static bool
same_value(const struct jval *a, const struct jval *b)
{
	const struct jval *m = json_first(a);
	const struct jval *n = json_first(b);

	if (json_type(a) != json_type(b) || json_count(a) != json_count(b))
		return false;
	if (json_type(a) == JSON_STRING || json_type(a) == JSON_NUMBER)
		return strcmp(json_text(a), json_text(b)) == 0;
	if (json_type(a) == JSON_BOOL)
		return json_bool(a, false) == json_bool(b, false);
	for (; m != NULL; m = json_next(m), n = json_next(n))
		if (!same_value(m, n) ||
		    (json_type(a) == JSON_OBJECT &&
			strcmp(json_name(m), json_name(n)) != 0))
			return false;
	return true;
}

/* An object goes on as its own JSON text: a price list must not change on the way. */
static void
object_kept(const struct jval *v, const char *text)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	must(json_parse(&doc, text, strlen(text), &e), "%s: %s", e.text, text);
	must(same_value(v, json_root(doc)), "became %s", text);
	json_free(doc);
}

static void
members_kept(const struct json *doc, const struct param_list *p)
{
	size_t i = 0;

	for (const struct jval *m = json_first(json_root(doc)); m != NULL;
	     m = json_next(m), i++) {
		const char *value = NULL;
		for (size_t k = 0; k < p->count; k++)
			if (strcmp(p->list[k].name, json_name(m)) == 0)
				value = p->list[k].value;
		if (json_type(m) == JSON_NULL || value == NULL)
			continue; /* null, or its name came before in another case */
		must(fuzz_utf8(value, strlen(value)), "%s is no UTF-8", json_name(m));
		if (json_type(m) == JSON_STRING || json_type(m) == JSON_NUMBER)
			must(strcmp(value, json_text(m)) == 0, "%s became %s",
			    json_text(m), value);
		if (json_type(m) == JSON_OBJECT)
			object_kept(m, value);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	struct param_list *p = arena_alloc(arena, sizeof(*p));
	unsigned op = fuzz_choice(&data, &size, OP_COUNT);
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	struct err ignored = ERR_INIT;

	p->arena = arena;
	if (params_json(p, (const char *)data, size, &e)) {
		must(json_parse(&doc, (const char *)data, size, &ignored) &&
			json_type(json_root(doc)) == JSON_OBJECT,
		    "no object was taken");
		must(p->count <= PARAMS_MAX, "%zu parameters", p->count);
		members_kept(doc, p);
		json_free(doc);
		if (!check_params(&operations[op], p, &e))
			must(e.kind == ERR_INPUT && e.text[0] != '\0', "says why");
	} else
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
	arena_free(arena);
	return 0;
}
