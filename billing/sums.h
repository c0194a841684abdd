/* SPDX-License-Identifier: Apache-2.0 */
/* sums: consumption that is settled, added up once and kept */
#pragma once
#include "billing/usage_stream.h"

/*
 * Kept sums are a cache (sql/076-usage-sums.sql): what they are made of is known, what
 * comes late makes its resource be read anew, and with all of them deleted every result
 * is the same to the byte.  Statements are drawn up from sums that the same transaction
 * made from all rows.
 */
enum sums_use {
	SUMS_NONE, /* all is read from rows */
	SUMS_LOOK, /* used if they are good, never changed */
	SUMS_KEEP, /* made good where they are not */
	SUMS_PLAN, /* what would have to be made of all rows is left to sums_fill() */
	SUMS_ANEW, /* the same, and that is everything */
	SUMS_CLOSE /* all rows of a period that is over, and the print of just these */
};

/*
 * Settles up to where the windows that were asked for are in kept sums (ask->summed).
 * *planned: they wait for sums_fill(), and nothing else may be done with the period.  In
 * a transaction of one snapshot, for all but SUMS_LOOK under the account's lease.
 */
must_check bool sums_settle(struct usage_ask *ask, struct db *db, struct instant now,
    enum sums_use use, bool *planned, struct err *e);

/*
 * Makes all sums that were planned, of the accounts whose shard of so many is one of
 * "{1,5}", in one pass over the rows as they lie: cheap where many accounts wait, for
 * a row of one account is mostly alone in its page.
 */
must_check bool sums_fill(struct db *db, int64_t shards, const char *ours, struct err *e);
