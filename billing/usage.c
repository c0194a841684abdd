/* SPDX-License-Identifier: Apache-2.0 */
/* usage: what was used, in the form that the price function takes */
#include "billing/usage.h"
#include <stdlib.h>
#include <string.h>

void
usage_list_init(struct usage_list *l)
{
	*l = (struct usage_list){ .arena = arena_new() };
}

static void
usage_done(struct usage *u)
{
	mpq_clear(u->qty);
	for (size_t i = 0; u->samples != NULL && i < u->sample_count; i++)
		mpq_clear(u->samples[i].value);
}

void
usage_list_reset(struct usage_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		usage_done(&l->items[i]);
	l->count = 0;
	arena_reset(l->arena);
}

void
usage_list_done(struct usage_list *l)
{
	if (l->arena != NULL)
		usage_list_reset(l);
	free(l->items);
	arena_free(l->arena);
	*l = (struct usage_list){ .arena = NULL };
}

struct usage *
usage_add(struct usage_list *l, enum usage_kind kind, const char *sku,
    const char *resource)
{
	struct usage *u;

	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 64 : l->capacity * 2;
		l->items = mem_resize(l->items, l->capacity, sizeof(*l->items));
	}
	u = &l->items[l->count++];
	*u = (struct usage){ .kind = kind,
		.sku = sku,
		.resource = resource,
		.received_at = INSTANT_FIRST,
		.span = { INSTANT_FIRST, INSTANT_LAST },
		.counter = COUNTER_RULE_INIT };
	mpq_init(u->qty);
	return u;
}

bool
usage_touches(const struct usage *u, const struct span *window)
{
	struct span span = u->span;

	switch (u->kind) {
	case USAGE_EVENT:
		return span_holds(window, u->span.from);
	case USAGE_COUNTER:
		for (size_t i = 0; i < u->sample_count; i++)
			if (window->from.ns < u->readings[i].t.ns &&
			    u->readings[i].t.ns <= window->to.ns)
				return true;
		return false;
	case USAGE_GAUGE:
		for (size_t i = 0; i < u->sample_count; i++)
			if (span_holds(window, u->samples[i].t))
				return true;
		return false;
	case USAGE_INTERVAL:
	default:
		return span_cut(&span, window);
	}
}

static bool
readings_equal(const struct usage *a, const struct usage *b)
{
	for (size_t i = 0; i < a->sample_count; i++) {
		const struct counter_reading *x = &a->readings[i];
		const struct counter_reading *y = &b->readings[i];

		if (x->t.ns != y->t.ns || x->value != y->value || x->epoch != y->epoch)
			return false;
	}
	return a->counter.width == b->counter.width &&
	    a->counter.from_zero == b->counter.from_zero &&
	    a->counter.max_per_second == b->counter.max_per_second;
}

static bool
samples_equal(const struct usage *a, const struct usage *b)
{
	for (size_t i = 0; i < a->sample_count; i++)
		if (a->samples[i].t.ns != b->samples[i].t.ns ||
		    !mpq_equal(a->samples[i].value, b->samples[i].value))
			return false;
	return a->max_gap_ns == b->max_gap_ns;
}

/* All but id and time of arrival. */
static bool
content_equal(const struct usage *a, const struct usage *b)
{
	if (a->kind != b->kind || strcmp(a->sku, b->sku) != 0 ||
	    strcmp(a->resource, b->resource) != 0 || !tags_equal(&a->tags, &b->tags) ||
	    a->span.from.ns != b->span.from.ns || a->span.to.ns != b->span.to.ns ||
	    a->seq != b->seq || !mpq_equal(a->qty, b->qty) ||
	    a->sample_count != b->sample_count)
		return false;
	if (a->kind == USAGE_COUNTER)
		return readings_equal(a, b);
	return a->kind != USAGE_GAUGE || samples_equal(a, b);
}

/* Groups items of one id, or nameless counters of one stream, in order of arrival. */
static int
by_identity(const void *left, const void *right)
{
	const struct usage *a = *(const struct usage *const *)left;
	const struct usage *b = *(const struct usage *const *)right;
	int order;

	if ((a->id == NULL) != (b->id == NULL))
		return a->id == NULL ? -1 : 1;
	order = a->id != NULL ? strcmp(a->id, b->id) : strcmp(a->sku, b->sku);
	if (order == 0 && a->id == NULL)
		order = strcmp(a->resource, b->resource);
	if (order != 0)
		return order;
	if (a->received_at.ns != b->received_at.ns)
		return a->received_at.ns < b->received_at.ns ? -1 : 1;
	return (a > b) - (a < b);
}

/*
 * A counter without an id that comes twice with the same samples is one delivery
 * repeated.  Two events that look alike may well be two events.
 */
static bool
repeats(const struct usage *u, const struct usage *before)
{
	return u->kind == USAGE_COUNTER && content_equal(u, before);
}

static bool
same_identity(const struct usage *a, const struct usage *b)
{
	if (a->id != NULL || b->id != NULL)
		return a->id != NULL && b->id != NULL && strcmp(a->id, b->id) == 0;
	return strcmp(a->sku, b->sku) == 0 && strcmp(a->resource, b->resource) == 0;
}

static void
group_settle(const struct usage_list *l, const struct usage *const *group, size_t count,
    bool *keep, bool *rejected)
{
	for (size_t i = 1; i < count; i++) {
		size_t at = (size_t)(group[i] - l->items);

		if (group[i]->id != NULL) {
			keep[at] = false;
			rejected[at] = !content_equal(group[i], group[0]);
			continue;
		}
		for (size_t k = 0; k < i && keep[at]; k++)
			keep[at] = !repeats(group[i], group[k]);
	}
}

void
usage_known(const struct usage_list *l, struct instant known, bool *keep, bool *rejected)
{
	const struct usage **order = mem_array(l->count + 1, sizeof(void *));
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++) {
		const struct usage *u = &l->items[i];

		rejected[i] = false;
		keep[i] = u->received_at.ns <= known.ns;
		if (keep[i] && (u->id != NULL || u->kind == USAGE_COUNTER))
			order[count++] = u;
	}
	if (count > 1)
		qsort(order, count, sizeof(void *), by_identity);
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from + 1; to < count && same_identity(order[from], order[to]);
		     to++)
			;
		group_settle(l, order + from, to - from, keep, rejected);
	}
	free(order);
}
