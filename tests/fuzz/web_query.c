/* SPDX-License-Identifier: Apache-2.0 */
/* CloudStack's query string and its signature: parsed, written and parsed again it is the
 * same; the text that is signed equals a slow one; what the checks let through is of its
 * type */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "web/check.h"
#include "web/operations.h"
#include "web/sign.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
encode(struct buf *to, const char *text)
{
	for (; *text != '\0'; text++)
		buf_printf(to, "%%%02X", (unsigned char)*text);
}

static void
list_sane(const struct param_list *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct param *a = &p->list[i];
		must(a->name[0] != '\0' && strlen(a->name) == strlen(a->lower),
		    "name %zu", i);
		for (size_t k = 0; a->name[k] != '\0'; k++)
			must(a->lower[k] == (char)tolower((unsigned char)a->name[k]),
			    "%s", a->name);
		must(params_get(p, a->lower) == a->value, "%s stands twice", a->name);
	}
}

static void
same_list(const struct param_list *a, const struct param_list *b)
{
	must(a->count == b->count, "%zu parameters became %zu", a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		must(strcmp(a->list[i].name, b->list[i].name) == 0 &&
			strcmp(a->list[i].value, b->list[i].value) == 0,
		    "parameter %zu: %s", i, a->list[i].name);
}

static void
written_again(const struct param_list *p)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct param_list back = { .arena = p->arena, .count = 0 };

	for (size_t i = 0; i < p->count; i++) {
		buf_puts(&b, i > 0 ? "&" : "");
		encode(&b, p->list[i].name);
		buf_putc(&b, '=');
		encode(&b, p->list[i].value);
	}
	must(params_query(&back, buf_text(&b), b.length, &e), "%s", e.text);
	same_list(p, &back);
	buf_done(&b);
}

/* CloudStack's rule, written as its documentation says it: sort, encode, lower. */
static void
slow_text(struct buf *to, const struct param_list *p, const char *safe, bool by_lower)
{
	bool taken[PARAMS_MAX] = { false };

	for (size_t n = 0; n < p->count; n++) {
		size_t least = p->count;
		for (size_t i = 0; i < p->count; i++) {
			const struct param *a = &p->list[i];
			const struct param *b = least < p->count ? &p->list[least] : NULL;
			if (!taken[i] && strcmp(a->lower, "signature") != 0 &&
			    (b == NULL ||
				(by_lower ? strcmp(a->lower, b->lower)
					  : strcmp(a->name, b->name)) < 0))
				least = i;
		}
		if (least == p->count)
			break;
		taken[least] = true;
		buf_puts(to, to->length > 0 ? "&" : "");
		buf_puts(to, p->list[least].lower);
		buf_putc(to, '=');
		for (const char *c = p->list[least].value; *c != '\0'; c++) {
			bool bare = (*c >= 'a' && *c <= 'z') ||
			    (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
			    strchr("-_.", *c) != NULL || strchr(safe, *c) != NULL;
			if (bare)
				buf_putc(to, (char)tolower((unsigned char)*c));
			else
				buf_printf(to, "%%%02x", (unsigned char)*c);
		}
	}
}

/* One of the eight forms per input: each costs eight more to check. */
static void
signature_check(const struct param_list *p, const char *text)
{
	char signature[29];

	sign_hmac(signature, "secret", text);
	must(sign_good(p, "secret", signature), "our own is refused");
	must(!sign_good(p, "Secret", signature), "another key's is taken");
	signature[3] = signature[3] == 'x' ? 'y' : 'x';
	must(!sign_good(p, "secret", signature), "a changed one is taken");
}

static void
signatures(const struct param_list *p)
{
	static struct param_list turned;

	turned.arena = p->arena;
	turned.count = p->count;
	for (size_t i = 0; i < p->count; i++)
		turned.list[i] = p->list[p->count - 1 - i];
	for (size_t set = 0; set < SIGN_SAFE_SETS; set++)
		for (int order = SIGN_BY_BYTES; order <= SIGN_BY_LOWER_CASE; order++) {
			struct buf text = BUF_INIT;
			struct buf other = BUF_INIT;
			struct buf slow = BUF_INIT;
			sign_text(&text, p, sign_safe_sets[set], (enum sign_order)order);
			sign_text(&other, &turned, sign_safe_sets[set],
			    (enum sign_order)order);
			slow_text(&slow, p, sign_safe_sets[set],
			    order == SIGN_BY_LOWER_CASE);
			must(strcmp(buf_text(&text), buf_text(&other)) == 0,
			    "the order of sending counts: %s", buf_text(&text));
			must(strcmp(buf_text(&text), buf_text(&slow)) == 0,
			    "%s, slowly %s", buf_text(&text), buf_text(&slow));
			if (2 * set + (size_t)order == p->count % 8)
				signature_check(p, buf_text(&text));
			buf_done(&text);
			buf_done(&other);
			buf_done(&slow);
		}
}

static void
values_fit(const struct operation *op, const struct param_list *p)
{
	struct err e = ERR_INIT;

	if (!check_params(op, p, &e)) {
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
		return;
	}
	for (size_t i = 0; i < op->param_count; i++) {
		const struct op_param *param = &op->params[i];
		const char *v = check_value(param, p);
		struct instant t;
		must(v != NULL || (param->flags & REQUIRED) == 0 ||
			param->type == TYPE_MAP,
		    "%s is required", param->name);
		if (v == NULL)
			continue;
		must(strlen(v) <= param->length || param->type == TYPE_DATE ||
			param->type == TYPE_MAP,
		    "%s has %zu bytes", param->name, strlen(v));
		if (param->type == TYPE_UUID)
			must(strlen(v) == 36, "%s: %s", param->name, v);
		if (param->type == TYPE_LONG)
			must(strspn(v, "+-0123456789") == strlen(v) && strlen(v) <= 20,
			    "%s: %s", param->name, v);
		if (param->type == TYPE_INTEGER)
			must(strtoll(v, NULL, 10) >= INT32_MIN &&
				strtoll(v, NULL, 10) <= INT32_MAX &&
				strspn(v, "+-0123456789") == strlen(v),
			    "%s: %s", param->name, v);
		if (param->type == TYPE_BOOLEAN)
			must(strcmp(v, "true") == 0 || strcmp(v, "false") == 0, "%s", v);
		if (param->type == TYPE_DATE)
			must(instant_parse(&t, v, &e), "%s: %s", v, e.text);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	struct param_list *p = arena_alloc(arena, sizeof(*p));
	unsigned op = fuzz_choice(&data, &size, OP_COUNT);
	struct err e = ERR_INIT;

	p->arena = arena;
	if (params_query(p, (const char *)data, size, &e)) {
		list_sane(p);
		written_again(p);
		if (p->count <= 32)
			signatures(p);
		values_fit(&operations[op], p);
	} else
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
	arena_free(arena);
	return 0;
}
