/* SPDX-License-Identifier: Apache-2.0 */
/* rater: running charges and statements of the accounts that are this rater's share */
#pragma once
#include "base/conf.h"
#include "base/db.h"

struct rater;

struct rater *rater_new(const struct conf *conf) must_check;
/* The next round reads all usage from its rows, whatever sums were kept. */
void rater_anew(struct rater *r);
void rater_free(struct rater *r); /* NULL is fine */

/* What a round did; told even when it failed. */
struct rater_round {
	size_t shards; /* held by this rater, of SHARDS */
	size_t accounts;
	size_t failed; /* accounts whose bill could not be made; each was logged */
	size_t drawn;  /* periods whose lines were drawn up */
	size_t issued; /* statements that got their number */
};

/*
 * One round as of now: takes its share of the accounts, then each account in
 * transactions of its own that first prove that its lease is still ours: periods are
 * opened, running charges brought up to date, periods past their grace drawn up, and
 * statements issued.  Fails with ERR_GONE while PostgreSQL is away; the next round
 * tries again.
 */
must_check bool rater_work(struct rater *r, struct instant now, struct rater_round *out,
    struct err *e);
