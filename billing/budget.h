/* SPDX-License-Identifier: Apache-2.0 */
/* budget: what budgets have been spent, and what they will be at the period's end */
#pragma once
#include "billing/bill.h"

/*
 * Computes every budget of an account for the period that is open, and writes
 * budget_state: absolute states of the generation of now.  Without any budget that costs
 * one statement.  Belongs into a fenced transaction.
 */
must_check bool budgets_put(struct db *db, const struct calendar *c, int64_t account_id,
    const struct span *period, struct instant now, struct err *e);

/* A budget as it stands at this moment, computed from usage. */
struct budget_now {
	char *spent; /* NULL: the bill is in another currency */
	char *forecast;
	struct span period;
	struct instant through;
};
void budget_now_done(struct budget_now *n);
/*
 * Writes nothing.  Needs an open transaction of a connection with billing_statements;
 * ERR_NOT_FOUND: no such budget.
 */
must_check bool budget_look(struct budget_now *out, struct db *db, int64_t account_id,
    const char *uuid, struct instant now, struct err *e);
