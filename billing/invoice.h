/* SPDX-License-Identifier: Apache-2.0 */
/* invoice: the lines of a period with all that stands below them */
#pragma once
#include "billing/period.h"
#include "billing/rate.h"
#include "billing/tax.h"
#include "billing/terms.h"

/* What became known about a closed period after it was invoiced. */
struct adjustment {
	const char *sku;
	const char *tax_class;
	struct instant period_start;
	mpq_t amount;
};
struct credit_use {
	const char *id;
	mpq_t used;
	mpq_t left;
};
struct note_result {
	const char *sku;
	struct totals totals; /* what the note gives back: net, tax, total */
};
struct allocation {
	const char *value; /* of the tag; "" for what has none */
	mpq_t amount;
};

/* Texts belong to tariff, usage and terms, which must outlive the invoice. */
struct invoice {
	struct rating rating;
	struct adjustment *adjustments; /* by sku and period, none is 0 */
	size_t adjustment_count;
	struct totals totals;
	struct credit_use *credits;
	size_t credit_count;
	mpq_t due;
	bool locks;
	struct instant lock_at;
	struct note_result *notes;
	size_t note_count;
	mpq_t after_notes;
	struct allocation *parts;
	size_t part_count;
};

struct invoice_job {
	const struct tariff *tariff;
	const struct usage_list *usage;
	const struct calendar *calendar;
	const struct period *period;
	const struct terms *terms;
};

/* Pure, like rate(); errors as there. */
must_check bool invoice_make(struct invoice *out, const struct invoice_job *job,
    struct err *e);
void invoice_done(struct invoice *i);

/* Parts of it, each in a file of its own. */
must_check bool invoice_adjust(struct invoice *i, const struct invoice_job *job,
    struct err *e);
void invoice_credit(struct invoice *i, const struct invoice_job *job);
must_check bool invoice_notes(struct invoice *i, const struct invoice_job *job,
    struct err *e);
must_check bool invoice_lock(struct invoice *i, const struct invoice_job *job,
    struct err *e);
void invoice_allocate(struct invoice *i, const struct invoice_job *job);
/* The rounded sums by tax class of lines and adjustments; s is initialised. */
void invoice_sums(struct tax_sums *s, const struct invoice *i);
