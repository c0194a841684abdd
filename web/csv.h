/* SPDX-License-Identifier: Apache-2.0 */
/* csv: comma-separated values as RFC 4180 has them, row by row */
#pragma once
#include "base/err.h"
#include "base/mem.h"

#define CSV_COLUMNS_MAX 64

/* The text is the caller's and outlives the reader; fields are of the arena. */
struct csv {
	struct arena *arena;
	const char *text;
	size_t length;
	size_t at;
	unsigned line; /* of the next row, from 1 */
};
struct csv_row {
	const char *fields[CSV_COLUMNS_MAX];
	size_t count;
	unsigned line; /* that it begins in */
};

/* A mark of UTF-8 at the head is passed over. */
void csv_open(struct csv *c, struct arena *a, const char *text, size_t length);
/*
 * The next row that is not empty; *more false: there is none.  Rows end in LF or CRLF;
 * a field in quotes may hold commas, line ends and quotes written twice.  ERR_INPUT names
 * the line: a quote that is not closed or stands inside a field, text behind a closing
 * quote, control characters, what is not UTF-8, too many columns.
 */
must_check bool csv_next(struct csv *c, struct csv_row *row, bool *more, struct err *e);
