/* SPDX-License-Identifier: Apache-2.0 */
/* late: what became known about closed periods after their statements */
#include "billing/late.h"
#include "base/log.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

enum { PERIOD_FROM, PERIOD_TO, PERIOD_SETTLED, PERIOD_STATEMENT };
enum {
	BILLED_SKU,
	BILLED_RESOURCE,
	BILLED_NAME,
	BILLED_BAND,
	BILLED_UNIT,
	BILLED_CLASS,
	BILLED_RATE,
	BILLED_MODE,
	BILLED_ROUNDING,
	BILLED_QUANTITY,
	BILLED_AMOUNT
};

/* Whose closed periods are looked at. */
struct look {
	struct db *db;
	const struct calendar *calendar;
	int64_t account_id;
};

/* One amount for or against a line; those of the same line are summed at the end. */
struct entry {
	struct doc_adjustment a;
	struct tax_entry tax;
};
struct entries {
	struct arena *arena;
	struct entry *list;
	size_t count;
	size_t capacity;
};

void
late_init(struct late *l)
{
	*l = (struct late){ .arena = arena_new() };
}

static void
entry_done(struct entry *x)
{
	mpq_clears(x->a.quantity, x->a.amount, x->tax.rate, x->tax.minor, NULL);
}

void
late_done(struct late *l)
{
	for (size_t i = 0; i < l->count; i++) {
		mpq_clears(l->list[i].quantity, l->list[i].amount, NULL);
		mpq_clears(l->taxes[i].rate, l->taxes[i].minor, NULL);
	}
	free(l->list);
	free(l->taxes);
	free(l->settled);
	arena_free(l->arena);
	*l = (struct late){ .arena = NULL };
}

static struct entry *
entry_new(struct entries *s)
{
	struct entry *x;

	if (s->count == s->capacity) {
		s->capacity = s->capacity == 0 ? 64 : s->capacity * 2;
		s->list = mem_resize(s->list, s->capacity, sizeof(*s->list));
	}
	x = &s->list[s->count++];
	*x = (struct entry){ .tax = { .name = "" } };
	mpq_inits(x->a.quantity, x->a.amount, x->tax.rate, x->tax.minor, NULL);
	return x;
}

/* What the period would be charged today. */
static bool
line_take(void *context, const struct bill *b unused, const struct bill_line *l,
    struct err *e unused)
{
	struct entries *s = context;
	struct entry *x = entry_new(s);
	const struct tariff *t = l->portion->tariff;
	const struct tax_class *class = tariff_tax(t, l->line->price->tax_class);
	scoped_free char *unit = sku_unit(l->line->price);

	x->a.sku = arena_strdup(s->arena, l->line->sku);
	x->a.resource = arena_strdup(s->arena, l->line->resource);
	x->a.resource_name = arena_strdup(s->arena, l->resource_name);
	x->a.band = arena_strdup(s->arena, l->line->band);
	x->a.unit = arena_strdup(s->arena, unit);
	mpq_set(x->a.quantity, l->line->quantity);
	mpq_set(x->a.amount, l->line->amount);
	if (class == NULL)
		return true;
	x->tax.name = arena_strdup(s->arena, class->name);
	x->tax.taxed = true;
	x->tax.inclusive = t->tax_inclusive;
	x->tax.rounding = t->tax_rounding;
	mpq_set(x->tax.rate, class->rate);
	return true;
}

static bool
billed_tax(struct tax_entry *x, struct arena *a, const struct rows *r, size_t row,
    struct err *e)
{
	const char *class = rows_text(r, row, BILLED_CLASS);

	x->name = arena_strdup(a, class == NULL ? "" : class);
	x->taxed = rows_text(r, row, BILLED_RATE) != NULL;
	if (!x->taxed)
		return true;
	x->inclusive = strcmp(rows_text(r, row, BILLED_MODE), "inclusive") == 0;
	return rat_parse(x->rate, rows_text(r, row, BILLED_RATE), e) &&
	    rounding_parse(&x->rounding, rows_text(r, row, BILLED_ROUNDING), e);
}

/* What it has been charged, taken off. */
static bool
billed_take(struct entries *s, const struct rows *r, size_t row, struct err *e)
{
	struct entry *x = entry_new(s);

	x->a.sku = arena_strdup(s->arena, rows_text(r, row, BILLED_SKU));
	x->a.resource = arena_strdup(s->arena, rows_text(r, row, BILLED_RESOURCE));
	x->a.resource_name = arena_strdup(s->arena, rows_text(r, row, BILLED_NAME));
	x->a.band = arena_strdup(s->arena, rows_text(r, row, BILLED_BAND));
	x->a.unit = arena_strdup(s->arena, rows_text(r, row, BILLED_UNIT));
	if (!billed_tax(&x->tax, s->arena, r, row, e) ||
	    !rat_parse(x->a.quantity, rows_text(r, row, BILLED_QUANTITY), e) ||
	    !rat_parse(x->a.amount, rows_text(r, row, BILLED_AMOUNT), e))
		return err_wrap(e, "a line of a closed statement");
	mpq_neg(x->a.quantity, x->a.quantity);
	mpq_neg(x->a.amount, x->a.amount);
	return true;
}

static int
text_order(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

static int
by_line(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	int order = text_order(a->a.sku, b->a.sku);

	if (order == 0)
		order = text_order(a->a.resource, b->a.resource);
	if (order == 0)
		order = text_order(a->a.band, b->a.band);
	if (order == 0)
		order = text_order(a->tax.name, b->tax.name);
	if (order == 0)
		order = mpq_cmp(a->tax.rate, b->tax.rate);
	if (order == 0)
		order = (int)a->tax.inclusive - (int)b->tax.inclusive;
	return order != 0 ? order : (int)a->tax.rounding - (int)b->tax.rounding;
}

/* The sum of a line's entries; what comes to nothing is left out. */
static void
line_sum(struct late *l, const struct doc_settled *period, struct entry *list,
    size_t count)
{
	struct doc_adjustment *a = &list->a;

	for (size_t i = 1; i < count; i++) {
		exact_add(a->quantity, list[i].a.quantity);
		exact_add(a->amount, list[i].a.amount);
	}
	for (size_t i = 1; i < count; i++)
		entry_done(&list[i]);
	if (mpq_sgn(a->amount) == 0) {
		entry_done(list);
		return;
	}
	a->period = period->period;
	a->statement = period->statement;
	l->list = mem_resize(l->list, l->count + 1, sizeof(*l->list));
	l->taxes = mem_resize(l->taxes, l->count + 1, sizeof(*l->taxes));
	l->taxes[l->count] = list->tax;
	l->list[l->count++] = *a;
}

static void
entries_sum(struct late *l, const struct doc_settled *period, struct entries *s)
{
	if (s->count > 1)
		qsort(s->list, s->count, sizeof(*s->list), by_line);
	for (size_t from = 0, to; from < s->count; from = to) {
		for (to = from + 1;
		     to < s->count && by_line(&s->list[from], &s->list[to]) == 0; to++)
			;
		line_sum(l, period, &s->list[from], to - from);
	}
	s->count = 0;
}

static bool
billed_read(struct entries *s, const struct look *k, const struct span *period,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(k->db, STMT_LATE_BILLED,
		DB_ARGS(DB_NUMBER(k->account_id), DB_INSTANT(period->from)), &r, e))
		return false;
	for (size_t row = 0; row < rows_count(r); row++)
		if (!billed_take(s, r, row, e))
			return false;
	return true;
}

static bool
period_differ(struct late *l, const struct look *k, const struct doc_settled *period,
    struct err *e)
{
	struct entries s = { .arena = l->arena };
	struct bill_sink sink = { &s, line_take };
	struct bill_ask ask = { .account_id = k->account_id,
		.period = period->period,
		.now = period->period.to,
		.as_closed = period->statement != NULL };
	struct bill b;
	bool ok = bill_make(&b, k->db, k->calendar, &ask, &sink, e);

	if (ok) {
		bill_done(&b);
		ok = billed_read(&s, k, &period->period, e);
	}
	if (ok)
		entries_sum(l, period, &s);
	for (size_t i = 0; i < s.count; i++)
		entry_done(&s.list[i]);
	free(s.list);
	return ok;
}

static char *
print_of(const struct look *k, const struct span *p, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(k->db, STMT_USAGE_PRINT,
		DB_ARGS(DB_NUMBER(k->account_id), DB_INSTANT(p->from), DB_INSTANT(p->to)),
		&r, e))
		return NULL;
	return mem_strdup(rows_text(r, 0, 0));
}

static bool
period_look(struct late *l, const struct look *k, const struct rows *r, size_t row,
    struct err *e)
{
	const char *settled = rows_text(r, row, PERIOD_SETTLED);
	struct doc_settled p = { .period = {
				     { rows_i64(r, row, PERIOD_FROM) * NS_PER_US },
				     { rows_i64(r, row, PERIOD_TO) * NS_PER_US } } };
	scoped_free char *print = print_of(k, &p.period, e);

	if (print == NULL)
		return false;
	if (settled != NULL && strcmp(print, settled) == 0)
		return true;
	p.statement = arena_strdup(l->arena, rows_text(r, row, PERIOD_STATEMENT));
	p.print = arena_strdup(l->arena, print);
	if (!period_differ(l, k, &p, e))
		return false;
	l->settled = mem_resize(l->settled, l->settled_count + 1, sizeof(*l->settled));
	l->settled[l->settled_count++] = p;
	return true;
}

bool
late_find(struct late *l, struct db *db, const struct calendar *c, int64_t account_id,
    struct instant now, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct look k = { db, c, account_id };
	struct instant since = { now.ns - LATE_NS };

	if (!db_query(db, STMT_LATE_PERIODS,
		DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(since)), &r, e))
		return false;
	for (size_t row = 0; row < rows_count(r); row++)
		if (!period_look(l, &k, r, row, e))
			return false;
	return true;
}

static bool
print_note(struct db *db, int64_t account_id, const struct rows *r, size_t row,
    struct instant now, struct err *e)
{
	struct instant period = { rows_i64(r, row, 0) * NS_PER_US };
	scoped(rows_clear) struct rows *changed = NULL;
	char text[CLOCK_TEXT_MAX];

	if (!db_query(db, STMT_CHAIN_USAGE,
		DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(period), rows_text(r, row, 1),
		    DB_INSTANT(now)),
		&changed, e))
		return false;
	if (rows_bool(changed, 0, 0))
		log_warning(
		    "account %lld: usage of its closed period from %s has changed; "
		    "the next statement has the difference",
		    (long long)account_id, instant_text(period, text));
	return db_run(db, STMT_LOOK_DONE,
	    DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(period), DB_INSTANT(now)), NULL, e);
}

bool
late_look(struct db *db, int64_t account_id, struct instant now, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct instant since = { now.ns - LATE_NS };

	if (!db_query(db, STMT_LOOK_PERIODS,
		DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(since), DB_INSTANT(now)), &r,
		e))
		return false;
	for (size_t row = 0; row < rows_count(r); row++)
		if (!print_note(db, account_id, r, row, now, e))
			return false;
	return true;
}
