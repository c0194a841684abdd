/* SPDX-License-Identifier: Apache-2.0 */
/* timeline: how much of one resource was alive when, each moment once */
#pragma once
#include "billing/calendar.h"
#include "billing/tariff.h"
#include "billing/usage.h"

/* qty units alive in span; as put in by one usage item, which lives longer. */
struct slice {
	struct span span;
	const struct usage *from;
	int64_t seq;
	mpq_t qty;
};
struct timeline {
	struct slice *slices;
	size_t count;
	size_t capacity;
};

void timeline_init(struct timeline *t);
void timeline_done(struct timeline *t);
void timeline_add(struct timeline *t, const struct span *span, const struct usage *from,
    int64_t seq, const mpq_t qty);

/* Cuts overlaps: the highest seq wins, among equals the largest quantity. Sorted after.
 */
void timeline_union(struct timeline *t);

/*
 * A run goes from start to stop (slices that touch are one run) and lasts at least
 * least_ns; what is missing is added behind its end.  For a timeline after union.
 */
void timeline_lengthen(struct timeline *t, int64_t least_ns);

/* Every local unit that is touched counts whole, once, with its largest quantity. */
must_check bool timeline_coarsen(struct timeline *t, const struct local *local,
    enum granularity grain, struct err *e);
