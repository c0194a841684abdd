/* SPDX-License-Identifier: Apache-2.0 */
/* note: credit notes: a part of what a closed statement charges is given back */
#include "billing/note.h"
#include "billing/doc.h"
#include "billing/form.h"
#include "billing/parties.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define ITEMS_MOST 1000

enum {
	ORIGINAL_ID,
	ORIGINAL_ISSUER,
	ORIGINAL_SERIES,
	ORIGINAL_NAME,
	ORIGINAL_SHA256,
	ORIGINAL_DOCUMENT,
	ORIGINAL_NEXT_ID
};
enum { LINE_SKU, LINE_TAX, LINE_CHARGED, LINE_LEFT };

static const char *const request_keys[] = { "statement", "reason", "items", NULL };
static const char *const item_keys[] = { "sku", "percent", "amount", "all", NULL };

/* What a statement charges of a sku in one tax entry, and what of it is given back. */
struct given {
	const char *sku;
	size_t tax;
	mpq_t charged;
	mpq_t left;
	mpq_t amount;
};

struct note {
	struct db *db;
	struct arena *arena;
	int64_t account_id;
	struct instant now;
	const char *reason;
	struct rows *original;
	struct rows *sums;
	struct json *head; /* of the original */
	struct given *given;
	size_t count;
	struct tax_book taxes;
	mpq_t *net; /* by tax entry: what is given back */
	mpq_t *tax;
	struct totals totals;
	enum rounding rounding;
	mpq_t minor;
	unsigned places;
};

static const char *
original(const struct note *n, size_t column)
{
	return rows_text(n->original, 0, column);
}

static const struct jval *
body(const struct note *n)
{
	return json_get(json_root(n->head), "body");
}

static void
note_init(struct note *n, struct db *db, int64_t account_id, struct instant now)
{
	*n = (struct note){ .db = db,
		.arena = arena_new(),
		.account_id = account_id,
		.now = now,
		.reason = "" };
	tax_book_init(&n->taxes);
	totals_init(&n->totals);
	mpq_init(n->minor);
}

static void
note_done(struct note *n)
{
	for (size_t i = 0; i < n->count; i++)
		mpq_clears(n->given[i].charged, n->given[i].left, n->given[i].amount,
		    NULL);
	exact_array_free(n->net, n->taxes.count);
	exact_array_free(n->tax, n->taxes.count);
	tax_book_done(&n->taxes);
	totals_done(&n->totals);
	mpq_clear(n->minor);
	json_free(n->head);
	rows_clear(&n->original);
	rows_clear(&n->sums);
	arena_free(n->arena);
}

static bool
original_read(struct note *n, const char *which, struct err *e)
{
	const struct jval *tariff;
	const char *mode;

	if (!db_query(n->db, STMT_NOTE_ORIGINAL, DB_ARGS(DB_NUMBER(n->account_id), which),
		&n->original, e))
		return false;
	if (rows_count(n->original) != 1)
		return err_set(e, ERR_NOT_FOUND,
		    "the account has %s statement %.80s that a note can be about",
		    rows_count(n->original) == 0 ? "no" : "more than one", which);
	if (!json_parse(&n->head, original(n, ORIGINAL_DOCUMENT),
		strlen(original(n, ORIGINAL_DOCUMENT)), e))
		return false;
	tariff = json_at(json_get(body(n), "tariffs"), 0);
	mode = json_text(json_get(tariff, "rounding"));
	if (mode != NULL && !rounding_parse(&n->rounding, mode, e))
		return false;
	if (!currency_places(&n->places, json_text(json_get(body(n), "currency")), e))
		return false;
	exact_minor(n->minor, n->places);
	return true;
}

/* The tax entries of the original, in its order. */
static bool
taxes_read(struct note *n, struct err *e)
{
	const struct jval *list = json_get(body(n), "taxes");

	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		const char *rate = json_text(json_get(v, "rate"));
		const char *mode = json_text(json_get(v, "mode"));
		const char *rounding = json_text(json_get(v, "rounding"));
		struct tax_entry like = { .name = json_text(json_get(v, "class")),
			.taxed = rate != NULL,
			.inclusive = mode != NULL && strcmp(mode, "inclusive") == 0 };
		bool ok;

		mpq_inits(like.rate, like.minor, NULL);
		mpq_set(like.minor, n->minor);
		ok = rate == NULL ||
		    (rat_parse(like.rate, rate, e) &&
			rounding_parse(&like.rounding, rounding, e));
		if (ok)
			(void)tax_book_find(&n->taxes, &like);
		mpq_clears(like.rate, like.minor, NULL);
		if (!ok)
			return false;
	}
	return true;
}

static bool
given_read(struct note *n, struct err *e)
{
	if (!db_query(n->db, STMT_NOTE_LINES,
		DB_ARGS(DB_NUMBER(n->account_id), original(n, ORIGINAL_ID)), &n->sums, e))
		return false;
	n->given = arena_alloc(n->arena, (rows_count(n->sums) + 1) * sizeof(*n->given));
	for (size_t i = 0; i < rows_count(n->sums); i++) {
		struct given *g = &n->given[n->count++];

		g->sku = rows_text(n->sums, i, LINE_SKU);
		g->tax = (size_t)rows_i64(n->sums, i, LINE_TAX);
		mpq_inits(g->charged, g->left, g->amount, NULL);
		if (g->tax >= n->taxes.count ||
		    !rat_parse(g->charged, rows_text(n->sums, i, LINE_CHARGED), e) ||
		    !rat_parse(g->left, rows_text(n->sums, i, LINE_LEFT), e))
			return err_set(e, ERR_INTERNAL,
			    "statement %s: its lines and taxes don't fit together",
			    original(n, ORIGINAL_NAME));
	}
	return true;
}

/* At most what is left, and in its direction. */
static bool
given_fits(const struct given *g)
{
	if (mpq_sgn(g->left) >= 0)
		return mpq_sgn(g->amount) >= 0 && mpq_cmp(g->amount, g->left) <= 0;
	return mpq_sgn(g->amount) <= 0 && mpq_cmp(g->amount, g->left) >= 0;
}

static bool
given_add(struct note *n, struct given *g, const mpq_t amount, struct err *e)
{
	exact_add(g->amount, amount);
	if (given_fits(g))
		return true;
	return err_set(e, ERR_INPUT,
	    "%s: more than what is left of it on statement %s would be given back",
	    g->sku, original(n, ORIGINAL_NAME));
}

static bool
percent_give(struct note *n, const char *sku, const mpq_t percent, struct err *e)
{
	scoped_exact mpq_t part;

	mpq_init(part);
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->given[i].sku, sku) != 0)
			continue;
		mpq_mul(part, n->given[i].charged, percent);
		exact_scale(part, part, 1, 100);
		rat_round(part, part, n->minor, n->rounding);
		if (!given_add(n, &n->given[i], part, e))
			return false;
	}
	return true;
}

static bool
amount_give(struct note *n, const char *sku, const mpq_t amount, struct err *e)
{
	scoped_exact mpq_t rounded;
	struct given *only = NULL;
	size_t found = 0;

	mpq_init(rounded);
	rat_round(rounded, amount, n->minor, ROUND_DOWN);
	if (!mpq_equal(rounded, amount))
		return err_set(e, ERR_INPUT, "%s: the amount has more than %u places",
		    sku, n->places);
	for (size_t i = 0; i < n->count; i++)
		if (strcmp(n->given[i].sku, sku) == 0 && found++ == 0)
			only = &n->given[i];
	if (found != 1)
		return err_set(e, ERR_INPUT,
		    "%s is taxed in %zu ways on this statement: give a percentage", sku,
		    found);
	return given_add(n, only, amount, e);
}

static bool
all_give(struct note *n, struct err *e)
{
	for (size_t i = 0; i < n->count; i++)
		if (!given_add(n, &n->given[i], n->given[i].left, e))
			return false;
	return true;
}

static bool
sku_known(const struct note *n, const char *sku)
{
	for (size_t i = 0; i < n->count; i++)
		if (strcmp(n->given[i].sku, sku) == 0)
			return true;
	return false;
}

static bool
item_give(struct note *n, const struct jval *v, const char *path, struct err *e)
{
	scoped_exact mpq_t value;
	const char *sku = NULL;
	struct form f;
	bool percent;

	mpq_init(value);
	if (!form_open(&f, v, path, item_keys, e))
		return false;
	if (json_bool(json_get(v, "all"), false))
		return all_give(n, e);
	percent = form_has(&f, "percent");
	if (percent == form_has(&f, "amount"))
		return err_set(e, ERR_INPUT, "%s: write either \"percent\" or \"amount\"",
		    path);
	if (!form_need(&f, "sku", "\"vcpu\"", e) ||
	    !form_text(&f, n->arena, "sku", &sku, e) ||
	    !form_exact_positive(&f, percent ? "percent" : "amount", value, e))
		return false;
	if (!sku_known(n, sku))
		return err_set(e, ERR_INPUT, "%s: statement %s has no line of %s", path,
		    original(n, ORIGINAL_NAME), sku);
	return percent ? percent_give(n, sku, value, e) : amount_give(n, sku, value, e);
}

static bool
items_give(struct note *n, const struct jval *list, struct err *e)
{
	size_t place = 0;

	if (json_type(list) != JSON_ARRAY || json_count(list) == 0 ||
	    json_count(list) > ITEMS_MOST)
		return err_set(e, ERR_INPUT,
		    "items: say what is given back: "
		    "[{\"sku\":\"vcpu\",\"percent\":\"50\"}]");
	for (const struct jval *v = json_first(list); v != NULL;
	     v = json_next(v), place++)
		if (!item_give(n, v, arena_printf(n->arena, "items[%zu]", place), e))
			return false;
	for (size_t i = 0; i < n->count; i++)
		if (mpq_sgn(n->given[i].amount) != 0)
			return true;
	return err_set(e, ERR_INPUT, "nothing is left to be given back");
}

/* By entry: what is owed with (sign 0) or without (sign 1) what is given back. */
static void
owed(struct note *n, bool after)
{
	struct totals ignored;

	totals_init(&ignored);
	for (size_t i = 0; i < n->taxes.count; i++)
		mpq_set_ui(n->taxes.entries[i].lines, 0, 1);
	for (size_t i = 0; i < n->count; i++) {
		struct tax_entry *x = &n->taxes.entries[n->given[i].tax];

		exact_add(x->lines, n->given[i].left);
		if (after)
			mpq_sub(x->lines, x->lines, n->given[i].amount);
	}
	tax_book_close(&n->taxes, &ignored);
	totals_done(&ignored);
}

/* The note's sums stand on it as negatives: they lessen what is owed. */
static void
sums_make(struct note *n)
{
	n->net = exact_array(n->taxes.count);
	n->tax = exact_array(n->taxes.count);
	owed(n, false);
	for (size_t i = 0; i < n->taxes.count; i++) {
		mpq_neg(n->net[i], n->taxes.entries[i].net);
		mpq_neg(n->tax[i], n->taxes.entries[i].tax);
	}
	owed(n, true);
	for (size_t i = 0; i < n->taxes.count; i++) {
		exact_add(n->net[i], n->taxes.entries[i].net);
		exact_add(n->tax[i], n->taxes.entries[i].tax);
		exact_add(n->totals.subtotal, n->net[i]);
		exact_add(n->totals.tax, n->tax[i]);
	}
	mpq_add(n->totals.total, n->totals.subtotal, n->totals.tax);
}

static void
amount_write(struct jout *j, const char *key, const struct note *n, const mpq_t amount)
{
	scoped_free char *text = rat_decimal(amount, n->places);

	jout_string(j, key, text);
}

/* One line a sku and tax entry, in their order. */
static bool
lines_write(struct note *n, int64_t *count, struct err *e)
{
	scoped(buf_done) struct buf list = BUF_INIT;
	struct jout j = JOUT_INIT(&list);

	jout_open(&j, NULL, '[');
	for (size_t i = 0; i < n->count; i++) {
		struct given *g = &n->given[i];
		scoped(buf_done) struct buf line = BUF_INIT;
		struct jout l = JOUT_INIT(&line);

		if (mpq_sgn(g->amount) == 0)
			continue;
		mpq_neg(g->amount, g->amount);
		jout_open(&l, NULL, '{');
		jout_number(&l, "n", ++*count);
		jout_string(&l, "kind", "credit");
		jout_string(&l, "sku", g->sku);
		amount_write(&l, "amount", n, g->amount);
		jout_number(&l, "tax", (int64_t)g->tax);
		jout_close(&l, '}');
		jout_open(&j, NULL, '{');
		jout_string(&j, "document", buf_text(&line));
		jout_close(&j, '}');
	}
	jout_close(&j, ']');
	return db_run(n->db, STMT_DRAW_LINES,
	    DB_ARGS(DB_NUMBER(n->account_id), original(n, ORIGINAL_NEXT_ID), "0",
		buf_text(&list)),
	    NULL, e);
}

static void
taxes_write(struct jout *j, const struct note *n)
{
	jout_open(j, "taxes", '[');
	for (size_t i = 0; i < n->taxes.count; i++) {
		const struct tax_entry *x = &n->taxes.entries[i];

		jout_open(j, NULL, '{');
		jout_string(j, "class", x->name);
		if (x->taxed) {
			doc_exact(j, "rate", x->rate);
			jout_string(j, "mode", x->inclusive ? "inclusive" : "exclusive");
			jout_string(j, "rounding", rounding_name(x->rounding));
		}
		amount_write(j, "net", n, n->net[i]);
		amount_write(j, "tax", n, n->tax[i]);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
period_write(struct jout *j, const struct note *n)
{
	const struct jval *period = json_get(body(n), "period");

	jout_open(j, "period", '{');
	jout_string(j, "start", json_text(json_get(period, "start")));
	jout_string(j, "end", json_text(json_get(period, "end")));
	jout_string(j, "timezone", json_text(json_get(period, "timezone")));
	jout_close(j, '}');
}

static bool
body_write(struct jout *j, struct note *n, struct err *e)
{
	scoped(rows_clear) struct rows *digest = NULL;
	int64_t count = 0;

	if (!lines_write(n, &count, e) ||
	    !db_query(n->db, STMT_LINES_DIGEST,
		DB_ARGS(DB_NUMBER(n->account_id), original(n, ORIGINAL_NEXT_ID)), &digest,
		e))
		return false;
	jout_open(j, "body", '{');
	period_write(j, n);
	taxes_write(j, n);
	jout_string(j, "currency", json_text(json_get(body(n), "currency")));
	amount_write(j, "subtotal", n, n->totals.subtotal);
	amount_write(j, "tax", n, n->totals.tax);
	amount_write(j, "total", n, n->totals.total);
	jout_open(j, "lines", '{');
	jout_number(j, "count", count);
	jout_string(j, "sha256", rows_text(digest, 0, 1));
	jout_close(j, '}');
	jout_close(j, '}');
	return true;
}

static bool
document_write(struct buf *out, struct note *n, const struct parties *p, const char *name,
    struct err *e)
{
	struct jout j = JOUT_INIT(out);
	const struct jval *head = json_root(n->head);

	jout_open(&j, NULL, '{');
	parties_head(&j, p, "credit_note", name, n->now);
	jout_string(&j, "first_day", json_text(json_get(head, "first_day")));
	jout_string(&j, "last_day", json_text(json_get(head, "last_day")));
	jout_open(&j, "original", '{');
	jout_string(&j, "number", original(n, ORIGINAL_NAME));
	jout_string(&j, "sha256", original(n, ORIGINAL_SHA256));
	jout_close(&j, '}');
	jout_string(&j, "reason", n->reason);
	if (!parties_previous(&j, p, n->db, e))
		return false;
	amount_write(&j, "due", n, n->totals.total);
	if (!body_write(&j, n, e))
		return false;
	jout_close(&j, '}');
	return buf_ok(out) || err_set(e, ERR_LIMIT, "credit note %s is too long", name);
}

static bool
statement_put(struct note *n, const struct parties *p, int64_t number, const char *name,
    const char *document, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const struct jval *period = json_get(body(n), "period");
	scoped_free char *key = mem_printf("%s/%s/note", p->account_uuid, name);
	scoped_free char *subtotal = rat_decimal(n->totals.subtotal, n->places);
	scoped_free char *tax = rat_decimal(n->totals.tax, n->places);
	scoped_free char *total = rat_decimal(n->totals.total, n->places);

	if (!db_query(n->db, STMT_ISSUE_STATEMENT,
		DB_ARGS(DB_NUMBER(n->account_id), original(n, ORIGINAL_NEXT_ID), key,
		    "credit_note", p->issuer_id, p->series, p->year, DB_NUMBER(number),
		    name, json_text(json_get(period, "start")),
		    json_text(json_get(period, "end")), DB_INSTANT(n->now),
		    json_text(json_get(body(n), "currency")), subtotal, tax, total, total,
		    original(n, ORIGINAL_ID), document),
		&r, e))
		return false;
	if (strcmp(p->series, "showback") != 0 &&
	    !db_run(n->db, STMT_ISSUE_POST,
		DB_ARGS(DB_NUMBER(n->account_id), name, rows_text(r, 0, 0)), NULL, e))
		return false;
	return db_run(n->db, STMT_NOTE_SEAL,
	    DB_ARGS(DB_NUMBER(n->account_id), rows_text(r, 0, 0), DB_INSTANT(n->now)),
	    NULL, e);
}

static bool
note_issue(struct note *n, char **name, struct err *e)
{
	scoped(buf_done) struct buf document = BUF_INIT;
	struct parties_ask ask = { n->account_id, original(n, ORIGINAL_ISSUER),
		original(n, ORIGINAL_SERIES) };
	struct parties p;
	int64_t number = 0;
	bool ok;

	if (!parties_read(&p, n->db, &ask, n->now, e))
		return false;
	ok = parties_number(&p, n->db, rows_i64(n->original, 0, ORIGINAL_NEXT_ID),
		 &number, name, e) &&
	    document_write(&document, n, &p, *name, e) &&
	    statement_put(n, &p, number, *name, buf_text(&document), e);
	parties_done(&p);
	return ok;
}

/* Everything that can be wrong with a request is found before anything is written. */
static bool
request_read(struct note *n, const char *text, struct err *e)
{
	struct json *request = NULL;
	const char *which = NULL;
	struct form f;
	bool ok;

	if (!json_parse(&request, text, strlen(text), e))
		return false;
	ok = form_open(&f, json_root(request), "credit note", request_keys, e) &&
	    form_need(&f, "statement", "\"2026-000017\"", e) &&
	    form_text(&f, n->arena, "statement", &which, e) &&
	    form_text(&f, n->arena, "reason", &n->reason, e) &&
	    original_read(n, which, e) && taxes_read(n, e) && given_read(n, e) &&
	    items_give(n, json_get(json_root(request), "items"), e);
	json_free(request);
	return ok;
}

static bool
finish(struct note *n, const char *uuid, const char *state, const char *answer,
    struct err *e)
{
	return db_run(n->db, STMT_NOTE_FINISH,
	    DB_ARGS(DB_NUMBER(n->account_id), uuid, state, answer, DB_INSTANT(n->now)),
	    NULL, e);
}

static bool
request_do(struct note *n, const char *uuid, const char *text, struct err *e)
{
	struct err refusal = ERR_INIT;
	char *name = NULL;
	bool ok;

	if (!request_read(n, text, &refusal)) {
		if (refusal.kind != ERR_INPUT && refusal.kind != ERR_NOT_FOUND) {
			*e = refusal;
			return false;
		}
		return finish(n, uuid, "refused", refusal.text, e);
	}
	sums_make(n);
	ok = note_issue(n, &name, e) && finish(n, uuid, "done", name, e);
	free(name);
	return ok;
}

bool
note_one(struct db *db, struct instant now, bool *any, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct note n;
	bool ok;

	*any = false;
	if (!db_query(db, STMT_NOTE_NEXT, DB_NONE, &r, e))
		return false;
	if (rows_count(r) == 0)
		return true;
	note_init(&n, db, rows_i64(r, 0, 0), instant_floor(now, NS_PER_S));
	ok = request_do(&n, rows_text(r, 0, 1), rows_text(r, 0, 2), e);
	note_done(&n);
	*any = ok;
	return ok;
}
