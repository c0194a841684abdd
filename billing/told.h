/* SPDX-License-Identifier: Apache-2.0 */
/* told: which imported records a line is made of */
#pragma once
#include "base/json.h"
#include "billing/rate.h"
#include "billing/usage_stream.h"

/* Of one price, and of one resource where its lines are by resource. */
struct told_line {
	const struct price *price;
	uint64_t records;
	const char *first[TOLD_SHOWN]; /* keys, "source/id" */
	size_t shown;
};
struct told {
	struct told_line *lines;
	size_t count;
	size_t capacity;
};

void told_done(struct told *t);
/*
 * Notes the imported ones among the stream's present items that lie in the window and
 * have a price of the tariff: those by resource, or the others.  Keys are of the stream's
 * list, or copied into the arena where it is not NULL.
 */
must_check bool told_note(struct told *t, struct arena *a, const struct rate_job *job,
    const struct usage_stream *s, bool by_resource, struct err *e);
const struct told_line *told_find(const struct told *t,
    const struct price *p); /* NULL: none */
/* "records":{"count":"31","first":["desk/1",...]}, or nothing. */
void told_write(struct jout *j, const struct told_line *l);
