/* SPDX-License-Identifier: Apache-2.0 */
/* periods: from when to when an account's statements go */
#pragma once
#include "base/db.h"
#include "billing/calendar.h"

/* The period of an account that holds an instant: as it was opened, or as it would be. */
must_check bool period_find(struct db *db, const struct calendar *c, int64_t account_id,
    struct instant at, struct span *out, struct err *e);

/*
 * Opens every period of an account up to the one that holds now.  The first holds the
 * account's creation or first lifetime, each further one begins where the last ends,
 * also when zone or anchor have changed meanwhile.  For the rater: writes.
 */
must_check bool periods_open(struct db *db, const struct calendar *c, int64_t account_id,
    struct instant now, struct err *e);

/* Version of the zone rules on this machine ("2025b"), or "unknown". */
const char *tzdata_version(void);
