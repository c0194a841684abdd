/* SPDX-License-Identifier: Apache-2.0 */
/* tariff: price lists come in, go out, are given to accounts and tried out */
#include "billing/simulate.h"
#include "billing/tariff_load.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <stdio.h>
#include <string.h>

/* ---- in */

/* A further version, unless the latest is the very same text. */
static bool
version_insert(struct call *c, const struct rows *tariff, const char *document,
    struct err *e)
{
	int64_t next = rows_i64(tariff, 0, 2) + 1;

	if (rows_bool(tariff, 0, 3))
		return true;
	return db_run(c->db, STMT_TARIFF_VERSION_INSERT,
	    DB_ARGS(rows_text(tariff, 0, 0), DB_NUMBER(next), document,
		DB_NUMBER(c->caller.user_id)),
	    NULL, e);
}

/* A level without "per" could never be billed, an amount has no time to count. */
static bool
meters_fit(struct call *c, const struct tariff *t, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, STMT_USAGE_METER_LEVELS, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < t->price_count; i++)
		for (size_t k = 0; k < rows_count(r); k++) {
			const struct price *p = &t->prices[i];
			bool level = rows_bool(r, k, 1);

			if (strcmp(rows_text(r, k, 0), p->sku) != 0 ||
			    level == (p->per != PER_NONE))
				continue;
			return err_set(e, ERR_INPUT,
			    level
				? "prices[%zu]: %s lasts for a time: its price needs "
				  "\"per\", such as \"per\":\"month\""
				: "prices[%zu]: %s is counted at instants: its price has "
				  "no \"per\"",
			    i, p->sku);
		}
	return true;
}

static void
check_answer(struct call *c, const struct tariff_loaded *l)
{
	struct jout *j = &c->out;
	const char *line = buf_text(&l->notes);

	jout_open(j, NULL, '{');
	jout_string(j, "currency", l->tariff->currency);
	jout_string(j, "invoiced", l->tariff->invoiced);
	jout_number(j, "prices", (int64_t)l->tariff->price_count);
	jout_open(j, "notes", '[');
	while (*line != '\0') {
		size_t n = strcspn(line, "\n");

		jout_string(j, NULL, arena_strndup(c->arena, line, n));
		line += n + (line[n] == '\n' ? 1 : 0);
	}
	jout_close(j, ']');
	jout_close(j, '}');
	c->total = 1;
}

bool
handle_tariff_check(struct call *c, struct err *e)
{
	const char *document = call_value(c, "document");
	struct tariff_loaded l;
	bool ok;

	if (!tariff_load_err(&l, document, strlen(document), e))
		return false;
	ok = meters_fit(c, l.tariff, e);
	if (ok)
		check_answer(c, &l);
	tariff_loaded_done(&l);
	return ok;
}

static bool
list_store(struct call *c, const struct tariff_loaded *l, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");
	const char *document = buf_text(&l->document);

	if (!meters_fit(c, l->tariff, e) ||
	    !db_run(c->db, STMT_TARIFF_UPSERT, DB_ARGS(name), NULL, e) ||
	    !db_query(c->db, STMT_TARIFF_LATEST, DB_ARGS(name, document), &r, e))
		return false;
	c->object = arena_strdup(c->arena, rows_text(r, 0, 1));
	return version_insert(c, r, document, e) &&
	    call_answer_one(c, STMT_TARIFF_ONE, c->object, e);
}

bool
handle_tariff_import(struct call *c, struct err *e)
{
	const char *document = call_value(c, "document");
	struct tariff_loaded l;
	bool ok;

	if (!tariff_load_err(&l, document, strlen(document), e))
		return false;
	ok = list_store(c, &l, e);
	tariff_loaded_done(&l);
	return ok;
}

bool
handle_tariff_assign(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *found = NULL;
	scoped(rows_clear) struct rows *r = NULL;
	const char *tariff = call_value(c, "tariffid");
	const char *account_uuid = NULL;
	int64_t account = 0;

	if (!call_named_account(c, &account, &account_uuid, e) ||
	    !db_query(c->db, STMT_TARIFF_FIND, DB_ARGS(tariff), &found, e))
		return false;
	if (account == 0)
		return err_set(e, ERR_INPUT, "assignTariff needs account or accountid");
	if (rows_count(found) == 0)
		return call_not_found(c, "tariffid", tariff, e);
	c->object = account_uuid;
	if (!db_query(c->db, STMT_TARIFF_ASSIGN,
		DB_ARGS(DB_NUMBER(account), call_value(c, "startdate"),
		    rows_text(found, 0, 0)),
		&r, e))
		return false;
	if (rows_i64(r, 0, 0) != rows_i64(found, 0, 0))
		return err_set(e, ERR_CONFLICT,
		    "from %s on the account has another price list, and that stays "
		    "written: "
		    "give a later startdate",
		    call_date(c, rows_text(r, 0, 1)));
	return call_answer_one(c, STMT_ACCOUNT_ONE, account_uuid, e);
}

/* ---- out */

enum {
	STORED_UUID,
	STORED_NAME,
	STORED_VERSION,
	STORED_SHA256,
	STORED_AT,
	STORED_DOCUMENT
};

/* The document as it was entered: its digest is that of these very bytes. */
static bool
stored_find(struct call *c, struct rows **out, struct err *e)
{
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_TARIFF_STORED, DB_ARGS(id, call_value(c, "version")),
		out, e))
		return false;
	return rows_count(*out) == 1 || call_not_found(c, "id", id, e);
}

static bool
as_text(struct buf *out, const char *document, struct err *e)
{
	struct tariff_loaded l;
	bool ok;

	if (!tariff_load_err(&l, document, strlen(document), e))
		return err_wrap(e, "this version can only be exported as JSON");
	ok = tariff_text_of(out, &l, e);
	tariff_loaded_done(&l);
	return ok;
}

bool
handle_tariff_export(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(buf_done) struct buf text = BUF_INIT;
	struct jout *j = &c->out;
	const char *format = call_value(c, "format");
	bool json = format != NULL && strcmp(format, "json") == 0;

	if (format != NULL && !json && strcmp(format, "text") != 0)
		return err_set(e, ERR_INPUT, "format is %.40s: it is text or json",
		    format);
	if (!stored_find(c, &r, e) ||
	    (!json && !as_text(&text, rows_text(r, 0, STORED_DOCUMENT), e)))
		return false;
	jout_open(j, NULL, '{');
	jout_string(j, "id", rows_text(r, 0, STORED_UUID));
	jout_string(j, "name", rows_text(r, 0, STORED_NAME));
	jout_number(j, "version", rows_i64(r, 0, STORED_VERSION));
	jout_string(j, "sha256", rows_text(r, 0, STORED_SHA256));
	jout_string(j, "recorded", call_date(c, rows_text(r, 0, STORED_AT)));
	jout_string(j, "format", json ? "json" : "text");
	jout_string(j, "document",
	    json ? rows_text(r, 0, STORED_DOCUMENT) : buf_text(&text));
	jout_close(j, '}');
	c->total = 1;
	return true;
}

/* ---- tried out */

struct trial {
	struct call *call;
	struct simulate_ask ask;
};

/* In billing's own connection of this thread, with this account in sight only. */
static bool
trial_work(struct db *db, void *context, struct err *e)
{
	struct trial *t = context;
	char sql[96];

	(void)snprintf(sql, sizeof(sql),
	    "select set_config('jeoul.account', '%lld', true)",
	    (long long)t->ask.account_id);
	buf_clear(&t->call->items);
	return db_exec(db, sql, e) && simulate(&t->call->items, db, &t->ask, e);
}

static bool
trial_run(struct call *c, const char *document, struct err *e)
{
	struct trial t = { c,
		{ .document = document,
		    .month = call_value(c, "month"),
		    .now = clock_now() } };
	const char *uuid = NULL;
	struct db *db = NULL;

	if (!call_named_account(c, &t.ask.account_id, &uuid, e))
		return false;
	if (t.ask.account_id == 0)
		return err_set(e, ERR_INPUT,
		    "whose month is it? simulateTariff needs account or accountid");
	return worker_bill_db(c->worker, &db, e) && db_transaction(db, trial_work, &t, e);
}

bool
handle_tariff_simulate(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *document = call_value(c, "document");
	struct tariff_loaded l;
	bool ok;

	if ((document == NULL) == (call_value(c, "id") == NULL))
		return err_set(e, ERR_INPUT,
		    "which price list? give a document, or the id of a stored one");
	if (document == NULL && !stored_find(c, &r, e))
		return false;
	if (document == NULL)
		return trial_run(c, rows_text(r, 0, STORED_DOCUMENT), e);
	if (!tariff_load_err(&l, document, strlen(document), e))
		return false;
	ok = trial_run(c, buf_text(&l.document), e);
	tariff_loaded_done(&l);
	return ok;
}
