/* SPDX-License-Identifier: Apache-2.0 */
/* place: which host a new VM goes to */
#pragma once
#include "base/db.h"
#include "base/err.h"
#include <stdint.h>

struct candidate {
	int64_t id;
	int64_t memory_bytes;
	int64_t promised_bytes;
};

/*
 * Pure: the index in list, or -1 when none has room.  strategy "simple" (least promised
 * memory, the default) or "chance" (by dice, any number); memory is not overcommitted.
 */
long place_pick(const char *strategy, const struct candidate *list, size_t count,
    int64_t need_bytes, uint32_t dice);

/* From the table of hosts; a clear answer why none fitted. */
must_check bool place_choose(struct db *db, const char *strategy, int64_t need_bytes,
    int64_t *host_id, struct err *e);
