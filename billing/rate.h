/* SPDX-License-Identifier: Apache-2.0 */
/* rate: the price function: tariff and usage of a period become exact lines */
#pragma once
#include "billing/measure.h"

struct line_share {
	const char *value; /* of the tag asked for; "" without it */
	mpq_t quantity;
};

/* Texts belong to the tariff and the usage, which must outlive the rating. */
struct line {
	const char *sku;
	const char *resource; /* NULL: the account's line */
	const char *band;     /* NULL: none */
	const struct price *price;
	const struct version *version;
	struct instant start; /* where its version begins in the window */
	mpq_t quantity;       /* before free units */
	mpq_t exact;          /* in the invoiced currency, not rounded */
	mpq_t amount;         /* after the one rounding */
	struct line_share *shares;
	size_t share_count;
};

struct rating {
	struct line *lines; /* by sku, resource, start, band */
	size_t count;
	size_t capacity;
	bool *unrated;  /* by usage item: in the window, and no price for it */
	bool *rejected; /* by usage item: its id came before with other content */
	int64_t unmetered_s;
};

/*
 * Pure: no clock, no file, no database but the calendar's questions; the same input
 * gives the same lines.  ERR_INPUT when tariff and usage don't fit together (a tie of
 * prices, a price without "per" for usage that lasts); others come from the calendar.
 */
must_check bool rate(struct rating *out, const struct rate_job *job, struct err *e);
void rating_done(struct rating *r);
/* Sum of the lines before rounding. */
void rating_exact(mpq_t out, const struct rating *r);
