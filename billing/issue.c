/* SPDX-License-Identifier: Apache-2.0 */
/* issue: what was drawn up gets its number, and is a statement from then on */
#include "billing/issue.h"
#include "base/json.h"
#include "base/mem.h"
#include "billing/doc.h"
#include "billing/parties.h"
#include "billing_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of issue_draft. */
enum { DRAFT_STATEMENT, DRAFT_BODY, DRAFT_FIRST_DAY, DRAFT_LAST_DAY };

/* A statement on its way from draft to document. */
struct issuing {
	struct db *db;
	int64_t account_id;
	struct instant starts;
	struct instant now;
	const struct rows *draft;
	struct parties parties;
	struct json *body;
	int64_t number;
	char *name;
	mpq_t due; /* total less credits and what was paid in advance */
};

static const char *
text(const struct issuing *x, size_t column)
{
	return rows_text(x->draft, 0, column);
}

static const char *
body_text(const struct issuing *x, const char *key)
{
	return json_text(json_get(json_root(x->body), key));
}

static bool
is_showback(const struct issuing *x)
{
	return strcmp(x->parties.kind, "showback") == 0;
}

static void
amount_write(struct jout *j, const char *key, const struct issuing *x, const mpq_t amount)
{
	const char *total = body_text(x, "total");
	const char *point = strchr(total, '.');
	scoped_free char *shown = rat_decimal(amount,
	    point == NULL ? 0 : (unsigned)strlen(point + 1));

	jout_string(j, key, shown);
}

/* min(what there is, what is due) is used; both of what is left are lessened. */
static void
due_lessen(mpq_t used, mpq_t there, mpq_t due)
{
	mpq_set(used, due);
	exact_min(used, there);
	mpq_sub(there, there, used);
	mpq_sub(due, due, used);
}

static bool
credit_write(struct jout *j, struct issuing *x, const struct rows *r, size_t row,
    struct err *e)
{
	scoped_exact mpq_t left;
	scoped_exact mpq_t used;

	mpq_inits(left, used, NULL);
	if (!rat_parse(left, rows_text(r, row, 2), e))
		return false;
	due_lessen(used, left, x->due);
	jout_open(j, NULL, '{');
	jout_string(j, "id", rows_text(r, row, 0));
	jout_string(j, "name", rows_text(r, row, 1));
	amount_write(j, "used", x, used);
	amount_write(j, "left", x, left);
	jout_string(j, "expires", rows_text(r, row, 3));
	jout_close(j, '}');
	return true;
}

static bool
credits_write(struct jout *j, struct issuing *x, struct err *e)
{
	const struct jval *period = json_get(json_root(x->body), "period");
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(x->db, STMT_ISSUE_CREDITS,
		DB_ARGS(DB_NUMBER(x->account_id), body_text(x, "currency"),
		    json_text(json_get(period, "end"))),
		&r, e))
		return false;
	jout_open(j, "credits", '[');
	for (size_t row = 0; row < rows_count(r) && mpq_sgn(x->due) > 0; row++)
		if (!credit_write(j, x, r, row, e))
			return false;
	jout_close(j, ']');
	return true;
}

static bool
prepaid_write(struct jout *j, struct issuing *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_exact mpq_t left;
	scoped_exact mpq_t used;

	mpq_inits(left, used, NULL);
	if (!db_query(x->db, STMT_ISSUE_PREPAID,
		DB_ARGS(DB_NUMBER(x->account_id), body_text(x, "currency")), &r, e) ||
	    !rat_parse(left, rows_text(r, 0, 0), e))
		return false;
	if (mpq_sgn(left) <= 0 || mpq_sgn(x->due) <= 0)
		return true;
	due_lessen(used, left, x->due);
	jout_open(j, "prepaid", '{');
	amount_write(j, "used", x, used);
	amount_write(j, "left", x, left);
	jout_close(j, '}');
	return true;
}

/* A showback costs nobody anything: it uses up no credit and posts nothing. */
static bool
due_write(struct jout *j, struct issuing *x, struct err *e)
{
	if (!rat_parse(x->due, body_text(x, "total"), e))
		return false;
	if (!is_showback(x) && (!credits_write(j, x, e) || !prepaid_write(j, x, e)))
		return false;
	amount_write(j, "due", x, x->due);
	return true;
}

static bool
document_write(struct buf *out, struct issuing *x, struct err *e)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '{');
	parties_head(&j, &x->parties, x->parties.kind, x->name, x->now);
	jout_string(&j, "first_day", text(x, DRAFT_FIRST_DAY));
	jout_string(&j, "last_day", text(x, DRAFT_LAST_DAY));
	if (!parties_previous(&j, &x->parties, x->db, e) || !due_write(&j, x, e))
		return false;
	jout_raw(&j, "body", text(x, DRAFT_BODY));
	jout_close(&j, '}');
	return buf_ok(out) ||
	    err_set(e, ERR_LIMIT, "statement %s: its document is too long", x->name);
}

static bool
statement_put(struct issuing *x, const char *document, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const struct jval *period = json_get(json_root(x->body), "period");
	scoped_free char *key = mem_printf("%s/%s/statement", x->parties.account_uuid,
	    json_text(json_get(period, "start")));
	scoped_free char *due = rat_text(x->due);

	if (!db_query(x->db, STMT_ISSUE_STATEMENT,
		DB_ARGS(DB_NUMBER(x->account_id), text(x, DRAFT_STATEMENT), key,
		    x->parties.kind, x->parties.issuer_id, x->parties.series,
		    x->parties.year, DB_NUMBER(x->number), x->name,
		    json_text(json_get(period, "start")),
		    json_text(json_get(period, "end")), DB_INSTANT(x->now),
		    body_text(x, "currency"), body_text(x, "subtotal"),
		    body_text(x, "tax"), body_text(x, "total"), due, NULL, document),
		&r, e))
		return false;
	return is_showback(x) ||
	    db_run(x->db, STMT_ISSUE_POST,
		DB_ARGS(DB_NUMBER(x->account_id), x->name, rows_text(r, 0, 0)), NULL, e);
}

static bool
statement_issue(struct issuing *x, struct err *e)
{
	scoped(buf_done) struct buf document = BUF_INIT;
	struct parties_ask ask = { .account_id = x->account_id };
	int64_t id = rows_i64(x->draft, 0, DRAFT_STATEMENT);

	if (!parties_read(&x->parties, x->db, &ask, x->now, e))
		return false;
	return parties_number(&x->parties, x->db, id, &x->number, &x->name, e) &&
	    document_write(&document, x, e) && statement_put(x, buf_text(&document), e);
}

static bool
period_issue(struct issuing *x, struct err *e)
{
	const char *body = text(x, DRAFT_BODY);

	if (body != NULL) {
		if (!json_parse(&x->body, body, strlen(body), e))
			return err_wrap(e, "draft of account %lld",
			    (long long)x->account_id);
		if (!statement_issue(x, e))
			return err_wrap(e, "statement of account %lld",
			    (long long)x->account_id);
	}
	return db_run(x->db, STMT_ISSUE_CLOSE,
		   DB_ARGS(DB_NUMBER(x->account_id), DB_INSTANT(x->starts),
		       DB_INSTANT(x->now)),
		   NULL, e) &&
	    db_run(x->db, STMT_ISSUE_SEAL,
		DB_ARGS(DB_NUMBER(x->account_id), DB_INSTANT(x->starts),
		    DB_INSTANT(x->now)),
		NULL, e);
}

bool
issue_one(struct db *db, struct instant now, bool *any, struct err *e)
{
	scoped(rows_clear) struct rows *next = NULL;
	scoped(rows_clear) struct rows *draft = NULL;
	struct issuing x = { .db = db, .now = instant_floor(now, NS_PER_S) };
	bool ok;

	*any = false;
	if (!db_query(db, STMT_ISSUE_NEXT, DB_ARGS(DB_INSTANT(now)), &next, e))
		return false;
	if (rows_count(next) == 0)
		return true;
	x.account_id = rows_i64(next, 0, 0);
	x.starts.ns = rows_i64(next, 0, 1) * NS_PER_US;
	if (!db_query(db, STMT_ISSUE_DRAFT,
		DB_ARGS(DB_NUMBER(x.account_id), DB_INSTANT(x.starts)), &draft, e))
		return false;
	x.draft = draft;
	if (rows_count(draft) != 1)
		return err_set(e, ERR_AGAIN,
		    "account %lld: its draft was taken meanwhile",
		    (long long)x.account_id);
	mpq_init(x.due);
	ok = period_issue(&x, e);
	mpq_clear(x.due);
	json_free(x.body);
	parties_done(&x.parties);
	free(x.name);
	*any = ok;
	return ok;
}
