/* SPDX-License-Identifier: Apache-2.0 */
/* segment: the parts of a period in which one version and one band of a price hold */
#pragma once
#include "billing/calendar.h"
#include "billing/tariff.h"

struct segment {
	struct span span;
	const struct version *version; /* NULL: no version is in force */
	const struct band *band;       /* of tou; NULL: outside of all bands */
};
struct segments {
	struct segment *list; /* in order of time, without gaps */
	size_t count;
	size_t capacity;
};

/*
 * Of the versions known at an instant the latest recorded one holds; among equals the
 * one that began last, then the one written last.
 */
must_check bool segments_cut(struct segments *out, const struct price *p,
    const struct span *window, struct instant known, const struct local *local,
    struct err *e);
void segments_done(struct segments *s);

/* The segment that holds an instant; count when none does. */
size_t segments_find(const struct segments *s, struct instant t);
