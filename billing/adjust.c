/* SPDX-License-Identifier: Apache-2.0 */
/* adjust: what became known about closed periods comes onto the present invoice */
#include "billing/invoice.h"
#include <stdlib.h>
#include <string.h>

static struct adjustment *
adjustment_for(struct invoice *i, const struct line *l, struct instant period_start)
{
	struct adjustment *a;

	for (size_t k = 0; k < i->adjustment_count; k++) {
		a = &i->adjustments[k];
		if (a->period_start.ns == period_start.ns &&
		    strcmp(a->sku, l->sku) == 0 &&
		    strcmp(a->tax_class, l->price->tax_class) == 0)
			return a;
	}
	i->adjustments = mem_resize(i->adjustments, i->adjustment_count + 1, sizeof(*a));
	a = &i->adjustments[i->adjustment_count++];
	*a = (struct adjustment){ .sku = l->sku,
		.tax_class = l->price->tax_class,
		.period_start = period_start };
	mpq_init(a->amount);
	return a;
}

static bool
period_rate(struct rating *out, const struct invoice_job *job, const struct span *span,
    struct instant known, struct err *e)
{
	struct rate_job rating = { .tariff = job->tariff,
		.usage = job->usage,
		.calendar = job->calendar,
		.window = *span,
		.known = known };

	return rate(out, &rating, e);
}

/* (rounded lines with full knowledge) - (rounded lines as known at closed_at) */
static bool
closed_adjust(struct invoice *i, const struct invoice_job *job,
    const struct closed_period *closed, struct err *e)
{
	struct rating then;
	struct rating now;

	if (!period_rate(&then, job, &closed->span, closed->closed_at, e))
		return false;
	if (!period_rate(&now, job, &closed->span, job->period->as_of, e)) {
		rating_done(&then);
		return false;
	}
	for (size_t k = 0; k < now.count; k++)
		exact_add(adjustment_for(i, &now.lines[k], closed->span.from)->amount,
		    now.lines[k].amount);
	for (size_t k = 0; k < then.count; k++) {
		struct adjustment *a = adjustment_for(i, &then.lines[k],
		    closed->span.from);

		mpq_sub(a->amount, a->amount, then.lines[k].amount);
	}
	rating_done(&then);
	rating_done(&now);
	return true;
}

static void
zeros_drop(struct invoice *i)
{
	size_t kept = 0;

	for (size_t k = 0; k < i->adjustment_count; k++) {
		if (mpq_sgn(i->adjustments[k].amount) == 0)
			mpq_clear(i->adjustments[k].amount);
		else
			i->adjustments[kept++] = i->adjustments[k];
	}
	i->adjustment_count = kept;
}

static int
by_sku(const void *left, const void *right)
{
	const struct adjustment *a = left;
	const struct adjustment *b = right;
	int order = strcmp(a->sku, b->sku);

	if (order != 0)
		return order;
	return (a->period_start.ns > b->period_start.ns) -
	    (a->period_start.ns < b->period_start.ns);
}

bool
invoice_adjust(struct invoice *i, const struct invoice_job *job, struct err *e)
{
	for (size_t k = 0; k < job->period->closed_count; k++)
		if (!closed_adjust(i, job, &job->period->closed[k], e))
			return false;
	zeros_drop(i);
	if (i->adjustment_count > 1)
		qsort(i->adjustments, i->adjustment_count, sizeof(*i->adjustments),
		    by_sku);
	return true;
}
