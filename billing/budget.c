/* SPDX-License-Identifier: Apache-2.0 */
/* budget: what budgets have been spent, and what they will be at the period's end */
#include "billing/budget.h"
#include "billing/calendar_db.h"
#include "billing/cost.h"
#include "billing/periods.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

/* Columns of budget_list. */
enum { BUDGET_UUID, BUDGET_SCOPE, BUDGET_VALUE, BUDGET_CURRENCY };

enum scope { SCOPE_ACCOUNT, SCOPE_SKU, SCOPE_RESOURCE, SCOPE_TAG };

struct figure {
	const char *uuid;
	enum scope scope;
	const char *value;
	const char *currency;
	struct rows *things; /* of a tag: what has it now, by uuid */
	mpq_t spent;
	mpq_t forecast;
};

struct figures {
	struct arena *arena;
	struct figure *list;
	size_t count;
	bool ahead; /* the bill at hand is that of the period's end */
	struct span period;
	struct instant now;
	const char *currency; /* of the bill */
	mpq_t minor;
};

/* ---- which budgets */

static enum scope
scope_of(const char *word)
{
	static const char *const words[] = { "account", "sku", "resource", "tag" };
	size_t i = 0;

	while (i < SCOPE_TAG && strcmp(words[i], word) != 0)
		i++;
	return (enum scope)i;
}

/* "team=web": all that has it. */
static bool
things_read(struct figure *f, struct db *db, int64_t account_id, struct err *e)
{
	return f->scope != SCOPE_TAG ||
	    db_query(db, STMT_BUDGET_THINGS, DB_ARGS(DB_NUMBER(account_id), f->value),
		&f->things, e);
}

static bool
figures_read(struct figures *x, struct db *db, int64_t account_id, const char *only,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_BUDGET_LIST, DB_ARGS(DB_NUMBER(account_id), only), &r, e))
		return false;
	x->list = mem_array(rows_count(r) + 1, sizeof(*x->list));
	for (size_t i = 0; i < rows_count(r); i++) {
		struct figure *f = &x->list[x->count++];

		f->uuid = arena_strdup(x->arena, rows_text(r, i, BUDGET_UUID));
		f->scope = scope_of(rows_text(r, i, BUDGET_SCOPE));
		f->value = arena_strdup(x->arena, rows_text(r, i, BUDGET_VALUE));
		f->currency = arena_strdup(x->arena, rows_text(r, i, BUDGET_CURRENCY));
		mpq_inits(f->spent, f->forecast, NULL);
		if (!things_read(f, db, account_id, e))
			return false;
	}
	return true;
}

static void
figures_init(struct figures *x)
{
	*x = (struct figures){ .arena = arena_new() };
	mpq_init(x->minor);
}

static void
figures_done(struct figures *x)
{
	for (size_t i = 0; i < x->count; i++) {
		mpq_clears(x->list[i].spent, x->list[i].forecast, NULL);
		rows_clear(&x->list[i].things);
	}
	free(x->list);
	mpq_clear(x->minor);
	arena_free(x->arena);
}

/* ---- what they have come to */

static bool
has_tag(const struct figure *f, const char *resource)
{
	size_t low = 0;
	size_t high = rows_count(f->things);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(rows_text(f->things, middle, 0), resource);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool
is_of(const struct figure *f, const char *resource)
{
	if (resource == NULL)
		return false;
	return f->scope == SCOPE_TAG ? has_tag(f, resource)
				     : strcmp(f->value, resource) == 0;
}

/* A line of one thing counts as it is rounded, a share of the account's exactly. */
static void
line_part(mpq_t out, const struct figure *f, const struct cost_line *l)
{
	const struct line *line = l->given->line;
	bool whole = f->scope == SCOPE_ACCOUNT ||
	    (f->scope == SCOPE_SKU &&
		strncmp(line->sku, f->value, strlen(f->value)) == 0) ||
	    (f->scope >= SCOPE_RESOURCE && is_of(f, line->resource));

	mpq_set_ui(out, 0, 1);
	if (whole)
		mpq_set(out, line->amount);
	for (size_t i = 0;
	     f->scope >= SCOPE_RESOURCE && line->resource == NULL && i < l->count; i++)
		if (is_of(f, l->parts[i].resource))
			exact_add(out, l->parts[i].exact);
}

/*
 * What runs now goes on to the end: the bill of that moment has it in.  What is counted
 * while it runs, bytes and the like, goes on as it did: in proportion to the time.
 */
static void
ahead_scale(mpq_t part, const struct figures *x, const struct cost_line *l)
{
	int64_t past = x->now.ns - x->period.from.ns;

	if (l->given->line->price->per == PER_NONE && past > 0)
		exact_scale(part, part, x->period.to.ns - x->period.from.ns, past);
}

static bool
line_take(void *context, const struct bill *b unused, const struct cost_line *l,
    struct err *e unused)
{
	struct figures *x = context;
	scoped_exact mpq_t part;

	mpq_init(part);
	for (size_t i = 0; i < x->count; i++) {
		struct figure *f = &x->list[i];

		line_part(part, f, l);
		if (x->ahead)
			ahead_scale(part, x, l);
		exact_add(x->ahead ? f->forecast : f->spent, part);
	}
	return true;
}

static bool
figures_bill(struct figures *x, struct db *db, const struct calendar *c,
    int64_t account_id, struct err *e)
{
	struct cost_ask ask = { .bill = { .account_id = account_id,
				    .period = x->period,
				    .now = x->ahead ? x->period.to : x->now },
		.days = &x->period.from,
		.day_count = 1,
		.context = x,
		.line = line_take };
	unsigned places = 0;
	struct bill b;
	bool ok;

	if (!cost_make(&b, db, c, &ask, e))
		return false;
	x->currency = arena_strdup(x->arena, b.currency);
	x->now = x->ahead ? x->now : b.through;
	ok = currency_places(&places, b.currency, e);
	exact_minor(x->minor, places);
	bill_done(&b);
	return ok;
}

static bool
figures_make(struct figures *x, struct db *db, const struct calendar *c,
    int64_t account_id, struct err *e)
{
	if (!figures_bill(x, db, c, account_id, e))
		return false;
	x->ahead = true;
	if (!figures_bill(x, db, c, account_id, e))
		return false;
	for (size_t i = 0; i < x->count; i++) {
		struct figure *f = &x->list[i];

		rat_round(f->spent, f->spent, x->minor, ROUND_HALF_EVEN);
		rat_round(f->forecast, f->forecast, x->minor, ROUND_HALF_EVEN);
	}
	return true;
}

/* ---- telling it */

static bool
figures_write(struct figures *x, struct db *db, int64_t account_id, struct instant now,
    struct err *e)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct figure *f = &x->list[i];
		scoped_free char *spent = rat_text(f->spent);
		scoped_free char *forecast = rat_text(f->forecast);

		if (!db_run(db, STMT_BUDGET_PUT,
			DB_ARGS(DB_NUMBER(account_id), f->uuid,
			    DB_INSTANT(x->period.from), x->currency, spent, forecast,
			    DB_INSTANT(x->now), DB_NUMBER(now.ns / NS_PER_US)),
			NULL, e))
			return false;
	}
	return true;
}

bool
budgets_put(struct db *db, const struct calendar *c, int64_t account_id,
    const struct span *period, struct instant now, struct err *e)
{
	struct figures x;
	bool ok;

	figures_init(&x);
	x.period = *period;
	x.now = now;
	ok = figures_read(&x, db, account_id, NULL, e);
	if (ok && x.count > 0)
		ok = figures_make(&x, db, c, account_id, e) &&
		    figures_write(&x, db, account_id, now, e);
	figures_done(&x);
	return ok;
}

void
budget_now_done(struct budget_now *n)
{
	free(n->spent);
	free(n->forecast);
}

bool
budget_look(struct budget_now *out, struct db *db, int64_t account_id, const char *uuid,
    struct instant now, struct err *e)
{
	struct calendar *c = calendar_db_new(db, false);
	struct figures x;
	bool ok;

	figures_init(&x);
	x.now = now;
	ok = period_find(db, c, account_id, now, &x.period, e) &&
	    figures_read(&x, db, account_id, uuid, e) &&
	    (x.count == 1 || err_set(e, ERR_NOT_FOUND, "there is no such budget")) &&
	    figures_make(&x, db, c, account_id, e);
	if (ok) {
		const struct figure *f = &x.list[0];
		bool same = strcmp(f->currency, x.currency) == 0;

		*out = (struct budget_now){ same ? rat_text(f->spent) : NULL,
			same ? rat_text(f->forecast) : NULL, x.period, x.now };
	}
	figures_done(&x);
	calendar_db_free(c);
	return ok;
}
