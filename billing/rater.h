/* SPDX-License-Identifier: Apache-2.0 */
/* rater: brings the running charges of all accounts up to date, one lease at a time */
#pragma once
#include "base/conf.h"
#include "base/db.h"

struct rater;

struct rater *rater_new(const struct conf *conf) must_check;
void rater_free(struct rater *r); /* NULL is fine */

/* What a round did; told even when it failed. */
struct rater_round {
	bool leader; /* this rater held the lease */
	size_t accounts;
	size_t failed; /* accounts whose bill could not be made; each was logged */
};

/*
 * One round as of now: takes the lease, then each account in a transaction of its own
 * that first proves that the lease is still ours.  A round of another rater is no error.
 * Fails with ERR_GONE while PostgreSQL is away; the next round tries again.
 */
must_check bool rater_work(struct rater *r, struct instant now, struct rater_round *out,
    struct err *e);
