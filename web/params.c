/* SPDX-License-Identifier: Apache-2.0 */
/* params: what a call carries, from a query string, a form or a JSON body */
#include "web/params.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, DAY_LENGTH = 10, SECONDS_LENGTH = 19 };

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of "%41", or -1. */
static int
percent_byte(const char *text, size_t left)
{
	int high;
	int low;

	if (left < 3)
		return -1;
	high = hex_value(text[1]);
	low = hex_value(text[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

char *
percent_decode(struct arena *a, const char *text, size_t length)
{
	char *out = arena_alloc(a, length + 1);
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		int c = text[i] == '+' ? ' ' : (unsigned char)text[i];
		if (c == '%') {
			c = percent_byte(text + i, length - i);
			i += 2;
		}
		if (c <= 0)
			return NULL;
		out[n++] = (char)c;
	}
	return out;
}

static const char *
lower_of(struct arena *a, const char *name)
{
	char *copy = arena_strdup(a, name);

	for (char *c = copy; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

/* name and value belong to the arena already. */
static bool
param_put(struct param_list *p, const char *name, const char *value, struct err *e)
{
	const char *lower;

	if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
		return err_set(e, ERR_INPUT,
		    "a parameter's name is empty or longer than %d bytes",
		    NAME_MAX_BYTES);
	lower = lower_of(p->arena, name);
	if (params_get(p, lower) != NULL)
		return true;
	if (p->count == PARAMS_MAX)
		return err_set(e, ERR_INPUT, "more than %d parameters", PARAMS_MAX);
	p->list[p->count++] = (struct param){ name, lower, value };
	return true;
}

bool
params_add(struct param_list *p, const char *name, const char *value, struct err *e)
{
	return param_put(p, arena_strdup(p->arena, name), arena_strdup(p->arena, value),
	    e);
}

static bool
pair_read(struct param_list *p, const char *text, size_t length, struct err *e)
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals != NULL ? (size_t)(equals - text) : length;
	size_t skip = equals != NULL ? name_length + 1 : length;
	const char *name = percent_decode(p->arena, text, name_length);
	const char *value = percent_decode(p->arena, text + skip, length - skip);

	if (name == NULL || value == NULL)
		return err_set(e, ERR_INPUT,
		    "parameter %zu is not percent-encoded as it must be", p->count + 1);
	return param_put(p, name, value, e);
}

bool
params_query(struct param_list *p, const char *text, size_t length, struct err *e)
{
	while (length > 0) {
		const char *end = memchr(text, '&', length);
		size_t piece = end != NULL ? (size_t)(end - text) : length;
		if (piece > 0 && !pair_read(p, text, piece, e))
			return false;
		if (end == NULL)
			return true;
		text += piece + 1;
		length -= piece + 1;
	}
	return true;
}

const char *
params_get(const struct param_list *p, const char *lower_name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->list[i].lower, lower_name) == 0)
			return p->list[i].value;
	return NULL;
}

/* A value as text: strings as they are, everything else as JSON. */
static const char *
value_text(struct arena *a, const struct jval *v)
{
	struct buf b = BUF_INIT;
	const char *text;

	if (json_type(v) == JSON_STRING)
		return arena_strdup(a, json_text(v));
	json_write(&b, v);
	text = arena_strdup(a, buf_text(&b));
	buf_done(&b);
	return text;
}

static const char *
array_text(struct arena *a, const struct jval *array)
{
	struct buf b = BUF_INIT;
	const char *text;

	for (const struct jval *m = json_first(array); m != NULL; m = json_next(m)) {
		if (m != json_first(array))
			buf_putc(&b, ',');
		buf_puts(&b, value_text(a, m));
	}
	text = arena_strdup(a, buf_text(&b));
	buf_done(&b);
	return text;
}

/* Only of small objects: a price list of 1000 keys is one value, not 1000 parameters. */
static bool
map_add(struct param_list *p, const char *name, const struct jval *object, struct err *e)
{
	if (json_count(object) > 32)
		return true;
	for (const struct jval *m = json_first(object); m != NULL; m = json_next(m)) {
		if (json_type(m) == JSON_OBJECT || json_type(m) == JSON_ARRAY)
			continue;
		if (!param_put(p, arena_printf(p->arena, "%s[0].%s", name, json_name(m)),
			value_text(p->arena, m), e))
			return false;
	}
	return true;
}

static bool
holds_objects(const struct jval *array)
{
	for (const struct jval *m = json_first(array); m != NULL; m = json_next(m))
		if (json_type(m) == JSON_OBJECT)
			return true;
	return false;
}

static bool
member_add(struct param_list *p, const struct jval *m, struct err *e)
{
	const char *name = arena_strdup(p->arena, json_name(m));

	if (json_type(m) == JSON_NULL)
		return true;
	if (json_type(m) == JSON_ARRAY && !holds_objects(m))
		return param_put(p, name, array_text(p->arena, m), e);
	if (!param_put(p, name, value_text(p->arena, m), e))
		return false;
	return json_type(m) != JSON_OBJECT || map_add(p, name, m, e);
}

bool
params_json(struct param_list *p, const char *text, size_t length, struct err *e)
{
	struct json *doc = NULL;
	bool ok = true;

	if (!json_parse(&doc, text, length, e))
		return err_wrap(e, "body");
	if (json_type(json_root(doc)) != JSON_OBJECT)
		ok = err_set(e, ERR_INPUT, "body: a JSON object is wanted here");
	for (const struct jval *m = json_first(json_root(doc)); ok && m != NULL;
	     m = json_next(m))
		ok = member_add(p, m, e);
	json_free(doc);
	return ok;
}

/* "details[7].key" -> the length of "details[7]." if it belongs to that map, else 0. */
static size_t
map_prefix(const char *name, const char *map)
{
	size_t n = strlen(map);

	if (strncmp(name, map, n) != 0 || name[n] != '[')
		return 0;
	n++;
	while (isdigit((unsigned char)name[n]))
		n++;
	return name[n] == ']' && name[n + 1] == '.' ? n + 2 : 0;
}

const char *
params_map_get(const struct param_list *p, const char *map, const char *key)
{
	char value_name[NAME_MAX_BYTES + 8];

	for (size_t i = 0; i < p->count; i++) {
		const char *name = p->list[i].lower;
		size_t prefix = map_prefix(name, map);
		if (prefix == 0)
			continue;
		if (strcmp(name + prefix, key) == 0)
			return p->list[i].value;
		if (strcmp(name + prefix, "key") != 0 ||
		    strcasecmp(p->list[i].value, key) != 0)
			continue;
		(void)snprintf(value_name, sizeof(value_name), "%.*svalue", (int)prefix,
		    name);
		return params_get(p, value_name);
	}
	return NULL;
}

bool
date_read(struct instant *t, const char *text, bool end, struct err *e)
{
	char full[48];
	size_t length = strlen(text);
	struct err ignored = ERR_INIT;
	const char *zone;

	if (length > 40)
		return err_set(e, ERR_INPUT, "a date has 40 characters at most");
	if (length == DAY_LENGTH) {
		(void)snprintf(full, sizeof(full), "%sT00:00:00Z", text);
		if (!instant_parse(t, full, e))
			return false;
		if (end)
			t->ns += INT64_C(86400) * NS_PER_S;
		return true;
	}
	zone = length > SECONDS_LENGTH ? text + SECONDS_LENGTH : "";
	zone += strcspn(zone, "+-Zz");
	if (zone[0] == '\0')
		(void)snprintf(full, sizeof(full), "%sZ", text);
	else if (zone[0] != 'Z' && zone[0] != 'z' && strlen(zone) == 5)
		(void)snprintf(full, sizeof(full), "%.*s%.3s:%s", (int)(zone - text),
		    text, zone, zone + 3);
	else
		(void)snprintf(full, sizeof(full), "%s", text);
	if (instant_parse(t, full, &ignored))
		return true;
	return err_set(e, ERR_INPUT,
	    "%.40s is no date: write 2026-11-21, or 2026-11-21T04:17:00+0000", text);
}
