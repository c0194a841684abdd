/* SPDX-License-Identifier: Apache-2.0 */
/* statement: closed statements, and why a line costs what it does */
#include "billing/calendar_db.h"
#include "billing/explain.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <string.h>

bool
handle_statement(struct call *c, struct err *e)
{
	return call_answer_one(c, STMT_STATEMENT_ONE, call_value(c, "id"), e);
}

/* ---- why */

struct explaining {
	struct call *call;
	struct explain_ask ask;
};

/* In billing's own connection of this thread, with this account in sight only. */
static bool
explain_work(struct db *db, void *context, struct err *e)
{
	struct explaining *x = context;
	struct calendar *calendar = calendar_db_new(db, false);
	char sql[96];
	bool ok;

	(void)snprintf(sql, sizeof(sql),
	    "select set_config('jeoul.account', '%lld', true)",
	    (long long)x->ask.account_id);
	buf_clear(&x->call->items);
	ok = db_exec(db, sql, e) && explain(&x->call->items, db, calendar, &x->ask, e);
	calendar_db_free(calendar);
	return ok;
}

static bool
statement_account(struct explaining *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct call *c = x->call;

	if (!db_query(c->db, STMT_STATEMENT_ACCOUNT, DB_ARGS(x->ask.statement), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "statement", x->ask.statement, e);
	x->ask.account_id = rows_i64(r, 0, 0);
	return rows_count(r) == 1 ||
	    err_set(e, ERR_CONFLICT,
		"%.60s is the number of more than one statement: name it by its id",
		x->ask.statement);
}

bool
handle_explain(struct call *c, struct err *e)
{
	struct explaining x = { c,
		{ .account_id = c->owner,
		    .statement = call_value(c, "statement"),
		    .line = call_number(c, "line", 0),
		    .sku = call_value(c, "sku"),
		    .resource = call_value(c, "resource"),
		    .band = call_value(c, "band"),
		    .now = clock_now() } };
	struct db *db = NULL;

	if (x.ask.statement != NULL && x.ask.line < 1)
		return err_set(e, ERR_INPUT, "line: which line of the statement, from 1");
	if (x.ask.statement == NULL && x.ask.sku == NULL)
		return err_set(e, ERR_INPUT,
		    "name a statement and a line, or a sku of the running bill");
	if (x.ask.statement != NULL && !statement_account(&x, e))
		return false;
	return worker_bill_db(c->worker, &db, e) &&
	    db_transaction(db, explain_work, &x, e);
}
