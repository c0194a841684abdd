/* SPDX-License-Identifier: Apache-2.0 */
/* tax: rounded line amounts by tax class become subtotal, tax and total */
#pragma once
#include "billing/tariff.h"

/* What each class's lines come to; the last place is for a tariff without tax. */
struct tax_sums {
	const struct tariff *tariff;
	mpq_t *by_class;
};

struct totals {
	mpq_t subtotal; /* net */
	mpq_t tax;
	mpq_t total; /* gross */
};

void tax_sums_init(struct tax_sums *s, const struct tariff *t);
void tax_sums_done(struct tax_sums *s);
void tax_sums_add(struct tax_sums *s, const char *tax_class, const mpq_t amount);

void totals_init(struct totals *t);
void totals_done(struct totals *t);
/* One rounding per class; inclusive prices hold their tax already. */
void tax_totals(struct totals *out, const struct tax_sums *s);
