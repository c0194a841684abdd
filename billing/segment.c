/* SPDX-License-Identifier: Apache-2.0 */
/* segment: the parts of a period in which one version and one band of a price hold */
#include "billing/segment.h"
#include <stdlib.h>

struct edges {
	struct instant *list;
	size_t count;
	size_t capacity;
};

struct band_span {
	struct span span;
	const struct band *band;
};
struct band_spans {
	struct band_span *list;
	size_t count;
	size_t capacity;
};

static void
edges_add(struct edges *g, struct instant t, const struct span *within)
{
	if (t.ns <= within->from.ns || t.ns >= within->to.ns)
		return;
	if (g->count == g->capacity) {
		g->capacity = g->capacity == 0 ? 32 : g->capacity * 2;
		g->list = mem_resize(g->list, g->capacity, sizeof(*g->list));
	}
	g->list[g->count++] = t;
}

static int
by_instant(const void *a, const void *b)
{
	const struct instant *x = a;
	const struct instant *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* The end of the piece that begins at t: the next edge after it. */
static struct instant
piece_end(const struct edges *g, size_t *at, struct instant t, struct instant end)
{
	while (*at < g->count && g->list[*at].ns <= t.ns)
		++*at;
	return *at < g->count ? g->list[*at] : end;
}

static void
edges_sort(struct edges *g)
{
	if (g->count > 1)
		qsort(g->list, g->count, sizeof(*g->list), by_instant);
}

/* Pieces that touch and say the same become one. */
static void
segments_add(struct segments *s, const struct segment *more)
{
	struct segment *last = s->count == 0 ? NULL : &s->list[s->count - 1];

	if (last != NULL && last->version == more->version && last->band == more->band) {
		last->span.to = more->span.to;
		return;
	}
	if (s->count == s->capacity) {
		s->capacity = s->capacity == 0 ? 8 : s->capacity * 2;
		s->list = mem_resize(s->list, s->capacity, sizeof(*s->list));
	}
	s->list[s->count++] = *more;
}

static bool
version_beats(const struct version *a, const struct version *b)
{
	if (a->recorded_at.ns != b->recorded_at.ns)
		return a->recorded_at.ns > b->recorded_at.ns;
	return a->valid.from.ns >= b->valid.from.ns;
}

static const struct version *
version_at(const struct price *p, struct instant t, struct instant known)
{
	const struct version *best = NULL;

	for (size_t i = 0; i < p->version_count; i++) {
		const struct version *v = &p->versions[i];

		if (v->recorded_at.ns <= known.ns && span_holds(&v->valid, t) &&
		    (best == NULL || version_beats(v, best)))
			best = v;
	}
	return best;
}

static void
spans_add(struct band_spans *s, const struct span *span, const struct band *band)
{
	if (s->count == s->capacity) {
		s->capacity = s->capacity == 0 ? 64 : s->capacity * 2;
		s->list = mem_resize(s->list, s->capacity, sizeof(*s->list));
	}
	s->list[s->count++] = (struct band_span){ *span, band };
}

/* The band as it begins on one local day; past midnight it ends on the next. */
static bool
band_on_day(struct band_spans *out, const struct band *band, const struct span *day,
    const struct local *local, struct err *e)
{
	struct wall_time from;
	struct wall_time to;
	struct span span;

	if (!local_wall(local, day->from, band->from, &from, e))
		return false;
	if ((band->days & (1U << from.weekday)) == 0)
		return true;
	if (!local_wall(local, band->to <= band->from ? day->to : day->from, band->to,
		&to, e))
		return false;
	span = (struct span){ from.at, to.at };
	if (span.from.ns < span.to.ns)
		spans_add(out, &span, band);
	return true;
}

/* All bands that reach into a span, from the evening before it on. */
static bool
bands_over(struct band_spans *out, const struct model *m, const struct span *over,
    const struct local *local, struct err *e)
{
	struct span day;

	if (!local_unit(local, UNIT_DAY, over->from, &day, e) ||
	    !local_unit(local, UNIT_DAY, (struct instant){ day.from.ns - 1 }, &day, e))
		return false;
	for (;;) {
		for (size_t i = 0; i < m->band_count; i++)
			if (!band_on_day(out, &m->bands[i], &day, local, e))
				return false;
		if (day.to.ns >= over->to.ns)
			return true;
		if (!local_unit(local, UNIT_DAY, day.to, &day, e))
			return false;
	}
}

/* Where bands overlap, the one written first holds. */
static const struct band *
band_at(const struct band_spans *s, struct instant t)
{
	const struct band *best = NULL;

	for (size_t i = 0; i < s->count; i++)
		if (span_holds(&s->list[i].span, t) &&
		    (best == NULL || s->list[i].band < best))
			best = s->list[i].band;
	return best;
}

static bool
segment_by_bands(struct segments *out, const struct segment *whole,
    const struct local *local, struct err *e)
{
	struct band_spans bands = { NULL, 0, 0 };
	struct edges edges = { NULL, 0, 0 };
	struct segment piece = *whole;
	size_t at = 0;
	bool ok = bands_over(&bands, &whole->version->model, &whole->span, local, e);

	for (size_t i = 0; ok && i < bands.count; i++) {
		edges_add(&edges, bands.list[i].span.from, &whole->span);
		edges_add(&edges, bands.list[i].span.to, &whole->span);
	}
	edges_sort(&edges);
	for (; ok && piece.span.from.ns < whole->span.to.ns;
	     piece.span.from = piece.span.to) {
		piece.span.to = piece_end(&edges, &at, piece.span.from, whole->span.to);
		piece.band = band_at(&bands, piece.span.from);
		segments_add(out, &piece);
	}
	free(bands.list);
	free(edges.list);
	return ok;
}

static void
segments_by_version(struct segments *out, const struct price *p,
    const struct span *window, struct instant known)
{
	struct edges edges = { NULL, 0, 0 };
	struct segment piece = { .span.from = window->from };
	size_t at = 0;

	for (size_t i = 0; i < p->version_count; i++) {
		edges_add(&edges, p->versions[i].valid.from, window);
		edges_add(&edges, p->versions[i].valid.to, window);
	}
	edges_sort(&edges);
	for (; piece.span.from.ns < window->to.ns; piece.span.from = piece.span.to) {
		piece.span.to = piece_end(&edges, &at, piece.span.from, window->to);
		piece.version = version_at(p, piece.span.from, known);
		segments_add(out, &piece);
	}
	free(edges.list);
}

bool
segments_cut(struct segments *out, const struct price *p, const struct span *window,
    struct instant known, const struct local *local, struct err *e)
{
	struct segments whole = { NULL, 0, 0 };
	bool ok = true;

	*out = (struct segments){ NULL, 0, 0 };
	segments_by_version(&whole, p, window, known);
	for (size_t i = 0; ok && i < whole.count; i++) {
		const struct segment *s = &whole.list[i];

		if (s->version != NULL && s->version->model.type == MODEL_TOU)
			ok = segment_by_bands(out, s, local, e);
		else
			segments_add(out, s);
	}
	segments_done(&whole);
	if (!ok)
		segments_done(out);
	return ok;
}

void
segments_done(struct segments *s)
{
	free(s->list);
	*s = (struct segments){ NULL, 0, 0 };
}

size_t
segments_find(const struct segments *s, struct instant t)
{
	size_t low = 0;
	size_t high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->list[middle].span.to.ns <= t.ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && span_holds(&s->list[low].span, t) ? low : s->count;
}
