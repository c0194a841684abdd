/* SPDX-License-Identifier: Apache-2.0 */
/* parties: who issues a document to whom, and under which number */
#pragma once
#include "base/db.h"
#include "base/json.h"

struct parties {
	struct rows *rows; /* that the texts are of */
	int64_t account_id;
	const char *account_uuid;
	const char *issuer_id;
	const char *kind;   /* "invoice" or "showback": of the account's statements */
	const char *series; /* the same */
	const char *year;
};

/* Of an account's next statement, or of a further document of an issuer and series. */
struct parties_ask {
	int64_t account_id;
	const char *issuer_id; /* NULL: the account's */
	const char *series;    /* NULL: that of its statements */
};
must_check bool parties_read(struct parties *p, struct db *db,
    const struct parties_ask *ask, struct instant now, struct err *e);
void parties_done(struct parties *p);

/* The next number of the series, taken for a statement; under the numbering lease. */
must_check bool parties_number(const struct parties *p, struct db *db,
    int64_t statement_id, int64_t *number, char **name, struct err *e);
/* Members of the head: format, kind, number, issued, issued_on, issuer, customer. */
void parties_head(struct jout *j, const struct parties *p, const char *kind,
    const char *name, struct instant now);
/* "previous": number and digest of the document before this one in its series. */
must_check bool parties_previous(struct jout *j, const struct parties *p, struct db *db,
    struct err *e);
