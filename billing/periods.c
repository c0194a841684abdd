/* SPDX-License-Identifier: Apache-2.0 */
/* periods: from when to when an account's statements go */
#include "billing/periods.h"
#include "base/mem.h"
#include "billing_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TZDATA "/usr/share/zoneinfo/tzdata.zi"
#define ANY_FIRST_OF_MONTH "2000-01-01"

/* What period_terms answers. */
struct period_terms {
	char *zone;
	char *anchor; /* NULL: months of the calendar */
	int months;
	struct instant first;   /* the account's first sign of life */
	struct instant removed; /* INSTANT_LAST: it lives */
	struct instant known;   /* where the last period ends; INSTANT_FIRST: none yet */
};

static void
terms_done(struct period_terms *t)
{
	free(t->zone);
	free(t->anchor);
}

static struct instant
us_or(const struct rows *r, size_t column, struct instant otherwise)
{
	if (rows_text(r, 0, column) == NULL)
		return otherwise;
	return (struct instant){ rows_i64(r, 0, column) * NS_PER_US };
}

static bool
terms_read(struct period_terms *t, struct db *db, int64_t account_id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_PERIOD_TERMS, DB_ARGS(DB_NUMBER(account_id)), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_NOT_FOUND, "there is no account %lld",
		    (long long)account_id);
	*t = (struct period_terms){ .zone = mem_strdup(rows_text(r, 0, 0)),
		.anchor = mem_strdup(rows_text(r, 0, 1)),
		.months = (int)rows_i64(r, 0, 2),
		.first = us_or(r, 3, INSTANT_FIRST),
		.removed = us_or(r, 4, INSTANT_LAST),
		.known = us_or(r, 5, INSTANT_FIRST) };
	return true;
}

/* The run of months that holds an instant; it begins no earlier than the last ended. */
static bool
unit_at(const struct period_terms *t, const struct calendar *c, struct instant at,
    struct span *out, struct err *e)
{
	struct local local = { c, t->zone };

	if (t->anchor == NULL && t->months == 1)
		return local_unit(&local, UNIT_MONTH, at, out, e);
	return local_anchored_at(&local,
	    t->anchor == NULL ? ANY_FIRST_OF_MONTH : t->anchor, t->months, at, out, e);
}

static bool
period_put(struct db *db, const struct period_terms *t, int64_t account_id,
    const struct span *p, struct err *e)
{
	return db_run(db, STMT_PERIOD_OPEN,
	    DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(p->from), DB_INSTANT(p->to),
		t->zone, tzdata_version()),
	    NULL, e);
}

static bool
periods_put(struct db *db, const struct calendar *c, const struct period_terms *t,
    int64_t account_id, struct instant now, struct err *e)
{
	struct instant from = t->known;
	struct instant last = now.ns < t->removed.ns ? now : t->removed;

	if (from.ns == INSTANT_FIRST.ns && t->first.ns > now.ns)
		return true;
	while (from.ns == INSTANT_FIRST.ns || from.ns <= last.ns) {
		bool begun = from.ns != INSTANT_FIRST.ns;
		struct span p;

		if (!unit_at(t, c, begun ? from : t->first, &p, e))
			return false;
		if (begun)
			p.from = from;
		if (!period_put(db, t, account_id, &p, e))
			return false;
		from = p.to;
	}
	return true;
}

bool
periods_open(struct db *db, const struct calendar *c, int64_t account_id,
    struct instant now, struct err *e)
{
	struct period_terms t = { .zone = NULL };
	bool ok;

	if (!terms_read(&t, db, account_id, e))
		return false;
	ok = periods_put(db, c, &t, account_id, now, e);
	terms_done(&t);
	return ok;
}

bool
period_find(struct db *db, const struct calendar *c, int64_t account_id,
    struct instant at, struct span *out, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct period_terms t = { .zone = NULL };
	bool ok;

	if (!db_query(db, STMT_PERIOD_AT, DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(at)),
		&r, e))
		return false;
	if (rows_count(r) == 1) {
		*out = (struct span){ us_or(r, 0, at), us_or(r, 1, at) };
		return true;
	}
	if (!terms_read(&t, db, account_id, e))
		return false;
	ok = unit_at(&t, c, at, out, e);
	if (ok && t.known.ns > out->from.ns && t.known.ns <= at.ns)
		out->from = t.known;
	terms_done(&t);
	return ok;
}

/* The first line of the compiled rules: "# version 2025b". */
static void
tzdata_read(char *out, size_t size)
{
	FILE *f = fopen(TZDATA, "re");
	char line[64] = "";

	if (f == NULL)
		return;
	if (fgets(line, sizeof(line), f) != NULL &&
	    strncmp(line, "# version ", 10) == 0) {
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(out, size, "%s", line + 10);
	}
	(void)fclose(f); /* it was only read */
}

const char *
tzdata_version(void)
{
	static char version[64];

	if (version[0] == '\0') {
		(void)snprintf(version, sizeof(version), "unknown");
		tzdata_read(version, sizeof(version));
	}
	return version;
}
