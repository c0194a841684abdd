/* SPDX-License-Identifier: Apache-2.0 */
/* quote: what a virtual machine that is not there yet will cost, by the code that bills
 */
#include "billing/quote.h"
#include "billing/answer.h"
#include "billing/bill.h"
#include "billing/calendar_db.h"
#include "billing/keys.h"
#include "billing/periods.h"
#include "billing/sku.h"
#include <stdlib.h>
#include <string.h>

#define PLACES_SHOWN 6
#define GIB (INT64_C(1) << 30)
#define HOUR_NS (3600 * NS_PER_S)
#define FUTURE_NS (INT64_C(366) * 24 * HOUR_NS)
/* No id of anything: ids of ours are random. */
#define NO_UUID "00000000-0000-4000-8000-0000000000%02zx"

/* What a line grows by. */
struct growth {
	const char *sku;
	const char *resource_name; /* NULL: a line of the account */
	const char *band;
	const char *unit;
	mpq_t quantity;
	mpq_t exact;
	mpq_t amount;
};
struct unpriced {
	const char *sku;
	int64_t more; /* records without a price, with it less without it */
};

struct quoting {
	const struct quote_ask *ask;
	struct db *db;
	const struct calendar *calendar;
	struct arena *arena;
	const char *zone;       /* of the account */
	struct span period;     /* of the bill at hand */
	struct instant through; /* that it is made up to */
	bool with;              /* the bill at hand has it */
	struct keys keys;
	struct growth *lines; /* by number of their key */
	size_t capacity;
	struct unpriced *unrated;
	size_t unrated_count;
	struct totals totals;
	mpq_t exact;
	struct keys unpriced; /* skus that have no price, of all windows */
	struct buf head;      /* of the answer, as JSON, and what was not counted */
	struct buf not_counted;
};

/* ---- what would be used */

static struct span
alive(const struct quoting *q)
{
	struct span s = { q->ask->start, INSTANT_LAST };

	if (s.from.ns < q->period.from.ns)
		s.from = q->period.from;
	return s;
}

/* So many hours of a whole period; of one that is entered later in proportion. */
static struct span
running(const struct quoting *q)
{
	struct span s = alive(q);
	int64_t whole = (q->period.to.ns - q->period.from.ns) / NS_PER_S;
	int64_t left = (q->period.to.ns - s.from.ns) / NS_PER_S;

	if (q->ask->hours > 0)
		s.to.ns = s.from.ns + q->ask->hours * 3600 * left / whole * NS_PER_S;
	return s;
}

static void
tag_set(const struct quoting *q, struct usage_stream *s, struct usage *u)
{
	if (q->ask->offering == NULL)
		return;
	u->tags.list = arena_alloc(s->list.arena, sizeof(*u->tags.list));
	u->tags.list[0] = (struct tag){ "offering",
		arena_strdup(s->list.arena, q->ask->offering) };
	u->tags.count = 1;
}

static struct usage *
level_add(struct usage_stream *s, const char *sku, struct span span, int64_t amount,
    int64_t divisor)
{
	struct usage *u = usage_stream_item(s, USAGE_INTERVAL, sku);

	u->span = span;
	rat_set_i64(u->qty, amount, divisor);
	return u;
}

/* Evenly, hour by hour, as far as the bill goes. */
static void
traffic_add(const struct quoting *q, struct usage_stream *s, const char *sku,
    const mpq_t bytes)
{
	int64_t whole = q->period.to.ns - q->period.from.ns;
	int64_t next;

	for (int64_t at = alive(q).from.ns; at < q->through.ns; at = next) {
		struct usage *u = usage_stream_item(s, USAGE_EVENT, sku);

		next = at - at % HOUR_NS + HOUR_NS;
		if (next > q->through.ns)
			next = q->through.ns;
		u->span.from.ns = at;
		exact_scale(u->qty, bytes, next - at, whole);
	}
}

static void
machine_fill(const struct quoting *q, struct usage_stream *s)
{
	const struct quote_ask *ask = q->ask;
	struct span on = running(q);

	tag_set(q, s, level_add(s, SKU_VM_ALLOCATED, alive(q), 1, 1));
	tag_set(q, s, level_add(s, SKU_VM_RUNNING, on, 1, 1));
	tag_set(q, s, level_add(s, SKU_VCPU, on, ask->vcpus, 1));
	tag_set(q, s, level_add(s, SKU_MEMORY, on, ask->memory_bytes, GIB));
	if (!ask->traffic)
		return;
	traffic_add(q, s, "net.rx.bytes", ask->received);
	traffic_add(q, s, "net.tx.bytes", ask->sent);
}

static void
host_fill(const struct quoting *q, struct usage_stream *s)
{
	const struct quote_ask *ask = q->ask;
	int64_t least = 16 * ask->sockets;

	(void)level_add(s, SKU_HOST_SOCKET, alive(q), ask->sockets, 1);
	(void)level_add(s, SKU_HOST_CORE, alive(q), ask->cores, 1);
	(void)level_add(s, SKU_HOST_CORE16, alive(q),
	    ask->cores > least ? ask->cores : least, 1);
}

/* The machine, its disks, its addresses, and a host. */
static bool
fill(void *context, struct usage_stream *s, size_t n)
{
	struct quoting *q = context;
	const struct quote_ask *ask = q->ask;
	size_t disk = n - 1;
	size_t address = disk - ask->disk_count;
	scoped_free char *uuid = mem_printf(NO_UUID, n & 0xff);
	scoped_free char *name = NULL;

	if (n == 0) {
		usage_stream_resource(s, uuid, "new machine");
		if (ask->vcpus > 0)
			machine_fill(q, s);
	} else if (disk < ask->disk_count) {
		name = mem_printf("new disk %zu", disk + 1);
		usage_stream_resource(s, uuid, name);
		(void)level_add(s, SKU_VOLUME, alive(q), ask->disks[disk], GIB);
	} else if (address < (size_t)ask->addresses) {
		scoped_free char *id =
		    mem_printf("00000000-0000-4000-8001-0000000000%02zx", address & 0xff);

		name = mem_printf("new address %zu", address + 1);
		usage_stream_resource(s, id, name);
		(void)level_add(s, "address", alive(q), 1, 1);
	} else if (address == (size_t)ask->addresses && ask->sockets > 0) {
		usage_stream_resource(s, "00000000-0000-4000-8002-000000000000",
		    "kept host");
		host_fill(q, s);
	} else {
		return false;
	}
	return true;
}

/* ---- two bills */

static struct growth *
growth_of(struct quoting *q, const struct bill_line *l)
{
	const struct line *line = l->line;
	scoped_free char *key = mem_printf("%zu.%zu.%zu|%s|%s", l->portion_index,
	    (size_t)(line->price - l->portion->tariff->prices),
	    (size_t)(line->version - line->price->versions),
	    line->resource == NULL ? "" : line->resource,
	    line->band == NULL ? "" : line->band);
	size_t before = q->keys.count;
	size_t n = keys_number(&q->keys, key);
	struct growth *g;

	if (n < before)
		return &q->lines[n];
	if (n >= q->capacity) {
		q->capacity = q->capacity == 0 ? 32 : q->capacity * 2;
		q->lines = mem_resize(q->lines, q->capacity, sizeof(*q->lines));
	}
	g = &q->lines[n];
	scoped_free char *unit = sku_unit(line->price);

	*g = (struct growth){ .sku = arena_strdup(q->arena, line->sku),
		.resource_name = arena_strdup(q->arena, l->resource_name),
		.band = arena_strdup(q->arena, line->band),
		.unit = arena_strdup(q->arena, unit) };
	mpq_inits(g->quantity, g->exact, g->amount, NULL);
	return g;
}

static void
grow(mpq_t sum, const struct quoting *q, const mpq_t amount)
{
	if (q->with)
		exact_add(sum, amount);
	else
		mpq_sub(sum, sum, amount);
}

static bool
line_take(void *context, const struct bill *b unused, const struct bill_line *l,
    struct err *e unused)
{
	struct quoting *q = context;
	struct growth *g = growth_of(q, l);

	grow(g->quantity, q, l->line->quantity);
	grow(g->exact, q, l->line->exact);
	grow(g->amount, q, l->line->amount);
	return true;
}

static void
unrated_add(struct quoting *q, const char *sku, int64_t records)
{
	size_t i = 0;

	while (i < q->unrated_count && strcmp(q->unrated[i].sku, sku) != 0)
		i++;
	if (i == q->unrated_count) {
		q->unrated = mem_resize(q->unrated, i + 1, sizeof(*q->unrated));
		q->unrated[i] = (struct unpriced){ arena_strdup(q->arena, sku), 0 };
		q->unrated_count++;
	}
	q->unrated[i].more += q->with ? records : -records;
}

/* Bills up to an instant, one with it and one without; what differs is added up. */
static bool
bill_both(struct quoting *q, struct instant until, int sign, struct bill *out,
    struct err *e)
{
	struct bill_extra extra = { q, fill };
	struct bill_sink sink = { q, line_take };
	struct bill_ask ask = { .account_id = q->ask->account_id,
		.period = q->period,
		.now = until };

	q->through = until;
	for (int i = 0; i < 2; i++) {
		struct bill b;

		q->with = (i == 1) == (sign > 0);
		ask.extra = i == 1 ? &extra : NULL;
		if (!bill_make(&b, q->db, q->calendar, &ask, &sink, e))
			return false;
		grow(q->exact, q, b.exact);
		grow(q->totals.subtotal, q, b.totals.subtotal);
		grow(q->totals.tax, q, b.totals.tax);
		grow(q->totals.total, q, b.totals.total);
		for (size_t k = 0; k < b.balance.count; k++)
			unrated_add(q, b.balance.rows[k].sku,
			    (int64_t)b.balance.rows[k].unrated);
		if (i == 1 && out != NULL)
			*out = b;
		else
			bill_done(&b);
	}
	return true;
}

static void
growth_clear(struct quoting *q)
{
	for (size_t i = 0; i < q->keys.count; i++)
		mpq_clears(q->lines[i].quantity, q->lines[i].exact, q->lines[i].amount,
		    NULL);
	keys_done(&q->keys);
	keys_init(&q->keys);
	q->unrated_count = 0;
	mpq_set_ui(q->exact, 0, 1);
	mpq_set_ui(q->totals.subtotal, 0, 1);
	mpq_set_ui(q->totals.tax, 0, 1);
	mpq_set_ui(q->totals.total, 0, 1);
}

/* ---- writing */

static void
exact_write(struct jout *j, const char *exact, const char *shown, const mpq_t q)
{
	scoped_free char *text = rat_decimal(q, PLACES_SHOWN);

	answer_exact(j, exact, q);
	jout_string(j, shown, text);
}

static void
span_write(struct jout *j, const struct span *s)
{
	char text[CLOCK_TEXT_MAX];

	jout_string(j, "start", instant_text(s->from, text));
	jout_string(j, "end", instant_text(s->to, text));
}

static void
amount_write(struct jout *j, const char *key, const struct bill *b, const mpq_t amount)
{
	scoped_free char *text = bill_amount_text(b, amount);

	jout_string(j, key, text);
}

static void
growth_write(struct jout *j, const struct growth *g, const struct bill *b)
{
	if (mpq_sgn(g->quantity) == 0 && mpq_sgn(g->exact) == 0 &&
	    mpq_sgn(g->amount) == 0)
		return;
	jout_open(j, NULL, '{');
	jout_string(j, "sku", g->sku);
	jout_string(j, "resourcename", g->resource_name);
	jout_string(j, "band", g->band);
	exact_write(j, "quantity", "quantity_shown", g->quantity);
	jout_string(j, "unit", g->unit);
	answer_exact(j, "exact", g->exact);
	amount_write(j, "amount", b, g->amount);
	jout_close(j, '}');
}

static void
growths_write(struct jout *j, const struct quoting *q, const struct bill *b)
{
	jout_open(j, "lines", '[');
	for (size_t i = 0; i < q->keys.count; i++)
		growth_write(j, &q->lines[i], b);
	jout_close(j, ']');
	exact_write(j, "exact", "shown", q->exact);
	amount_write(j, "subtotal", b, q->totals.subtotal);
	amount_write(j, "tax", b, q->totals.tax);
	amount_write(j, "total", b, q->totals.total);
}

static void
unrated_note(struct quoting *q)
{
	for (size_t i = 0; i < q->unrated_count; i++)
		if (q->unrated[i].more > 0)
			(void)keys_number(&q->unpriced, q->unrated[i].sku);
}

static void
head_write(struct quoting *q, const struct bill *b)
{
	struct jout j = JOUT_INIT(&q->head);
	const struct portion *p = bill_portion(b);
	char text[CLOCK_TEXT_MAX];

	jout_open(&j, "account", '{');
	jout_string(&j, "id", b->account_uuid);
	jout_string(&j, "name", b->account_name);
	jout_close(&j, '}');
	jout_string(&j, "currency", b->currency);
	if (p != NULL) {
		jout_open(&j, "tariff", '{');
		jout_string(&j, "id", p->tariff_uuid);
		jout_string(&j, "name", p->tariff_name);
		jout_number(&j, "version", p->tariff_version);
		jout_close(&j, '}');
	}
	jout_string(&j, "start", instant_text(q->ask->start, text));
}

static bool
costs_something(const struct price *p)
{
	for (size_t i = 0; i < p->version_count; i++) {
		const struct model *m = &p->versions[i].model;

		if (m->type != MODEL_UNIT || mpq_sgn(m->price) != 0)
			return true;
	}
	return false;
}

/* What is counted while it runs can't be known before it is said. */
static void
not_counted_write(struct quoting *q, const struct bill *b)
{
	const struct portion *p = bill_portion(b);
	struct jout j = JOUT_INIT(&q->not_counted);
	struct keys told;

	keys_init(&told);
	for (size_t i = 0; p != NULL && i < p->tariff->price_count; i++) {
		const struct price *price = &p->tariff->prices[i];
		size_t before = told.count;

		if (!sku_own_amount(price->sku) || !costs_something(price) ||
		    (q->ask->traffic && strncmp(price->sku, "net.", 4) == 0))
			continue;
		if (keys_number(&told, price->sku) == before)
			jout_string(&j, NULL, price->sku);
	}
	keys_done(&told);
}

/* ---- windows */

static bool
small_window(struct quoting *q, struct jout *j, const char *key, const struct span *w,
    struct err *e)
{
	growth_clear(q);
	if (!bill_both(q, w->from, -1, NULL, e) || !bill_both(q, w->to, 1, NULL, e))
		return false;
	jout_open(j, key, '{');
	span_write(j, w);
	exact_write(j, "exact", "shown", q->exact);
	jout_close(j, '}');
	return true;
}

static bool
large_window(struct quoting *q, struct jout *j, const char *key, const struct span *w,
    struct err *e)
{
	struct bill b;

	growth_clear(q);
	if (!bill_both(q, w->to, 1, &b, e))
		return false;
	jout_open(j, key, '{');
	span_write(j, w);
	growths_write(j, q, &b);
	jout_close(j, '}');
	unrated_note(q);
	if (q->head.length == 0) {
		q->zone = arena_strdup(q->arena, b.timezone);
		head_write(q, &b);
		not_counted_write(q, &b);
	}
	bill_done(&b);
	return true;
}

/* The first whole day of the account's calendar that lies in one period. */
static bool
day_window(struct quoting *q, const struct span *next, struct span *out, struct err *e)
{
	struct local local = { q->calendar, q->zone };
	struct instant before = { q->ask->start.ns - 1 };

	if (!local_unit(&local, UNIT_DAY, before, out, e) ||
	    !local_unit(&local, UNIT_DAY, out->to, out, e))
		return false;
	if (out->to.ns > q->period.to.ns) {
		q->period = *next;
		return local_unit(&local, UNIT_DAY, next->from, out, e);
	}
	return true;
}

static bool
windows_write(struct quoting *q, struct buf *out, struct err *e)
{
	struct jout j = JOUT_INIT(out);
	struct span first = { q->ask->start, q->period.to };
	struct span hour = { first.from, { first.from.ns + HOUR_NS } };
	struct span next;
	struct span period = q->period;
	struct span day;

	if (!period_find(q->db, q->calendar, q->ask->account_id, period.to, &next, e) ||
	    !large_window(q, &j, "first", &first, e))
		return false;
	if (hour.to.ns > period.to.ns)
		hour.to = period.to;
	if (!small_window(q, &j, "hour", &hour, e) || !day_window(q, &next, &day, e) ||
	    !small_window(q, &j, "day", &day, e))
		return false;
	q->period = next;
	return large_window(q, &j, "month", &next, e);
}

static void
answer(struct buf *out, const struct quoting *q, const struct buf *windows)
{
	struct jout j = JOUT_INIT(out);

	buf_printf(out, "{%s,%s", buf_text(&q->head), buf_text(windows));
	j.comma = true;
	jout_open(&j, "unrated", '[');
	for (size_t i = 0; i < q->unpriced.count; i++)
		jout_string(&j, NULL, q->unpriced.list[i]);
	jout_close(&j, ']');
	buf_printf(out, ",\"notcounted\":[%s]}", buf_text(&q->not_counted));
}

/* As far as there are periods that are not closed, and as calendars reach. */
static bool
start_check(const struct quoting *q, struct err *e)
{
	struct span now;

	if (!period_find(q->db, q->calendar, q->ask->account_id, q->ask->now, &now, e))
		return false;
	if (q->ask->start.ns < now.from.ns)
		return err_set(e, ERR_INPUT,
		    "startdate lies before the period that is open: what has begun then "
		    "is billed, not estimated");
	return q->ask->start.ns <= q->ask->now.ns + FUTURE_NS ||
	    err_set(e, ERR_INPUT, "startdate lies more than a year ahead");
}

static bool
quote_make(struct quoting *q, struct buf *out, struct err *e)
{
	scoped(buf_done) struct buf windows = BUF_INIT;

	if (!start_check(q, e) ||
	    !period_find(q->db, q->calendar, q->ask->account_id, q->ask->start,
		&q->period, e) ||
	    !windows_write(q, &windows, e))
		return false;
	answer(out, q, &windows);
	return (buf_ok(out) && buf_ok(&windows)) ||
	    err_set(e, ERR_LIMIT, "the estimate is too long");
}

bool
quote(struct buf *json_out, struct db *db, const struct quote_ask *ask, struct err *e)
{
	struct calendar *c = calendar_db_new(db, false);
	struct quoting q = { .ask = ask,
		.db = db,
		.calendar = c,
		.arena = arena_new(),
		.head = BUF_INIT,
		.not_counted = BUF_INIT };
	bool ok;

	keys_init(&q.keys);
	keys_init(&q.unpriced);
	totals_init(&q.totals);
	mpq_init(q.exact);
	ok = quote_make(&q, json_out, e);
	growth_clear(&q);
	keys_done(&q.keys);
	keys_done(&q.unpriced);
	totals_done(&q.totals);
	mpq_clear(q.exact);
	buf_done(&q.head);
	buf_done(&q.not_counted);
	free(q.lines);
	free(q.unrated);
	arena_free(q.arena);
	calendar_db_free(c);
	return ok;
}
