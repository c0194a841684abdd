/* SPDX-License-Identifier: Apache-2.0 */
/* tax_book: tax of a statement whose lines may come from more than one price list */
#pragma once
#include "billing/tax.h"

/* Lines that are taxed together: same class, rate, mode and rounding. */
struct tax_entry {
	const char *name; /* of the class; "" where the price list has no tax */
	bool taxed;
	bool inclusive;
	enum rounding rounding;
	mpq_t rate;
	mpq_t minor; /* tax is rounded to it */
	mpq_t lines; /* sum of rounded lines */
	mpq_t net;   /* after tax_book_close() */
	mpq_t tax;
};
struct tax_book {
	struct arena *arena;
	struct tax_entry *entries; /* in order of their first line */
	size_t count;
};

void tax_book_init(struct tax_book *b);
void tax_book_done(struct tax_book *b);
/* The entry for a class of a price list; valid until the next new one is made. */
struct tax_entry *tax_book_entry(struct tax_book *b, const struct tariff *t,
    const char *tax_class);
/* The same by its terms, as a closed statement says them. */
struct tax_entry *tax_book_find(struct tax_book *b, const struct tax_entry *like);
/* One rounding per entry; sets net and tax of each, and the totals (initialised). */
void tax_book_close(struct tax_book *b, struct totals *out);
