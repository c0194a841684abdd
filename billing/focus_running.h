/* SPDX-License-Identifier: Apache-2.0 */
/* focus_running: a period that is not closed as rows of FOCUS, as of this moment */
#pragma once
#include "base/db.h"
#include "billing/focus.h"

/*
 * Adds the rows of the period that holds an instant to out, which must have room for all
 * of them: one account's.  No invoice is named.
 * Needs an open transaction of a connection with billing_statements; an account that
 * can't be rated is ERR_INPUT.
 */
must_check bool focus_running(struct buf *out, struct db *db, int64_t account_id,
    struct instant within, struct instant now, enum focus_version version, struct err *e);
