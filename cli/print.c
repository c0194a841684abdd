/* SPDX-License-Identifier: Apache-2.0 */
/* print: tables that line up in any script, JSON, and errors in three lines */
#include "base/mem.h"
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

enum { COLUMNS_MOST = 16, NAME_MOST = 32 };

/* Hangul and other wide characters take two columns. */
size_t
text_width(const char *utf8)
{
	mbstate_t state = { 0 };
	size_t width = 0;
	wchar_t wide;
	size_t n;

	while (*utf8 != '\0') {
		n = mbrtowc(&wide, utf8, 8, &state);
		if (n == 0 || n > 8) {
			memset(&state, 0, sizeof(state));
			utf8++;
			width++;
			continue;
		}
		utf8 += n;
		int w = wcwidth(wide);
		width += w > 0 ? (size_t)w : 0;
	}
	return width;
}

char *
text_tame(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
		if (*p == '\n' || *p == '\t')
			*p = ' ';
		else if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (c1)
			p[0] = p[1] = '?';
	}
	return text;
}

struct columns {
	char names[COLUMNS_MOST][NAME_MOST];
	size_t width[COLUMNS_MOST];
	bool used[COLUMNS_MOST];
	size_t count;
};

static char *
cell(const struct jval *row, const char *name)
{
	const char *point = strchr(name, '.'); /* "resource.name": of the object inside */
	scoped_free char *outer = mem_strndup(name,
	    point != NULL ? (size_t)(point - name) : strlen(name));
	const struct jval *v = json_get(row, outer);
	struct buf b = BUF_INIT;

	if (point != NULL)
		v = json_get(v, point + 1);

	if (json_type(v) == JSON_STRING || json_type(v) == JSON_NUMBER)
		return text_tame(mem_strdup(json_text(v)));
	if (json_type(v) == JSON_BOOL)
		return mem_strdup(json_bool(v, false) ? "yes" : "");
	if (v != NULL && json_type(v) != JSON_NULL)
		json_write(&b, v);
	return text_tame(buf_take(&b));
}

static void
columns_measure(struct columns *c, const char *list, const struct jval *rows)
{
	memset(c, 0, sizeof(*c));
	for (const char *p = list; *p != '\0' && c->count < COLUMNS_MOST;) {
		size_t n = strcspn(p, " ");
		(void)snprintf(c->names[c->count], NAME_MOST, "%.*s", (int)n, p);
		c->width[c->count] = n;
		c->count++;
		p += n + strspn(p + n, " ");
	}
	for (const struct jval *row = json_first(rows); row != NULL; row = json_next(row))
		for (size_t i = 0; i < c->count; i++) {
			scoped_free char *text = cell(row, c->names[i]);
			size_t w = text_width(text);
			c->used[i] = c->used[i] || w > 0;
			if (w > c->width[i])
				c->width[i] = w;
		}
}

static void
pad(size_t n)
{
	while (n-- > 0)
		(void)putchar(' ');
}

/* Columns that are empty in every row are left out: less to read. */
void
print_table(const struct jval *rows, const char *list, bool color)
{
	struct columns c;

	columns_measure(&c, list, rows);
	if (json_first(rows) == NULL) {
		(void)fputs("nothing there yet\n", stderr);
		return;
	}
	(void)fputs(color ? "\033[1m" : "", stdout);
	for (size_t i = 0; i < c.count; i++)
		if (c.used[i]) {
			(void)fputs(c.names[i], stdout);
			pad(c.width[i] - strlen(c.names[i]) + 2);
		}
	(void)puts(color ? "\033[0m" : "");
	for (const struct jval *row = json_first(rows); row != NULL;
	     row = json_next(row)) {
		for (size_t i = 0; i < c.count; i++) {
			scoped_free char *text = cell(row, c.names[i]);
			if (!c.used[i])
				continue;
			(void)fputs(text, stdout);
			pad(c.width[i] - text_width(text) + 2);
		}
		(void)putchar('\n');
	}
}

const char *
advice(enum err_kind kind, const char *otherwise)
{
	if (kind == ERR_GONE)
		return "jeoul doctor";
	if (kind == ERR_DENIED && geteuid() != 0)
		return "the same with sudo, or with a user's JEOUL_API_KEY and "
		       "JEOUL_SECRET_KEY";
	return otherwise;
}

void
print_error(const char *what, const char *why, const char *try_this)
{
	scoped_free char *told = text_tame(mem_strdup(why));

	(void)fprintf(stderr, "error: %s\nwhy:   %s\ntry:   %s\n", what, told, try_this);
}

int
exit_code_of(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return EXIT_OK;
	case ERR_INPUT:
		return EXIT_USAGE;
	case ERR_NOT_FOUND:
		return EXIT_NOT_FOUND;
	case ERR_CONFLICT:
	case ERR_LIMIT:
		return EXIT_CONFLICT;
	case ERR_DENIED:
		return EXIT_DENIED;
	case ERR_GONE:
	case ERR_AGAIN:
		return EXIT_UNREACHABLE;
	case ERR_INTERNAL:
	default:
		return EXIT_FAILED;
	}
}
