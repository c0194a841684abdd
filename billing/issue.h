/* SPDX-License-Identifier: Apache-2.0 */
/* issue: what was drawn up gets its number, and is a statement from then on */
#pragma once
#include "base/db.h"

/*
 * Issues the statement that comes next, in an order that hangs on the accounts and
 * their periods only (issue_next in sql/query/billing.sql).  *any false: none can be
 * issued now.  Belongs into a transaction fenced by the numbering lease.
 */
must_check bool issue_one(struct db *db, struct instant now, bool *any, struct err *e);
