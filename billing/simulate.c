/* SPDX-License-Identifier: Apache-2.0 */
/* simulate: what a past period would have cost by another price list; nothing is stored
 */
#include "billing/simulate.h"
#include "billing/answer.h"
#include "billing/bill.h"
#include "billing/calendar_db.h"
#include "billing/periods.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

struct sku_sum {
	const char *sku;
	mpq_t was;
	mpq_t would_be;
};
struct sums {
	struct arena *arena;
	struct sku_sum *list;
	size_t count;
	bool other; /* lines are of the other list */
};

static struct sku_sum *
sum_of(struct sums *s, const char *sku)
{
	size_t i = 0;

	while (i < s->count && strcmp(s->list[i].sku, sku) < 0)
		i++;
	if (i < s->count && strcmp(s->list[i].sku, sku) == 0)
		return &s->list[i];
	s->list = mem_resize(s->list, s->count + 1, sizeof(*s->list));
	memmove(&s->list[i + 1], &s->list[i], (s->count - i) * sizeof(*s->list));
	s->list[i].sku = arena_strdup(s->arena, sku);
	mpq_inits(s->list[i].was, s->list[i].would_be, NULL);
	s->count++;
	return &s->list[i];
}

static bool
line_take(void *context, const struct bill *b unused, const struct bill_line *l,
    struct err *e unused)
{
	struct sums *s = context;
	struct sku_sum *x = sum_of(s, l->line->sku);

	exact_add(s->other ? x->would_be : x->was, l->line->amount);
	return true;
}

static void
amount_write(struct jout *j, const char *key, const struct bill *b, const mpq_t amount)
{
	scoped_free char *text = bill_amount_text(b, amount);

	jout_string(j, key, text);
}

static void
totals_write(struct jout *j, const char *key, const struct bill *b)
{
	jout_open(j, key, '{');
	amount_write(j, "subtotal", b, b->totals.subtotal);
	amount_write(j, "tax", b, b->totals.tax);
	amount_write(j, "total", b, b->totals.total);
	jout_string(j, "currency", b->currency);
	jout_close(j, '}');
}

static void
skus_write(struct jout *j, const struct sums *s, const struct bill *was,
    const struct bill *would_be)
{
	bool comparable = strcmp(was->currency, would_be->currency) == 0;
	scoped_exact mpq_t difference;

	mpq_init(difference);
	jout_open(j, "skus", '[');
	for (size_t i = 0; i < s->count; i++) {
		const struct sku_sum *x = &s->list[i];

		mpq_sub(difference, x->would_be, x->was);
		jout_open(j, NULL, '{');
		jout_string(j, "sku", x->sku);
		amount_write(j, "was", was, x->was);
		amount_write(j, "would_be", would_be, x->would_be);
		if (comparable)
			amount_write(j, "difference", would_be, difference);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
simulation_write(struct buf *out, const struct sums *s, const struct bill *was,
    const struct bill *would_be)
{
	struct jout j = JOUT_INIT(out);
	char text[CLOCK_TEXT_MAX];

	jout_open(&j, NULL, '{');
	jout_open(&j, "account", '{');
	jout_string(&j, "id", was->account_uuid);
	jout_string(&j, "name", was->account_name);
	jout_close(&j, '}');
	jout_open(&j, "period", '{');
	jout_string(&j, "start", instant_text(was->period.from, text));
	jout_string(&j, "end", instant_text(was->period.to, text));
	jout_close(&j, '}');
	skus_write(&j, s, was, would_be);
	totals_write(&j, "was", was);
	totals_write(&j, "would_be", would_be);
	jout_open(&j, "unrated", '[');
	for (size_t i = 0; i < would_be->balance.count; i++)
		if (would_be->balance.rows[i].unrated > 0)
			jout_string(&j, NULL, would_be->balance.rows[i].sku);
	jout_close(&j, ']');
	jout_close(&j, '}');
}

static bool
both_make(struct buf *out, struct db *db, const struct calendar *c,
    const struct bill_ask *asked, const char *document, struct err *e)
{
	struct sums s = { .arena = arena_new() };
	struct bill_sink sink = { &s, line_take };
	struct bill_ask ask = *asked;
	struct bill was;
	struct bill would_be;
	bool ok = bill_make(&was, db, c, &ask, &sink, e);

	if (ok) {
		s.other = true;
		ask.document = document;
		ok = bill_make(&would_be, db, c, &ask, &sink, e);
		if (ok) {
			simulation_write(out, &s, &was, &would_be);
			bill_done(&would_be);
		}
		bill_done(&was);
	}
	for (size_t i = 0; i < s.count; i++)
		mpq_clears(s.list[i].was, s.list[i].would_be, NULL);
	free(s.list);
	arena_free(s.arena);
	return ok;
}

/* "2026-03", of a year that calendars reach. */
static bool
month_check(const char *month, struct err *e)
{
	bool ok = strlen(month) == 7 && month[4] == '-' &&
	    strspn(month, "0123456789") == 4 && strspn(month + 5, "0123456789") == 2 &&
	    strncmp(month, "1990", 4) >= 0 && strncmp(month, "2100", 4) < 0 &&
	    strcmp(month + 5, "01") >= 0 && strcmp(month + 5, "12") <= 0;

	return ok ||
	    err_set(e, ERR_INPUT, "month is \"%.20s\"; write it as 2026-03", month);
}

static bool
period_wanted(struct span *out, struct db *db, const struct calendar *c,
    const struct simulate_ask *ask, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct instant within = ask->now;

	if (ask->month == NULL) {
		if (!period_find(db, c, ask->account_id, ask->now, out, e))
			return false;
		within.ns = out->from.ns - NS_PER_S;
		return period_find(db, c, ask->account_id, within, out, e);
	}
	if (!month_check(ask->month, e) ||
	    !db_query(db, STMT_SIMULATE_WITHIN,
		DB_ARGS(DB_NUMBER(ask->account_id), ask->month), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_NOT_FOUND, "there is no such account");
	within.ns = rows_i64(r, 0, 0) * NS_PER_US;
	return period_find(db, c, ask->account_id, within, out, e);
}

bool
simulate(struct buf *json_out, struct db *db, const struct simulate_ask *ask,
    struct err *e)
{
	struct bill_ask bill = { .account_id = ask->account_id, .now = ask->now };
	struct calendar *c = calendar_db_new(db, false);
	bool ok = period_wanted(&bill.period, db, c, ask, e) &&
	    both_make(json_out, db, c, &bill, ask->document, e);

	calendar_db_free(c);
	return ok;
}
