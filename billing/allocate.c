/* SPDX-License-Identifier: Apache-2.0 */
/* allocate: the subtotal split by a tag, to the last minor unit */
#include "billing/invoice.h"
#include <stdlib.h>
#include <string.h>

/* amount holds the exact weight at first, then the rounded part. */
static struct allocation *
part_for(struct invoice *i, const char *value)
{
	for (size_t k = 0; k < i->part_count; k++)
		if (strcmp(i->parts[k].value, value) == 0)
			return &i->parts[k];
	i->parts = mem_resize(i->parts, i->part_count + 1, sizeof(*i->parts));
	i->parts[i->part_count].value = value;
	mpq_init(i->parts[i->part_count].amount);
	return &i->parts[i->part_count++];
}

/* A line's exact amount by the tag's share of its quantity. */
static void
line_weigh(struct invoice *i, const struct line *l)
{
	scoped_exact mpq_t weight;

	mpq_init(weight);
	if (mpq_sgn(l->quantity) == 0) {
		exact_add(part_for(i, "")->amount, l->exact);
		return;
	}
	for (size_t k = 0; k < l->share_count; k++) {
		mpq_mul(weight, l->exact, l->shares[k].quantity);
		mpq_div(weight, weight, l->quantity);
		exact_add(part_for(i, l->shares[k].value)->amount, weight);
	}
}

static int
by_value(const void *a, const void *b)
{
	return strcmp(((const struct allocation *)a)->value,
	    ((const struct allocation *)b)->value);
}

/* Turns weights into floored parts; rests keeps what was cut off. */
static void
parts_floor(struct invoice *i, const mpq_t weight, const mpq_t minor, mpq_t *rests,
    mpq_t left)
{
	mpq_set(left, i->totals.subtotal);
	for (size_t k = 0; k < i->part_count; k++) {
		struct allocation *p = &i->parts[k];

		mpq_mul(rests[k], p->amount, i->totals.subtotal);
		mpq_div(rests[k], rests[k], weight);
		mpq_div(p->amount, rests[k], minor);
		mpz_fdiv_q(mpq_numref(p->amount), mpq_numref(p->amount),
		    mpq_denref(p->amount));
		mpz_set_ui(mpq_denref(p->amount), 1);
		mpq_mul(p->amount, p->amount, minor);
		mpq_sub(rests[k], rests[k], p->amount);
		mpq_sub(left, left, p->amount);
	}
}

/* The left-over units go to the largest rests, ties by the tag's value. */
static void
rests_give(struct invoice *i, const mpq_t minor, mpq_t *rests, mpq_t left)
{
	while (mpq_cmp(left, minor) >= 0) {
		size_t best = 0;

		for (size_t k = 1; k < i->part_count; k++)
			if (mpq_cmp(rests[k], rests[best]) > 0)
				best = k;
		exact_add(i->parts[best].amount, minor);
		mpq_sub(rests[best], rests[best], minor);
		mpq_sub(left, left, minor);
	}
}

void
invoice_allocate(struct invoice *i, const struct invoice_job *job)
{
	scoped_exact mpq_t weight;
	scoped_exact mpq_t left;
	mpq_t *rests;

	mpq_inits(weight, left, NULL);
	if (job->terms->allocate_tag == NULL)
		return;
	for (size_t k = 0; k < i->rating.count; k++)
		line_weigh(i, &i->rating.lines[k]);
	for (size_t k = 0; k < i->part_count; k++)
		exact_add(weight, i->parts[k].amount);
	/* Lines that all came to nothing have nothing to split but adjustments. */
	if (mpq_sgn(weight) == 0) {
		if (mpq_sgn(i->totals.subtotal) != 0)
			mpq_set(part_for(i, "")->amount, i->totals.subtotal);
		return;
	}
	qsort(i->parts, i->part_count, sizeof(*i->parts), by_value);
	rests = exact_array(i->part_count);
	parts_floor(i, weight, job->tariff->minor, rests, left);
	rests_give(i, job->tariff->minor, rests, left);
	exact_array_free(rests, i->part_count);
}
