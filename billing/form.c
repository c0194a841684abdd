/* SPDX-License-Identifier: Apache-2.0 */
/* form: reading objects of a JSON document with a known set of keys */
#include "billing/form.h"
#include <string.h>

#define TEXT_MAX 1000

static void
words_list(struct buf *b, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		buf_printf(b, "%s%s", i == 0 ? "" : ", ", words[i]);
}

static bool
word_known(const char *const *words, const char *word)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

bool
form_open(struct form *f, const struct jval *object, const char *path,
    const char *const *keys, struct err *e)
{
	if (json_type(object) != JSON_OBJECT)
		return err_set(e, ERR_INPUT,
		    "%s: an object {...} belongs here; write its keys in braces", path);
	for (const struct jval *v = json_first(object); v != NULL; v = json_next(v)) {
		scoped(buf_done) struct buf known = BUF_INIT;

		if (word_known(keys, json_name(v)))
			continue;
		words_list(&known, keys);
		return err_set(e, ERR_NOT_FOUND,
		    "%s: unknown key \"%.60s\"; remove it or use one of: %s", path,
		    json_name(v), buf_text(&known));
	}
	*f = (struct form){ object, path };
	return true;
}

bool
form_has(const struct form *f, const char *key)
{
	enum json_type type = json_type(json_get(f->object, key));

	return type != JSON_ABSENT && type != JSON_NULL;
}

bool
form_need(const struct form *f, const char *key, const char *example, struct err *e)
{
	if (form_has(f, key))
		return true;
	return err_set(e, ERR_INPUT, "%s: \"%s\" is missing; add for example %s", f->path,
	    key, example);
}

bool
form_text(const struct form *f, struct arena *a, const char *key, const char **out,
    struct err *e)
{
	const struct jval *v = json_get(f->object, key);

	if (!form_has(f, key))
		return true;
	if (json_type(v) != JSON_STRING || strlen(json_text(v)) > TEXT_MAX)
		return err_set(e, ERR_INPUT,
		    "%s.%s: a string of at most %d bytes belongs here; put it in quotes",
		    f->path, key, TEXT_MAX);
	*out = arena_strdup(a, json_text(v));
	return true;
}

/* A JSON number with a point may have lost digits before it came here: refused. */
bool
form_exact(const struct form *f, const char *key, mpq_t out, struct err *e)
{
	const struct jval *v = json_get(f->object, key);
	const char *text = json_text(v);

	if (!form_has(f, key))
		return true;
	if (text == NULL || (json_type(v) == JSON_NUMBER && strpbrk(text, ".eE") != NULL))
		return err_set(e, ERR_INPUT,
		    "%s.%s: a bare number may have lost digits; write the number as a "
		    "string, as in \"0.05\"",
		    f->path, key);
	if (!rat_parse(out, text, e))
		return err_wrap(e, "%s.%s", f->path, key);
	return true;
}

bool
form_exact_positive(const struct form *f, const char *key, mpq_t out, struct err *e)
{
	if (!form_exact(f, key, out, e))
		return false;
	if (form_has(f, key) && mpq_sgn(out) <= 0)
		return err_set(e, ERR_INPUT,
		    "%s.%s: must be more than 0; write a larger number", f->path, key);
	return true;
}

bool
form_instant(const struct form *f, const char *key, struct instant *out, struct err *e)
{
	const struct jval *v = json_get(f->object, key);

	if (!form_has(f, key))
		return true;
	if (json_type(v) != JSON_STRING)
		return err_set(e, ERR_INPUT,
		    "%s.%s: this is no time; write a time as \"2024-03-01T00:00:00Z\"",
		    f->path, key);
	if (!instant_parse(out, json_text(v), e))
		return err_set(e, ERR_INPUT,
		    "%s.%s: \"%.60s\" is no time; write it as \"2024-03-01T00:00:00Z\"",
		    f->path, key, json_text(v));
	return true;
}

bool
form_whole(const struct form *f, const char *key, int64_t *out, int64_t least,
    int64_t most, struct err *e)
{
	int64_t value;

	if (!form_has(f, key))
		return true;
	if (!json_i64(&value, json_get(f->object, key), e))
		return err_wrap(e, "%s.%s", f->path, key);
	if (value < least || value > most)
		return err_set(e, ERR_INPUT,
		    "%s.%s: must be from %lld to %lld; write a whole number", f->path,
		    key, (long long)least, (long long)most);
	*out = value;
	return true;
}

bool
form_choice(const struct form *f, const char *key, const char *const *words, int *out,
    struct err *e)
{
	scoped(buf_done) struct buf known = BUF_INIT;
	const struct jval *v = json_get(f->object, key);

	if (!form_has(f, key))
		return true;
	for (int i = 0; json_type(v) == JSON_STRING && words[i] != NULL; i++) {
		if (strcmp(words[i], json_text(v)) == 0) {
			*out = i;
			return true;
		}
	}
	words_list(&known, words);
	return err_set(e, ERR_NOT_FOUND, "%s.%s: unknown word \"%.60s\"; use one of: %s",
	    f->path, key, json_text(v) == NULL ? "?" : json_text(v), buf_text(&known));
}

static int
digits_value(const char *text, size_t count)
{
	int value = 0;

	for (size_t i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool
date_exists(const char *text)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year;
	int month;
	int day;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
		return false;
	year = digits_value(text, 4);
	month = digits_value(text + 5, 2);
	day = digits_value(text + 8, 2);
	if (year < 1970 || year > 2200 || month < 1 || month > 12)
		return false;
	if (month == 2 && day == 29)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return day >= 1 && day <= days[month - 1];
}

bool
form_date(const struct form *f, struct arena *a, const char *key, const char **out,
    struct err *e)
{
	const struct jval *v = json_get(f->object, key);

	if (!form_has(f, key))
		return true;
	if (json_type(v) != JSON_STRING || !date_exists(json_text(v)))
		return err_set(e, ERR_INPUT,
		    "%s.%s: this is no date; write an existing date as \"2024-07-01\"",
		    f->path, key);
	*out = arena_strdup(a, json_text(v));
	return true;
}
