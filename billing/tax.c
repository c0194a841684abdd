/* SPDX-License-Identifier: Apache-2.0 */
/* tax: rounded line amounts by tax class become subtotal, tax and total */
#include "billing/tax.h"

void
tax_sums_init(struct tax_sums *s, const struct tariff *t)
{
	*s = (struct tax_sums){ t, exact_array(t->tax_count + 1) };
}

void
tax_sums_done(struct tax_sums *s)
{
	exact_array_free(s->by_class, s->tariff->tax_count + 1);
}

void
tax_sums_add(struct tax_sums *s, const char *tax_class, const mpq_t amount)
{
	const struct tax_class *class = tariff_tax(s->tariff, tax_class);
	size_t i = class == NULL ? s->tariff->tax_count
				 : (size_t)(class - s->tariff->taxes);

	exact_add(s->by_class[i], amount);
}

void
totals_init(struct totals *t)
{
	mpq_inits(t->subtotal, t->tax, t->total, NULL);
}

void
totals_done(struct totals *t)
{
	mpq_clears(t->subtotal, t->tax, t->total, NULL);
}

/* amount x rate, or the share rate/(1 + rate) of an amount that holds its tax. */
static void
class_tax(mpq_t out, const struct tariff *t, const mpq_t amount, const mpq_t rate)
{
	scoped_exact mpq_t gross;

	mpq_init(gross);
	mpq_mul(out, amount, rate);
	if (t->tax_inclusive) {
		mpq_set_ui(gross, 1, 1);
		exact_add(gross, rate);
		mpq_div(out, out, gross);
	}
	rat_round(out, out, t->minor, t->tax_rounding);
}

void
tax_totals(struct totals *out, const struct tax_sums *s)
{
	const struct tariff *t = s->tariff;
	scoped_exact mpq_t tax;

	mpq_init(tax);
	mpq_set_ui(out->tax, 0, 1);
	mpq_set_ui(out->subtotal, 0, 1);
	for (size_t i = 0; i <= t->tax_count; i++)
		exact_add(out->subtotal, s->by_class[i]);
	for (size_t i = 0; i < t->tax_count; i++) {
		class_tax(tax, t, s->by_class[i], t->taxes[i].rate);
		exact_add(out->tax, tax);
	}
	if (t->tax_inclusive)
		mpq_sub(out->subtotal, out->subtotal, out->tax);
	mpq_add(out->total, out->subtotal, out->tax);
}
