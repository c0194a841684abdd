/* SPDX-License-Identifier: Apache-2.0 */
/* cost: what was spent, and what something will cost before it is made */
#include "billing/cost_report.h"
#include "billing/quote.h"
#include "web/cloud.h"
#include "web/export.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MOST = 20000, ACCOUNTS_MOST = 2000, FILE_ACCOUNTS_MOST = 1000000 };

/* ---- what is asked for */

/* "team=web": the value may hold further signs. */
static bool
tag_split(const struct call *c, const char **key, const char **value, struct err *e)
{
	const char *tag = call_value(c, "tag");
	const char *equals = tag == NULL ? NULL : strchr(tag, '=');

	*key = *value = NULL;
	if (tag == NULL)
		return true;
	if (equals == NULL || equals == tag)
		return err_set(e, ERR_INPUT, "tag: write it as key=value");
	*key = arena_strndup(c->arena, tag, (size_t)(equals - tag));
	*value = arena_strdup(c->arena, equals + 1);
	return true;
}

static const char *
lower(const struct call *c, const char *uuid)
{
	char *out = arena_strdup(c->arena, uuid);

	for (char *p = out; p != NULL && *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	return out;
}

static bool
wish_read(struct cost_wish *w, const struct call *c, struct err *e)
{
	const char *by = call_value(c, "by");

	*w = (struct cost_wish){ .from = call_value(c, "startdate"),
		.to = call_value(c, "enddate"),
		.statement = call_value(c, "statement"),
		.sku = call_value(c, "sku"),
		.resource = lower(c, call_value(c, "resourceid")),
		.now = clock_now() };
	return tag_split(c, &w->filter_key, &w->filter_value, e) &&
	    cost_by_read(w, c->arena, by == NULL ? "day" : by, e) &&
	    cost_wish_check(w, e);
}

/* ---- reports */

struct reporting {
	struct call *call;
	struct cost_wish wish;
	struct cost_report report;
	bool begun;
	int64_t accounts_most;
};

static bool
sight_set(struct db *db, const char *accounts, struct err *e)
{
	char sql[96];

	(void)snprintf(sql, sizeof(sql), "select set_config('jeoul.account', '%s', true)",
	    accounts);
	return db_exec(db, sql, e);
}

/* One of many that can't be rated is named, and the others are told. */
static bool
account_add(struct reporting *x, struct db *db, int64_t account, bool alone,
    struct err *e)
{
	struct err why = ERR_INIT;

	if (!sight_set(db, DB_NUMBER(account), e) || !db_exec(db, "savepoint account", e))
		return false;
	if (cost_report_add(&x->report, db, account, &why))
		return db_exec(db, "release savepoint account", e);
	if (alone || why.kind != ERR_INPUT)
		return err_set(e, why.kind, "%s", why.text);
	cost_report_trouble(&x->report, why.text);
	return db_exec(db, "rollback to savepoint account", e);
}

/* In billing's own connection of this thread, one account after the other in sight. */
static bool
report_work(struct db *db, void *context, struct err *e)
{
	struct reporting *x = context;
	struct call *c = x->call;
	scoped(rows_clear) struct rows *r = NULL;
	bool projects = call_true(c, "projects");

	if (x->begun)
		cost_report_done(&x->report);
	x->begun = true;
	cost_report_init(&x->report, &x->wish);
	if (!sight_set(db, c->scope == SCOPE_ALL ? "all" : DB_NUMBER(c->scope), e) ||
	    !cost_accounts(&r, db, projects ? c->owner : 0, x->accounts_most + 1, e))
		return false;
	if ((int64_t)rows_count(r) > x->accounts_most)
		return err_set(e, ERR_LIMIT,
		    "there are more than %lld accounts: name one, or take the file "
		    "(exportCosts)",
		    (long long)x->accounts_most);
	for (size_t i = 0; i < rows_count(r); i++)
		if (!account_add(x, db, rows_i64(r, i, 0), rows_count(r) == 1, e))
			return false;
	return x->wish.statement == NULL || x->report.document_count > 0 ||
	    err_set(e, ERR_NOT_FOUND, "there is no statement %.60s", x->wish.statement);
}

bool
handle_cost_report(struct call *c, struct err *e)
{
	struct reporting x = { .call = c, .accounts_most = ACCOUNTS_MOST };
	struct db *db = NULL;
	bool ok;

	if (!wish_read(&x.wish, c, e) || !worker_bill_db(c->worker, &db, e))
		return false;
	buf_clear(&c->items);
	ok = db_transaction(db, report_work, &x, e) &&
	    cost_report_json(&c->items, &x.report, ROWS_MOST, e);
	if (x.begun)
		cost_report_done(&x.report);
	return ok;
}

/* ---- the same as a file */

static bool
file_json(const struct call *c)
{
	const char *format = call_value(c, "format");

	return format != NULL && strcmp(format, "json") == 0;
}

static bool
file_make(struct call *c, struct db *db, const struct text_out *out, struct err *e)
{
	struct reporting x = { .call = c, .accounts_most = FILE_ACCOUNTS_MOST };
	scoped(buf_done) struct buf text = BUF_INIT;
	bool ok;

	if (!wish_read(&x.wish, c, e))
		return false;
	ok = db_transaction(db, report_work, &x, e);
	if (ok && file_json(c))
		ok = cost_report_json(&text, &x.report, 0, e) &&
		    text_flush(out, &text, e);
	else if (ok)
		ok = cost_report_csv(&x.report, out, e);
	if (x.begun)
		cost_report_done(&x.report);
	return ok;
}

static bool
file_late(struct call *c, struct err *e)
{
	return call_file(c, file_json(c) ? "costs.json" : "costs.csv",
		   file_json(c) ? "application/json" : "text/csv; charset=utf-8", e) &&
	    export_alone(c, file_make, e);
}

bool
handle_cost_file(struct call *c, struct err *e)
{
	const char *format = call_value(c, "format");
	struct cost_wish checked;

	if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0)
		return err_set(e, ERR_INPUT, "format: csv or json");
	c->late = file_late;
	return wish_read(&checked, c, e);
}
