/* SPDX-License-Identifier: Apache-2.0 */
/* timeline: how much of one resource was alive when, each moment once */
#include "billing/timeline.h"
#include <stdlib.h>
#include <string.h>

void
timeline_init(struct timeline *t)
{
	*t = (struct timeline){ NULL, 0, 0 };
}

void
timeline_done(struct timeline *t)
{
	for (size_t i = 0; i < t->count; i++)
		mpq_clear(t->slices[i].qty);
	free(t->slices);
	timeline_init(t);
}

void
timeline_add(struct timeline *t, const struct span *span, const struct usage *from,
    int64_t seq, const mpq_t qty)
{
	struct slice *s;

	if (span->from.ns >= span->to.ns)
		return;
	if (t->count == t->capacity) {
		t->capacity = t->capacity == 0 ? 16 : t->capacity * 2;
		t->slices = mem_resize(t->slices, t->capacity, sizeof(*t->slices));
	}
	s = &t->slices[t->count++];
	s->span = *span;
	s->from = from;
	s->seq = seq;
	mpq_init(s->qty);
	mpq_set(s->qty, qty);
}

static bool
stronger(const struct slice *a, const struct slice *b)
{
	if (a->seq != b->seq)
		return a->seq > b->seq;
	return mpq_cmp(a->qty, b->qty) > 0;
}

static int
by_start(const void *a, const void *b)
{
	const struct slice *x = a;
	const struct slice *y = b;

	if (x->span.from.ns != y->span.from.ns)
		return x->span.from.ns < y->span.from.ns ? -1 : 1;
	return (x->span.to.ns > y->span.to.ns) - (x->span.to.ns < y->span.to.ns);
}

static void
sort(struct timeline *t)
{
	if (t->count > 1)
		qsort(t->slices, t->count, sizeof(*t->slices), by_start);
}

static bool
overlapping(const struct timeline *t)
{
	for (size_t i = 1; i < t->count; i++)
		if (t->slices[i].span.from.ns < t->slices[i - 1].span.to.ns)
			return true;
	return false;
}

static int
by_instant(const void *a, const void *b)
{
	const struct instant *x = a;
	const struct instant *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* All instants at which anything begins or ends, sorted. */
static struct instant *
edges_of(const struct timeline *t)
{
	struct instant *edges = mem_array(t->count * 2, sizeof(*edges));

	for (size_t i = 0; i < t->count; i++) {
		edges[2 * i] = t->slices[i].span.from;
		edges[2 * i + 1] = t->slices[i].span.to;
	}
	qsort(edges, t->count * 2, sizeof(*edges), by_instant);
	return edges;
}

/* The strongest slice over a piece that no edge cuts; NULL: nothing is alive. */
static const struct slice *
winner(const struct timeline *t, const struct span *piece, size_t *first)
{
	const struct slice *best = NULL;

	while (*first < t->count && t->slices[*first].span.to.ns <= piece->from.ns)
		++*first;
	for (size_t i = *first; i < t->count; i++) {
		const struct slice *s = &t->slices[i];

		if (s->span.from.ns >= piece->to.ns)
			break;
		if (s->span.to.ns > piece->from.ns && (best == NULL || stronger(s, best)))
			best = s;
	}
	return best;
}

void
timeline_union(struct timeline *t)
{
	struct timeline out;
	struct instant *edges;
	size_t first = 0;

	sort(t);
	if (!overlapping(t))
		return;
	timeline_init(&out);
	edges = edges_of(t);
	for (size_t i = 0; i + 1 < t->count * 2; i++) {
		struct span piece = { edges[i], edges[i + 1] };
		const struct slice *s;

		if (piece.from.ns == piece.to.ns)
			continue;
		s = winner(t, &piece, &first);
		if (s != NULL)
			timeline_add(&out, &piece, s->from, s->seq, s->qty);
	}
	free(edges);
	timeline_done(t);
	*t = out;
}

void
timeline_lengthen(struct timeline *t, int64_t least_ns)
{
	size_t runs = t->count;
	size_t start = 0;

	for (size_t i = 0; i < runs; i++) {
		const struct slice *s = &t->slices[i];
		struct span tail = { s->span.to, { t->slices[start].span.from.ns } };

		if (i + 1 < runs && t->slices[i + 1].span.from.ns == s->span.to.ns)
			continue;
		start = i + 1;
		if (s->span.to.ns == INSTANT_LAST.ns)
			continue;
		tail.to.ns += least_ns;
		if (tail.to.ns > tail.from.ns) {
			struct slice copy = *s; /* adding may move the slices */

			timeline_add(t, &tail, copy.from, copy.seq, copy.qty);
		}
	}
}

/* Coarse slices don't know a seq any more: only the largest quantity of a unit counts. */
static bool
slice_coarsen(struct timeline *out, const struct slice *s, const struct local *local,
    enum calendar_unit unit, struct err *e)
{
	struct span whole;
	struct span last;

	if (!local_unit(local, unit, s->span.from, &whole, e) ||
	    !local_unit(local, unit, (struct instant){ s->span.to.ns - 1 }, &last, e))
		return false;
	whole.to = last.to;
	timeline_add(out, &whole, s->from, 0, s->qty);
	return true;
}

bool
timeline_coarsen(struct timeline *t, const struct local *local, enum granularity grain,
    struct err *e)
{
	static const enum calendar_unit units[] = { UNIT_HOUR, UNIT_HOUR, UNIT_DAY,
		UNIT_MONTH };
	struct timeline out;
	bool ok = true;

	if (grain == GRAIN_NONE)
		return true;
	timeline_init(&out);
	for (size_t i = 0; ok && i < t->count; i++)
		ok = slice_coarsen(&out, &t->slices[i], local, units[grain], e);
	if (!ok) {
		timeline_done(&out);
		return false;
	}
	timeline_done(t);
	*t = out;
	timeline_union(t);
	return true;
}
