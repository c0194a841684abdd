/* SPDX-License-Identifier: Apache-2.0 */
/* parties: who issues a document to whom, and under which number */
#include "billing/parties.h"
#include "base/mem.h"
#include "billing/doc.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define FORMAT "jeoul-statement/1"
#define NUMBER_DIGITS 6

/* Columns of issue_parties. */
enum {
	PARTY_ACCOUNT_UUID,
	PARTY_ACCOUNT,
	PARTY_CUSTOMER,
	PARTY_DOMAIN,
	PARTY_ISSUER_ID,
	PARTY_ISSUER,
	PARTY_LEGAL_NAME,
	PARTY_ADDRESS,
	PARTY_TAX_NUMBER,
	PARTY_NOTE,
	PARTY_NUMBER_FORM,
	PARTY_KIND,
	PARTY_YEAR,
	PARTY_ISSUED_ON,
	PARTY_LOCALE
};

static const char *
text(const struct parties *p, size_t column)
{
	return rows_text(p->rows, 0, column);
}

bool
parties_read(struct parties *p, struct db *db, const struct parties_ask *ask,
    struct instant now, struct err *e)
{
	*p = (struct parties){ .account_id = ask->account_id };
	if (!db_query(db, STMT_ISSUE_PARTIES,
		DB_ARGS(DB_NUMBER(ask->account_id), DB_INSTANT(now), ask->issuer_id),
		&p->rows, e))
		return false;
	if (rows_count(p->rows) != 1)
		return err_set(e, ERR_NOT_FOUND, "account %lld or its issuer is gone",
		    (long long)ask->account_id);
	p->account_uuid = text(p, PARTY_ACCOUNT_UUID);
	p->issuer_id = text(p, PARTY_ISSUER_ID);
	p->kind = text(p, PARTY_KIND);
	p->series = ask->series == NULL ? p->kind : ask->series;
	p->year = text(p, PARTY_YEAR);
	return true;
}

void
parties_done(struct parties *p)
{
	rows_clear(&p->rows);
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

bool
parties_number(const struct parties *p, struct db *db, int64_t statement_id,
    int64_t *number, char **name, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_ISSUE_NUMBER, DB_ARGS(p->issuer_id, p->series, p->year),
		&r, e))
		return false;
	*number = rows_i64(r, 0, 0);
	*name = number_name(text(p, PARTY_NUMBER_FORM), p->year, *number);
	return db_run(db, STMT_ISSUE_NUMBER_PUT,
	    DB_ARGS(p->issuer_id, p->series, p->year, DB_NUMBER(*number),
		DB_NUMBER(p->account_id), DB_NUMBER(statement_id)),
	    NULL, e);
}

void
parties_head(struct jout *j, const struct parties *p, const char *kind, const char *name,
    struct instant now)
{
	jout_string(j, "format", FORMAT);
	jout_string(j, "kind", kind);
	jout_string(j, "number", name);
	doc_instant(j, "issued", now);
	jout_string(j, "issued_on", text(p, PARTY_ISSUED_ON));
	jout_open(j, "issuer", '{');
	jout_string(j, "name", text(p, PARTY_ISSUER));
	jout_string(j, "legal_name", text(p, PARTY_LEGAL_NAME));
	jout_string(j, "address", text(p, PARTY_ADDRESS));
	jout_string(j, "tax_number", text(p, PARTY_TAX_NUMBER));
	jout_string(j, "note", text(p, PARTY_NOTE));
	jout_close(j, '}');
	jout_open(j, "customer", '{');
	jout_string(j, "account", p->account_uuid);
	jout_string(j, "name", text(p, PARTY_ACCOUNT));
	jout_string(j, "domain", text(p, PARTY_DOMAIN));
	jout_string(j, "address", text(p, PARTY_CUSTOMER));
	jout_string(j, "locale", text(p, PARTY_LOCALE));
	jout_close(j, '}');
}

bool
parties_previous(struct jout *j, const struct parties *p, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_ISSUE_PREVIOUS, DB_ARGS(p->issuer_id, p->series), &r, e))
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
