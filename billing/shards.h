/* SPDX-License-Identifier: Apache-2.0 */
/* shards: which accounts this rater works on, so that several can work side by side */
#pragma once
#include "base/db.h"

#define SHARDS 16  /* an account belongs to shard (account.id mod SHARDS) */
#define LEASE_S 20 /* a rater that is gone is replaced after so long */

/* A lease that is held; its epoch goes into every writing transaction (fencing). */
struct held {
	bool ours;
	int64_t epoch;
};
struct shards {
	struct db *db;
	char *holder;
	struct held held[SHARDS];
	struct held numbering; /* who holds it gives numbers to statements */
	struct mono renewed;
};

/* db is set by the caller once it is connected. */
void shards_init(struct shards *s);
/* Gives back what is held, so that nobody has to wait for the leases to run out. */
void shards_done(struct shards *s);
/* Renews, takes what is free up to a fair share, gives back what is above it. */
must_check bool shards_take(struct shards *s, struct err *e);
/* The same when a quarter of the lease is over; in between nothing. */
must_check bool shards_keep(struct shards *s, struct err *e);
size_t shards_count(const struct shards *s);
/* First in a transaction: *lost is set and it fails when the lease is another's. */
must_check bool shards_fence(struct shards *s, int64_t account_id, bool *lost,
    struct err *e);
/*
 * The same for a transaction that is about all our accounts and may last longer than a
 * lease: *ours are the shards, "{1,5}".  Nobody takes them meanwhile; before the end
 * they are renewed.
 */
must_check bool shards_lock(struct shards *s, struct buf *ours, struct err *e);
must_check bool shards_stay(struct shards *s, struct err *e);
must_check bool shards_fence_numbering(struct shards *s, bool *lost, struct err *e);
