/* SPDX-License-Identifier: Apache-2.0 */
/* cost: what each line of a bill is made of, by day and resource */
#include "billing/cost.h"
#include "billing/charge.h"
#include <stdlib.h>
#include <string.h>

/* Beyond so many pieces an account is too large to be taken apart in memory. */
#define PIECES_MOST 2000000

/* Units of one segment, day and resource. */
struct piece {
	const struct segment *segment;
	size_t day;
	const char *resource;
	const char *name;
	mpq_t units;
	mpq_t cost; /* of the chain's price, before fx; once it is charged */
};

/* A price while its usage comes in: of one resource, or of the whole account. */
struct lane {
	struct piece *pieces;
	size_t count;
	size_t capacity;
	bool charged;   /* costs are set: what comes next is of the next resource */
	bool committed; /* the commitment has been told */
};

struct costing {
	const struct cost_ask *ask;
	struct bill *bill;
	const struct calendar *calendar;
	struct lane **lanes; /* by portion: one a price; NULL: not yet */
	size_t *lane_counts;
	size_t lane_portions;
	size_t piece_count; /* of all lanes */
	struct arena *arena;
	const char *resource; /* the one at hand, kept */
	const char *name;
	struct cost_part *parts;
	size_t part_count;
	size_t part_capacity;
	struct err failed; /* in a place that can't say so */
};

/* ---- pieces */

static size_t
portion_of(const struct bill *b, const struct price *p)
{
	size_t i = 0;

	while (b->portions[i].tariff == NULL || p < b->portions[i].tariff->prices ||
	    p >= b->portions[i].tariff->prices + b->portions[i].tariff->price_count)
		i++;
	return i;
}

static struct lane *
lane_of(struct costing *x, const struct price *p)
{
	const struct bill *b = x->bill;
	size_t i = portion_of(b, p);

	if (x->lanes == NULL) {
		x->lane_portions = b->portion_count;
		x->lanes = mem_array(b->portion_count + 1, sizeof(struct lane *));
		x->lane_counts = mem_array(b->portion_count + 1, sizeof(size_t));
	}
	if (x->lanes[i] == NULL) {
		x->lane_counts[i] = b->portions[i].tariff->price_count;
		x->lanes[i] = mem_array(x->lane_counts[i], sizeof(struct lane));
	}
	return &x->lanes[i][p - b->portions[i].tariff->prices];
}

static void
lane_clear(struct costing *x, struct lane *l)
{
	for (size_t i = 0; i < l->count; i++)
		mpq_clears(l->pieces[i].units, l->pieces[i].cost, NULL);
	x->piece_count -= l->count;
	l->count = 0;
	l->charged = l->committed = false;
}

/* The day that holds an instant; what lies before the first one belongs to it. */
static size_t
day_of(const struct costing *x, struct instant t)
{
	size_t low = 0;
	size_t high = x->ask->day_count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (x->ask->days[middle].ns <= t.ns)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Pieces follow one another: the same place again is a sum. */
static void
piece_add(struct costing *x, const struct posting *p, size_t day, const mpq_t raw)
{
	struct lane *l = lane_of(x, p->price);
	struct piece *last;

	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 64 : l->capacity * 2;
		l->pieces = mem_resize(l->pieces, l->capacity, sizeof(*l->pieces));
	}
	last = &l->pieces[l->count++];
	*last = (struct piece){ .segment = p->segment,
		.day = day,
		.resource = x->resource,
		.name = x->name };
	mpq_inits(last->units, last->cost, NULL);
	mpq_div(last->units, raw, p->price->divisor);
	if (++x->piece_count > PIECES_MOST && x->failed.kind == ERR_NONE)
		(void)err_set(&x->failed, ERR_LIMIT,
		    "account %s has too much usage to be taken apart by day and resource",
		    x->bill->account_name);
}

/* A stretch of time, day by day: raw grows with the units of time in it. */
static bool
stretch_cut(struct costing *x, const struct posting *p, struct err *e)
{
	struct local local = { x->calendar,
		x->bill->portions[portion_of(x->bill, p->price)].tariff->timezone };
	scoped_exact mpq_t whole;
	scoped_exact mpq_t part;
	struct span rest = *p->span;

	mpq_inits(whole, part, NULL);
	if (!measure_span(whole, p->price, &local, p->span, e))
		return false;
	for (size_t day = day_of(x, rest.from); rest.from.ns < rest.to.ns; day++) {
		struct span piece = rest;

		if (day + 1 < x->ask->day_count && x->ask->days[day + 1].ns < piece.to.ns)
			piece.to = x->ask->days[day + 1];
		rest.from = piece.to;
		if (!measure_span(part, p->price, &local, &piece, e))
			return false;
		mpq_mul(part, part, p->raw);
		mpq_div(part, part, whole);
		piece_add(x, p, day, part);
	}
	return true;
}

static void
resource_keep(struct costing *x, const struct usage *u)
{
	if (x->resource != NULL && strcmp(x->resource, u->resource) == 0)
		return;
	x->resource = arena_strdup(x->arena, u->resource);
	x->name = arena_strdup(x->arena, x->bill->used.name);
}

static void
posted(void *context, const struct posting *p)
{
	struct costing *x = context;
	struct lane *l = lane_of(x, p->price);
	struct instant begun = p->span->from;

	if (p->segment->version == NULL || x->failed.kind != ERR_NONE)
		return;
	if (l->charged)
		lane_clear(x, l);
	resource_keep(x, p->usage);
	/* A whole month is due as soon as it is begun, whatever is left of it. */
	if (p->span->from.ns < p->span->to.ns && p->price->granularity != GRAIN_MONTH) {
		if (!stretch_cut(x, p, &x->failed) && x->failed.kind == ERR_NONE)
			(void)err_set(&x->failed, ERR_INTERNAL, "a stretch of %s",
			    p->price->sku);
		return;
	}
	if (p->usage->kind == USAGE_INTERVAL && p->usage->span.from.ns > begun.ns)
		begun = p->usage->span.from;
	piece_add(x, p, day_of(x, begun), p->raw);
}

/* ---- what they cost */

static int
by_time(const void *a, const void *b)
{
	const struct piece *x = a;
	const struct piece *y = b;
	int64_t from = x->segment->span.from.ns;
	int64_t other = y->segment->span.from.ns;

	if (from != other)
		return from < other ? -1 : 1;
	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return strcmp(x->resource, y->resource);
}

/* One day of one segment: all of it by the position, then by units. */
static void
day_charge(struct piece *pieces, size_t count, mpq_t position)
{
	scoped_exact mpq_t units;
	scoped_exact mpq_t next;
	scoped_exact mpq_t cost;

	mpq_inits(units, next, cost, NULL);
	for (size_t i = 0; i < count; i++)
		exact_add(units, pieces[i].units);
	mpq_add(next, position, units);
	charge_window(cost, pieces->segment, position, next);
	mpq_set(position, next);
	if (mpq_sgn(units) == 0)
		return;
	mpq_div(cost, cost, units);
	for (size_t i = 0; i < count; i++)
		mpq_mul(pieces[i].cost, cost, pieces[i].units);
}

static void
lane_charge(struct lane *l)
{
	scoped_exact mpq_t position;

	mpq_init(position);
	if (l->count > 1)
		qsort(l->pieces, l->count, sizeof(*l->pieces), by_time);
	for (size_t from = 0, to; from < l->count; from = to) {
		for (to = from + 1;
		     to < l->count && l->pieces[to].segment == l->pieces[from].segment &&
		     l->pieces[to].day == l->pieces[from].day;
		     to++)
			;
		day_charge(l->pieces + from, to - from, position);
	}
	l->charged = true;
}

/* ---- the parts of a line */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
piece_of_line(const struct piece *p, const struct line *l)
{
	const struct model *m = &p->segment->version->model;
	const char *band = NULL;

	if (p->segment->version != l->version)
		return false;
	if (m->type == MODEL_TOU)
		band = p->segment->band == NULL ? m->default_name
						: p->segment->band->name;
	return same_text(band, l->band);
}

static void
part_add(struct costing *x, size_t day, const char *resource, const char *name,
    const mpq_t exact)
{
	struct cost_part *p;

	if (mpq_sgn(exact) == 0)
		return;
	if (x->part_count == x->part_capacity) {
		x->part_capacity = x->part_capacity == 0 ? 64 : x->part_capacity * 2;
		x->parts = mem_resize(x->parts, x->part_capacity, sizeof(*x->parts));
	}
	p = &x->parts[x->part_count++];
	p->day = day;
	p->resource = resource == NULL || *resource == '\0' ? NULL : resource;
	p->name = p->resource == NULL ? NULL : name;
	mpq_init(p->exact);
	mpq_set(p->exact, exact);
}

static void
parts_clear(struct costing *x)
{
	for (size_t i = 0; i < x->part_count; i++)
		mpq_clear(x->parts[i].exact);
	x->part_count = 0;
}

/* F(0), which the first line of a commitment holds. */
static void
commitment_add(struct costing *x, struct lane *lane, const struct bill_line *given,
    mpq_t left)
{
	const struct line *l = given->line;
	scoped_exact mpq_t owed;
	scoped_exact mpq_t nothing;
	size_t day = day_of(x, l->start);

	mpq_inits(owed, nothing, NULL);
	if (lane->committed || l->version->model.type != MODEL_COMMIT)
		return;
	lane->committed = true;
	model_total(owed, &l->version->model, nothing);
	mpq_mul(owed, owed, given->portion->tariff->fx_rate);
	if (l->resource != NULL && lane->count > 0)
		day = lane->pieces[0].day;
	mpq_sub(left, left, owed);
	part_add(x, day, l->resource, given->resource_name, owed);
}

static size_t
last_day(const struct costing *x)
{
	return day_of(x, (struct instant){ x->bill->through.ns - 1 });
}

static bool
line_take(void *context, const struct bill *b, const struct bill_line *given,
    struct err *e)
{
	struct costing *x = context;
	const struct line *l = given->line;
	struct lane *lane = lane_of(x, l->price);
	struct cost_line told = { .given = given };
	scoped_exact mpq_t left;
	scoped_exact mpq_t cost;
	bool ok;

	mpq_inits(left, cost, NULL);
	if (x->failed.kind != ERR_NONE)
		return err_set(e, x->failed.kind, "%s", x->failed.text);
	if (!lane->charged)
		lane_charge(lane);
	mpq_set(left, l->exact);
	commitment_add(x, lane, given, left);
	for (size_t i = 0; i < lane->count; i++) {
		const struct piece *p = &lane->pieces[i];

		if (!piece_of_line(p, l))
			continue;
		mpq_mul(cost, p->cost, given->portion->tariff->fx_rate);
		mpq_sub(left, left, cost);
		part_add(x, p->day, p->resource, p->name, cost);
	}
	part_add(x, last_day(x), l->resource, given->resource_name, left);
	told.parts = x->parts;
	told.count = x->part_count;
	ok = x->ask->line(x->ask->context, b, &told, e);
	parts_clear(x);
	return ok;
}

static void
costing_done(struct costing *x)
{
	for (size_t i = 0; i < x->lane_portions; i++) {
		for (size_t k = 0; k < x->lane_counts[i]; k++) {
			lane_clear(x, &x->lanes[i][k]);
			free(x->lanes[i][k].pieces);
		}
		free(x->lanes[i]);
	}
	free(x->lanes);
	free(x->lane_counts);
	parts_clear(x);
	free(x->parts);
	arena_free(x->arena);
}

bool
cost_make(struct bill *out, struct db *db, const struct calendar *c,
    const struct cost_ask *ask, struct err *e)
{
	struct costing x = { .ask = ask,
		.bill = out,
		.calendar = c,
		.arena = arena_new(),
		.failed = ERR_INIT };
	struct trace trace = { &x, posted };
	struct bill_sink sink = { &x, line_take };
	struct bill_ask bill = ask->bill;
	bool ok;

	bill.trace = &trace;
	bill.edges = ask->days;
	bill.edge_count = ask->day_count;
	ok = bill_make(out, db, c, &bill, &sink, e);
	costing_done(&x);
	return ok;
}
