/* SPDX-License-Identifier: Apache-2.0 */
/* line: values as a line with tabs, as they go to the spool and between threads */
#include "meter/line.h"
#include <string.h>

static void
tab(struct buf *b)
{
	if (b->length > 0 && b->data[b->length - 1] != '\n')
		buf_putc(b, '\t');
}

void
line_text(struct buf *b, const char *value)
{
	tab(b);
	if (value == NULL) {
		buf_puts(b, "\\N");
		return;
	}
	if (value[strcspn(value, "\t\n\\")] == '\0') {
		buf_puts(b, value); /* mostly there is nothing to escape */
		return;
	}
	for (const char *p = value; *p != '\0'; p++)
		switch (*p) {
		case '\t':
			buf_puts(b, "\\t");
			break;
		case '\n':
			buf_puts(b, "\\n");
			break;
		case '\\':
			buf_puts(b, "\\\\");
			break;
		default:
			buf_putc(b, *p);
		}
}

void
line_digits(struct buf *b, uint64_t value)
{
	char text[20]; /* of 2^64 - 1 */
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	buf_add(b, text + at, sizeof(text) - at);
}

void
line_number(struct buf *b, int64_t value)
{
	tab(b);
	if (value < 0)
		buf_putc(b, '-');
	line_digits(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void
line_u64(struct buf *b, uint64_t value)
{
	tab(b);
	line_digits(b, value);
}

void
line_u64_or_null(struct buf *b, uint64_t value, bool has)
{
	if (has)
		line_u64(b, value);
	else
		line_text(b, NULL);
}

static void
unescape(char *text)
{
	char *out = strchr(text, '\\');

	for (char *in = out; in != NULL && *in != '\0'; in++) {
		if (*in == '\\' && in[1] != '\0') {
			in++;
			*out++ = (char)(*in == 't' ? '\t' : *in == 'n' ? '\n' : *in);
		} else
			*out++ = *in;
	}
	if (out != NULL)
		*out = '\0';
}

size_t
line_split(char *line, char **values, size_t most)
{
	size_t n = 0;

	while (line != NULL) {
		char *value = strsep(&line, "\t");
		if (n++ >= most)
			continue;
		values[n - 1] = strcmp(value, "\\N") == 0 ? NULL : value;
		if (values[n - 1] != NULL)
			unescape(value);
	}
	return n;
}
