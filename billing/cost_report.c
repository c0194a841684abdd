/* SPDX-License-Identifier: Apache-2.0 */
/* cost_report: what was spent by day, account, project, sku, resource and tag */
#include "billing/cost_report.h"
#include "billing/calendar_db.h"
#include "billing/cost.h"
#include "billing/periods.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

/* Columns of cost_account and cost_documents. */
enum { ACCOUNT_UUID, ACCOUNT_NAME, ACCOUNT_ZONE, ACCOUNT_PROJECT };
enum {
	DOCUMENT_FROM,
	DOCUMENT_TO,
	DOCUMENT_ZONE,
	DOCUMENT_CLOSED,
	DOCUMENT_ID,
	DOCUMENT_NOTE
};

/* A line of a closed statement. */
struct closed_line {
	mpq_t amount;
	enum cost_kind kind;
	const char *sku;
	const char *resource; /* NULL: the account's */
	const char *name;
	const char *group_value; /* of the tags that it was closed with */
	const char *filter_value;
	bool used; /* its usage was found */
};

/* One account's document while it is added. */
struct adding {
	struct cost_report *report;
	struct db *db;
	const struct calendar *calendar;
	int64_t account_id;
	struct arena *arena; /* of the account */
	const char *uuid, *name, *zone, *project;
	struct rows *group_tags; /* value by resource, or NULL */
	struct rows *filter_tags;
	struct rows *days;
	struct instant *starts;
	const char *currency;
	const char *kind_text; /* of a statement */
	struct keys line_keys;
	struct closed_line *lines; /* by number of their key */
	size_t line_capacity;
	bool closed;
};

/* ---- places */

/* Rows of a statement that sorts by its first column. */
static const char *
value_of(const struct rows *r, const char *resource)
{
	size_t low = 0;
	size_t high = r == NULL || resource == NULL ? 0 : rows_count(r);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(rows_text(r, middle, 0), resource);

		if (order == 0)
			return rows_text(r, middle, 1);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static const char *
day_text(const struct adding *x, size_t day)
{
	return rows_text(x->days, day, 0);
}

static bool
day_shown(const struct cost_wish *w, const char *day)
{
	return (w->from == NULL || strcmp(day, w->from) >= 0) &&
	    (w->to == NULL || strcmp(day, w->to) <= 0);
}

/* What a place is about, beside its day. */
struct subject {
	enum cost_kind kind;
	const char *sku;
	const char *resource;
	const char *name;
	const char *group_value;
	const char *filter_value;
};

static bool
subject_fits(const struct cost_wish *w, const struct subject *s)
{
	if (w->sku != NULL &&
	    (s->sku == NULL || strncmp(s->sku, w->sku, strlen(w->sku)) != 0))
		return false;
	if (w->resource != NULL &&
	    (s->resource == NULL || strcmp(s->resource, w->resource) != 0))
		return false;
	return w->filter_key == NULL ||
	    (s->filter_value != NULL && strcmp(s->filter_value, w->filter_value) == 0);
}

/* What has no day of its own counts on the last one of its document. */
static void
place_add(struct adding *x, size_t pool, const struct subject *s, size_t day,
    const mpq_t weight)
{
	const struct cost_wish *w = &x->report->wish;
	struct cost_place p = { .kind = s->kind,
		.account_uuid = x->uuid,
		.resource_name = s->name,
		.currency = x->currency,
		.hidden = !day_shown(w, day_text(x, day)) || !subject_fits(w, s) };

	p.by[BY_DAY] = s->kind == COST_CHARGE ? day_text(x, day) : "";
	p.by[BY_ACCOUNT] = x->name;
	p.by[BY_PROJECT] = x->project;
	p.by[BY_SKU] = s->sku;
	p.by[BY_RESOURCE] = s->resource;
	p.by[BY_TAG] = s->group_value;
	cost_cell_add(&x->report->table, pool, &p, weight);
}

/* What no reader of this report can tell apart is split together. */
static size_t
pool_of(struct adding *x, const struct subject *s, const mpq_t amount)
{
	const struct cost_report *r = x->report;
	bool by_sku = cost_table_by(&r->table, BY_SKU) || r->wish.sku != NULL;
	bool by_resource = cost_table_by(&r->table, BY_RESOURCE) ||
	    cost_table_by(&r->table, BY_TAG) || r->wish.resource != NULL ||
	    r->wish.filter_key != NULL;
	scoped_free char *key = mem_printf("%d|%s|%s", (int)s->kind,
	    by_sku && s->sku != NULL ? s->sku : "",
	    by_resource && s->resource != NULL ? s->resource : "");

	return cost_pool_add(&x->report->table, key, amount);
}

static size_t
last_day(const struct adding *x)
{
	return rows_count(x->days) - 1;
}

/* An amount that has one place. */
static void
whole_add(struct adding *x, const struct subject *s, const mpq_t amount)
{
	if (mpq_sgn(amount) != 0)
		place_add(x, pool_of(x, s, amount), s, last_day(x), amount);
}

/* ---- lines of bills */

/* As a statement names its lines: tariff, price, version, resource and band. */
static char *
given_key(const struct bill *b, const struct bill_line *l)
{
	const struct line *line = l->line;
	size_t tariff = 0;

	for (size_t i = 0; i < l->portion_index; i++)
		tariff += b->portions[i].tariff != NULL ? 1 : 0;
	return mem_printf("%zu.%zu.%zu|%s|%s", tariff,
	    (size_t)(line->price - l->portion->tariff->prices),
	    (size_t)(line->version - line->price->versions),
	    line->resource == NULL ? "" : line->resource,
	    line->band == NULL ? "" : line->band);
}

static void
line_parts_add(struct adding *x, const struct cost_line *l,
    const struct closed_line *closed, const mpq_t amount)
{
	const struct line *line = l->given->line;
	struct subject s = { COST_CHARGE, line->sku, line->resource,
		l->given->resource_name, NULL, NULL };
	size_t pool = pool_of(x, &s, amount);
	scoped_exact mpq_t nothing;

	mpq_init(nothing);
	for (size_t i = 0; i < l->count; i++) {
		const struct cost_part *p = &l->parts[i];
		bool as_closed = closed != NULL && line->resource != NULL;

		s.resource = p->resource;
		s.name = p->name;
		s.group_value = as_closed ? closed->group_value
					  : value_of(x->group_tags, p->resource);
		s.filter_value = as_closed ? closed->filter_value
					   : value_of(x->filter_tags, p->resource);
		place_add(x, pool, &s, p->day, p->exact);
	}
	if (l->count == 0 && mpq_sgn(amount) != 0)
		place_add(x, pool, &s, last_day(x), nothing);
}

static bool
line_take(void *context, const struct bill *b, const struct cost_line *l,
    struct err *e unused)
{
	struct adding *x = context;
	scoped_free char *key = given_key(b, l->given);
	size_t n;

	if (!x->closed) {
		x->currency = b->currency;
		line_parts_add(x, l, NULL, l->given->line->amount);
		return true;
	}
	n = keys_find(&x->line_keys, key);
	/* What became known later is an adjustment of another statement. */
	if (n == KEYS_NONE || x->lines[n].used)
		return true;
	x->lines[n].used = true;
	line_parts_add(x, l, &x->lines[n], x->lines[n].amount);
	return true;
}

static bool
bill_add(struct adding *x, struct bill *b, const struct span *period, struct err *e)
{
	struct cost_ask ask = { .bill = { .account_id = x->account_id,
				    .period = *period,
				    .now = x->closed ? period->to : x->report->wish.now,
				    .as_closed = x->closed },
		.days = x->starts,
		.day_count = rows_count(x->days),
		.context = x,
		.line = line_take };

	return cost_make(b, x->db, x->calendar, &ask, e);
}

/* ---- taxes and payments */

static void
tax_add(struct adding *x, bool inclusive, const mpq_t tax)
{
	struct subject s = { .kind = COST_TAX };
	scoped_exact mpq_t within;

	mpq_init(within);
	whole_add(x, &s, tax);
	if (!inclusive)
		return;
	mpq_neg(within, tax);
	s.kind = COST_TAX_INCLUDED;
	whole_add(x, &s, within);
}

static bool
taxes_add(struct adding *x, const struct jval *taxes, struct err *e)
{
	scoped_exact mpq_t tax;

	mpq_init(tax);
	for (const struct jval *v = json_first(taxes); v != NULL; v = json_next(v)) {
		const char *mode = json_text(json_get(v, "mode"));

		if (!rat_parse(tax, json_text(json_get(v, "tax")), e))
			return false;
		tax_add(x, mode != NULL && strcmp(mode, "inclusive") == 0, tax);
	}
	return true;
}

static bool
payment_add(struct adding *x, enum cost_kind kind, const struct jval *payment,
    struct err *e)
{
	struct subject s = { .kind = kind };
	scoped_exact mpq_t used;

	mpq_init(used);
	if (payment == NULL)
		return true;
	if (!rat_parse(used, json_text(json_get(payment, "used")), e))
		return false;
	mpq_neg(used, used);
	whole_add(x, &s, used);
	return true;
}

static bool
payments_add(struct adding *x, const struct jval *head, struct err *e)
{
	const struct jval *credits = json_get(head, "credits");

	for (const struct jval *v = json_first(credits); v != NULL; v = json_next(v))
		if (!payment_add(x, COST_CREDIT, v, e))
			return false;
	return payment_add(x, COST_PREPAID, json_get(head, "prepaid"), e);
}

/* ---- documents */

static struct cost_document *
document_new(struct adding *x, const char *kind)
{
	struct cost_report *r = x->report;
	struct arena *a = r->arena;
	struct cost_document *d;

	r->documents = mem_resize(r->documents, r->document_count + 1,
	    sizeof(*r->documents));
	d = &r->documents[r->document_count++];
	*d = (struct cost_document){ .kind = arena_strdup(a, kind),
		.account = arena_strdup(a, x->name),
		.account_uuid = arena_strdup(a, x->uuid),
		.currency = arena_strdup(a, x->currency),
		.first_day = arena_strdup(a, day_text(x, 0)),
		.last_day = arena_strdup(a, day_text(x, last_day(x))) };
	return d;
}

/* Splits what came; what is shown and what is not are the document's total. */
static bool
document_end(struct adding *x, struct cost_document *d, struct err *e)
{
	struct cost_table *t = &x->report->table;
	scoped_exact mpq_t minor;
	scoped_exact mpq_t sum;
	unsigned places = 0;

	mpq_inits(minor, sum, NULL);
	if (!currency_places(&places, d->currency, e))
		return false;
	exact_minor(minor, places);
	cost_document_close(t, minor);
	d->shown = rat_decimal(t->shown, places);
	d->left_out = rat_decimal(t->left_out, places);
	mpq_add(sum, t->shown, t->left_out);
	scoped_free char *all = rat_decimal(sum, places);

	return strcmp(all, d->total) == 0 ||
	    err_set(e, ERR_INTERNAL,
		"account %s, %s: the costs add up to %s, the document says %s",
		d->account, d->number == NULL ? "the open period" : d->number, all,
		d->total);
}

static bool
days_read(struct adding *x, const struct span *period, const char *zone, struct err *e)
{
	rows_clear(&x->days);
	if (!db_query(x->db, STMT_COST_DAYS,
		DB_ARGS(zone, DB_INSTANT(period->from), DB_INSTANT(period->to)), &x->days,
		e))
		return false;
	if (rows_count(x->days) == 0)
		return err_set(e, ERR_INTERNAL, "a period of %s has no day", x->name);
	x->starts = arena_alloc(x->arena, rows_count(x->days) * sizeof(*x->starts));
	for (size_t i = 0; i < rows_count(x->days); i++)
		x->starts[i].ns = rows_i64(x->days, i, 1) * NS_PER_US;
	return true;
}

static bool
open_add(struct adding *x, const struct span *period, const char *zone, struct err *e)
{
	struct cost_document *d;
	struct bill b;

	x->closed = false;
	if (!days_read(x, period, zone, e) || !bill_add(x, &b, period, e))
		return false;
	x->currency = b.currency;
	for (size_t i = 0; i < b.taxes.count; i++)
		tax_add(x, b.taxes.entries[i].inclusive, b.taxes.entries[i].tax);
	d = document_new(x, "open");
	d->total = bill_amount_text(&b, b.totals.total);
	d->due = mem_strdup(d->total);
	bill_done(&b);
	return document_end(x, d, e);
}

static const char *
tag_in(struct adding *x, const struct jval *line, const char *key)
{
	return key == NULL
	    ? NULL
	    : arena_strdup(x->arena, json_text(json_get(json_get(line, "tags"), key)));
}

static enum cost_kind
kind_of(const char *word)
{
	if (strcmp(word, "adjustment") == 0)
		return COST_ADJUSTMENT;
	return strcmp(word, "credit") == 0 ? COST_CREDIT_NOTE : COST_CHARGE;
}

static char *
closed_key(const struct jval *v, enum cost_kind kind)
{
	const char *resource = json_text(json_get(json_get(v, "resource"), "id"));
	const char *band = json_text(json_get(v, "band"));

	if (kind != COST_CHARGE)
		return mem_printf("%s", json_text(json_get(v, "n")));
	return mem_printf("%s.%s.%s|%s|%s", json_text(json_get(v, "tariff")),
	    json_text(json_get(v, "price")), json_text(json_get(v, "version")),
	    resource == NULL ? "" : resource, band == NULL ? "" : band);
}

static bool
closed_line_read(struct adding *x, const struct jval *v, struct err *e)
{
	const struct cost_wish *w = &x->report->wish;
	const struct jval *resource = json_get(v, "resource");
	const char *id = json_text(json_get(resource, "id"));
	enum cost_kind kind = kind_of(json_text(json_get(v, "kind")));
	scoped_free char *key = closed_key(v, kind);
	size_t n = keys_number(&x->line_keys, key);
	struct closed_line *l;

	if (n >= x->line_capacity) {
		x->line_capacity = x->line_capacity == 0 ? 64 : x->line_capacity * 2;
		x->lines = mem_resize(x->lines, x->line_capacity, sizeof(*x->lines));
	}
	l = &x->lines[n];
	*l = (struct closed_line){ .kind = kind,
		.sku = arena_strdup(x->arena, json_text(json_get(v, "sku"))),
		.resource = arena_strdup(x->arena, id),
		.name = arena_strdup(x->arena, json_text(json_get(resource, "name"))),
		.group_value = tag_in(x, v, w->tag_key),
		.filter_value = tag_in(x, v, w->filter_key) };
	/* Adjustments name no tags. */
	if (kind != COST_CHARGE) {
		l->group_value = value_of(x->group_tags, id);
		l->filter_value = value_of(x->filter_tags, id);
	}
	mpq_init(l->amount);
	return rat_parse(l->amount, json_text(json_get(v, "amount")), e);
}

static bool
closed_lines_read(struct adding *x, struct issued *s, struct err *e)
{
	const struct jval *v = NULL;
	const char *text = NULL;

	do {
		if (!statement_line(s, &text, &v, e))
			return false;
		if (v != NULL && !closed_line_read(x, v, e))
			return false;
	} while (v != NULL);
	return true;
}

/* What has no day, and charges whose usage is not there any more. */
static void
others_add(struct adding *x)
{
	for (size_t i = 0; i < x->line_keys.count; i++) {
		const struct closed_line *l = &x->lines[i];
		struct subject s = { l->kind, l->sku, l->resource, l->name,
			l->group_value, l->filter_value };

		if (!l->used)
			whole_add(x, &s, l->amount);
	}
}

static void
lines_clear(struct adding *x)
{
	for (size_t i = 0; i < x->line_keys.count; i++)
		mpq_clear(x->lines[i].amount);
	keys_done(&x->line_keys);
	keys_init(&x->line_keys);
}

static bool
closed_fill(struct adding *x, struct issued *s, const struct span *period, bool note,
    struct err *e)
{
	const struct jval *head = statement_head(s);
	const struct jval *body = json_get(head, "body");
	struct cost_document *d;
	struct bill b;

	x->currency = arena_strdup(x->arena, json_text(json_get(body, "currency")));
	if (!closed_lines_read(x, s, e))
		return false;
	if (!note) {
		if (!bill_add(x, &b, period, e))
			return false;
		bill_done(&b);
	}
	others_add(x);
	if (!taxes_add(x, json_get(body, "taxes"), e) || !payments_add(x, head, e))
		return false;
	d = document_new(x, json_text(json_get(head, "kind")));
	d->number = arena_strdup(x->report->arena, json_text(json_get(head, "number")));
	d->total = mem_strdup(json_text(json_get(body, "total")));
	d->due = mem_strdup(json_text(json_get(head, "due")));
	return document_end(x, d, e);
}

static bool
closed_add(struct adding *x, const struct rows *r, size_t row, const struct span *period,
    struct err *e)
{
	const char *id = rows_text(r, row, DOCUMENT_ID);
	struct issued s;
	bool ok;

	/* A period without any line has no statement. */
	if (id == NULL)
		return true;
	x->closed = true;
	if (!days_read(x, period, rows_text(r, row, DOCUMENT_ZONE), e) ||
	    !statement_open(&s, x->db, x->account_id, id, e))
		return false;
	ok = closed_fill(x, &s, period, rows_bool(r, row, DOCUMENT_NOTE), e);
	if (ok)
		x->report->documents[x->report->document_count - 1].id =
		    arena_strdup(x->report->arena, id);
	statement_done(&s);
	lines_clear(x);
	return ok;
}

/* ---- an account */

static bool
documents_add(struct adding *x, struct err *e)
{
	const struct cost_wish *w = &x->report->wish;
	scoped(rows_clear) struct rows *r = NULL;
	struct span now_period;
	bool seen = w->statement != NULL;

	if (!db_query(x->db, STMT_COST_DOCUMENTS,
		DB_ARGS(DB_NUMBER(x->account_id), w->from, w->to, w->statement,
		    DB_INSTANT(w->now)),
		&r, e) ||
	    !period_find(x->db, x->calendar, x->account_id, w->now, &now_period, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct span period = { { rows_i64(r, i, DOCUMENT_FROM) * NS_PER_US },
			{ rows_i64(r, i, DOCUMENT_TO) * NS_PER_US } };

		if (period.from.ns == now_period.from.ns)
			seen = true;
		if (rows_bool(r, i, DOCUMENT_CLOSED)
			? !closed_add(x, r, i, &period, e)
			: !open_add(x, &period, rows_text(r, i, DOCUMENT_ZONE), e))
			return false;
	}
	/* The rater has not opened it yet. */
	if (seen || now_period.from.ns >= w->now.ns)
		return true;
	if (!days_read(x, &now_period, x->zone, e))
		return false;
	if ((w->to != NULL && strcmp(day_text(x, 0), w->to) > 0) ||
	    (w->from != NULL && strcmp(day_text(x, last_day(x)), w->from) < 0))
		return true;
	return open_add(x, &now_period, x->zone, e);
}

static bool
account_read(struct adding *x, struct err *e)
{
	const struct cost_wish *w = &x->report->wish;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(x->db, STMT_COST_ACCOUNT, DB_ARGS(DB_NUMBER(x->account_id)), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_NOT_FOUND, "there is no such account");
	x->uuid = arena_strdup(x->arena, rows_text(r, 0, ACCOUNT_UUID));
	x->name = arena_strdup(x->arena, rows_text(r, 0, ACCOUNT_NAME));
	x->zone = arena_strdup(x->arena, rows_text(r, 0, ACCOUNT_ZONE));
	x->project = arena_strdup(x->arena, rows_text(r, 0, ACCOUNT_PROJECT));
	if (w->tag_key != NULL &&
	    !db_query(x->db, STMT_COST_TAGS,
		DB_ARGS(DB_NUMBER(x->account_id), w->tag_key), &x->group_tags, e))
		return false;
	return w->filter_key == NULL ||
	    db_query(x->db, STMT_COST_TAGS,
		DB_ARGS(DB_NUMBER(x->account_id), w->filter_key), &x->filter_tags, e);
}

bool
cost_report_add(struct cost_report *r, struct db *db, int64_t account_id, struct err *e)
{
	struct calendar *c = calendar_db_new(db, false);
	struct adding x = { .report = r,
		.db = db,
		.calendar = c,
		.account_id = account_id,
		.arena = arena_new() };
	bool ok;

	keys_init(&x.line_keys);
	ok = account_read(&x, e) && documents_add(&x, e);
	lines_clear(&x);
	keys_done(&x.line_keys);
	free(x.lines);
	rows_clear(&x.group_tags);
	rows_clear(&x.filter_tags);
	rows_clear(&x.days);
	arena_free(x.arena);
	calendar_db_free(c);
	return ok;
}

void
cost_report_init(struct cost_report *r, const struct cost_wish *wish)
{
	*r = (struct cost_report){ .arena = arena_new(), .wish = *wish };
	cost_table_init(&r->table, r->wish.by, r->wish.by_count);
}

bool
cost_accounts(struct rows **out, struct db *db, int64_t works_in, int64_t most,
    struct err *e)
{
	return db_query(db, STMT_COST_ACCOUNTS,
	    DB_ARGS(works_in == 0 ? NULL : DB_NUMBER(works_in), DB_NUMBER(most)), out, e);
}

void
cost_report_trouble(struct cost_report *r, const char *why)
{
	cost_document_drop(&r->table);
	r->troubles = mem_resize(r->troubles, r->trouble_count + 1, sizeof(char *));
	r->troubles[r->trouble_count++] = arena_strdup(r->arena, why);
}

void
cost_report_done(struct cost_report *r)
{
	for (size_t i = 0; i < r->document_count; i++) {
		free(r->documents[i].total);
		free(r->documents[i].due);
		free(r->documents[i].shown);
		free(r->documents[i].left_out);
	}
	free(r->documents);
	free(r->troubles);
	cost_table_done(&r->table);
	arena_free(r->arena);
}
