/* SPDX-License-Identifier: Apache-2.0 */
/* export: charges and usage of any range of time, streamed, account by account */
#include "billing/export.h"
#include "billing/focus_running.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

struct exporting {
	struct db *db;
	const struct export_ask *ask;
	const struct text_out *out;
	struct buf text;
	int64_t account_id;
	struct instant at; /* of the open period that is looked at */
	bool begun;        /* rows of this account have gone out already */
	bool any;
};

/* Calls each for every account that was asked for. */
static bool
accounts_each(struct exporting *x, bool (*each)(struct exporting *x, struct err *e),
    struct err *e)
{
	bool found = false;

	for (;;) {
		scoped(rows_clear) struct rows *r = NULL;

		if (!db_query(x->db, STMT_EXPORT_ACCOUNTS,
			DB_ARGS(DB_NUMBER(x->account_id), x->ask->account), &r, e))
			return false;
		for (size_t i = 0; i < rows_count(r); i++) {
			x->account_id = rows_i64(r, i, 0);
			found = true;
			if (!each(x, e))
				return err_wrap(e, "account %s", rows_text(r, i, 1));
		}
		if (rows_count(r) == 0)
			break;
	}
	return found || x->ask->account == NULL ||
	    err_set(e, ERR_NOT_FOUND, "there is no account %.80s", x->ask->account);
}

/* ---- FOCUS */

static bool
document_export(struct exporting *x, const char *uuid, struct err *e)
{
	struct issued s;
	bool ok;

	if (!statement_open(&s, x->db, x->account_id, uuid, e))
		return false;
	ok = focus_statement(&s, x->ask->focus, x->out, e);
	statement_done(&s);
	return ok;
}

static bool
documents_export(struct exporting *x, struct err *e)
{
	int64_t last = 0;
	size_t count;

	do {
		scoped(rows_clear) struct rows *r = NULL;

		if (!db_query(x->db, STMT_EXPORT_DOCUMENTS,
			DB_ARGS(DB_NUMBER(x->account_id), DB_INSTANT(x->ask->from),
			    DB_INSTANT(x->ask->to), DB_NUMBER(last)),
			&r, e))
			return false;
		count = rows_count(r);
		for (size_t i = 0; i < count; i++) {
			last = rows_i64(r, i, 0);
			if (!document_export(x, rows_text(r, i, 1), e))
				return false;
		}
	} while (count > 0);
	return true;
}

static bool
running_work(struct db *db, void *context, struct err *e)
{
	struct exporting *x = context;

	buf_clear(&x->text); /* of a transaction that is tried again */
	return focus_running(&x->text, db, x->account_id, x->at, x->ask->now,
	    x->ask->focus, e);
}

static bool
open_export(struct exporting *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(x->db, STMT_EXPORT_OPEN_PERIOD,
		DB_ARGS(DB_NUMBER(x->account_id), DB_INSTANT(x->ask->from),
		    DB_INSTANT(x->ask->to), DB_INSTANT(x->ask->now)),
		&r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		x->at.ns = rows_i64(r, i, 0) * NS_PER_US;
		if (!db_transaction(x->db, running_work, x, e) ||
		    !text_flush(x->out, &x->text, e))
			return false;
	}
	return true;
}

static bool
account_focus(struct exporting *x, struct err *e)
{
	return documents_export(x, e) && (x->ask->closed_only || open_export(x, e));
}

bool
export_focus(struct db *db, const struct export_ask *ask, const struct text_out *out,
    struct err *e)
{
	struct exporting x = { .db = db, .ask = ask, .out = out, .text = BUF_INIT };
	bool ok;

	focus_names(&x.text, ask->focus);
	ok = text_flush(out, &x.text, e) && accounts_each(&x, account_focus, e);
	buf_done(&x.text);
	return ok;
}

/* ---- usage */

static const char *const usage_names[] = { "account", "source", "id", "sku", "unit",
	"quantity", "at", "from", "to", "seq", "resource", "resource_name", "tags" };
enum { USAGE_TAGS = 12 };

static void
usage_csv(struct buf *out, const struct rows *r, size_t row)
{
	for (size_t i = 0; i < ARRAY_LEN(usage_names); i++) {
		const char *text = rows_text(r, row, i);

		csv_field(out, i == USAGE_TAGS && strcmp(text, "{}") == 0 ? NULL : text,
		    i + 1 == ARRAY_LEN(usage_names));
	}
}

static void
usage_json(struct exporting *x, const struct rows *r, size_t row)
{
	struct jout j = JOUT_INIT(&x->text);

	buf_puts(&x->text, x->any ? ",\n" : "\n");
	x->any = true;
	jout_open(&j, NULL, '{');
	for (size_t i = 0; i < USAGE_TAGS; i++)
		jout_string(&j, usage_names[i], rows_text(r, row, i));
	jout_raw(&j, "tags", rows_text(r, row, USAGE_TAGS));
	jout_close(&j, '}');
}

static bool
usage_fetch(struct exporting *x, size_t *count, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(x->db, STMT_EXPORT_USAGE_NEXT, DB_NONE, &r, e))
		return false;
	*count = rows_count(r);
	for (size_t i = 0; i < *count; i++) {
		if (x->ask->json)
			usage_json(x, r, i);
		else
			usage_csv(&x->text, r, i);
		if (x->text.length > 65536 && !text_flush(x->out, &x->text, e))
			return false;
	}
	return true;
}

/* What went out can't be taken back: a transaction that would be tried again fails. */
static bool
usage_work(struct db *db, void *context, struct err *e)
{
	struct exporting *x = context;
	size_t count = 1;

	if (x->begun)
		return err_set(e, ERR_INTERNAL,
		    "PostgreSQL went away in the middle; export again");
	x->begun = true;
	if (!db_run(db, STMT_EXPORT_USAGE_OPEN,
		DB_ARGS(DB_NUMBER(x->account_id), DB_INSTANT(x->ask->from),
		    DB_INSTANT(x->ask->to)),
		NULL, e))
		return false;
	while (count > 0)
		if (!usage_fetch(x, &count, e))
			return false;
	return db_run(db, STMT_EXPORT_USAGE_CLOSE, DB_NONE, NULL, e);
}

static bool
account_usage(struct exporting *x, struct err *e)
{
	x->begun = false;
	return db_transaction(x->db, usage_work, x, e) && text_flush(x->out, &x->text, e);
}

bool
export_usage(struct db *db, const struct export_ask *ask, const struct text_out *out,
    struct err *e)
{
	struct exporting x = { .db = db, .ask = ask, .out = out, .text = BUF_INIT };
	bool ok;

	if (ask->json)
		buf_puts(&x.text, "[");
	for (size_t i = 0; !ask->json && i < ARRAY_LEN(usage_names); i++)
		csv_field(&x.text, usage_names[i], i + 1 == ARRAY_LEN(usage_names));
	ok = accounts_each(&x, account_usage, e);
	if (ok && ask->json)
		buf_puts(&x.text, "\n]\n");
	ok = ok && text_flush(out, &x.text, e);
	buf_done(&x.text);
	return ok;
}
