/* SPDX-License-Identifier: Apache-2.0 */
/* credit: credits pay, credit notes give back */
#include "billing/invoice.h"
#include <stdlib.h>
#include <string.h>

static int
by_expiry(const void *left, const void *right)
{
	const struct credit *a = *(const struct credit *const *)left;
	const struct credit *b = *(const struct credit *const *)right;

	if (a->expires.ns != b->expires.ns)
		return a->expires.ns < b->expires.ns ? -1 : 1;
	return (a > b) - (a < b);
}

static void
credit_apply(struct credit_use *use, const struct credit *c, mpq_t due)
{
	use->id = c->id;
	mpq_inits(use->used, use->left, NULL);
	if (mpq_sgn(due) > 0)
		mpq_set(use->used, due);
	exact_min(use->used, c->amount);
	mpq_sub(use->left, c->amount, use->used);
	mpq_sub(due, due, use->used);
}

/* After tax, soonest expiry first; what expired before the period's end is gone. */
void
invoice_credit(struct invoice *i, const struct invoice_job *job)
{
	const struct terms *t = job->terms;
	scoped_free const struct credit **order = mem_array(t->credit_count + 1,
	    sizeof(void *));
	size_t count = 0;

	mpq_set(i->due, i->totals.total);
	for (size_t k = 0; k < t->credit_count; k++)
		if (t->credits[k].expires.ns >= job->period->span.to.ns)
			order[count++] = &t->credits[k];
	if (count > 1)
		qsort(order, count, sizeof(void *), by_expiry);
	i->credits = mem_array(count + 1, sizeof(*i->credits));
	for (size_t k = 0; k < count; k++)
		credit_apply(&i->credits[i->credit_count++], order[k], i->due);
}

/* What the invoice has for a sku, and in which class. */
static const char *
sku_amount(mpq_t out, const struct invoice *i, const char *sku)
{
	const char *tax_class = NULL;

	mpq_set_ui(out, 0, 1);
	for (size_t k = 0; k < i->rating.count; k++) {
		const struct line *l = &i->rating.lines[k];

		if (strcmp(l->sku, sku) != 0)
			continue;
		exact_add(out, l->amount);
		tax_class = l->price->tax_class;
	}
	return tax_class;
}

/* Percent of what was invoiced, or the amount; at most what notes have left of it. */
static bool
note_amount(mpq_t out, const struct credit_note *n, const mpq_t invoiced,
    const mpq_t left, const struct tariff *t, struct err *e)
{
	scoped_exact mpq_t hundredth;

	mpq_init(hundredth);
	mpq_set_ui(hundredth, 1, 100);
	mpq_set(out, n->value);
	if (n->is_percent) {
		mpq_mul(out, n->value, invoiced);
		mpq_mul(out, out, hundredth);
	}
	rat_round(out, out, t->minor, t->rounding);
	if (mpq_cmp(out, left) > 0)
		return err_set(e, ERR_INPUT,
		    "credit note for %s: more than what is left of the invoice's lines",
		    n->sku);
	return true;
}

static void
totals_difference(struct totals *out, const struct totals *before,
    const struct totals *after)
{
	mpq_sub(out->subtotal, before->subtotal, after->subtotal);
	mpq_sub(out->tax, before->tax, after->tax);
	mpq_sub(out->total, before->total, after->total);
}

/* What earlier notes gave back of this sku, in the invoice's terms of price. */
static void
sku_given(mpq_t out, const struct invoice *i, const char *sku, const struct tariff *t)
{
	mpq_set_ui(out, 0, 1);
	for (size_t k = 0; k < i->note_count; k++)
		if (strcmp(i->notes[k].sku, sku) == 0)
			exact_add(out,
			    t->tax_inclusive ? i->notes[k].totals.total
					     : i->notes[k].totals.subtotal);
}

static bool
note_make(struct invoice *i, const struct credit_note *n, struct tax_sums *sums,
    struct totals *before, const struct tariff *t, struct err *e)
{
	struct note_result *result = &i->notes[i->note_count];
	scoped_exact mpq_t invoiced;
	scoped_exact mpq_t left;
	scoped_exact mpq_t amount;
	const char *tax_class;
	struct totals after;

	mpq_inits(invoiced, left, amount, NULL);
	tax_class = sku_amount(invoiced, i, n->sku);
	if (tax_class == NULL)
		return err_set(e, ERR_INPUT,
		    "credit note for %s: the invoice has no line of it", n->sku);
	sku_given(left, i, n->sku, t);
	mpq_sub(left, invoiced, left);
	if (!note_amount(amount, n, invoiced, left, t, e))
		return false;
	mpq_neg(amount, amount);
	tax_sums_add(sums, tax_class, amount);
	totals_init(&after);
	tax_totals(&after, sums);
	result->sku = n->sku;
	totals_init(&result->totals);
	totals_difference(&result->totals, before, &after);
	i->note_count++;
	totals_done(before);
	*before = after;
	return true;
}

/*
 * A note's tax is the tax before it less the tax after it, so that notes over the whole
 * invoice leave exactly nothing.
 */
bool
invoice_notes(struct invoice *i, const struct invoice_job *job, struct err *e)
{
	const struct terms *t = job->terms;
	struct tax_sums sums;
	struct totals before;
	bool ok = true;

	tax_sums_init(&sums, job->tariff);
	totals_init(&before);
	invoice_sums(&sums, i);
	tax_totals(&before, &sums);
	i->notes = mem_array(t->note_count + 1, sizeof(*i->notes));
	for (size_t k = 0; ok && k < t->note_count; k++)
		ok = note_make(i, &t->notes[k], &sums, &before, job->tariff, e);
	mpq_set(i->after_notes, before.total);
	tax_sums_done(&sums);
	totals_done(&before);
	return ok;
}
