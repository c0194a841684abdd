/* SPDX-License-Identifier: Apache-2.0 */
/* json_place: where in a JSON text something stands */
#include "billing/json_place.h"
#include "base/json.h"
#include <stdio.h>
#include <string.h>

#define PATH_MOST 512

/* A walk over the text; deepest is the longest part of the wanted path that was met. */
struct walk {
	const char *text;
	size_t length;
	size_t at;
	size_t line;
	size_t line_start;
	bool broken;
	const char *twice; /* a key that no object may have twice; NULL: not looked for */
	const char *wanted;
	char path[PATH_MOST];
	size_t depth;
	size_t best_length;
	struct text_at best;
};

static bool walk_value(struct walk *w);

size_t
text_column(const char *line, size_t bytes)
{
	size_t column = 1;

	for (size_t i = 0; i < bytes; i++)
		column += ((unsigned char)line[i] & 0xc0) != 0x80 ? 1 : 0;
	return column;
}

static struct text_at
present(const struct walk *w)
{
	return (struct text_at){ w->line,
		text_column(w->text + w->line_start, w->at - w->line_start) };
}

static void
blanks_skip(struct walk *w)
{
	for (; w->at < w->length && strchr(" \t\r\n", w->text[w->at]) != NULL; w->at++)
		if (w->text[w->at] == '\n') {
			w->line++;
			w->line_start = w->at + 1;
		}
}

static bool
next_is(struct walk *w, char c)
{
	blanks_skip(w);
	if (w->at >= w->length || w->text[w->at] != c)
		return false;
	w->at++;
	return true;
}

static bool
broken(struct walk *w)
{
	w->broken = true;
	return false;
}

/* The bytes of a string without its quotes; escapes stay as they are. */
static bool
walk_string(struct walk *w, size_t *start, size_t *length)
{
	if (!next_is(w, '"'))
		return broken(w);
	*start = w->at;
	while (w->at < w->length && w->text[w->at] != '"' && w->text[w->at] != '\n')
		w->at += w->text[w->at] == '\\' ? 2 : 1;
	if (w->at >= w->length || w->text[w->at] != '"')
		return broken(w);
	*length = w->at - *start;
	w->at++;
	return true;
}

/* A wanted path begins with the present one, and goes on at a point or bracket. */
static void
place_note(struct walk *w)
{
	size_t n = strlen(w->path);
	char next;

	if (n < w->best_length || strncmp(w->wanted, w->path, n) != 0)
		return;
	next = w->wanted[n];
	if (n > 0 && next != '\0' && next != '.' && next != '[')
		return;
	w->best_length = n;
	w->best = present(w);
}

/* Counts how often the key came that may not come twice. */
static bool
key_again(const struct walk *w, const char *key, size_t length, unsigned *times)
{
	if (w->twice == NULL || strlen(w->twice) != length ||
	    memcmp(w->twice, key, length) != 0)
		return false;
	return ++*times > 1;
}

static bool
walk_member(struct walk *w, size_t outer, unsigned *times)
{
	size_t start;
	size_t length;

	if (!walk_string(w, &start, &length))
		return false;
	if (key_again(w, w->text + start, length, times)) {
		w->at = start - 1;
		return broken(w);
	}
	(void)snprintf(w->path + outer, sizeof(w->path) - outer, "%s%.*s",
	    outer == 0 ? "" : ".", (int)(length < 100 ? length : 100), w->text + start);
	if (!next_is(w, ':'))
		return broken(w);
	return walk_value(w);
}

static bool
walk_item(struct walk *w, size_t outer, size_t place)
{
	(void)snprintf(w->path + outer, sizeof(w->path) - outer, "[%zu]", place);
	return walk_value(w);
}

/* Members or items, with commas between them and none at the end. */
static bool
walk_list(struct walk *w, char close)
{
	size_t outer = strlen(w->path);
	size_t place = 0;
	unsigned times = 0;

	if (outer > PATH_MOST - 140 || ++w->depth > JSON_DEPTH_MAX)
		return broken(w);
	if (!next_is(w, close)) {
		do {
			if (close == '}' ? !walk_member(w, outer, &times)
					 : !walk_item(w, outer, place++))
				return false;
			w->path[outer] = '\0';
		} while (next_is(w, ','));
		if (!next_is(w, close))
			return broken(w);
	}
	w->depth--;
	return true;
}

static bool
walk_word(struct walk *w)
{
	size_t n = 0;

	while (w->at + n < w->length && strchr(" \t\r\n,]}:", w->text[w->at + n]) == NULL)
		n++;
	if (n == 0 || strchr("{[\"", w->text[w->at]) != NULL)
		return broken(w);
	w->at += n;
	return true;
}

static bool
walk_value(struct walk *w)
{
	size_t start;
	size_t length;

	blanks_skip(w);
	place_note(w);
	if (w->at >= w->length)
		return broken(w);
	if (w->text[w->at] == '"')
		return walk_string(w, &start, &length);
	if (next_is(w, '{'))
		return walk_list(w, '}');
	if (next_is(w, '['))
		return walk_list(w, ']');
	return walk_word(w);
}

static struct walk
walk_over(const char *text, size_t length, const char *wanted, const char *twice)
{
	struct walk w = { .text = text,
		.length = length,
		.line = 1,
		.wanted = wanted,
		.twice = twice,
		.best = { 1, 1 } };

	if (walk_value(&w)) {
		blanks_skip(&w);
		w.broken = w.at < w.length;
	}
	return w;
}

struct text_at
json_place_of(const char *text, size_t length, const char *path)
{
	return walk_over(text, length, path, NULL).best;
}

struct text_at
json_place_broken(const char *text, size_t length, const char *twice)
{
	struct walk w = walk_over(text, length, "\x01", twice);

	return w.broken ? present(&w) : (struct text_at){ 0, 0 };
}
