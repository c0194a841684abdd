/* SPDX-License-Identifier: Apache-2.0 */
/* bill: what an account has to pay so far, by the code that bills */
#include "billing/preview.h"
#include "web/handlers.h"
#include <stdio.h>

struct preview {
	struct call *call;
	struct buf *out;
};

/* In billing's own connection of this thread, with this account in sight only. */
static bool
preview_work(struct db *db, void *context, struct err *e)
{
	struct preview *p = context;
	char sql[96];

	(void)snprintf(sql, sizeof(sql),
	    "select set_config('jeoul.account', '%lld', true)",
	    (long long)p->call->owner);
	buf_clear(p->out);
	return db_exec(db, sql, e) &&
	    bill_preview(db, p->call->owner, clock_now(), p->out, e);
}

bool
handle_bill_preview(struct call *c, struct err *e)
{
	struct preview p = { c, &c->items };
	struct db *db = NULL;

	return worker_bill_db(c->worker, &db, e) &&
	    db_transaction(db, preview_work, &p, e);
}
