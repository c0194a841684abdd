/* SPDX-License-Identifier: Apache-2.0 */
/* rate: the price function: tariff and usage of a period become exact lines */
#include "billing/rate.h"
#include "billing/charge.h"
#include <stdlib.h>
#include <string.h>

/* A usage item and the price that it has. */
struct priced {
	const struct price *price;
	const struct usage *usage;
};

/* Whether any of it lies in the window. */
static bool
touches(const struct usage *u, const struct span *window)
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

static int
by_price(const void *a, const void *b)
{
	const struct priced *x = a;
	const struct priced *y = b;
	int order;

	if (x->price != y->price)
		return x->price < y->price ? -1 : 1;
	order = strcmp(x->usage->resource, y->usage->resource);
	if (order != 0)
		return order;
	return (x->usage > y->usage) - (x->usage < y->usage);
}

/* Finds each item's price; what has none is noted, not silently zero. */
static bool
items_price(struct priced *list, size_t *count, struct rating *out,
    const struct rate_job *job, struct err *e)
{
	scoped_free bool *keep = mem_array(job->usage->count + 1, sizeof(*keep));

	usage_known(job->usage, job->known, keep, out->rejected);
	for (size_t i = 0; i < job->usage->count; i++) {
		const struct usage *u = &job->usage->items[i];
		const struct price *p = NULL;

		if (!keep[i])
			continue;
		if (!tariff_price(job->tariff, u->sku, &u->tags, &p, e))
			return false;
		if (p != NULL)
			list[(*count)++] = (struct priced){ p, u };
		else
			out->unrated[i] = touches(u, &job->window);
	}
	if (*count > 1)
		qsort(list, *count, sizeof(*list), by_price);
	return true;
}

/* The usage of one price, and the segments that cut it. */
struct priced_group {
	const struct price *price;
	const struct priced *list;
	size_t count;
	struct segments segments;
};

/* Charges what was measured and begins anew. */
static void
measure_close(struct measure *m, struct rating *out, const char *resource)
{
	charge_lines(out, m, resource);
	measure_done(m);
	measure_init(m, m->job, m->price, m->segments, out->unrated);
}

/* Measures resource by resource, and charges each, or all together. */
static bool
group_rate(struct rating *out, const struct priced_group *g, const struct rate_job *job,
    struct err *e)
{
	scoped_free const struct usage **items = mem_array(g->count + 1, sizeof(void *));
	struct measure m;
	bool ok = true;

	for (size_t i = 0; i < g->count; i++)
		items[i] = g->list[i].usage;
	measure_init(&m, job, g->price, &g->segments, out->unrated);
	for (size_t from = 0, to; ok && from < g->count; from = to) {
		for (to = from + 1; to < g->count &&
		     strcmp(items[from]->resource, items[to]->resource) == 0;
		     to++)
			;
		ok = measure_resource(&m, items + from, to - from, e);
		if (ok && g->price->by_resource)
			measure_close(&m, out, items[from]->resource);
	}
	if (ok && !g->price->by_resource)
		charge_lines(out, &m, NULL);
	measure_done(&m);
	return ok;
}

static int
by_place(const void *left, const void *right)
{
	const struct line *a = left;
	const struct line *b = right;
	int order = strcmp(a->sku, b->sku);

	if (order == 0)
		order = strcmp(a->resource == NULL ? "" : a->resource,
		    b->resource == NULL ? "" : b->resource);
	if (order == 0)
		order = (a->start.ns > b->start.ns) - (a->start.ns < b->start.ns);
	if (order == 0)
		order = strcmp(a->band == NULL ? "" : a->band,
		    b->band == NULL ? "" : b->band);
	return order != 0 ? order : (a->price > b->price) - (a->price < b->price);
}

/* All prices of the tariff: a commitment is owed without any usage, too. */
static bool
prices_rate(struct rating *out, const struct priced *list, size_t count,
    const struct rate_job *job, struct err *e)
{
	struct local local = { job->calendar, job->tariff->timezone };
	const struct priced *end = list + count;

	for (size_t i = 0; i < job->tariff->price_count; i++) {
		struct priced_group g = { .price = &job->tariff->prices[i],
			.list = list };
		bool ok;

		while (list < end && list->price == g.price)
			list++;
		g.count = (size_t)(list - g.list);
		if (g.count == 0 && !charge_without_usage(g.price))
			continue;
		if (!segments_cut(&g.segments, g.price, &job->window, job->known, &local,
			e))
			return false;
		ok = group_rate(out, &g, job, e);
		segments_done(&g.segments);
		if (!ok)
			return false;
	}
	return true;
}

bool
rate(struct rating *out, const struct rate_job *job, struct err *e)
{
	size_t places = job->usage->count + 1;
	scoped_free struct priced *list = mem_array(places, sizeof(*list));
	struct rating rated = { .unrated = mem_array(places, sizeof(bool)),
		.rejected = mem_array(places, sizeof(bool)) };
	size_t count = 0;

	if (!items_price(list, &count, &rated, job, e) ||
	    !prices_rate(&rated, list, count, job, e)) {
		rating_done(&rated);
		return false;
	}
	if (rated.count > 1)
		qsort(rated.lines, rated.count, sizeof(*rated.lines), by_place);
	rated.unmetered_s /= NS_PER_S;
	*out = rated;
	return true;
}

static void
line_done(struct line *l)
{
	mpq_clears(l->quantity, l->exact, l->amount, NULL);
	for (size_t i = 0; i < l->share_count; i++)
		mpq_clear(l->shares[i].quantity);
	free(l->shares);
}

void
rating_done(struct rating *r)
{
	for (size_t i = 0; i < r->count; i++)
		line_done(&r->lines[i]);
	free(r->lines);
	free(r->unrated);
	free(r->rejected);
	*r = (struct rating){ .lines = NULL };
}

void
rating_exact(mpq_t out, const struct rating *r)
{
	mpq_set_ui(out, 0, 1);
	for (size_t i = 0; i < r->count; i++)
		exact_add(out, r->lines[i].exact);
}
