/* SPDX-License-Identifier: Apache-2.0 */
/* buf: text or bytes that grow, with a limit and a sticky overflow flag */
#include "base/buf.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
room_for(struct buf *b, size_t more)
{
	size_t limit = b->limit != 0 ? b->limit : BUF_LIMIT;
	size_t capacity;

	if (more > limit || b->length > limit - more) {
		b->overflow = true;
		return false;
	}
	if (b->length + more + 1 <= b->capacity)
		return true;
	capacity = b->capacity != 0 ? b->capacity * 2 : 256;
	if (capacity < b->length + more + 1)
		capacity = b->length + more + 1;
	b->data = mem_resize(b->data, capacity, 1);
	b->capacity = capacity;
	return true;
}

void
buf_add(struct buf *b, const void *bytes, size_t length)
{
	if (!room_for(b, length))
		return;
	if (length != 0)
		memcpy(b->data + b->length, bytes, length);
	b->length += length;
	b->data[b->length] = '\0';
}

void
buf_puts(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_putc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !room_for(b, (size_t)n)) {
		b->overflow = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->length, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->length += (size_t)n;
}

void
buf_clear(struct buf *b)
{
	b->length = 0;
	b->overflow = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void
buf_done(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->length = 0;
	b->capacity = 0;
	b->overflow = false;
}

bool
buf_ok(const struct buf *b)
{
	return !b->overflow;
}

const char *
buf_text(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}

char *
buf_take(struct buf *b)
{
	char *data = b->data != NULL ? b->data : mem_strdup("");

	b->data = NULL;
	buf_done(b);
	return data;
}
