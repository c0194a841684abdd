/* SPDX-License-Identifier: Apache-2.0 */
/* standing: what an account may still use, when that ends, and what follows from it */
#pragma once
#include "billing/bill.h"

/* What has been charged in periods that are not closed, before tax and rounding. */
struct charged {
	mpq_t before;     /* of those that are over */
	struct span open; /* the period that holds now */
	mpq_t now;        /* of the open one so far */
	const char *currency;
};

/*
 * Compares funds (paid in advance, credits, less what is owed) and credit limit with what
 * has been charged, predicts when they are used up, and writes account_standing:
 * an absolute state of the generation of now.  Belongs into a fenced transaction.
 */
must_check bool standing_put(struct db *db, const struct calendar *c, int64_t account_id,
    const struct charged *charged, struct instant now, struct err *e);

/*
 * The first whole second of a period at which its exact charge before tax reaches
 * funds, by what is known now; INSTANT_LAST: not in this period.
 */
must_check bool lock_find(struct instant *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, const mpq_t funds, struct err *e);
