/* SPDX-License-Identifier: Apache-2.0 */
/* balance: how many records of usage came in, and what became of them, by sku */
#pragma once
#include "base/db.h"
#include "base/mem.h"
#include "billing/span.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* received = rated + unrated + rejected + pending must hold for each. */
struct balance_row {
	const char *sku;
	uint64_t rated;
	uint64_t unrated;  /* no price for it, in all or a part of its time */
	uint64_t rejected; /* its id came before with other content */
	uint64_t pending;  /* corrects a record that has not come yet */
	/* A record that another took the place of is received no more: counted apart. */
	uint64_t corrected;
	/* As counted in the tables; after balance_put(), when pending also has what
	 * begins after what is charged so far. */
	uint64_t received;
};
struct balance {
	struct balance_row *rows; /* by sku */
	size_t count;
};

enum fate { FATE_RATED, FATE_UNRATED, FATE_REJECTED, FATE_PENDING, FATE_CORRECTED };

void balance_done(struct balance *b);
/* sku is copied into the arena when it is new. */
void balance_add(struct balance *b, struct arena *a, const char *sku, enum fate fate,
    uint64_t records);

/*
 * Counts in the tables what came in for a period, and writes both sides down
 * (usage_balance) unless it shall only look; b becomes what was written.  *lost: the sku
 * that does not add up, of the arena, or NULL.  In the snapshot in which the usage was
 * read.
 */
struct balance_of {
	int64_t account_id;
	struct span period;
	struct instant through;
	struct instant now;
	struct instant summed; /* windows before it are counted as usage_sum has them */
	bool look;             /* writes nothing */
};
must_check bool balance_put(struct balance *b, struct arena *a, struct db *db,
    const struct balance_of *of, const char **lost, struct err *e);
