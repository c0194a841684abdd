/* SPDX-License-Identifier: Apache-2.0 */
/* rate: the price function: tariff and usage of a period become exact lines */
#pragma once
#include "billing/measure.h"
#include "billing/part.h"

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
	struct instant start; /* where its version begins in the window, and ends */
	struct instant end;
	mpq_t quantity; /* before free units */
	mpq_t exact;    /* in the invoiced currency, not rounded */
	mpq_t amount;   /* after the one rounding */
	struct line_share *shares;
	size_t share_count;
	struct parts parts; /* x fx: the exact amount; only if the job wants them */
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

/*
 * The same one resource after the other, so that memory does not grow with their
 * number: begin, for each resource fill job->usage with all that it used and feed, end.
 * rate_run_rating() holds the lines that came since they were last dropped; unrated and
 * rejected are about the items of the last feed.  job and its tariff outlive the run;
 * values of the share tag outlive it too.  Ids are told apart within one feed only.
 */
struct rate_run;
must_check bool rate_begin(struct rate_run **out, const struct rate_job *job,
    struct err *e);
must_check bool rate_feed(struct rate_run *r, struct err *e);
void rate_end(struct rate_run *r); /* charges the account's own lines */
struct rating *rate_run_rating(struct rate_run *r);
void rating_drop(struct rating *r);     /* forgets the lines, keeps the place */
void rate_run_free(struct rate_run *r); /* NULL is fine */
/*
 * Whether what is counted in the stretches that begin at two instants of the window (of
 * those that rate_edges() tells) may be summed up as if all of it lay in the first: no
 * price tells them apart.
 */
bool rate_alike(const struct rate_run *r, struct instant a, struct instant b);
/* Calls visit for each instant in the window at which any price changes. */
void rate_edges(const struct rate_run *r,
    void (*visit)(void *context, struct instant edge), void *context);
