/* SPDX-License-Identifier: Apache-2.0 */
/* bill: what an account's open period has come to, from the rows to the total */
#pragma once
#include "billing/account_usage.h"
#include "billing/rate.h"
#include "billing/tax.h"

/* The price list of one part of the period, and what it makes of the usage there. */
struct portion {
	struct span span;
	int64_t tariff_id;
	const char *tariff_uuid;
	const char *tariff_name;
	int64_t tariff_version;
	struct tariff *tariff;
	bool rated;
	struct rating rating;
};

struct bill {
	struct arena *arena;
	int64_t account_id;
	const char *account_uuid;
	const char *account_name;
	const char *currency; /* of the amounts */
	const char *timezone;
	struct span period;     /* the local month */
	struct instant through; /* charged up to here, a whole second */
	struct account_usage used;
	struct portion *portions; /* none: the account has no tariff */
	size_t portion_count;
	struct totals totals;
	mpq_t per_hour; /* what one more hour of what runs now adds, before tax */
};

/* Whose bill, of which month, as of when. */
struct bill_ask {
	int64_t account_id;
	struct instant within; /* any instant of the month */
	struct instant now;
};

/*
 * Reads and rates the local month that holds ask->within, as far as ask->now.  The
 * connection must have been opened with billing_statements.  ERR_NOT_FOUND: no such
 * account; ERR_INPUT: its tariff can't rate its usage, the text says why.
 */
must_check bool bill_make(struct bill *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, struct err *e);
void bill_done(struct bill *b);

/* An amount as it is shown, with the places of its currency. Caller frees. */
char *bill_amount_text(const struct bill *b, const mpq_t amount) must_check;
/* The tariff of the last portion; NULL without one. */
const struct tariff *bill_tariff(const struct bill *b);
/* Calls visit for the name of each sku that had usage and no price, once. */
void bill_unrated(const struct bill *b, void (*visit)(void *context, const char *sku),
    void *context);
