/* SPDX-License-Identifier: Apache-2.0 */
/* measure: usage of one price, turned into a quantity for each segment of the period */
#pragma once
#include "billing/segment.h"
#include "billing/usage.h"

/* What a whole rating shares. */
struct rate_job {
	const struct tariff *tariff;
	const struct usage_list *usage;
	const struct calendar *calendar;
	struct span window;
	struct instant known; /* what arrived or was entered later does not count */
	bool events_at_end;   /* for running totals: events at window.to are in */
	const char
	    *share_tag;  /* NULL: none; else lines know their shares by its values */
	bool want_parts; /* lines say how their amount came to be (part.h) */
	const struct trace *trace; /* NULL, or told of everything that is measured */
};

/* One thing that is measured: usage u of a price adds raw units, before the divisor. */
struct posting {
	const struct price *price;
	const struct segment *segment;
	const struct usage *usage;
	const struct span *span; /* its piece of time; from = to: it has only a moment */
	mpq_srcptr raw;
};
/* For explanations. */
struct trace {
	void *context;
	void (*posted)(void *context, const struct posting *p);
};

/* The part of a tag's value in each segment. */
struct share {
	const char *value; /* "" for usage without the tag */
	mpq_t *by_segment;
};

struct measure {
	const struct rate_job *job;
	const struct price *price;
	const struct segments *segments;
	mpq_t *by_segment;
	bool *touched;        /* there was usage, be it of quantity 0 */
	bool *const *unrated; /* by usage item: fell where no version is in force */
	struct share *shares;
	size_t share_count;
	int64_t unmetered_ns;
};

void measure_init(struct measure *m, const struct rate_job *job, const struct price *p,
    const struct segments *s, bool *const *unrated);
void measure_done(struct measure *m);

/* Adds the items (all of m->price) of one resource. */
must_check bool measure_resource(struct measure *m, const struct usage *const *items,
    size_t count, struct err *e);

/* How much of a price's unit of time a span is: 3/2 hours, 3499/4392 years. */
must_check bool measure_span(mpq_t out, const struct price *p, const struct local *local,
    const struct span *span, struct err *e);
