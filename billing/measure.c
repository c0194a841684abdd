/* SPDX-License-Identifier: Apache-2.0 */
/* measure: usage of one price, turned into a quantity for each segment of the period */
#include "billing/measure.h"
#include "billing/timeline.h"
#include <stdlib.h>
#include <string.h>

void
measure_init(struct measure *m, const struct rate_job *job, const struct price *p,
    const struct segments *s, bool *const *unrated)
{
	*m =
	    (struct measure){ .job = job, .price = p, .segments = s, .unrated = unrated };
	m->by_segment = exact_array(s->count);
	m->touched = mem_array(s->count + 1, sizeof(*m->touched));
}

void
measure_done(struct measure *m)
{
	exact_array_free(m->by_segment, m->segments->count);
	for (size_t i = 0; i < m->share_count; i++)
		exact_array_free(m->shares[i].by_segment, m->segments->count);
	free(m->shares);
	free(m->touched);
}

static struct share *
share_of(struct measure *m, const char *value)
{
	for (size_t i = 0; i < m->share_count; i++)
		if (strcmp(m->shares[i].value, value) == 0)
			return &m->shares[i];
	m->shares = mem_resize(m->shares, m->share_count + 1, sizeof(*m->shares));
	m->shares[m->share_count] = (struct share){ value,
		exact_array(m->segments->count) };
	return &m->shares[m->share_count++];
}

/* raw, in the price's unit but before its divisor, belongs to segment i. */
static void
post(struct measure *m, size_t i, const struct usage *u, const struct span *span,
    const mpq_t raw)
{
	scoped_exact mpq_t quantity;
	const struct trace *trace = m->job->trace;
	const char *value;

	mpq_init(quantity);
	mpq_div(quantity, raw, m->price->divisor);
	exact_add(m->by_segment[i], quantity);
	m->touched[i] = true;
	if (m->segments->list[i].version == NULL)
		(*m->unrated)[u - m->job->usage->items] = true;
	if (trace != NULL) {
		struct posting told = { m->price, &m->segments->list[i], u, span, raw };

		trace->posted(trace->context, &told);
	}
	if (m->job->share_tag == NULL)
		return;
	value = tags_get(&u->tags, m->job->share_tag);
	exact_add(share_of(m, value == NULL ? "" : value)->by_segment[i], quantity);
}

static int64_t
fixed_ns(enum per per)
{
	static const int64_t seconds[] = { 0, 1, 60, 3600 };

	return per <= PER_HOUR ? seconds[per] * NS_PER_S : 0;
}

/* The real unit of a day, month or year price that holds an instant. */
static bool
real_unit(const struct price *p, const struct local *local, struct instant at,
    struct span *out, struct err *e)
{
	static const enum calendar_unit units[] = { [PER_DAY] = UNIT_DAY,
		[PER_MONTH] = UNIT_MONTH,
		[PER_YEAR] = UNIT_YEAR };

	if (p->anchor != NULL)
		return local_anchored_at(local, p->anchor, 12, at, out, e);
	return local_unit(local, units[p->per], at, out, e);
}

bool
measure_span(mpq_t out, const struct price *p, const struct local *local,
    const struct span *span, struct err *e)
{
	int64_t fixed = fixed_ns(p->per);
	scoped_exact mpq_t part;
	struct span rest = *span;
	struct span unit;

	mpq_init(part);
	if (fixed != 0) {
		rat_set_i64(out, span->to.ns - span->from.ns, fixed);
		return true;
	}
	mpq_set_ui(out, 0, 1);
	for (; rest.from.ns < rest.to.ns; rest.from = unit.to) {
		struct span piece = rest;

		if (!real_unit(p, local, rest.from, &unit, e))
			return false;
		(void)span_cut(&piece, &unit);
		rat_set_i64(part, piece.to.ns - piece.from.ns, unit.to.ns - unit.from.ns);
		exact_add(out, part);
	}
	return true;
}

static bool
slice_post(struct measure *m, const struct slice *s, struct err *e)
{
	struct local local = { m->job->calendar, m->job->tariff->timezone };
	scoped_exact mpq_t raw;
	struct span span = s->span;

	mpq_init(raw);
	if (!span_cut(&span, &m->job->window))
		return true;
	for (size_t i = segments_find(m->segments, span.from); i < m->segments->count;
	     i++) {
		struct span piece = span;

		if (!span_cut(&piece, &m->segments->list[i].span))
			break;
		if (!measure_span(raw, m->price, &local, &piece, e))
			return false;
		mpq_mul(raw, raw, s->qty);
		post(m, i, s->from, &piece, raw);
	}
	return true;
}

/* The window, widened to whole units: no calendar is asked beyond it. */
static bool
reach_of(const struct measure *m, struct span *out, struct err *e)
{
	static const enum calendar_unit units[] = { UNIT_HOUR, UNIT_HOUR, UNIT_DAY,
		UNIT_MONTH };
	struct local local = { m->job->calendar, m->job->tariff->timezone };
	enum calendar_unit unit = units[m->price->granularity];
	struct span last;

	*out = m->job->window;
	if (m->price->granularity == GRAIN_NONE)
		return true;
	if (!local_unit(&local, unit, m->job->window.from, out, e) ||
	    !local_unit(&local, unit, (struct instant){ m->job->window.to.ns - 1 }, &last,
		e))
		return false;
	out->to = last.to;
	return true;
}

static void
timeline_cut(struct timeline *t, const struct span *reach)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct slice s = t->slices[i];

		if (span_cut(&s.span, reach))
			t->slices[kept++] = s;
		else
			mpq_clear(s.qty);
	}
	t->count = kept;
}

static bool
timeline_post(struct measure *m, struct timeline *t, struct err *e)
{
	struct local local = { m->job->calendar, m->job->tariff->timezone };
	struct span reach;

	if (t->count == 0)
		return true;
	if (m->price->per == PER_NONE)
		return err_set(e, ERR_INPUT,
		    "usage of %s lasts for a time, but its price has no \"per\"; add for "
		    "example \"per\":\"hour\"",
		    m->price->sku);
	timeline_union(t);
	timeline_lengthen(t, m->price->min_ns);
	if (!reach_of(m, &reach, e))
		return false;
	timeline_cut(t, &reach);
	if (!timeline_coarsen(t, &local, m->price->granularity, e))
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (!slice_post(m, &t->slices[i], e))
			return false;
	return true;
}

static void
event_post(struct measure *m, const struct usage *u)
{
	struct instant at = u->span.from;
	size_t i;

	if (m->job->events_at_end && at.ns == m->job->window.to.ns)
		at.ns--;
	i = segments_find(m->segments, at);
	if (i < m->segments->count)
		post(m, i, u, &(struct span){ u->span.from, u->span.from }, u->qty);
}

/* A delta belongs to the window that ends at its sample: start < t <= end. */
static void
counter_post(struct measure *m, const struct usage *u)
{
	const struct counter_reading *last = NULL;
	scoped_exact mpq_t moved;

	mpq_init(moved);
	for (size_t k = 0; k < u->sample_count; k++) {
		const struct counter_reading *now = &u->readings[k];
		uint64_t delta;
		enum counter_story story = counter_delta(&delta, last, now, &u->counter);
		size_t i = segments_find(m->segments, (struct instant){ now->t.ns - 1 });

		if (story == COUNTER_STALE)
			continue;
		last = now;
		rat_set_u64(moved, delta);
		if (i < m->segments->count &&
		    (story != COUNTER_FIRST || u->counter.from_zero))
			post(m, i, u, &(struct span){ now->t, now->t }, moved);
	}
}

/* Until when a sample's value is held: the next one, or max_gap. */
static struct span
sample_held(const struct usage *u, size_t k)
{
	struct span held = { u->samples[k].t, { u->samples[k].t.ns + u->max_gap_ns } };

	if (k + 1 < u->sample_count && u->samples[k + 1].t.ns < held.to.ns)
		held.to = u->samples[k + 1].t;
	(void)span_cut(&held, &u->span);
	return held;
}

static void
gauge_hold(struct measure *m, const struct usage *u, struct timeline *t)
{
	struct span expected = u->span;

	if (span_cut(&expected, &m->job->window))
		m->unmetered_ns += expected.to.ns - expected.from.ns;
	for (size_t k = 0; k < u->sample_count; k++) {
		struct span held = sample_held(u, k);

		if (m->price->aggregate == AGGREGATE_SUM)
			timeline_add(t, &held, u, 0, u->samples[k].value);
		if (span_cut(&held, &expected))
			m->unmetered_ns -= held.to.ns - held.from.ns;
	}
}

static int
by_value(const void *a, const void *b)
{
	const struct gauge_sample *const *x = a;
	const struct gauge_sample *const *y = b;

	return mpq_cmp((*x)->value, (*y)->value);
}

static size_t
rank_of(enum aggregate aggregate, size_t count)
{
	return aggregate == AGGREGATE_MAX ? count : (95 * count + 99) / 100;
}

/* A peak has no place in time: it goes to the last version of the period. */
static void
peak_post(struct measure *m, const struct usage *const *items, size_t count)
{
	const struct gauge_sample **sorted = NULL;
	const struct gauge_sample *peak;
	const struct usage *holder = NULL;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		const struct usage *u = items[i];

		if (u->kind != USAGE_GAUGE)
			continue;
		sorted = mem_resize(sorted, n + u->sample_count + 1, sizeof(void *));
		for (size_t k = 0; k < u->sample_count; k++)
			if (span_holds(&m->job->window, u->samples[k].t))
				sorted[n++] = &u->samples[k];
		holder = u;
	}
	if (n > 0 && holder != NULL) {
		qsort(sorted, n, sizeof(void *), by_value);
		peak = sorted[rank_of(m->price->aggregate, n) - 1];
		post(m, m->segments->count - 1, holder,
		    &(struct span){ peak->t, peak->t }, peak->value);
	}
	free(sorted);
}

bool
measure_resource(struct measure *m, const struct usage *const *items, size_t count,
    struct err *e)
{
	struct timeline t;
	bool ok;

	timeline_init(&t);
	for (size_t i = 0; i < count; i++) {
		const struct usage *u = items[i];

		if (u->kind == USAGE_INTERVAL)
			timeline_add(&t, &u->span, u, u->seq, u->qty);
		if (u->kind == USAGE_GAUGE)
			gauge_hold(m, u, &t);
		if (u->kind == USAGE_EVENT)
			event_post(m, u);
		if (u->kind == USAGE_COUNTER)
			counter_post(m, u);
	}
	if (m->price->aggregate != AGGREGATE_SUM)
		peak_post(m, items, count);
	ok = timeline_post(m, &t, e);
	timeline_done(&t);
	return ok;
}
