/* SPDX-License-Identifier: Apache-2.0 */
/* charge: quantities by segment become the lines of one price */
#include "billing/charge.h"
#include <stdlib.h>
#include <string.h>

/* The lines of one price and resource while they are being made. */
struct chain {
	struct rating *out;
	const struct measure *m;
	const char *resource;
	size_t first;   /* index of its first line in out */
	mpq_t position; /* units of the period so far */
	bool committed; /* F(0) of a commitment has been charged */
};

static const char *
band_name(const struct segment *s)
{
	if (s->version->model.type != MODEL_TOU)
		return NULL;
	return s->band == NULL ? s->version->model.default_name : s->band->name;
}

static bool
same_band(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* From where to where a version holds in this window; its segments may lie apart. */
static struct span
version_span(const struct chain *c, const struct version *v)
{
	struct span span = v->valid;
	bool found = false;

	for (size_t i = 0; i < c->m->segments->count; i++) {
		const struct segment *s = &c->m->segments->list[i];

		if (s->version != v)
			continue;
		if (!found)
			span.from = s->span.from;
		span.to = s->span.to;
		found = true;
	}
	return span;
}

static struct line *
line_new(struct chain *c, const struct segment *s)
{
	struct rating *r = c->out;
	struct span span = version_span(c, s->version);
	struct line *l;

	if (r->count == r->capacity) {
		r->capacity = r->capacity == 0 ? 16 : r->capacity * 2;
		r->lines = mem_resize(r->lines, r->capacity, sizeof(*r->lines));
	}
	l = &r->lines[r->count++];
	*l = (struct line){ .sku = c->m->price->sku,
		.resource = c->resource,
		.band = band_name(s),
		.price = c->m->price,
		.version = s->version,
		.start = span.from,
		.end = span.to };
	mpq_inits(l->quantity, l->exact, l->amount, NULL);
	return l;
}

static struct line *
line_for(struct chain *c, const struct segment *s)
{
	for (size_t i = c->first; i < c->out->count; i++) {
		struct line *l = &c->out->lines[i];

		if (l->version == s->version && same_band(l->band, band_name(s)))
			return l;
	}
	return line_new(c, s);
}

static void
line_share_add(struct line *l, const char *value, const mpq_t quantity)
{
	size_t i = 0;

	while (i < l->share_count && strcmp(l->shares[i].value, value) != 0)
		i++;
	if (i == l->share_count) {
		l->shares = mem_resize(l->shares, i + 1, sizeof(*l->shares));
		l->shares[i].value = value;
		mpq_init(l->shares[i].quantity);
		l->share_count++;
	}
	exact_add(l->shares[i].quantity, quantity);
}

void
charge_window(mpq_t out, const struct segment *s, const mpq_t a, const mpq_t b)
{
	const struct model *m = &s->version->model;
	scoped_exact mpq_t before;

	mpq_init(before);
	if (m->type != MODEL_TOU) {
		model_total(before, m, a);
		model_total(out, m, b);
		mpq_sub(out, out, before);
		return;
	}
	model_after_free(before, m, a);
	model_after_free(out, m, b);
	mpq_sub(out, out, before);
	mpq_mul(out, out, *model_band_price(m, s->band));
	model_discount(out, m);
}

static void
fixed_charge(struct chain *c, struct line *l, const struct model *m)
{
	scoped_exact mpq_t nothing;
	scoped_exact mpq_t owed;

	mpq_inits(nothing, owed, NULL);
	if (c->committed || m->type != MODEL_COMMIT)
		return;
	c->committed = true;
	model_total(owed, m, nothing);
	exact_add(l->exact, owed);
	if (c->m->job->want_parts)
		parts_commitment(&l->parts, m);
}

static void
segment_parts(struct line *l, const struct segment *s, const mpq_t a, const mpq_t b,
    const mpq_t cost)
{
	const struct model *m = &s->version->model;

	if (m->type == MODEL_TOU)
		parts_band(&l->parts, m, s->band, a, b, cost);
	else
		parts_window(&l->parts, m, a, b, cost);
}

static void
segment_charge(struct chain *c, size_t i)
{
	const struct segment *s = &c->m->segments->list[i];
	struct line *l = line_for(c, s);
	scoped_exact mpq_t next;
	scoped_exact mpq_t cost;

	mpq_inits(next, cost, NULL);
	mpq_add(next, c->position, c->m->by_segment[i]);
	fixed_charge(c, l, &s->version->model);
	charge_window(cost, s, c->position, next);
	exact_add(l->exact, cost);
	exact_add(l->quantity, c->m->by_segment[i]);
	if (c->m->job->want_parts)
		segment_parts(l, s, c->position, next, cost);
	mpq_set(c->position, next);
	for (size_t k = 0; k < c->m->share_count; k++)
		line_share_add(l, c->m->shares[k].value, c->m->shares[k].by_segment[i]);
}

static void
chain_total(mpq_t out, const struct chain *c)
{
	mpq_set_ui(out, 0, 1);
	for (size_t i = c->first; i < c->out->count; i++)
		exact_add(out, c->out->lines[i].exact);
}

/* Takes what is above the maximum from the last lines first. */
static void
chain_cap(struct chain *c, const mpq_t maximum)
{
	scoped_exact mpq_t excess;
	scoped_exact mpq_t cut;
	scoped_exact mpq_t nothing;

	mpq_inits(excess, cut, nothing, NULL);
	chain_total(excess, c);
	mpq_sub(excess, excess, maximum);
	for (size_t i = c->out->count; i > c->first && mpq_sgn(excess) > 0; i--) {
		struct line *l = &c->out->lines[i - 1];

		mpq_set(cut, excess);
		exact_min(cut, l->exact);
		mpq_sub(l->exact, l->exact, cut);
		mpq_sub(excess, excess, cut);
		mpq_neg(cut, cut);
		if (c->m->job->want_parts)
			parts_add_amount(&l->parts, PART_MAXIMUM, nothing, cut);
	}
}

/* Minimum, then maximum; those of the version that is in force at the end. */
static void
chain_limits(struct chain *c)
{
	struct line *last = &c->out->lines[c->out->count - 1];
	const struct model *m = &last->version->model;
	scoped_exact mpq_t lift;
	scoped_exact mpq_t total;
	scoped_exact mpq_t nothing;

	mpq_inits(lift, total, nothing, NULL);
	chain_total(total, c);
	mpq_sub(lift, m->minimum, total);
	if (m->has_minimum && mpq_sgn(lift) > 0) {
		exact_add(last->exact, lift);
		if (c->m->job->want_parts)
			parts_add_amount(&last->parts, PART_MINIMUM, nothing, lift);
	}
	if (m->has_maximum && (m->type == MODEL_TOU || m->has_minimum))
		chain_cap(c, m->maximum);
}

static void
line_round(struct line *l, const struct tariff *t)
{
	mpq_mul(l->exact, l->exact, t->fx_rate);
	rat_round(l->amount, l->exact, t->step, t->rounding);
}

bool
charge_without_usage(const struct price *p)
{
	if (p->by_resource)
		return false;
	for (size_t i = 0; i < p->version_count; i++)
		if (p->versions[i].model.type == MODEL_COMMIT)
			return true;
	return false;
}

/* Used or not, the commitment of the first version in force is owed; count: of none. */
static size_t
commitment_place(const struct measure *m)
{
	size_t i = 0;

	if (!charge_without_usage(m->price))
		return m->segments->count;
	while (i < m->segments->count &&
	    (m->segments->list[i].version == NULL ||
		m->segments->list[i].version->model.type != MODEL_COMMIT))
		i++;
	return i;
}

void
charge_lines(struct rating *out, const struct measure *m, const char *resource)
{
	struct chain c = { .out = out, .m = m, .first = out->count };
	size_t owed = commitment_place(m);

	c.resource = resource == NULL || *resource == '\0' ? NULL : resource;
	mpq_init(c.position);
	for (size_t i = 0; i < m->segments->count; i++)
		if ((m->touched[i] || i == owed) && m->segments->list[i].version != NULL)
			segment_charge(&c, i);
	if (out->count > c.first)
		chain_limits(&c);
	for (size_t i = c.first; i < out->count; i++)
		line_round(&out->lines[i], m->job->tariff);
	out->unmetered_s += m->unmetered_ns;
	mpq_clear(c.position);
}
