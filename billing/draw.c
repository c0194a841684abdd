/* SPDX-License-Identifier: Apache-2.0 */
/* draw: a period that is over becomes the lines and the body of its statement */
#include "billing/draw.h"
#include "billing/late.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define LINES_AT_ONCE 500

struct drawing {
	struct db *db;
	int64_t account_id;
	int64_t statement_id;
	struct bill *bill;
	struct rows *tags; /* by uuid of the resource */
	struct buf text;   /* lines that wait to be written together */
	struct jout lines;
	int64_t waiting;
	int64_t count;
};

static void
lines_begin(struct drawing *d)
{
	buf_clear(&d->text);
	d->lines = (struct jout)JOUT_INIT(&d->text);
	d->waiting = 0;
	jout_open(&d->lines, NULL, '[');
}

static bool
lines_write(struct drawing *d, struct err *e)
{
	jout_close(&d->lines, ']');
	if (!buf_ok(&d->text))
		return err_set(e, ERR_LIMIT, "the statement's lines are too long");
	if (d->waiting > 0 &&
	    !db_run(d->db, STMT_DRAW_LINES,
		DB_ARGS(DB_NUMBER(d->account_id), DB_NUMBER(d->statement_id),
		    DB_NUMBER(d->count - d->waiting), buf_text(&d->text)),
		NULL, e))
		return false;
	lines_begin(d);
	return true;
}

static bool
line_keep(struct drawing *d, const struct buf *document, struct instant period,
    struct err *e)
{
	if (!buf_ok(document))
		return err_set(e, ERR_LIMIT, "a line of the statement is too long");
	jout_open(&d->lines, NULL, '{');
	jout_string(&d->lines, "period", DB_INSTANT(period));
	jout_string(&d->lines, "document", buf_text(document));
	jout_close(&d->lines, '}');
	return ++d->waiting < LINES_AT_ONCE || lines_write(d, e);
}

static size_t
tax_place(const struct bill *b, const struct tax_entry *x)
{
	return (size_t)(x - b->taxes.entries);
}

/* As PostgreSQL sorts uuids, so does strcmp. */
static const char *
tags_of(const struct drawing *d, const char *uuid)
{
	size_t low = 0;
	size_t high = rows_count(d->tags);

	while (uuid != NULL && low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(rows_text(d->tags, middle, 0), uuid);

		if (order == 0)
			return rows_text(d->tags, middle, 1);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool
line_take(void *context, const struct bill *b, const struct bill_line *l, struct err *e)
{
	struct drawing *d = context;
	scoped(buf_done) struct buf document = BUF_INIT;
	const struct tax_entry *x = tax_book_entry(&d->bill->taxes, l->portion->tariff,
	    l->line->price->tax_class);
	struct doc_extra extra = { ++d->count, tax_place(b, x),
		tags_of(d, l->line->resource) };

	doc_line(&document, b, l, &extra);
	return line_keep(d, &document, b->period.from, e);
}

/* The adjustment is taxed as its original was. */
static bool
adjustment_take(struct drawing *d, struct late *l, size_t i, struct err *e)
{
	struct bill *b = d->bill;
	struct doc_adjustment *a = &l->list[i];
	scoped(buf_done) struct buf document = BUF_INIT;
	struct tax_entry *x;
	unsigned places = 0;

	if (!currency_places(&places, b->currency, e))
		return false;
	exact_minor(l->taxes[i].minor, places);
	x = tax_book_find(&b->taxes, &l->taxes[i]);
	exact_add(x->lines, a->amount);
	a->tax = tax_place(b, x);
	doc_adjustment(&document, ++d->count, b, a);
	return line_keep(d, &document, a->period.from, e);
}

/* Last in the transaction: the end of the chain is everybody's. */
static bool
settled_write(struct drawing *d, const struct late *l, struct instant now, struct err *e)
{
	for (size_t i = 0; i < l->settled_count; i++) {
		const struct doc_settled *s = &l->settled[i];

		if (!db_run(d->db, STMT_LATE_SETTLED,
			DB_ARGS(DB_NUMBER(d->account_id), DB_INSTANT(s->period.from),
			    s->print),
			NULL, e) ||
		    !db_run(d->db, STMT_CHAIN_USAGE,
			DB_ARGS(DB_NUMBER(d->account_id), DB_INSTANT(s->period.from),
			    s->print, DB_INSTANT(now)),
			NULL, e))
			return false;
	}
	return true;
}

/* No line, no statement: the period is only marked. */
static bool
draft_write(struct drawing *d, const struct late *l, struct instant now, struct err *e)
{
	const struct bill *b = d->bill;
	scoped(rows_clear) struct rows *digest = NULL;
	scoped(rows_clear) struct rows *print = NULL;
	scoped(buf_done) struct buf draft = BUF_INIT;
	struct doc_body body = { .bill = b,
		.line_count = d->count,
		.settled = l->settled,
		.settled_count = l->settled_count };
	bool empty = d->count == 0;

	if (!db_query(d->db, STMT_LINES_DIGEST,
		DB_ARGS(DB_NUMBER(d->account_id), DB_NUMBER(d->statement_id)), &digest,
		e) ||
	    !db_query(d->db, STMT_USAGE_PRINT_DRAWN,
		DB_ARGS(DB_NUMBER(d->account_id), DB_INSTANT(b->period.from),
		    DB_INSTANT(b->period.to)),
		&print, e))
		return false;
	body.lines_sha256 = rows_text(digest, 0, 1);
	body.usage_sha256 = rows_text(print, 0, 0);
	doc_body(&draft, &body);
	if (!buf_ok(&draft) || rows_i64(digest, 0, 0) != d->count)
		return err_set(e, ERR_INTERNAL, "account %s: %lld lines were drawn up",
		    b->account_name, (long long)d->count);
	return db_run(d->db, STMT_DRAW_DONE,
	    DB_ARGS(DB_NUMBER(d->account_id), DB_INSTANT(b->period.from), DB_INSTANT(now),
		empty ? NULL : DB_NUMBER(d->statement_id),
		empty ? NULL : buf_text(&draft), body.usage_sha256),
	    NULL, e);
}

/* A statement that left usage out is not made: better late than wrong.  What was received
 * is counted apart from the sums. */
static bool
balance_check(struct drawing *d, struct instant now, struct err *e)
{
	struct bill *b = d->bill;
	struct balance_of of = { d->account_id, b->period, b->period.to, now,
		INSTANT_FIRST, false };
	const char *lost = NULL;

	if (!balance_put(&b->balance, b->arena, d->db, &of, &lost, e))
		return false;
	return lost == NULL ||
	    err_set(e, ERR_INTERNAL,
		"account %s: usage of %s that was received is neither rated nor refused",
		b->account_name, lost);
}

static bool
adjustments_draw(struct drawing *d, const struct calendar *c, struct late *l,
    struct instant now, struct err *e)
{
	if (!balance_check(d, now, e) || !late_find(l, d->db, c, d->account_id, now, e))
		return false;
	for (size_t i = 0; i < l->count; i++)
		if (!adjustment_take(d, l, i, e))
			return false;
	tax_book_close(&d->bill->taxes, &d->bill->totals);
	return lines_write(d, e) && draft_write(d, l, now, e) &&
	    settled_write(d, l, now, e);
}

static bool
period_draw(struct drawing *d, const struct calendar *c, const struct span *period,
    struct instant now, struct err *e)
{
	struct bill_ask ask = { .account_id = d->account_id,
		.period = *period,
		.now = period->to,
		.want_parts = true,
		.sums = SUMS_CLOSE };
	struct bill_sink sink = { d, line_take };
	struct late l;
	bool ok;

	if (!bill_make(d->bill, d->db, c, &ask, &sink, e))
		return false;
	late_init(&l);
	ok = adjustments_draw(d, c, &l, now, e);
	late_done(&l);
	bill_done(d->bill);
	return ok;
}

bool
draw_up(struct db *db, const struct calendar *c, int64_t account_id,
    const struct span *period, struct instant now, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct drawing d = { .db = db, .account_id = account_id, .text = BUF_INIT };
	struct bill b;
	bool ok;

	if (!db_query(db, STMT_DRAW_LOCK,
		DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(period->from)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return true;
	d.statement_id = rows_i64(r, 0, 0);
	d.bill = &b;
	lines_begin(&d);
	ok = db_query(db, STMT_DRAW_TAGS, DB_ARGS(DB_NUMBER(account_id)), &d.tags, e) &&
	    period_draw(&d, c, period, now, e);
	rows_clear(&d.tags);
	buf_done(&d.text);
	return ok;
}
