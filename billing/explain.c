/* SPDX-License-Identifier: Apache-2.0 */
/* explain: from a line of a bill to price, tiers, intervals, windows and raw counters */
#include "billing/explain.h"
#include "billing/doc.h"
#include "billing/explain_text.h"
#include "billing/periods.h"
#include "billing/sku.h"
#include "billing/statement.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

/* Keys of records that correct a gap in metering: the source, a slash. */
#define GAP_SOURCE "jeoul.gap/"

/* One measured thing, kept after its usage is gone. */
struct kept {
	const struct price *price;
	const struct version *version;
	const struct band *band;
	const char *resource;
	const char *name;
	const char *told; /* keys of imported records, a line each; NULL: metered */
	enum usage_kind kind;
	struct span span;
	mpq_t quantity; /* alive in its span; of an event its own */
	mpq_t units;    /* of the price, after the divisor */
};

/* Units of one resource in a line. */
struct part_of {
	const char *resource;
	const char *name;
	mpq_t units;
};

struct explaining {
	struct db *db;
	const struct explain_ask *ask;
	struct arena *arena;
	struct bill bill;
	struct kept *kept;
	size_t kept_count;
	size_t kept_capacity;
	struct part_of *parts;
	size_t part_count;
	struct jout out;
	struct json *line;     /* of a statement; NULL: of the running bill */
	const char *document;  /* its bytes */
	bool adjusts;          /* it is an adjustment */
	const char *statement; /* its number, or NULL */
	const char *sku;
	const char *resource; /* NULL: the account's line */
	const char *band;
	struct span period;
	size_t found;
	mpq_t units; /* of all lines of the same thing, whatever version charged them */
	const char *focus; /* the one resource whose windows can be shown */
};

/* ---- what is measured */

static void
posted(void *context, const struct posting *p)
{
	struct explaining *x = context;
	struct kept *k;

	if (strcmp(p->usage->sku, x->sku) != 0 ||
	    (p->price->by_resource && x->resource != NULL &&
		strcmp(p->usage->resource, x->resource) != 0))
		return;
	if (x->kept_count == x->kept_capacity) {
		x->kept_capacity = x->kept_capacity == 0 ? 256 : x->kept_capacity * 2;
		x->kept = mem_resize(x->kept, x->kept_capacity, sizeof(*x->kept));
	}
	k = &x->kept[x->kept_count++];
	*k = (struct kept){ .price = p->price,
		.version = p->segment->version,
		.band = p->segment->band,
		.resource = arena_strdup(x->arena, p->usage->resource),
		.name = arena_strdup(x->arena, x->bill.used.name),
		.told = arena_strdup(x->arena,
		    x->bill.used.origins[p->usage - x->bill.used.list.items].told),
		.kind = p->usage->kind,
		.span = *p->span };
	mpq_inits(k->quantity, k->units, NULL);
	mpq_set(k->quantity, p->usage->qty);
	mpq_div(k->units, p->raw, p->price->divisor);
}

static void
kept_drop(struct explaining *x)
{
	for (size_t i = 0; i < x->kept_count; i++)
		mpq_clears(x->kept[i].quantity, x->kept[i].units, NULL);
	x->kept_count = 0;
}

static const char *
band_of(const struct kept *k)
{
	if (k->version == NULL || k->version->model.type != MODEL_TOU)
		return NULL;
	return k->band == NULL ? k->version->model.default_name : k->band->name;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
kept_of_line(const struct kept *k, const struct line *l)
{
	return k->price == l->price && k->version == l->version &&
	    same_text(band_of(k), l->band) &&
	    (l->resource == NULL || strcmp(k->resource, l->resource) == 0);
}

/* ---- writing */

static void
records_write(struct jout *j, const char *told)
{
	jout_open(j, "records", '[');
	while (*told != '\0') {
		size_t n = strcspn(told, "\n");
		scoped_free char *key = mem_strndup(told, n);

		jout_string(j, NULL, key);
		told += n + (told[n] == '\n' ? 1 : 0);
	}
	jout_close(j, ']');
}

/* What was told for a gap in metering: who said so, of which gap, why. */
static bool
act_write(struct explaining *x, const char *record, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	static const char *const names[] = { "record", "by", "at", "from", "to",
		"reason" };

	if (!db_query(x->db, STMT_EXPLAIN_ACT,
		DB_ARGS(DB_NUMBER(x->ask->account_id), record), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		jout_open(&x->out, NULL, '{');
		for (size_t k = 0; k < ARRAY_LEN(names); k++)
			jout_string(&x->out, names[k], rows_text(r, i, k));
		jout_close(&x->out, '}');
	}
	return true;
}

static bool
acts_write(struct explaining *x, const char *told, struct err *e)
{
	if (strstr(told, GAP_SOURCE) == NULL)
		return true;
	jout_open(&x->out, "acts", '[');
	while (*told != '\0') {
		size_t n = strcspn(told, "\n");
		scoped_free char *key = mem_strndup(told, n);

		if (strncmp(key, GAP_SOURCE, strlen(GAP_SOURCE)) == 0 &&
		    !act_write(x, key + strlen(GAP_SOURCE), e))
			return false;
		told += n + (told[n] == '\n' ? 1 : 0);
	}
	jout_close(&x->out, ']');
	return true;
}

static bool
usage_write(struct explaining *x, const struct kept *k, struct err *e)
{
	struct jout *j = &x->out;

	jout_open(j, NULL, '{');
	if (k->resource[0] != '\0') {
		jout_string(j, "resource", k->resource);
		jout_string(j, "name", k->name);
	}
	jout_string(j, "kind", k->kind == USAGE_INTERVAL ? "interval" : "event");
	doc_instant(j, "from", k->span.from);
	if (k->span.to.ns > k->span.from.ns)
		doc_instant(j, "to", k->span.to);
	doc_exact(j, "quantity", k->quantity);
	doc_exact(j, "units", k->units);
	if (k->told != NULL) {
		records_write(j, k->told);
		if (!acts_write(x, k->told, e))
			return false;
	}
	jout_close(j, '}');
	return true;
}

/* The usage of a line: of the focus closely, of all as sums by resource. */
static bool
usages_write(struct explaining *x, const struct line *l, mpq_t units, struct err *e)
{
	struct jout *j = &x->out;
	int64_t count = 0;

	jout_open(j, "usage", '[');
	for (size_t i = 0; i < x->kept_count; i++) {
		const struct kept *k = &x->kept[i];

		if (!kept_of_line(k, l))
			continue;
		exact_add(units, k->units);
		if (x->ask->resource != NULL &&
		    strcmp(k->resource, x->ask->resource) != 0)
			continue;
		if (count++ < EXPLAIN_ROWS_MOST && !usage_write(x, k, e))
			return false;
	}
	jout_close(j, ']');
	jout_number(j, "usage_count", count);
	return true;
}

static int
by_resource(const void *a, const void *b)
{
	return strcmp(((const struct part_of *)a)->resource,
	    ((const struct part_of *)b)->resource);
}

/* Kept things of one resource lie together: one sum for each stretch of them. */
static void
parts_sum(struct explaining *x, const struct line *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < x->kept_count; i++) {
		const struct kept *k = &x->kept[i];

		if (!kept_of_line(k, l))
			continue;
		if (kept == 0 || strcmp(x->parts[kept - 1].resource, k->resource) != 0) {
			x->parts = mem_resize(x->parts, kept + 1, sizeof(*x->parts));
			x->parts[kept] = (struct part_of){ k->resource, k->name,
				{ { { 0, 0, NULL }, { 0, 0, NULL } } } };
			mpq_init(x->parts[kept++].units);
		}
		exact_add(x->parts[kept - 1].units, k->units);
	}
	x->part_count = kept;
	if (kept > 1)
		qsort(x->parts, kept, sizeof(*x->parts), by_resource);
}

static void
parts_write(struct explaining *x, const struct line *l)
{
	struct jout *j = &x->out;

	parts_sum(x, l);
	jout_open(j, "resources", '[');
	for (size_t i = 0; i < x->part_count && i < EXPLAIN_ROWS_MOST; i++) {
		if (x->parts[i].resource[0] == '\0')
			continue;
		jout_open(j, NULL, '{');
		jout_string(j, "id", x->parts[i].resource);
		jout_string(j, "name", x->parts[i].name);
		doc_exact(j, "units", x->parts[i].units);
		jout_close(j, '}');
	}
	jout_close(j, ']');
	jout_number(j, "resource_count", (int64_t)x->part_count);
	for (size_t i = 0; i < x->part_count; i++)
		mpq_clear(x->parts[i].units);
	free(x->parts);
	x->parts = NULL;
	x->part_count = 0;
}

static bool
price_write(struct explaining *x, const struct portion *p, const struct line *l,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct jout *j = &x->out;

	if (!db_query(x->db, STMT_EXPLAIN_PRICE,
		DB_ARGS(DB_NUMBER(p->tariff_id), DB_NUMBER(p->tariff_version),
		    DB_NUMBER(l->price - p->tariff->prices)),
		&r, e))
		return false;
	jout_open(j, "tariff", '{');
	jout_string(j, "name", p->tariff_name);
	jout_number(j, "version", p->tariff_version);
	jout_string(j, "sha256", p->tariff_sha256);
	jout_string(j, "currency", p->tariff->currency);
	if (p->tariff->invoiced != p->tariff->currency)
		doc_exact(j, "fx_rate", p->tariff->fx_rate);
	jout_string(j, "rounding", rounding_name(p->tariff->rounding));
	doc_exact(j, "step", p->tariff->step);
	jout_close(j, '}');
	if (rows_count(r) == 1 && rows_text(r, 0, 0) != NULL)
		jout_raw(j, "price", rows_text(r, 0, 0));
	return true;
}

/* All that was charged for the same thing: the line and its corrections. */
static bool
charged_write(struct explaining *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_exact mpq_t sum;
	scoped_exact mpq_t more;
	struct jout *j = &x->out;

	mpq_inits(sum, more, NULL);
	if (x->line == NULL)
		return true;
	if (!db_query(x->db, STMT_EXPLAIN_CHARGED,
		DB_ARGS(DB_NUMBER(x->ask->account_id), DB_INSTANT(x->period.from), x->sku,
		    x->resource, x->band),
		&r, e))
		return false;
	jout_open(j, "charged", '[');
	for (size_t i = 0; i < rows_count(r); i++) {
		jout_open(j, NULL, '{');
		jout_string(j, "statement", rows_text(r, i, 0));
		jout_string(j, "n", rows_text(r, i, 1));
		jout_string(j, "kind", rows_text(r, i, 2));
		jout_string(j, "quantity", rows_text(r, i, 3));
		jout_string(j, "amount", rows_text(r, i, 4));
		jout_close(j, '}');
		if (!rat_parse(more, rows_text(r, i, 3), e))
			return false;
		exact_add(sum, more);
	}
	jout_close(j, ']');
	doc_exact(j, "charged_quantity", sum);
	doc_exact(j, "units_now", x->units);
	if (x->adjusts)
		jout_raw(j, "adjustment", x->document);
	return true;
}

/* The line as it was closed, or as the bill of this moment has it. */
static bool
line_write(struct explaining *x, const struct bill_line *given, mpq_t quantity,
    struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct doc_extra extra = { 0, 0, NULL };
	bool closed = x->line != NULL && !x->adjusts;

	mpq_set(quantity, given->line->quantity);
	if (!closed)
		doc_line(&text, &x->bill, given, &extra);
	jout_raw(&x->out, "line", closed ? x->document : buf_text(&text));
	return !closed ||
	    rat_parse(quantity, json_text(json_get(json_root(x->line), "quantity")), e);
}

static bool
line_wanted(const struct explaining *x, const struct bill *b, const struct bill_line *l)
{
	const struct jval *v = x->line == NULL ? NULL : json_root(x->line);
	size_t tariff = 0;
	int64_t n[3] = { 0, 0, 0 };
	static const char *const keys[3] = { "tariff", "price", "version" };
	struct err e = ERR_INIT;

	if (!same_text(l->line->band, x->band) && (x->line != NULL || x->band != NULL))
		return false;
	if (x->resource != NULL && !same_text(l->line->resource, x->resource) &&
	    (x->line != NULL || l->line->resource != NULL))
		return false;
	if (x->line == NULL || x->adjusts)
		return true;
	for (size_t i = 0; i < l->portion_index; i++)
		tariff += b->portions[i].tariff != NULL ? 1 : 0;
	for (size_t i = 0; i < 3; i++)
		if (!json_i64(&n[i], json_get(v, keys[i]), &e))
			return false;
	return same_text(l->line->resource, x->resource) && n[0] == (int64_t)tariff &&
	    n[1] == l->line->price - l->portion->tariff->prices &&
	    n[2] == l->line->version - l->line->price->versions;
}

static void
units_add(struct explaining *x, const struct line *l)
{
	for (size_t i = 0; i < x->kept_count; i++)
		if (kept_of_line(&x->kept[i], l))
			exact_add(x->units, x->kept[i].units);
}

static bool
line_take(void *context, const struct bill *b, const struct bill_line *l, struct err *e)
{
	struct explaining *x = context;
	scoped_exact mpq_t units;
	scoped_exact mpq_t quantity;

	mpq_inits(units, quantity, NULL);
	if (same_text(l->line->band, x->band) &&
	    same_text(l->line->resource, x->resource))
		units_add(x, l->line);
	if (!line_wanted(x, b, l))
		return true;
	x->found++;
	if (x->focus == NULL)
		x->focus = arena_strdup(x->arena, l->line->resource);
	jout_open(&x->out, NULL, '{');
	if (!line_write(x, l, quantity, e) || !price_write(x, l->portion, l->line, e))
		return false;
	if (l->line->resource == NULL)
		parts_write(x, l->line);
	if (!usages_write(x, l->line, units, e))
		return false;
	doc_exact(&x->out, "units", units);
	mpq_sub(units, units, quantity);
	doc_exact(&x->out, "changed", units);
	jout_close(&x->out, '}');
	return true;
}

/* The usage of a closed line may be gone altogether by now. */
static bool
line_lost(struct explaining *x, struct err *e)
{
	scoped_exact mpq_t quantity;
	struct jout *j = &x->out;

	mpq_init(quantity);
	if (x->found > 0 || x->line == NULL || x->adjusts)
		return true;
	if (!rat_parse(quantity, json_text(json_get(json_root(x->line), "quantity")), e))
		return false;
	mpq_neg(quantity, quantity);
	jout_open(j, NULL, '{');
	jout_raw(j, "line", x->document);
	jout_string(j, "units", "0");
	doc_exact(j, "changed", quantity);
	jout_close(j, '}');
	return true;
}

/* ---- windows */

static bool
consumed(const char *sku)
{
	return strcmp(sku, SKU_CPU_TIME) == 0 || strncmp(sku, "disk.", 5) == 0 ||
	    strncmp(sku, "net.", 4) == 0;
}

static void
window_write(struct jout *j, const struct rows *r, size_t i)
{
	static const char *const names[] = { "from", "to", "through", "kind", "resource",
		"epoch", "samples", "resets", "value", "raw" };

	jout_open(j, NULL, '{');
	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		struct instant t;
		struct err e = ERR_INIT;

		if (k < 3 && instant_parse(&t, rows_text(r, i, k), &e))
			doc_instant(j, names[k], t);
		else
			jout_string(j, names[k], rows_text(r, i, k));
	}
	jout_close(j, '}');
}

static bool
windows_write(struct explaining *x, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_exact mpq_t sum;
	scoped_exact mpq_t value;
	struct jout *j = &x->out;
	struct span until = { x->period.from, x->bill.through };

	mpq_inits(sum, value, NULL);
	if (x->focus == NULL || !consumed(x->sku))
		return true;
	if (!db_query(x->db, STMT_EXPLAIN_WINDOWS,
		DB_ARGS(DB_NUMBER(x->ask->account_id), x->focus, DB_INSTANT(until.from),
		    DB_INSTANT(until.to), x->sku),
		&r, e))
		return false;
	jout_open(j, "windows", '[');
	for (size_t i = 0; i < rows_count(r); i++) {
		if (!rat_parse(value, rows_text(r, i, 8), e))
			return false;
		exact_add(sum, value);
		window_write(j, r, i);
	}
	jout_close(j, ']');
	doc_exact(j, "windows_sum", sum);
	return true;
}

/* Each window of the focus and each imported amount is its own event then, not a sum. */
static bool
edges_read(struct explaining *x, struct bill_ask *bill, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *resource = x->resource != NULL ? x->resource : x->ask->resource;
	bool windows = resource != NULL && consumed(x->sku);
	struct instant *edges;

	if (!db_query(x->db, STMT_EXPLAIN_STARTS,
		DB_ARGS(DB_NUMBER(x->ask->account_id), resource,
		    DB_INSTANT(x->period.from), DB_INSTANT(x->period.to), x->sku,
		    windows ? "true" : "false"),
		&r, e))
		return false;
	edges = arena_alloc(x->arena, (rows_count(r) + 1) * sizeof(*edges));
	for (size_t i = 0; i < rows_count(r); i++)
		edges[i].ns = rows_i64(r, i, 0) * NS_PER_US;
	bill->edges = edges;
	bill->edge_count = rows_count(r);
	x->focus = windows ? resource : NULL;
	return true;
}

/* ---- whose line */

static const char *
line_text(const struct explaining *x, const char *key)
{
	return json_text(json_get(json_root(x->line), key));
}

static bool
closed_read(struct explaining *x, bool *as_closed, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct issued s;
	bool ok;

	if (!statement_open(&s, x->db, x->ask->account_id, x->ask->statement, e))
		return false;
	ok = db_query(x->db, STMT_EXPLAIN_LINE,
	    DB_ARGS(DB_NUMBER(s.account_id), DB_NUMBER(s.id), DB_NUMBER(x->ask->line)),
	    &r, e);
	if (ok && (rows_count(r) == 0 || !rows_bool(r, 0, 1)))
		ok = err_set(e, ERR_NOT_FOUND,
		    "statement %s has no line %lld that is about usage",
		    x->ask->statement, (long long)x->ask->line);
	ok = ok &&
	    json_parse(&x->line, rows_text(r, 0, 0), strlen(rows_text(r, 0, 0)), e);
	if (ok) {
		x->period = (struct span){ { rows_i64(r, 0, 2) * NS_PER_US },
			{ rows_i64(r, 0, 3) * NS_PER_US } };
		x->statement = arena_strdup(x->arena, rows_text(r, 0, 4));
		x->document = arena_strdup(x->arena, rows_text(r, 0, 0));
		x->adjusts = strcmp(line_text(x, "kind"), "adjustment") == 0;
		x->sku = line_text(x, "sku");
		x->band = line_text(x, "band");
		x->resource = json_text(
		    json_get(json_get(json_root(x->line), "resource"), "id"));
	}
	*as_closed = true;
	statement_done(&s);
	return ok;
}

static bool
running_read(struct explaining *x, const struct calendar *c, struct err *e)
{
	if (x->ask->sku == NULL)
		return err_set(e, ERR_INPUT,
		    "say which line: a statement and a line, or a sku of the running "
		    "bill");
	x->sku = x->ask->sku;
	x->resource = x->ask->resource;
	x->band = x->ask->band;
	return period_find(x->db, c, x->ask->account_id, x->ask->now, &x->period, e);
}

static void
head_write(struct explaining *x)
{
	struct jout *j = &x->out;
	const struct bill *b = &x->bill;

	jout_open(j, "account", '{');
	jout_string(j, "id", b->account_uuid);
	jout_string(j, "name", b->account_name);
	jout_close(j, '}');
	jout_string(j, "currency", b->currency);
	jout_string(j, "statement", x->statement);
	jout_open(j, "period", '{');
	doc_instant(j, "start", x->period.from);
	doc_instant(j, "end", x->period.to);
	jout_close(j, '}');
	doc_instant(j, "as_of", b->through);
	if (x->focus == NULL)
		return;
	jout_open(j, "graph", '{');
	jout_string(j, "id", x->focus);
	doc_instant(j, "start", x->period.from);
	doc_instant(j, "end", b->through);
	jout_close(j, '}');
}

static bool
lines_explain(struct explaining *x, struct err *e)
{
	if (!line_lost(x, e))
		return false;
	jout_close(&x->out, ']');
	head_write(x);
	if (x->found == 0 && x->line == NULL)
		return err_set(e, ERR_NOT_FOUND, "the running bill has no line of %s%s%s",
		    x->sku, x->resource == NULL ? "" : " for ",
		    x->resource == NULL ? "" : x->resource);
	return charged_write(x, e) && windows_write(x, e);
}

static bool
bill_explain(struct explaining *x, const struct calendar *c, bool as_closed,
    struct err *e)
{
	struct trace trace = { x, posted };
	struct bill_ask ask = { .account_id = x->ask->account_id,
		.period = x->period,
		.now = as_closed ? x->period.to : x->ask->now,
		.want_parts = true,
		.as_closed = as_closed,
		.only = x->sku,
		.trace = &trace };
	struct bill_sink sink = { x, line_take };
	bool ok;

	if (!edges_read(x, &ask, e))
		return false;
	jout_open(&x->out, "lines", '[');
	if (!bill_make(&x->bill, x->db, c, &ask, &sink, e))
		return false;
	ok = lines_explain(x, e);
	bill_done(&x->bill);
	return ok;
}

/* What people read is made of what programs read, so that both say the same. */
static bool
text_add(struct buf *out, struct buf *json, struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct json *document = NULL;
	struct jout j = { .to = out, .comma = true };

	if (!buf_ok(json) || !json_parse(&document, buf_text(json), json->length, e))
		return err_set(e, ERR_LIMIT, "the explanation is too long");
	explain_text(&text, json_root(document));
	json_free(document);
	buf_add(out, json->data, json->length - 1);
	jout_string(&j, "text", buf_text(&text));
	buf_putc(out, '}');
	return true;
}

static bool
explain_all(struct explaining *x, const struct calendar *c, struct err *e)
{
	bool as_closed = false;

	jout_open(&x->out, NULL, '{');
	if (!(x->ask->statement != NULL ? closed_read(x, &as_closed, e)
					: running_read(x, c, e)) ||
	    !bill_explain(x, c, as_closed, e))
		return false;
	jout_close(&x->out, '}');
	return true;
}

bool
explain(struct buf *json_out, struct db *db, const struct calendar *c,
    const struct explain_ask *ask, struct err *e)
{
	scoped(buf_done) struct buf json = BUF_INIT;
	struct explaining x = { .db = db,
		.ask = ask,
		.arena = arena_new(),
		.out = JOUT_INIT(&json) };
	bool ok;

	mpq_init(x.units);
	ok = explain_all(&x, c, e) && text_add(json_out, &json, e);
	kept_drop(&x);
	free(x.kept);
	mpq_clear(x.units);
	json_free(x.line);
	arena_free(x.arena);
	return ok;
}
