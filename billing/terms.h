/* SPDX-License-Identifier: Apache-2.0 */
/* terms: what an account brings to its invoice: credits, a balance, credit notes */
#pragma once
#include "base/json.h"
#include "base/mem.h"
#include "billing/exact.h"
#include "billing/span.h"

#define TERMS_MAX 10000

struct credit {
	const char *id;
	mpq_t amount;
	struct instant expires; /* INSTANT_LAST: never */
};
/* A part of what a sku came to is given back: so many percent, or an amount. */
struct credit_note {
	const char *sku;
	bool is_percent;
	mpq_t value;
};

struct terms {
	struct arena *arena;
	struct credit *credits;
	size_t credit_count;
	struct credit_note *notes;
	size_t note_count;
	bool prepaid;
	mpq_t funds;              /* balance + credit limit */
	const char *allocate_tag; /* NULL: none */
};

void terms_init(struct terms *t);
void terms_done(struct terms *t);
/* The values of "account", "credit_notes" and "allocate"; NULL or absent: none. */
must_check bool terms_read(struct terms *t, const struct jval *account,
    const struct jval *notes, const struct jval *allocate, struct err *e);
