/* SPDX-License-Identifier: Apache-2.0 */
/* cost_report: what was spent by day, account, project, sku, resource and tag */
#pragma once
#include "billing/cost_table.h"
#include "billing/statement.h"

/* What is asked for; texts outlive the report. */
struct cost_wish {
	enum cost_by by[BY_COUNT];
	size_t by_count;
	const char *tag_key; /* of BY_TAG */
	/* Days of each account's own calendar, "2026-03-01", to included; both NULL: the
	 * period that is open. */
	const char *from;
	const char *to;
	const char *statement; /* instead of days: its number or id, or NULL */
	/* Only what fits, or NULL: skus that begin so, one resource, a tag's value. */
	const char *sku;
	const char *resource;
	const char *filter_key;
	const char *filter_value;
	struct instant now;
};

/* A statement, or what an open period has come to; total = shown + left_out. */
struct cost_document {
	const char *number; /* NULL: not closed yet */
	const char *id;
	const char *kind; /* "open", or as the statement says */
	const char *account;
	const char *account_uuid;
	const char *currency;
	const char *first_day;
	const char *last_day;
	char *total; /* of the document itself */
	char *due;
	char *shown;
	char *left_out;
};

struct cost_report {
	struct arena *arena;
	struct cost_wish wish;
	struct cost_table table;
	struct cost_document *documents;
	size_t document_count;
	const char **troubles; /* why accounts are not in it */
	size_t trouble_count;
};

/* "day,project,tag:team" into wish->by; ERR_INPUT names what is wrong. */
must_check bool cost_by_read(struct cost_wish *wish, struct arena *a, const char *text,
    struct err *e);
/* Also checks the days and the filter. */
must_check bool cost_wish_check(const struct cost_wish *wish, struct err *e);

void cost_report_init(struct cost_report *r, const struct cost_wish *wish);
void cost_report_done(struct cost_report *r);
/*
 * Adds an account.  What is closed has the amounts of its statement, split by what its
 * usage comes to by the price lists of that time; so the rows add up to it, always.
 * Needs an open transaction of a connection with billing_statements.
 */
must_check bool cost_report_add(struct cost_report *r, struct db *db, int64_t account_id,
    struct err *e);

/*
 * Accounts that the connection may see and, of works_in (0: of none), the purses of the
 * projects in which it works: *out has their numbers, at most so many.
 */
must_check bool cost_accounts(struct rows **out, struct db *db, int64_t works_in,
    int64_t most, struct err *e);

/* Notes that the account which was added last could not be. */
void cost_report_trouble(struct cost_report *r, const char *why);

/*
 * {by:[..], rows:[{day, account, accountid, project, sku, resourceid, resourcename, tag,
 * kind, currency, amount}], sums:[{currency, charge, adjustment, credit_note,
 * tax_included, tax, total, credit, prepaid, due}], documents:[...],
 * troubles:[text]}.  ERR_LIMIT: more
 * than most rows (0: any number).
 */
must_check bool cost_report_json(struct buf *out, struct cost_report *r, size_t most,
    struct err *e);
/* The rows as CSV, with a row of names. */
must_check bool cost_report_csv(struct cost_report *r, const struct text_out *out,
    struct err *e);
