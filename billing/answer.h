/* SPDX-License-Identifier: Apache-2.0 */
/* answer: an invoice as JSON, in the words of billing-rules section 0 */
#pragma once
#include "base/buf.h"
#include "billing/invoice.h"

/*
 * One object: lines, subtotal, tax, total, adjustments, credits, due, lock_at,
 * credit_notes, after_credit_notes, allocation, unrated, rejected, unmetered_seconds,
 * period.  Amounts are strings with the currency's places.
 */
void answer_write(struct buf *out, const struct tariff *tariff,
    const struct usage_list *usage, const struct period *period,
    const struct invoice *invoice);

/* "12.10", "4737": an amount as this tariff's invoices show it. Caller frees. */
char *amount_text(const struct tariff *t, const mpq_t amount) must_check;
/* The exact number: "12.5" or "10/3", as a string. */
void answer_exact(struct jout *j, const char *key, const mpq_t q);
void answer_amount(struct jout *j, const char *key, const struct tariff *t,
    const mpq_t amount);
