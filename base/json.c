/* SPDX-License-Identifier: Apache-2.0 */
/* json: reading with cJSON behind a fence, writing as text; no amount is ever a double */
#include "base/json.h"
#include "base/mem.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * cJSON keeps numbers as double, where 9007199254740993 is wrong already.  So each number
 * token becomes a string that starts with U+0001 before cJSON sees it, and no number of
 * the text ever passes through a double.  A string of the text may not start so.
 */
#define NUMBER_MARK '\x01'
#define NUMBER_MARK_JSON "\\u0001"

struct json {
	cJSON *root;
};

/* jval is cJSON under another name: only this file knows. */
static const cJSON *
inside(const struct jval *v)
{
	return (const void *)v;
}

static const struct jval *
outside(const cJSON *v)
{
	return (const void *)v;
}

struct scan {
	const char *text;
	size_t length;
	size_t at;
	int depth;
	struct buf out;
	struct err *err;
};

static bool
scan_fail(struct scan *s, const char *what)
{
	int line = 1;
	int column = 1;

	for (size_t i = 0; i < s->at && i < s->length; i++) {
		column = s->text[i] == '\n' ? 1 : column + 1;
		line += s->text[i] == '\n';
	}
	return err_set(s->err, ERR_INPUT, "JSON, line %d, column %d: %s", line, column,
	    what);
}

size_t
utf8_length(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	unsigned code;

	if (n == 1)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
		return 0;
	code = p[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return n;
}

/*
 * Length of the escape at p, 0 when it is none.  cJSON takes \u with other digits than
 * hexadecimal ones for U+0000, and that one would end our text: what follows would be
 * lost in silence.
 */
static size_t
escape_length(const char *p, size_t left)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	if (left < 2 || strchr("\"\\/bfnrtu", p[1]) == NULL)
		return 0;
	if (p[1] != 'u')
		return 2;
	if (left < 6 || memcmp(p + 2, "0000", 4) == 0)
		return 0;
	for (size_t i = 2; i < 6; i++)
		if (strchr(hex, p[i]) == NULL)
			return 0;
	return 6;
}

static bool
scan_string(struct scan *s)
{
	size_t start = s->at++;

	while (s->at < s->length && s->text[s->at] != '"') {
		unsigned char c = (unsigned char)s->text[s->at];
		size_t n = 1;
		if (c < 0x20)
			return scan_fail(s, "control character in a string: escape it");
		if (c == '\\')
			n = escape_length(s->text + s->at, s->length - s->at);
		else
			n = utf8_length(s->text + s->at, s->length - s->at);
		if (n == 0)
			return scan_fail(s,
			    c == '\\' ? "an escape that JSON does not have, or U+0000"
				      : "text is not UTF-8");
		s->at += n;
	}
	if (s->at >= s->length)
		return scan_fail(s, "a string is not closed");
	s->at++;
	if (strncmp(s->text + start + 1, NUMBER_MARK_JSON, 6) == 0)
		return scan_fail(s, "a string may not start with U+0001");
	buf_add(&s->out, s->text + start, s->at - start);
	return true;
}

static size_t
digits_at(const struct scan *s, size_t at)
{
	size_t n = 0;

	while (at + n < s->length && s->text[at + n] >= '0' && s->text[at + n] <= '9')
		n++;
	return n;
}

/* The grammar of RFC 8259: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool
scan_number(struct scan *s)
{
	size_t start = s->at;
	size_t at = start + (s->text[start] == '-');
	size_t n = digits_at(s, at);

	if (n == 0 || (n > 1 && s->text[at] == '0'))
		return scan_fail(s, "not a number");
	at += n;
	if (at < s->length && s->text[at] == '.') {
		n = digits_at(s, at + 1);
		if (n == 0)
			return scan_fail(s, "a number ends in its point");
		at += n + 1;
	}
	if (at < s->length && (s->text[at] == 'e' || s->text[at] == 'E')) {
		size_t sign = at + 1 < s->length && strchr("+-", s->text[at + 1]) != NULL;
		n = digits_at(s, at + 1 + sign);
		if (n == 0)
			return scan_fail(s, "a number ends in its exponent");
		at += n + 1 + sign;
	}
	/* As a string it would pass for a key. */
	for (n = at; n < s->length && strchr(" \t\r\n", s->text[n]) != NULL;)
		n++;
	if (n < s->length && s->text[n] == ':')
		return scan_fail(s, "a key is a string: put it in quotes");
	buf_puts(&s->out, "\"" NUMBER_MARK_JSON);
	buf_add(&s->out, s->text + start, at - start);
	buf_putc(&s->out, '"');
	s->at = at;
	return true;
}

static bool
scan_token(struct scan *s)
{
	char c = s->text[s->at];

	if (c == '"')
		return scan_string(s);
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s);
	if (c == '{' || c == '[')
		s->depth++;
	if (c == '}' || c == ']')
		s->depth--;
	if (s->depth > JSON_DEPTH_MAX)
		return scan_fail(s, "more than 32 brackets inside each other");
	if ((unsigned char)c >= 0x80 ||
	    ((unsigned char)c < 0x20 && strchr("\t\r\n", c) == NULL))
		return scan_fail(s, "a character that has no place outside of strings");
	buf_putc(&s->out, c);
	s->at++;
	return true;
}

static bool
scan_all(struct scan *s)
{
	while (s->at < s->length)
		if (!scan_token(s))
			return false;
	return buf_ok(&s->out) || scan_fail(s, "too long");
}

static int
key_order(const void *a, const void *b)
{
	const char *const *x = a;
	const char *const *y = b;

	return strcmp(*x, *y);
}

/* The name of a key that an object has twice, or NULL. */
static const char *
key_twice(const cJSON *object)
{
	size_t count = (size_t)cJSON_GetArraySize(object);
	const char **names = mem_array(count, sizeof(*names));
	const char *twice = NULL;
	size_t n = 0;

	for (const cJSON *c = object->child; c != NULL; c = c->next)
		names[n++] = c->string;
	qsort(names, n, sizeof(*names), key_order);
	for (size_t i = 1; i < n && twice == NULL; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			twice = names[i];
	free(names);
	return twice;
}

static bool
keys_check(const cJSON *v, struct err *e)
{
	const char *twice = cJSON_IsObject(v) ? key_twice(v) : NULL;

	if (twice != NULL)
		return err_set(e, ERR_INPUT,
		    "JSON: key \"%.60s\" stands twice in one object", twice);
	for (const cJSON *c = v->child; c != NULL; c = c->next)
		if (!keys_check(c, e)) /* depth is bounded by the scan */
			return false;
	return true;
}

static bool
build(struct scan *s, cJSON **root)
{
	const char *end = NULL;

	*root = cJSON_ParseWithLengthOpts(s->out.data, s->out.length + 1, &end, 1);
	if (*root != NULL)
		return true;
	s->at = s->length; /* cJSON's place is in our rewritten text: say only that it
			      failed */
	return err_set(s->err, ERR_INPUT,
	    "JSON: a comma, colon or bracket is missing or too much%s",
	    s->depth != 0 ? " (brackets do not match)" : "");
}

bool
json_parse(struct json **out, const char *text, size_t length, struct err *e)
{
	struct scan s = { .text = text, .length = length, .out = BUF_INIT, .err = e };
	cJSON *root = NULL;
	bool ok;

	if (length > JSON_BYTES_MAX)
		return err_set(e, ERR_INPUT, "JSON of more than %zu MiB",
		    JSON_BYTES_MAX >> 20);
	/* None below needs to know that strchr() finds a NUL in every text. */
	if (length > 0 && memchr(text, '\0', length) != NULL)
		return err_set(e, ERR_INPUT, "JSON: a NUL byte in the text");
	buf_puts(&s.out, "");
	ok = scan_all(&s) && build(&s, &root) && keys_check(root, e);
	buf_done(&s.out);
	if (!ok) {
		cJSON_Delete(root);
		return false;
	}
	*out = mem_alloc(sizeof(**out));
	(*out)->root = root;
	return true;
}

void
json_free(struct json *doc)
{
	if (doc == NULL)
		return;
	cJSON_Delete(doc->root);
	free(doc);
}

const struct jval *
json_root(const struct json *doc)
{
	return outside(doc->root);
}

enum json_type
json_type(const struct jval *v)
{
	const cJSON *c = inside(v);

	if (c == NULL)
		return JSON_ABSENT;
	if (cJSON_IsString(c))
		return c->valuestring[0] == NUMBER_MARK ? JSON_NUMBER : JSON_STRING;
	if (cJSON_IsBool(c))
		return JSON_BOOL;
	if (cJSON_IsArray(c))
		return JSON_ARRAY;
	return cJSON_IsObject(c) ? JSON_OBJECT : JSON_NULL;
}

const struct jval *
json_get(const struct jval *object, const char *key)
{
	if (json_type(object) != JSON_OBJECT)
		return NULL;
	return outside(cJSON_GetObjectItemCaseSensitive(inside(object), key));
}

size_t
json_count(const struct jval *v)
{
	return v == NULL ? 0 : (size_t)cJSON_GetArraySize(inside(v));
}

const struct jval *
json_at(const struct jval *v, size_t index)
{
	return v == NULL ? NULL : outside(cJSON_GetArrayItem(inside(v), (int)index));
}

const char *
json_key_at(const struct jval *object, size_t index)
{
	const struct jval *v = json_at(object, index);

	return v == NULL ? NULL : json_name(v);
}

const struct jval *
json_first(const struct jval *v)
{
	return v == NULL ? NULL : outside(inside(v)->child);
}

const struct jval *
json_next(const struct jval *v)
{
	return outside(inside(v)->next);
}

const char *
json_name(const struct jval *member)
{
	return inside(member)->string;
}

const char *
json_text(const struct jval *v)
{
	const cJSON *c = inside(v);

	if (c == NULL || !cJSON_IsString(c))
		return NULL;
	return c->valuestring + (c->valuestring[0] == NUMBER_MARK);
}

bool
json_bool(const struct jval *v, bool otherwise)
{
	if (json_type(v) != JSON_BOOL)
		return otherwise;
	return cJSON_IsTrue(inside(v)) != 0;
}

bool
json_i64(int64_t *out, const struct jval *v, struct err *e)
{
	const char *text = json_text(v);
	char *end = NULL;
	long long n;

	if (text == NULL || text[strspn(text, "-0123456789")] != '\0' || text[0] == '\0')
		return err_set(e, ERR_INPUT, "\"%.40s\" is no whole number",
		    text != NULL ? text : "(absent)");
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return err_set(e, ERR_INPUT, "%.40s is too large a number", text);
	*out = n;
	return true;
}

void
json_escape(struct buf *to, const char *text)
{
	const char *p = text;
	size_t left = strlen(text);

	buf_putc(to, '"');
	while (left != 0) {
		size_t n = utf8_length(p, left);
		bool mark = *p == NUMBER_MARK && (const char *)p == text;
		if (n == 0 || mark) /* our own reader keeps that one for numbers */
			buf_puts(to, "\xef\xbf\xbd");
		else if (*p == '"' || *p == '\\')
			buf_printf(to, "\\%c", *p);
		else if (*p == '\n')
			buf_puts(to, "\\n");
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			buf_printf(to, "\\u%04x", (unsigned char)*p);
		else
			buf_add(to, p, n);
		n = n == 0 ? 1 : n;
		p += n;
		left -= n;
	}
	buf_putc(to, '"');
}

static void
lead_in(struct jout *j, const char *key)
{
	if (j->comma)
		buf_putc(j->to, ',');
	j->comma = true;
	if (key == NULL)
		return;
	json_escape(j->to, key);
	buf_putc(j->to, ':');
}

void
jout_open(struct jout *j, const char *key, char bracket)
{
	lead_in(j, key);
	buf_putc(j->to, bracket);
	j->comma = false;
}

void
jout_close(struct jout *j, char bracket)
{
	buf_putc(j->to, bracket);
	j->comma = true;
}

void
jout_string(struct jout *j, const char *key, const char *text)
{
	if (text == NULL)
		return;
	lead_in(j, key);
	json_escape(j->to, text);
}

void
jout_number(struct jout *j, const char *key, int64_t number)
{
	lead_in(j, key);
	buf_printf(j->to, "%lld", (long long)number);
}

void
jout_u64_string(struct jout *j, const char *key, uint64_t number)
{
	lead_in(j, key);
	buf_printf(j->to, "\"%llu\"", (unsigned long long)number);
}

void
jout_bool(struct jout *j, const char *key, bool value)
{
	lead_in(j, key);
	buf_puts(j->to, value ? "true" : "false");
}

void
jout_raw(struct jout *j, const char *key, const char *json)
{
	lead_in(j, key);
	buf_puts(j->to, json);
}

void
json_write(struct buf *to, const struct jval *v)
{
	bool object = json_type(v) == JSON_OBJECT;
	bool first = true;

	switch (json_type(v)) {
	case JSON_STRING:
		json_escape(to, json_text(v));
		return;
	case JSON_NUMBER:
		buf_puts(to, json_text(v));
		return;
	case JSON_BOOL:
		buf_puts(to, json_bool(v, false) ? "true" : "false");
		return;
	case JSON_ABSENT:
	case JSON_NULL:
		buf_puts(to, "null");
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	buf_putc(to, object ? '{' : '[');
	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m)) {
		if (!first)
			buf_putc(to, ',');
		first = false;
		if (object) {
			json_escape(to, json_name(m));
			buf_putc(to, ':');
		}
		json_write(to, m);
	}
	buf_putc(to, object ? '}' : ']');
}
