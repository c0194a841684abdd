/* SPDX-License-Identifier: Apache-2.0 */
/* invoice: the lines of a period with all that stands below them */
#include "billing/invoice.h"
#include <stdlib.h>

void
invoice_sums(struct tax_sums *s, const struct invoice *i)
{
	for (size_t k = 0; k < i->rating.count; k++)
		tax_sums_add(s, i->rating.lines[k].price->tax_class,
		    i->rating.lines[k].amount);
	for (size_t k = 0; k < i->adjustment_count; k++)
		tax_sums_add(s, i->adjustments[k].tax_class, i->adjustments[k].amount);
}

static void
invoice_totals(struct invoice *i, const struct invoice_job *job)
{
	struct tax_sums sums;

	tax_sums_init(&sums, job->tariff);
	invoice_sums(&sums, i);
	tax_totals(&i->totals, &sums);
	tax_sums_done(&sums);
}

static bool
invoice_rate(struct invoice *i, const struct invoice_job *job, struct err *e)
{
	struct rate_job rating = { .tariff = job->tariff,
		.usage = job->usage,
		.calendar = job->calendar,
		.window = job->period->span,
		.known = job->period->as_of,
		.share_tag = job->terms->allocate_tag };

	return rate(&i->rating, &rating, e);
}

bool
invoice_make(struct invoice *out, const struct invoice_job *job, struct err *e)
{
	struct invoice i = { .part_count = 0 };

	totals_init(&i.totals);
	mpq_inits(i.due, i.after_notes, NULL);
	if (!invoice_rate(&i, job, e) || !invoice_adjust(&i, job, e))
		goto failed;
	invoice_totals(&i, job);
	invoice_credit(&i, job);
	invoice_allocate(&i, job);
	if (!invoice_notes(&i, job, e) || !invoice_lock(&i, job, e))
		goto failed;
	*out = i;
	return true;
failed:
	invoice_done(&i);
	return false;
}

void
invoice_done(struct invoice *i)
{
	for (size_t k = 0; k < i->adjustment_count; k++)
		mpq_clear(i->adjustments[k].amount);
	for (size_t k = 0; k < i->credit_count; k++)
		mpq_clears(i->credits[k].used, i->credits[k].left, NULL);
	for (size_t k = 0; k < i->note_count; k++)
		totals_done(&i->notes[k].totals);
	for (size_t k = 0; k < i->part_count; k++)
		mpq_clear(i->parts[k].amount);
	free(i->adjustments);
	free(i->credits);
	free(i->notes);
	free(i->parts);
	totals_done(&i->totals);
	mpq_clears(i->due, i->after_notes, NULL);
	rating_done(&i->rating);
}
