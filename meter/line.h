/* SPDX-License-Identifier: Apache-2.0 */
/* line: values as a line with tabs, as they go to the spool and between threads */
#pragma once
#include "base/buf.h"
#include <stddef.h>
#include <stdint.h>

/* Appends a value, with a tab before it unless it is the line's first; NULL is SQL's
 * null. Tabs, line ends and backslashes inside it are escaped. */
void line_text(struct buf *b, const char *value);
void line_number(struct buf *b, int64_t value);
/* Digits alone, with nothing before them: far quicker than printf, and there are many. */
void line_digits(struct buf *b, uint64_t value);
void line_u64(struct buf *b, uint64_t value);
/* NULL stands for null where has is false. */
void line_u64_or_null(struct buf *b, uint64_t value, bool has);

/* Splits a line in place, undoing the escapes; answers how many values there are, of
 * which at most `most` are set. */
size_t line_split(char *line, char **values, size_t most);
