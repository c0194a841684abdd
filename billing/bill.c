/* SPDX-License-Identifier: Apache-2.0 */
/* bill: what an account's period has come to, from the rows to the total */
#include "billing/bill.h"
#include "billing/answer.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (3600 * NS_PER_S)

enum {
	TARIFF_FROM,
	TARIFF_ID,
	TARIFF_UUID,
	TARIFF_NAME,
	TARIFF_VERSION,
	TARIFF_SHA256,
	TARIFF_DOCUMENT
};

/* A bill while it is made. */
struct making {
	struct bill *b;
	struct db *db;
	const struct calendar *calendar;
	const struct bill_ask *ask;
	const struct bill_sink *sink;
	struct instant *edges;
	size_t edge_count;
	size_t edge_capacity;
	size_t *sum_in; /* by stretch between edges: where its consumption is summed */
	struct told by_resource; /* of the resource at hand */
	struct told by_account;
};

static bool
account_read(struct bill *b, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_BILL_ACCOUNT, DB_ARGS(DB_NUMBER(b->account_id)), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_NOT_FOUND, "there is no account %lld",
		    (long long)b->account_id);
	b->account_uuid = arena_strdup(b->arena, rows_text(r, 0, 0));
	b->account_name = arena_strdup(b->arena, rows_text(r, 0, 1));
	b->currency = arena_strdup(b->arena, rows_text(r, 0, 2));
	b->timezone = arena_strdup(b->arena, rows_text(r, 0, 3));
	return true;
}

static bool
portion_read(struct portion *p, struct bill *b, const struct rows *r, size_t row,
    struct err *e)
{
	const char *document = rows_text(r, row, TARIFF_DOCUMENT);

	p->span = b->period;
	if (p->span.from.ns < rows_i64(r, row, TARIFF_FROM) * NS_PER_US)
		p->span.from.ns = rows_i64(r, row, TARIFF_FROM) * NS_PER_US;
	if (row + 1 < rows_count(r))
		p->span.to.ns = rows_i64(r, row + 1, TARIFF_FROM) * NS_PER_US;
	p->tariff_id = rows_i64(r, row, TARIFF_ID);
	p->tariff_uuid = arena_strdup(b->arena, rows_text(r, row, TARIFF_UUID));
	p->tariff_name = arena_strdup(b->arena, rows_text(r, row, TARIFF_NAME));
	p->tariff_version = rows_i64(r, row, TARIFF_VERSION);
	p->tariff_sha256 = arena_strdup(b->arena, rows_text(r, row, TARIFF_SHA256));
	if (!tariff_parse(&p->tariff, document, strlen(document), e))
		return err_wrap(e, "tariff %s version %lld", p->tariff_name,
		    (long long)p->tariff_version);
	return true;
}

/* Amounts of two currencies have no sum. */
static bool
currency_settle(struct bill *b, struct err *e)
{
	const struct portion *before = NULL;

	for (size_t i = 0; i < b->portion_count; i++) {
		const struct portion *p = &b->portions[i];

		if (p->tariff == NULL)
			continue;
		if (before != NULL && strcmp(p->tariff->invoiced, b->currency) != 0)
			return err_set(e, ERR_INPUT,
			    "account %s: tariff %s invoices in %s and the one before it "
			    "in %s; begin it with the next period",
			    b->account_name, p->tariff_name, p->tariff->invoiced,
			    b->currency);
		b->currency = p->tariff->invoiced;
		before = p;
	}
	return true;
}

/* The time before the first price list has none: what is used there is unrated. */
static void
gap_read(struct bill *b, const struct rows *r)
{
	struct portion *p = &b->portions[0];

	p->span = b->period;
	if (rows_count(r) > 0)
		p->span.to.ns = rows_i64(r, 0, TARIFF_FROM) * NS_PER_US;
	if (p->span.from.ns < p->span.to.ns)
		b->portion_count = 1;
}

static void
unit_set(struct bill *b, const char *sku, const char *unit)
{
	for (size_t i = 0; i < b->portion_count; i++) {
		struct tariff *t = b->portions[i].tariff;

		for (size_t k = 0; t != NULL && k < t->price_count; k++)
			if (strcmp(t->prices[k].sku, sku) == 0)
				t->prices[k].unit = unit;
	}
}

/* Imported usage counts in what its meter says. */
static bool
units_read(struct making *m, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct bill *b = m->b;

	if (!db_query(m->db, STMT_BILL_METERS, DB_NONE, &r, e))
		return false;
	for (size_t row = 0; row < rows_count(r); row++)
		unit_set(b, rows_text(r, row, 0),
		    arena_strdup(b->arena, rows_text(r, row, 1)));
	return true;
}

/* The one list that was asked for. */
static bool
portion_of(struct making *m, const char *document, struct err *e)
{
	struct bill *b = m->b;
	struct portion *p;

	b->portions = arena_alloc(b->arena, sizeof(*b->portions));
	p = &b->portions[b->portion_count++];
	p->span = b->period;
	p->tariff_uuid = p->tariff_name = p->tariff_sha256 = "";
	if (!tariff_parse(&p->tariff, document, strlen(document), e))
		return false;
	b->currency = p->tariff->invoiced;
	return units_read(m, e);
}

static bool
portions_read(struct making *m, struct err *e)
{
	struct bill *b = m->b;
	scoped(rows_clear) struct rows *r = NULL;

	if (m->ask->document != NULL)
		return portion_of(m, m->ask->document, e);
	if (!db_query(m->db, m->ask->as_closed ? STMT_BILL_PINNED : STMT_BILL_TARIFFS,
		DB_ARGS(DB_NUMBER(b->account_id), DB_INSTANT(b->period.from),
		    DB_INSTANT(b->period.to)),
		&r, e))
		return false;
	b->portions = arena_alloc(b->arena, (rows_count(r) + 1) * sizeof(*b->portions));
	gap_read(b, r);
	for (size_t row = 0; row < rows_count(r); row++)
		if (!portion_read(&b->portions[b->portion_count++], b, r, row, e))
			return false;
	return currency_settle(b, e) && units_read(m, e);
}

static void
edge_add(void *context, struct instant edge)
{
	struct making *m = context;

	if (m->edge_count == m->edge_capacity) {
		m->edge_capacity = m->edge_capacity == 0 ? 64 : m->edge_capacity * 2;
		m->edges = mem_resize(m->edges, m->edge_capacity, sizeof(*m->edges));
	}
	m->edges[m->edge_count++] = edge;
}

/* Begins to rate a portion, and beside it an hour longer with what is alive now. */
static bool
portion_begin(struct making *m, struct portion *p, struct err *e)
{
	struct bill *b = m->b;
	bool current = span_holds(&p->span, b->through);
	struct instant until = current ? b->through : p->span.to;

	edge_add(m, p->span.from);
	if (p->tariff == NULL || p->span.from.ns >= until.ns)
		return true;
	p->job = (struct rate_job){ .tariff = p->tariff,
		.usage = &b->used.list,
		.calendar = m->calendar,
		.window = { p->span.from, until },
		.known = INSTANT_LAST,
		.want_parts = m->ask->want_parts,
		.trace = m->ask->trace };
	if (!rate_begin(&p->run, &p->job, e))
		return err_wrap(e, "account %s, tariff %s", b->account_name,
		    p->tariff_name);
	rate_edges(p->run, edge_add, m);
	if (!current || !m->ask->want_hour)
		return true;
	p->later_job = p->job;
	p->later_job.want_parts = false;
	p->later_job.trace = NULL;
	p->later_job.window.to.ns += HOUR_NS;
	return rate_begin(&p->later, &p->later_job, e);
}

static bool
line_take(struct making *m, struct portion *p, const struct line *l, struct err *e)
{
	struct bill *b = m->b;
	struct bill_line given = { l, p, (size_t)(p - b->portions),
		l->resource == NULL ? NULL : b->used.name,
		told_find(l->resource == NULL ? &m->by_account : &m->by_resource,
		    l->price) };
	struct tax_entry *x;

	if (m->ask->only != NULL && strcmp(m->ask->only, l->sku) != 0)
		return true;
	if (p->later != NULL)
		mpq_sub(b->per_hour, b->per_hour, l->exact);
	x = tax_book_entry(&b->taxes, p->tariff, l->price->tax_class);
	exact_add(x->lines, l->amount);
	exact_add(b->exact, l->exact);
	return m->sink == NULL || m->sink->line(m->sink->context, b, &given, e);
}

/* Hands out the lines that came since the last time. */
static bool
lines_take(struct making *m, struct portion *p, struct err *e)
{
	struct rating *r = rate_run_rating(p->run);

	for (size_t i = 0; i < r->count; i++)
		if (!line_take(m, p, &r->lines[i], e))
			return false;
	rating_drop(r);
	return true;
}

static void
later_take(struct bill *b, struct portion *p)
{
	struct rating *r = rate_run_rating(p->later);
	scoped_exact mpq_t sum;

	mpq_init(sum);
	rating_exact(sum, r);
	exact_add(b->per_hour, sum);
	rating_drop(r);
}

/* What the part of an item that lies in a portion came to there. */
static enum fate
portion_fate(const struct portion *p, const struct usage *u, size_t item)
{
	struct span span = { p->span.from,
		p->run == NULL ? p->span.to : p->job.window.to };
	const struct rating *r;

	if (!usage_touches(u, &span))
		return FATE_RATED;
	if (p->run == NULL)
		return FATE_UNRATED;
	r = rate_run_rating(p->run);
	if (r->rejected[item])
		return FATE_REJECTED;
	return r->unrated[item] ? FATE_UNRATED : FATE_RATED;
}

static void
items_count(struct bill *b)
{
	struct span rated = { b->period.from, b->through };

	for (size_t i = 0; i < b->used.list.count; i++) {
		const struct usage *u = &b->used.list.items[i];
		enum fate fate = FATE_RATED;

		if (!usage_touches(u, &rated))
			continue;
		for (size_t k = 0; k < b->portion_count && fate == FATE_RATED; k++)
			if (b->portions[k].span.from.ns < b->through.ns)
				fate = portion_fate(&b->portions[k], u, i);
		if (fate == FATE_UNRATED && sku_optional(u->sku))
			continue;
		balance_add(&b->balance, b->arena, u->sku, fate,
		    b->used.origins[i].records);
	}
	for (size_t i = 0; i < b->used.aside_count; i++) {
		const struct usage_aside *x = &b->used.asides[i];

		balance_add(&b->balance, b->arena, x->sku,
		    x->pending ? FATE_PENDING : FATE_CORRECTED, x->records);
	}
}

static bool
told_take(struct making *m, struct err *e)
{
	struct bill *b = m->b;

	m->by_resource.count = 0;
	for (size_t i = 0; i < b->portion_count; i++) {
		const struct portion *p = &b->portions[i];

		if (p->run != NULL &&
		    (!told_note(&m->by_resource, NULL, &p->job, &b->used, true, e) ||
			!told_note(&m->by_account, b->arena, &p->job, &b->used, false,
			    e)))
			return false;
	}
	return true;
}

static bool
resource_rate(struct making *m, struct err *e)
{
	struct bill *b = m->b;

	if (!told_take(m, e))
		return false;
	for (size_t i = 0; i < b->portion_count; i++) {
		struct portion *p = &b->portions[i];

		if (p->run != NULL && !rate_feed(p->run, e))
			return err_wrap(e, "account %s, tariff %s", b->account_name,
			    p->tariff_name);
		if (p->run != NULL && !lines_take(m, p, e))
			return false;
		if (p->later != NULL && !rate_feed(p->later, e))
			return false;
		if (p->later != NULL)
			later_take(b, p);
	}
	items_count(b);
	return true;
}

static bool
account_rate(struct making *m, struct err *e)
{
	struct bill *b = m->b;

	for (size_t i = 0; i < b->portion_count; i++) {
		struct portion *p = &b->portions[i];

		if (p->run == NULL)
			continue;
		rate_end(p->run);
		b->unmetered_s += rate_run_rating(p->run)->unmetered_s / NS_PER_S;
		if (!lines_take(m, p, e))
			return false;
		if (p->later == NULL)
			continue;
		rate_end(p->later);
		later_take(b, p);
	}
	return true;
}

static int
by_instant(const void *a, const void *b)
{
	const struct instant *x = a;
	const struct instant *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* The period's begin, then each edge in it once, in order of time. */
static void
edges_settle(struct making *m)
{
	struct instant last = m->b->period.from;
	size_t kept = 1;

	edge_add(m, last);
	qsort(m->edges, m->edge_count, sizeof(*m->edges), by_instant);
	m->edges[0] = last;
	for (size_t i = 0; i < m->edge_count; i++) {
		if (m->edges[i].ns <= last.ns || m->edges[i].ns >= m->b->through.ns)
			continue;
		last = m->edges[kept++] = m->edges[i];
	}
	m->edge_count = kept;
}

/* Beyond so many stretches each keeps its own sums: comparing all would cost more. */
enum { STRETCHES_COMPARED = 1000 };

/* What is explained, or cut at instants that were asked for, keeps its places in time. */
static bool
sums_may_join(const struct making *m)
{
	return m->ask->trace == NULL && m->ask->edge_count == 0 &&
	    m->edge_count <= STRETCHES_COMPARED;
}

static bool
stretches_alike(const struct making *m, struct instant a, struct instant b)
{
	for (size_t i = 0; i < m->b->portion_count; i++) {
		const struct portion *p = &m->b->portions[i];

		if (span_holds(&p->span, a) || span_holds(&p->span, b))
			return span_holds(&p->span, a) && span_holds(&p->span, b) &&
			    p->run != NULL && rate_alike(p->run, a, b);
	}
	return false;
}

static void
stretches_join(struct making *m)
{
	m->sum_in = mem_array(m->edge_count, sizeof(*m->sum_in));
	for (size_t i = 0; i < m->edge_count; i++) {
		m->sum_in[i] = i;
		for (size_t k = 0; sums_may_join(m) && k < i; k++)
			if (m->sum_in[k] == k &&
			    stretches_alike(m, m->edges[k], m->edges[i])) {
				m->sum_in[i] = k;
				break;
			}
	}
}

/* After what there is, what there might be. */
static bool
extra_rate(struct making *m, struct err *e)
{
	const struct bill_extra *x = m->ask->extra;

	for (size_t n = 0; x != NULL && x->fill(x->context, &m->b->used, n); n++)
		if (!resource_rate(m, e))
			return false;
	return true;
}

static bool
usage_rate(struct making *m, struct err *e)
{
	struct bill *b = m->b;
	struct usage_ask ask = { .account_id = b->account_id,
		.span = { b->period.from, b->through },
		.summed = INSTANT_FIRST };
	bool more = b->period.from.ns < b->through.ns;

	if (!more)
		return account_rate(m, e);
	edges_settle(m);
	stretches_join(m);
	ask.starts = m->edges;
	ask.sum_in = m->sum_in;
	ask.count = m->edge_count;
	if (!sums_settle(&ask, m->db, m->ask->now, m->ask->sums, &b->planned, e))
		return false;
	b->summed = ask.summed;
	if (b->planned)
		return true;
	if (!usage_stream_open(&b->used, m->db, &ask, e))
		return false;
	while (more) {
		if (!usage_stream_next(&b->used, &more, e) ||
		    (more && !resource_rate(m, e)))
			return false;
	}
	return extra_rate(m, e) && usage_stream_close(&b->used, e) && account_rate(m, e);
}

static bool
bill_fill(struct making *m, struct err *e)
{
	struct bill *b = m->b;

	if (!account_read(b, m->db, e) || !portions_read(m, e))
		return false;
	for (size_t i = 0; i < b->portion_count; i++)
		if (!portion_begin(m, &b->portions[i], e))
			return false;
	for (size_t i = 0; i < m->ask->edge_count; i++)
		edge_add(m, m->ask->edges[i]);
	if (!usage_rate(m, e))
		return false;
	tax_book_close(&b->taxes, &b->totals);
	return true;
}

bool
bill_make(struct bill *b, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, const struct bill_sink *sink, struct err *e)
{
	struct making m = { .b = b, .db = db, .calendar = c, .ask = ask, .sink = sink };
	bool ok;

	*b = (struct bill){ .arena = arena_new(),
		.account_id = ask->account_id,
		.period = ask->period,
		.through = instant_floor(ask->now, NS_PER_S),
		.summed = INSTANT_FIRST };
	if (b->through.ns > b->period.to.ns)
		b->through = b->period.to;
	tax_book_init(&b->taxes);
	totals_init(&b->totals);
	mpq_inits(b->exact, b->per_hour, NULL);
	ok = bill_fill(&m, e);
	free(m.edges);
	free(m.sum_in);
	told_done(&m.by_resource);
	told_done(&m.by_account);
	if (!ok)
		bill_done(b);
	return ok;
}

void
bill_done(struct bill *b)
{
	for (size_t i = 0; i < b->portion_count; i++) {
		rate_run_free(b->portions[i].run);
		rate_run_free(b->portions[i].later);
		tariff_free(b->portions[i].tariff);
	}
	usage_stream_done(&b->used);
	balance_done(&b->balance);
	tax_book_done(&b->taxes);
	totals_done(&b->totals);
	mpq_clears(b->exact, b->per_hour, NULL);
	arena_free(b->arena);
}

const struct portion *
bill_portion(const struct bill *b)
{
	const struct portion *last = NULL;

	for (size_t i = 0; i < b->portion_count; i++)
		if (b->portions[i].tariff != NULL)
			last = &b->portions[i];
	return last;
}

char *
bill_amount_text(const struct bill *b, const mpq_t amount)
{
	const struct portion *p = bill_portion(b);
	struct err e = ERR_INIT;
	unsigned places = 2;

	if (p != NULL)
		return amount_text(p->tariff, amount);
	/* The schema lets only three capital letters in: the standard can't be needed. */
	(void)!currency_places(&places, b->currency, &e);
	return rat_decimal(amount, places);
}
