/* SPDX-License-Identifier: Apache-2.0 */
/* budget: how much a part of an account's charges should come to */
#include "billing/budget.h"
#include "billing/exact.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THRESHOLDS_MOST = 8, PERCENT_MOST = 1000 };

/* ---- what is said */

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static bool
threshold_read(const char *text, size_t length, int *out, struct err *e)
{
	char digits[5] = "";

	if (length > 0 && length < sizeof(digits))
		memcpy(digits, text, length);
	*out = (int)strtol(digits, NULL, 10);
	return (digits[0] != '\0' && strspn(digits, "0123456789") == length && *out > 0 &&
		   *out <= PERCENT_MOST) ||
	    err_set(e, ERR_INPUT,
		"thresholds: \"%.*s\" is no percent; write whole ones from 1 to %d, as "
		"in 50,80,100",
		(int)(length > 20 ? 20 : length), text, PERCENT_MOST);
}

/* "100,50" as "{50,100}"; NULL stays NULL. */
static bool
thresholds_read(struct call *c, const char **out, struct err *e)
{
	const char *text = call_value(c, "thresholds");
	struct buf b = BUF_INIT;
	int list[THRESHOLDS_MOST];
	size_t n = 0;

	*out = NULL;
	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, ",");

		if (n == THRESHOLDS_MOST)
			return err_set(e, ERR_INPUT, "thresholds: %d at most",
			    THRESHOLDS_MOST);
		if (!threshold_read(text, length, &list[n++], e))
			return false;
		text += length + (text[length] == ',' ? 1 : 0);
	}
	if (n == 0)
		return true;
	qsort(list, n, sizeof(*list), by_number);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || list[i] != list[i - 1])
			buf_printf(&b, "%c%d", i == 0 ? '{' : ',', list[i]);
	buf_putc(&b, '}');
	*out = arena_strdup(c->arena, buf_text(&b));
	buf_done(&b);
	return true;
}

/* Above zero, and no finer than the currency. */
static bool
amount_read(struct call *c, const char *currency, const char **out, struct err *e)
{
	const char *text = call_value(c, "amount");
	scoped_exact mpq_t amount;
	scoped_exact mpq_t shown;
	unsigned places = 0;

	*out = text;
	mpq_inits(amount, shown, NULL);
	if (text == NULL)
		return true;
	if (strlen(text) > 20 || strspn(text, "0123456789.") != strlen(text) ||
	    !rat_parse(amount, text, e) || mpq_sgn(amount) <= 0)
		return err_set(e, ERR_INPUT,
		    "amount is \"%.20s\"; write how much, as in 250.00", text);
	if (!currency_places(&places, currency, e))
		return false;
	scoped_free char *cut = rat_decimal(amount, places);

	return (rat_parse(shown, cut, e) && mpq_equal(shown, amount)) ||
	    err_set(e, ERR_INPUT, "amount is %s: %s has %u places", text, currency,
		places);
}

static bool
currency_read(struct call *c, const char **out, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *asked = call_value(c, "currency");

	if (!db_query(c->db, STMT_BUDGET_CURRENCY, DB_ARGS(DB_NUMBER(c->owner)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such account");
	*out = arena_strdup(c->arena, rows_text(r, 0, 0));
	return asked == NULL || strcmp(asked, *out) == 0 ||
	    err_set(e, ERR_INPUT,
		"currency is %s, and the account is billed in %s: amounts of two "
		"currencies can't be compared",
		asked, *out);
}

static bool
scope_read(struct call *c, const char **scope, const char **value, struct err *e)
{
	static const char *const params[] = { "sku", "resourceid", "tag" };
	static const char *const scopes[] = { "sku", "resource", "tag" };
	const char *tag = call_value(c, "tag");

	*scope = "account";
	*value = "";
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		const char *given = call_value(c, params[i]);

		if (given == NULL)
			continue;
		if (**value != '\0')
			return err_set(e, ERR_INPUT,
			    "a budget is for a sku, a resource or a tag, not for two of "
			    "them");
		*scope = scopes[i];
		*value = given;
	}
	if (tag != NULL && (strchr(tag, '=') == NULL || tag[0] == '='))
		return err_set(e, ERR_INPUT, "tag: write it as key=value");
	return true;
}

/* ---- answers */

struct look {
	struct call *call;
	int64_t account;
	bool found;
	struct budget_now now;
};

static bool
sight_and_look(struct db *db, void *context, struct err *e)
{
	struct look *l = context;
	char sql[96];

	(void)snprintf(sql, sizeof(sql),
	    "select set_config('jeoul.account', '%lld', true)", (long long)l->account);
	budget_now_done(&l->now);
	l->now = (struct budget_now){ .spent = NULL };
	l->found = db_exec(db, sql, e) &&
	    budget_look(&l->now, db, l->account, l->call->object, clock_now(), e);
	return l->found;
}

static bool
answer_work(struct db *db, void *context, struct err *e)
{
	struct look *l = context;
	struct call *c = l->call;
	scoped(rows_clear) struct rows *r = NULL;
	bool live = l->found && l->now.spent != NULL;

	buf_clear(&c->items);
	c->out = (struct jout)JOUT_INIT(&c->items);
	if (!call_scope_set(c, c->scope, e) ||
	    !db_query(db, STMT_BUDGET_LIVE,
		DB_ARGS(c->object, l->now.spent, l->now.forecast,
		    live ? DB_INSTANT(l->now.period.from) : NULL,
		    live ? DB_INSTANT(l->now.period.to) : NULL,
		    live ? DB_INSTANT(l->now.through) : NULL),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", c->object, e);
	call_rows(c, r);
	return true;
}

static bool
account_find(struct db *db, void *context, struct err *e)
{
	struct look *l = context;
	struct call *c = l->call;
	scoped(rows_clear) struct rows *r = NULL;

	if (!call_scope_set(c, c->scope, e) ||
	    !db_query(db, STMT_BUDGET_OWNER, DB_ARGS(c->object), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", c->object, e);
	l->account = rows_i64(r, 0, 0);
	return true;
}

/*
 * What it has come to is computed at once, after it has been written.  An account that
 * can't be billed has a budget all the same: then figures are left out.
 */
static bool
budget_late(struct call *c, struct err *e)
{
	struct look l = { .call = c };
	struct err why = ERR_INIT;
	struct db *db = NULL;
	bool ok = db_transaction(c->db, account_find, &l, e) &&
	    worker_bill_db(c->worker, &db, e);

	if (ok && !db_transaction(db, sight_and_look, &l, &why) &&
	    why.kind != ERR_INPUT && why.kind != ERR_LIMIT)
		ok = err_set(e, why.kind, "%s", why.text);
	ok = ok && db_transaction(c->db, answer_work, &l, e);
	budget_now_done(&l.now);
	return ok;
}

/* ---- operations */

bool
handle_budget_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *currency = NULL;
	const char *amount = NULL;
	const char *thresholds = NULL;
	const char *scope = NULL;
	const char *value = NULL;

	if (!currency_read(c, &currency, e) || !amount_read(c, currency, &amount, e) ||
	    !thresholds_read(c, &thresholds, e) || !scope_read(c, &scope, &value, e) ||
	    !db_query(c->db, STMT_BUDGET_INSERT,
		DB_ARGS(DB_NUMBER(c->owner), call_value(c, "name"), amount, currency,
		    thresholds, call_value(c, "forecastalarm"), scope, value),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_LIMIT, "an account has at most 100 budgets");
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	c->late = budget_late;
	return true;
}

bool
handle_budget(struct call *c, struct err *e unused)
{
	c->object = call_value(c, "id");
	c->late = budget_late;
	return true;
}

bool
handle_budget_update(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *amount = NULL;
	const char *thresholds = NULL;

	c->object = call_value(c, "id");
	if (!db_query(c->db, STMT_BUDGET_OWNER, DB_ARGS(c->object), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", c->object, e);
	c->owner = rows_i64(r, 0, 0);
	if (!amount_read(c, rows_text(r, 0, 1), &amount, e) ||
	    !thresholds_read(c, &thresholds, e) ||
	    !db_run(c->db, STMT_BUDGET_UPDATE,
		DB_ARGS(c->object, call_value(c, "name"), amount, thresholds,
		    call_value(c, "forecastalarm")),
		NULL, e))
		return false;
	c->late = budget_late;
	return true;
}

bool
handle_budget_delete(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	c->object = call_value(c, "id");
	if (!db_query(c->db, STMT_BUDGET_REMOVE, DB_ARGS(c->object), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", c->object, e);
	c->owner = rows_i64(r, 0, 0);
	return true;
}
