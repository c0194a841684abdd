/* SPDX-License-Identifier: Apache-2.0 */
/* csv: comma-separated values as RFC 4180 has them, row by row */
#include "web/csv.h"
#include "base/buf.h"
#include "base/json.h"
#include <string.h>

void
csv_open(struct csv *c, struct arena *a, const char *text, size_t length)
{
	size_t mark = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	*c = (struct csv){ a, text, length, mark, 1 };
}

static bool
at_end(const struct csv *c)
{
	return c->at >= c->length;
}

static char
look(const struct csv *c)
{
	return at_end(c) ? '\n' : c->text[c->at];
}

/* The bytes of a line end here: 0, 1 (LF) or 2 (CRLF). */
static size_t
line_end(const struct csv *c)
{
	if (at_end(c))
		return 0;
	if (c->text[c->at] == '\n')
		return 1;
	return c->text[c->at] == '\r' && c->at + 1 < c->length &&
		c->text[c->at + 1] == '\n'
	    ? 2
	    : 0;
}

/* The character here goes to the field; *n: how many bytes it has. */
static bool
character(const struct csv *c, size_t *n, struct err *e)
{
	unsigned char byte = (unsigned char)c->text[c->at];

	if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f)
		return err_set(e, ERR_INPUT,
		    "line %u: the control character %u: take it out; is this a CSV file?",
		    c->line, byte);
	*n = utf8_length(c->text + c->at, c->length - c->at);
	return *n > 0 ||
	    err_set(e, ERR_INPUT, "line %u: this is not UTF-8: save the file as UTF-8",
		c->line);
}

/* After the opening quote, to behind the closing one. */
static bool
quoted(struct csv *c, struct buf *out, struct err *e)
{
	unsigned opened = c->line;
	size_t n = 0;

	for (;;) {
		if (at_end(c))
			return err_set(e, ERR_INPUT,
			    "line %u: a quote is opened and never closed: add the "
			    "closing "
			    "\", or write it twice if it is meant as a character",
			    opened);
		if (look(c) == '"') {
			c->at++;
			if (at_end(c) || look(c) != '"')
				return true;
		} else if (look(c) == '\n')
			c->line++;
		if (!character(c, &n, e))
			return false;
		buf_add(out, c->text + c->at, n);
		c->at += n;
	}
}

static bool
plain(struct csv *c, struct buf *out, struct err *e)
{
	size_t n = 0;

	while (!at_end(c) && look(c) != ',' && line_end(c) == 0) {
		if (look(c) == '"')
			return err_set(e, ERR_INPUT,
			    "line %u: a quote stands inside a field: put the whole field "
			    "in quotes and write those within twice",
			    c->line);
		if (!character(c, &n, e))
			return false;
		buf_add(out, c->text + c->at, n);
		c->at += n;
	}
	return true;
}

static bool
field(struct csv *c, struct csv_row *row, struct buf *out, struct err *e)
{
	buf_clear(out);
	if (row->count == CSV_COLUMNS_MAX)
		return err_set(e, ERR_INPUT, "line %u: it has more than %d columns",
		    c->line, CSV_COLUMNS_MAX);
	if (look(c) != '"' || at_end(c)) {
		if (!plain(c, out, e))
			return false;
	} else {
		c->at++;
		if (!quoted(c, out, e))
			return false;
		if (!at_end(c) && look(c) != ',' && line_end(c) == 0)
			return err_set(e, ERR_INPUT,
			    "line %u: text stands behind a closing quote: a comma is "
			    "missing, or a quote within the field is not there twice",
			    c->line);
	}
	row->fields[row->count++] = arena_strdup(c->arena, buf_text(out));
	return true;
}

static bool
fields(struct csv *c, struct csv_row *row, struct err *e)
{
	scoped(buf_done) struct buf out = BUF_INIT;

	row->count = 0;
	row->line = c->line;
	for (;;) {
		if (!field(c, row, &out, e))
			return false;
		if (at_end(c) || look(c) != ',')
			break;
		c->at++;
	}
	if (!at_end(c)) {
		c->at += line_end(c);
		c->line++;
	}
	return true;
}

bool
csv_next(struct csv *c, struct csv_row *row, bool *more, struct err *e)
{
	while (line_end(c) > 0) {
		c->at += line_end(c);
		c->line++;
	}
	*more = !at_end(c);
	return !*more || fields(c, row, e);
}
