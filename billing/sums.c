/* SPDX-License-Identifier: Apache-2.0 */
/* sums: consumption that is settled, added up once and kept */
#include "billing/sums.h"
#include "billing_stmt.gen.h"

/* Columns of sums_look. */
enum { LOOK_SETTLED, LOOK_THROUGH, LOOK_GOOD, LOOK_TOUCHED, LOOK_LIVES };

enum {
	FEW_LIVES = 300
}; /* as sums_look has it; with sums and records they are few rows */

/* The sums of a period, and what there is of them. */
struct keeping {
	struct db *db;
	struct usage_ask *ask;
	struct instant now;
	struct buf starts;
	struct buf sum_in;
	struct instant settled; /* up to here nothing is new but what says so */
	struct instant through; /* up to here they are kept */
	bool good;
	bool touched;
};

static bool
look(struct keeping *k, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct usage_ask *ask = k->ask;

	if (!db_query(k->db, STMT_SUMS_LOOK,
		DB_ARGS(DB_NUMBER(ask->account_id), DB_INSTANT(ask->span.from),
		    DB_INSTANT(ask->span.to), buf_text(&k->starts), buf_text(&k->sum_in),
		    DB_INSTANT(k->now)),
		&r, e))
		return false;
	k->settled.ns = rows_i64(r, 0, LOOK_SETTLED) * NS_PER_US;
	k->good = rows_bool(r, 0, LOOK_GOOD);
	if (k->good)
		k->through.ns = rows_i64(r, 0, LOOK_THROUGH) * NS_PER_US;
	k->touched = rows_bool(r, 0, LOOK_TOUCHED);
	ask->few = rows_i64(r, 0, LOOK_LIVES) < FEW_LIVES;
	return true;
}

/* One of the statements that know an account and the begin of a period. */
static bool
period_run(struct keeping *k, unsigned statement, struct err *e)
{
	return db_run(k->db, statement,
	    DB_ARGS(DB_NUMBER(k->ask->account_id), DB_INSTANT(k->ask->span.from)), NULL,
	    e);
}

/* One of those that also know an end. */
static bool
reach_run(struct keeping *k, unsigned statement, struct instant to, struct err *e)
{
	return db_run(k->db, statement,
	    DB_ARGS(DB_NUMBER(k->ask->account_id), DB_INSTANT(k->ask->span.from),
		DB_INSTANT(to)),
	    NULL, e);
}

static bool
stretches_run(struct keeping *k, unsigned statement, struct err *e)
{
	return db_run(k->db, statement,
	    DB_ARGS(DB_NUMBER(k->ask->account_id), DB_INSTANT(k->ask->span.from),
		DB_INSTANT(k->settled), buf_text(&k->starts), buf_text(&k->sum_in)),
	    NULL, e);
}

/* The resources of windows that came late are read from the period's begin on. */
static bool
late_add(struct keeping *k, struct err *e)
{
	return reach_run(k, STMT_SUMS_FORGET, k->through, e) &&
	    period_run(k, STMT_SUMS_AGAIN, e) &&
	    reach_run(k, STMT_SUMS_TOUCHED, k->through, e);
}

static bool
good_keep(struct keeping *k, struct err *e)
{
	if (k->touched && !late_add(k, e))
		return false;
	if (k->settled.ns <= k->through.ns)
		return true;
	if (!stretches_run(k, STMT_SUMS_ON, e) ||
	    !reach_run(k, STMT_SUMS_ADD, k->settled, e))
		return false;
	k->through = k->settled;
	return true;
}

static bool
anew_make(struct keeping *k, bool plan, bool *planned, struct err *e)
{
	if (!stretches_run(k, STMT_SUMS_WANT, e) || !period_run(k, STMT_SUMS_CLEAR, e))
		return false;
	*planned = plan;
	if (plan)
		return true;
	if (!reach_run(k, STMT_SUMS_ADD, k->settled, e) ||
	    !period_run(k, STMT_SUMS_MADE, e))
		return false;
	k->through = k->settled;
	return true;
}

/* Until the transaction ends these sums are what the rows say: it has one snapshot. */
static bool
close_make(struct keeping *k, struct err *e)
{
	k->settled = k->ask->span.to;
	if (!stretches_run(k, STMT_SUMS_WANT, e) || !period_run(k, STMT_SUMS_CLEAR, e) ||
	    !reach_run(k, STMT_SUMS_CLOSE, k->settled, e))
		return false;
	k->through = k->settled;
	return true;
}

static bool
keep(struct keeping *k, enum sums_use use, bool *planned, struct err *e)
{
	if (!look(k, e))
		return false;
	if (use == SUMS_CLOSE)
		return close_make(k, e);
	if (use == SUMS_LOOK) {
		if (k->touched)
			k->through = INSTANT_FIRST;
		return true;
	}
	if (k->good && use != SUMS_ANEW)
		return good_keep(k, e);
	k->through = INSTANT_FIRST;
	if (k->settled.ns <= k->ask->span.from.ns)
		return true;
	return anew_make(k, use != SUMS_KEEP, planned, e);
}

bool
sums_settle(struct usage_ask *ask, struct db *db, struct instant now, enum sums_use use,
    bool *planned, struct err *e)
{
	struct keeping k = { .db = db,
		.ask = ask,
		.now = now,
		.starts = BUF_INIT,
		.sum_in = BUF_INIT,
		.through = INSTANT_FIRST };
	bool ok;

	*planned = false;
	ask->summed = INSTANT_FIRST;
	if (use == SUMS_NONE)
		return true;
	ok = usage_ask_text(&k.starts, &k.sum_in, ask, e) && keep(&k, use, planned, e);
	if (ok)
		ask->summed = k.through;
	buf_done(&k.starts);
	buf_done(&k.sum_in);
	return ok;
}

/*
 * In the order of the rows there is no reason for an index; the groups of a site of
 * 10,000 VMs stay in memory, those of a larger one go to disk.
 */
#define IN_ORDER                                                                         \
	"set local enable_nestloop = off; set local enable_mergejoin = off; "            \
	"set local enable_indexscan = off; set local enable_bitmapscan = off; "          \
	"set local enable_sort = off; set local work_mem = '32MB'"

bool
sums_fill(struct db *db, int64_t shards, const char *ours, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_SUMS_UNMADE, DB_ARGS(DB_NUMBER(shards), ours), &r, e))
		return false;
	if (rows_text(r, 0, 0) == NULL)
		return true;
	return db_exec(db, IN_ORDER, e) &&
	    db_run(db, STMT_SUMS_FILL,
		DB_ARGS(DB_NUMBER(shards), ours, rows_text(r, 0, 0), rows_text(r, 0, 1)),
		NULL, e) &&
	    db_run(db, STMT_SUMS_FILLED, DB_ARGS(DB_NUMBER(shards), ours), NULL, e);
}
