/* SPDX-License-Identifier: Apache-2.0 */
/* issue: what was drawn up gets its number, and is a statement from then on */
#include "billing/issue.h"
#include "base/json.h"
#include "base/mem.h"
#include "billing/doc.h"
#include "billing_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "jeoul-statement/1"
#define NUMBER_DIGITS 6

/* Columns of issue_draft. */
enum {
	DRAFT_STATEMENT,
	DRAFT_BODY,
	DRAFT_ACCOUNT_UUID,
	DRAFT_ACCOUNT,
	DRAFT_CUSTOMER,
	DRAFT_DOMAIN,
	DRAFT_ISSUER_ID,
	DRAFT_ISSUER,
	DRAFT_LEGAL_NAME,
	DRAFT_ADDRESS,
	DRAFT_TAX_NUMBER,
	DRAFT_NOTE,
	DRAFT_NUMBER_FORM,
	DRAFT_KIND,
	DRAFT_YEAR,
	DRAFT_ISSUED_ON,
	DRAFT_LOCALE,
	DRAFT_FIRST_DAY,
	DRAFT_LAST_DAY
};

/* A statement on its way from draft to document. */
struct issuing {
	struct db *db;
	int64_t account_id;
	struct instant starts;
	struct instant now;
	const struct rows *draft;
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

/* "{year}-{number}" with the number's digits filled up. */
static char *
number_name(const char *form, const char *year, int64_t number)
{
	struct buf b = BUF_INIT;

	for (const char *p = form; *p != '\0'; p++) {
		if (strncmp(p, "{year}", 6) == 0) {
			buf_puts(&b, year);
			p += 5;
		} else if (strncmp(p, "{number}", 8) == 0) {
			buf_printf(&b, "%0*lld", NUMBER_DIGITS, (long long)number);
			p += 7;
		} else {
			buf_putc(&b, *p);
		}
	}
	return buf_take(&b);
}

static const char *
series_of(const char *kind)
{
	return strcmp(kind, "showback") == 0 ? "showback" : "invoice";
}

static bool
number_take(struct issuing *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *series = series_of(text(x, DRAFT_KIND));

	if (!db_query(x->db, STMT_ISSUE_NUMBER,
		DB_ARGS(text(x, DRAFT_ISSUER_ID), series, text(x, DRAFT_YEAR)), &r, e))
		return false;
	x->number = rows_i64(r, 0, 0);
	x->name = number_name(text(x, DRAFT_NUMBER_FORM), text(x, DRAFT_YEAR), x->number);
	return db_run(x->db, STMT_ISSUE_NUMBER_PUT,
	    DB_ARGS(text(x, DRAFT_ISSUER_ID), series, text(x, DRAFT_YEAR),
		DB_NUMBER(x->number), DB_NUMBER(x->account_id), text(x, DRAFT_STATEMENT)),
	    NULL, e);
}

static void
issuer_write(struct jout *j, const struct issuing *x)
{
	jout_open(j, "issuer", '{');
	jout_string(j, "name", text(x, DRAFT_ISSUER));
	jout_string(j, "legal_name", text(x, DRAFT_LEGAL_NAME));
	jout_string(j, "address", text(x, DRAFT_ADDRESS));
	jout_string(j, "tax_number", text(x, DRAFT_TAX_NUMBER));
	jout_string(j, "note", text(x, DRAFT_NOTE));
	jout_close(j, '}');
	jout_open(j, "customer", '{');
	jout_string(j, "account", text(x, DRAFT_ACCOUNT_UUID));
	jout_string(j, "name", text(x, DRAFT_ACCOUNT));
	jout_string(j, "domain", text(x, DRAFT_DOMAIN));
	jout_string(j, "address", text(x, DRAFT_CUSTOMER));
	jout_string(j, "locale", text(x, DRAFT_LOCALE));
	jout_close(j, '}');
}

/* Each statement names the digest of the one before it in its series. */
static bool
previous_write(struct jout *j, const struct issuing *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(x->db, STMT_ISSUE_PREVIOUS,
		DB_ARGS(text(x, DRAFT_ISSUER_ID), series_of(text(x, DRAFT_KIND))), &r, e))
		return false;
	if (rows_count(r) == 0) {
		jout_raw(j, "previous", "null");
		return true;
	}
	jout_open(j, "previous", '{');
	jout_string(j, "number", rows_text(r, 0, 0));
	jout_string(j, "sha256", rows_text(r, 0, 1));
	jout_close(j, '}');
	return true;
}

static bool
is_showback(const struct issuing *x)
{
	return strcmp(text(x, DRAFT_KIND), "showback") == 0;
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
	jout_string(&j, "format", FORMAT);
	jout_string(&j, "kind", text(x, DRAFT_KIND));
	jout_string(&j, "number", x->name);
	doc_instant(&j, "issued", x->now);
	jout_string(&j, "issued_on", text(x, DRAFT_ISSUED_ON));
	jout_string(&j, "first_day", text(x, DRAFT_FIRST_DAY));
	jout_string(&j, "last_day", text(x, DRAFT_LAST_DAY));
	issuer_write(&j, x);
	if (!previous_write(&j, x, e))
		return false;
	if (!due_write(&j, x, e))
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
	scoped_free char *key = mem_printf("%s/%s/statement", text(x, DRAFT_ACCOUNT_UUID),
	    json_text(json_get(period, "start")));
	scoped_free char *due = rat_text(x->due);

	if (!db_query(x->db, STMT_ISSUE_STATEMENT,
		DB_ARGS(DB_NUMBER(x->account_id), text(x, DRAFT_STATEMENT), key,
		    text(x, DRAFT_KIND), text(x, DRAFT_ISSUER_ID),
		    series_of(text(x, DRAFT_KIND)), text(x, DRAFT_YEAR),
		    DB_NUMBER(x->number), x->name, json_text(json_get(period, "start")),
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

	return number_take(x, e) && document_write(&document, x, e) &&
	    statement_put(x, buf_text(&document), e);
}

static bool
period_issue(struct issuing *x, struct err *e)
{
	const char *body = text(x, DRAFT_BODY);

	if (body != NULL) {
		if (!json_parse(&x->body, body, strlen(body), e))
			return err_wrap(e, "draft of account %s", text(x, DRAFT_ACCOUNT));
		if (!statement_issue(x, e))
			return err_wrap(e, "statement of account %s",
			    text(x, DRAFT_ACCOUNT));
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
		DB_ARGS(DB_NUMBER(x.account_id), DB_INSTANT(x.starts), DB_INSTANT(x.now)),
		&draft, e))
		return false;
	x.draft = draft;
	mpq_init(x.due);
	if (rows_count(draft) != 1)
		return err_set(e, ERR_AGAIN,
		    "account %lld: its draft was taken meanwhile",
		    (long long)x.account_id);
	ok = period_issue(&x, e);
	mpq_clear(x.due);
	json_free(x.body);
	free(x.name);
	*any = ok;
	return ok;
}
