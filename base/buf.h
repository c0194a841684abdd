/* SPDX-License-Identifier: Apache-2.0 */
/* buf: text or bytes that grow, with a limit and a sticky overflow flag */
#pragma once
#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * Appending past the limit sets overflow and keeps what is there; ask once at
 * the end with buf_ok().  The data is always NUL-terminated (the NUL is not in
 * length), so data may be read as a string.
 */
struct buf {
	char *data;
	size_t length;
	size_t capacity;
	size_t limit; /* bytes at most; 0: BUF_LIMIT */
	bool overflow;
};

#define BUF_LIMIT ((size_t)64 * 1024 * 1024)
#define BUF_INIT                                                                         \
	{                                                                                \
		.data = NULL, .length = 0, .capacity = 0, .limit = 0, .overflow = false  \
	}

void buf_add(struct buf *b, const void *bytes, size_t length);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
void buf_clear(struct buf *b); /* empty, memory kept */
void buf_done(struct buf *b);  /* memory gone; also for scoped(buf_done) */
bool buf_ok(const struct buf *b);
const char *buf_text(const struct buf *b); /* never NULL */
/* Hands the memory over to the caller (free()); the buffer is empty after. */
char *buf_take(struct buf *b) must_check;
