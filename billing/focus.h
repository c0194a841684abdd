/* SPDX-License-Identifier: Apache-2.0 */
/* focus: statements as rows of FOCUS, the FinOps Open Cost and Usage Specification */
#pragma once
#include "billing/statement.h"

/*
 * One row for each part of a line (tier, free units, package...), an adjustment where
 * limits or the one rounding of the line stand between them and the line's amount, one
 * row a credit and tax class.  The rows of an invoice add up to what is payable, and
 * unit price x quantity is the cost to the last digit (billing-rules 4).
 */
enum focus_version { FOCUS_1_0 = 10, FOCUS_1_1 = 11, FOCUS_1_2 = 12 };
#define FOCUS_LATEST "1.2"
must_check bool focus_version_parse(enum focus_version *out, const char *text,
    struct err *e);

/* The names of the columns, as a line of CSV. */
void focus_names(struct buf *out, enum focus_version version);
/* The schema's metadata: what each column is. */
void focus_metadata(struct buf *out, enum focus_version version, const char *created);

/* A document while its lines come; number NULL: no invoice yet, or none ever. */
struct focus;
struct focus *focus_new(enum focus_version version);
void focus_free(struct focus *f); /* NULL is fine */
/* head: HEAD of docs/billing.md; it may lack totals until focus_end(), and outlives
 * the lines. */
void focus_begin(struct focus *f, const struct jval *head);
/* Adds the rows of one line. */
must_check bool focus_line(struct focus *f, struct buf *out, const struct jval *line,
    struct err *e);
/* Adds taxes and credits of the whole. */
must_check bool focus_end(struct focus *f, struct buf *out, const struct jval *head,
    struct err *e);

/* A whole statement, without the names of columns. */
must_check bool focus_statement(struct issued *s, enum focus_version version,
    const struct text_out *out, struct err *e);
