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

/* A price while its usage comes in. */
struct lane {
	const struct price *price;
	struct segments segments;
	struct measure account; /* of a price that is not by resource */
};

struct rate_run {
	const struct rate_job *job;
	struct lane *lanes; /* one a price */
	struct rating out;
	size_t places; /* of out.unrated and out.rejected */
	struct priced *list;
	const struct usage **items;
	bool *keep;
};

struct rating *
rate_run_rating(struct rate_run *r)
{
	return &r->out;
}

static bool
lane_open(struct lane *l, struct rate_run *r, const struct price *p, struct err *e)
{
	struct local local = { r->job->calendar, r->job->tariff->timezone };

	l->price = p;
	if (!segments_cut(&l->segments, p, &r->job->window, r->job->known, &local, e))
		return false;
	measure_init(&l->account, r->job, p, &l->segments, &r->out.unrated);
	return true;
}

static void
lane_close(struct lane *l)
{
	if (l->price == NULL)
		return;
	measure_done(&l->account);
	segments_done(&l->segments);
}

bool
rate_begin(struct rate_run **out, const struct rate_job *job, struct err *e)
{
	struct rate_run *r = mem_alloc(sizeof(*r));

	r->job = job;
	r->lanes = mem_array(job->tariff->price_count + 1, sizeof(*r->lanes));
	for (size_t i = 0; i < job->tariff->price_count; i++)
		if (!lane_open(&r->lanes[i], r, &job->tariff->prices[i], e)) {
			r->lanes[i].price = NULL;
			rate_run_free(r);
			return false;
		}
	*out = r;
	return true;
}

void
rate_run_free(struct rate_run *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->job->tariff->price_count; i++)
		lane_close(&r->lanes[i]);
	free(r->lanes);
	free(r->list);
	free(r->items);
	free(r->keep);
	rating_done(&r->out);
	free(r);
}

static void
places_make(struct rate_run *r)
{
	size_t places = r->job->usage->count + 1;

	if (places > r->places) {
		r->places = places * 2;
		r->list = mem_resize(r->list, r->places, sizeof(*r->list));
		r->items = mem_resize(r->items, r->places, sizeof(void *));
		r->keep = mem_resize(r->keep, r->places, sizeof(*r->keep));
		r->out.unrated = mem_resize(r->out.unrated, r->places, sizeof(bool));
		r->out.rejected = mem_resize(r->out.rejected, r->places, sizeof(bool));
	}
	memset(r->out.unrated, 0, places * sizeof(bool));
}

/* Finds each item's price; what has none is noted, not silently zero. */
static bool
items_price(struct rate_run *r, size_t *count, struct err *e)
{
	const struct rate_job *job = r->job;

	places_make(r);
	usage_known(job->usage, job->known, r->keep, r->out.rejected);
	for (size_t i = 0; i < job->usage->count; i++) {
		const struct usage *u = &job->usage->items[i];
		const struct price *p = NULL;

		if (!r->keep[i])
			continue;
		if (!tariff_price(job->tariff, u->sku, &u->tags, &p, e))
			return false;
		if (p != NULL)
			r->list[(*count)++] = (struct priced){ p, u };
		else
			r->out.unrated[i] = usage_touches(u, &job->window);
	}
	if (*count > 1)
		qsort(r->list, *count, sizeof(*r->list), by_price);
	return true;
}

/* The usage of one price by one resource: charged at once, or summed for the account. */
static bool
group_rate(struct rate_run *r, const struct priced *list, size_t count, struct err *e)
{
	struct lane *l = &r->lanes[list->price - r->job->tariff->prices];
	struct measure m;
	bool ok;

	for (size_t i = 0; i < count; i++)
		r->items[i] = list[i].usage;
	if (!l->price->by_resource)
		return measure_resource(&l->account, r->items, count, e);
	measure_init(&m, r->job, l->price, &l->segments, &r->out.unrated);
	ok = measure_resource(&m, r->items, count, e);
	if (ok)
		charge_lines(&r->out, &m, list->usage->resource);
	measure_done(&m);
	return ok;
}

bool
rate_feed(struct rate_run *r, struct err *e)
{
	size_t count = 0;

	if (!items_price(r, &count, e))
		return false;
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from + 1;
		     to < count && r->list[to].price == r->list[from].price &&
		     strcmp(r->list[to].usage->resource, r->list[from].usage->resource) ==
			 0;
		     to++)
			;
		if (!group_rate(r, r->list + from, to - from, e))
			return false;
	}
	return true;
}

/* A commitment is owed without any usage, too. */
void
rate_end(struct rate_run *r)
{
	for (size_t i = 0; i < r->job->tariff->price_count; i++) {
		struct lane *l = &r->lanes[i];

		if (!l->price->by_resource)
			charge_lines(&r->out, &l->account, NULL);
	}
}

void
rate_edges(const struct rate_run *r, void (*visit)(void *context, struct instant edge),
    void *context)
{
	for (size_t i = 0; i < r->job->tariff->price_count; i++)
		for (size_t k = 1; k < r->lanes[i].segments.count; k++)
			visit(context, r->lanes[i].segments.list[k].span.from);
}

/* Bands of one version whose units cost the same wherever in the period they lie. */
static bool
bands_alike(const struct segment *a, const struct segment *b)
{
	const struct model *m;

	if (a->version == NULL || a->version != b->version || a->band != b->band)
		return false;
	m = &a->version->model;
	return m->type == MODEL_TOU && mpq_sgn(m->free_units) == 0 && !m->has_minimum &&
	    !m->has_maximum;
}

bool
rate_alike(const struct rate_run *r, struct instant a, struct instant b)
{
	for (size_t i = 0; i < r->job->tariff->price_count; i++) {
		const struct segments *s = &r->lanes[i].segments;
		size_t x = segments_find(s, a);
		size_t y = segments_find(s, b);

		if (x != y &&
		    (x == s->count || y == s->count ||
			!bands_alike(&s->list[x], &s->list[y])))
			return false;
	}
	return true;
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

bool
rate(struct rating *out, const struct rate_job *job, struct err *e)
{
	struct rate_run *r = NULL;

	if (!rate_begin(&r, job, e))
		return false;
	if (!rate_feed(r, e)) {
		rate_run_free(r);
		return false;
	}
	rate_end(r);
	if (r->out.count > 1)
		qsort(r->out.lines, r->out.count, sizeof(*r->out.lines), by_place);
	r->out.unmetered_s /= NS_PER_S;
	*out = r->out;
	r->out = (struct rating){ .lines = NULL };
	rate_run_free(r);
	return true;
}

static void
line_done(struct line *l)
{
	mpq_clears(l->quantity, l->exact, l->amount, NULL);
	for (size_t i = 0; i < l->share_count; i++)
		mpq_clear(l->shares[i].quantity);
	free(l->shares);
	parts_done(&l->parts);
}

void
rating_drop(struct rating *r)
{
	for (size_t i = 0; i < r->count; i++)
		line_done(&r->lines[i]);
	r->count = 0;
}

void
rating_done(struct rating *r)
{
	rating_drop(r);
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
