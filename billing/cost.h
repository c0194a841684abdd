/* SPDX-License-Identifier: Apache-2.0 */
/* cost: what each line of a bill is made of, by day and resource */
#pragma once
#include "billing/bill.h"

/* So much of a line was used on one day by one resource. */
struct cost_part {
	size_t day;           /* its place in the ask's days */
	const char *resource; /* NULL: the account itself, as of a commitment */
	const char *name;
	mpq_t exact; /* in the invoiced currency, not rounded */
};

/* A bill's line with its parts, in order of days; their exact amounts add up to its own.
 */
struct cost_line {
	const struct bill_line *given;
	const struct cost_part *parts; /* valid during the call */
	size_t count;
};

struct cost_ask {
	struct bill_ask bill;       /* trace and edges are set here */
	const struct instant *days; /* begins of days; the first is the period's begin */
	size_t day_count;           /* > 0 */
	void *context;
	bool (*line)(void *context, const struct bill *b, const struct cost_line *l,
	    struct err *e);
};

/*
 * Makes a bill and tells each of its lines with its parts.  A day's part is what the
 * line grew on it (billing-rules 2.7): F(units by its end) - F(units by its begin), so
 * that tiers, free units and packages are used up in order of time; within a day it is
 * shared by units.  A whole month ("granularity") belongs to the day on which it was
 * begun, a commitment to the first day, minimum and maximum, which are known at the
 * end only, to the last.  For bill_done(); errors as bill_make().
 */
must_check bool cost_make(struct bill *out, struct db *db, const struct calendar *c,
    const struct cost_ask *ask, struct err *e);
