/* SPDX-License-Identifier: Apache-2.0 */
/* world: a random price list, period and usage */
#include "tests/prop/prop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What may be used, and how it is told. */
struct w_sku {
	const char *name;
	enum usage_kind kind;
};
static const struct w_sku skus[] = { { "run", USAGE_INTERVAL },
	{ "disk", USAGE_INTERVAL }, { "mail", USAGE_EVENT }, { "bytes", USAGE_COUNTER },
	{ "load", USAGE_GAUGE } };
static const char *const resources[] = { "r1", "r2", "r3", "r4" };
static const char *const offerings[] = { "small", "large", "batch" };
static const char *const projects[] = { "alpha", "beta" };
/* Every kind of trouble that zones make: half hours, midnights and days that are not
 * there, seasons of the south, none at all. */
static const char *const zones[] = { "UTC", "Europe/Berlin", "Europe/London",
	"America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
	"America/St_Johns", "America/Havana", "America/Asuncion", "Asia/Seoul",
	"Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Beirut", "Asia/Tehran",
	"Asia/Amman", "Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe",
	"Australia/Sydney", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati",
	"Antarctica/Troll" };
struct w_currency {
	const char *code;
	const char *increment;
};
static const struct w_currency currencies[] = { { "USD", "" }, { "EUR", "" },
	{ "KRW", "" }, { "JPY", "" }, { "KWD", "" }, { "CHF", "0.05" } };

/* ---- numbers as they stand in documents */

static void
decimal(char out[TEXT_MOST], struct dice *d, int64_t most, int places)
{
	int64_t scale = 1;
	int64_t n;

	for (int i = 0; i < places; i++)
		scale *= 10;
	n = dice_range(d, 0, most * scale);
	if (places == 0)
		(void)snprintf(out, TEXT_MOST, "%lld", (long long)n);
	else
		(void)snprintf(out, TEXT_MOST, "%lld.%0*lld", (long long)(n / scale),
		    places, (long long)(n % scale));
}

static void
price(char out[TEXT_MOST], struct dice *d)
{
	decimal(out, d, dice_range(d, 1, 20), (int)dice_range(d, 0, 6));
}

/* More than nothing. */
static void
amount(char out[TEXT_MOST], struct dice *d, int64_t most)
{
	if (dice_chance(d, 20))
		(void)snprintf(out, TEXT_MOST, "%lld/%lld",
		    (long long)dice_range(d, 1, most), (long long)dice_range(d, 2, 7));
	else
		(void)snprintf(out, TEXT_MOST, "%lld", (long long)dice_range(d, 1, most));
}

/* ---- models */

static void
tiers_make(struct w_model *m, struct dice *d)
{
	int64_t bound = 0;

	m->tier_count = (size_t)dice_range(d, 1, TIERS_MOST);
	for (size_t i = 0; i < m->tier_count; i++) {
		struct w_tier *t = &m->tiers[i];

		bound += dice_range(d, 1, 300);
		if (i + 1 < m->tier_count)
			(void)snprintf(t->up_to, TEXT_MOST, "%lld", (long long)bound);
		price(t->price, d);
		if (dice_chance(d, 30))
			price(t->flat, d);
	}
}

static void
bands_make(struct w_model *m, struct dice *d)
{
	static const int steps[] = { 1, 15, 30, 60, 60, 60 };

	m->band_count = (size_t)dice_range(d, 1, BANDS_MOST);
	for (size_t i = 0; i < m->band_count; i++) {
		struct w_band *b = &m->bands[i];
		int step = DICE_PICK(d, steps);

		b->days = dice_chance(d, 50) ? 0 : (unsigned)dice_range(d, 1, 127) << 1;
		b->from = (int)dice_range(d, 0, 1439 / step) * step;
		b->to = dice_chance(d, 10) ? 1440
					   : (int)dice_range(d, 0, 1439 / step) * step;
		price(b->price, d);
	}
}

static void
model_make(struct w_model *m, struct dice *d)
{
	static const enum model_type types[] = { MODEL_UNIT, MODEL_UNIT, MODEL_GRADUATED,
		MODEL_GRADUATED, MODEL_VOLUME, MODEL_PACKAGE, MODEL_COMMIT, MODEL_TOU,
		MODEL_TOU };

	*m = (struct w_model){ .type = DICE_PICK(d, types) };
	price(m->price, d);
	amount(m->size, d, 100);
	amount(m->units, d, 200);
	price(m->overage, d);
	if (m->type == MODEL_GRADUATED || m->type == MODEL_VOLUME)
		tiers_make(m, d);
	if (m->type == MODEL_TOU)
		bands_make(m, d);
	if (dice_chance(d, 25))
		amount(m->free_units, d, 100);
	if (dice_chance(d, 20))
		decimal(m->discount, d, 100, (int)dice_range(d, 0, 2));
	if (dice_chance(d, 15))
		decimal(m->minimum, d, 50, 2);
	if (dice_chance(d, 15))
		decimal(m->maximum, d, 500, 2);
}

/* ---- time */

/* An instant in or around the window, now and then on an edge of it. */
static int64_t
around(struct world *w)
{
	struct dice *d = &w->dice;
	int64_t from = w->window.from.ns / S;
	int64_t to = w->window.to.ns / S;
	struct span unit;
	struct err e = ERR_INIT;
	int64_t t = dice_range(d, from - INT64_C(20) * 86400, to + INT64_C(10) * 86400);

	switch (dice_range(d, 1, 12)) {
	case 1:
		return from * S;
	case 2:
		return to * S;
	case 3:
		return (t - t % 3600) * S;
	case 4:
		if (!zone_calendar.unit(NULL, w->zone, UNIT_DAY,
			(struct instant){ t * S }, &unit, &e))
			return t * S;
		return unit.from.ns;
	default:
		return t * S;
	}
}

static void
window_make(struct world *w)
{
	struct dice *d = &w->dice;
	/* 2005 to 2027: all that has rules, and the summer time of every zone above. */
	struct instant at = { dice_range(d, INT64_C(1104537600), INT64_C(1830297600)) *
		S };
	static const enum calendar_unit units[] = { UNIT_MONTH, UNIT_MONTH, UNIT_MONTH,
		UNIT_DAY };
	struct anchored which = { "2004-01-31", 1, dice_range(d, 12, 270) };
	struct err e = ERR_INIT;
	bool ok;

	if (dice_chance(d, 10)) {
		w->window = (struct span){ at,
			{ at.ns + dice_range(d, 1, INT64_C(40) * 86400) * S } };
		return;
	}
	ok = dice_chance(d, 20)
	    ? zone_calendar.anchored(NULL, w->zone, &which, &w->window, &e)
	    : zone_calendar.unit(NULL, w->zone, DICE_PICK(d, units), at, &w->window, &e);
	if (!ok || w->window.from.ns >= w->window.to.ns)
		w->window = (struct span){ at, { at.ns + DAY } };
}

/* ---- prices */

static void
versions_make(struct world *w, struct w_price *p)
{
	struct dice *d = &w->dice;
	bool several = dice_chance(d, 35);
	bool recorded = dice_chance(d, 60);

	p->version_count = several ? (size_t)dice_range(d, 2, VERSIONS_MOST - 1) : 1;
	for (size_t i = 0; i < p->version_count; i++) {
		struct w_version *v = &p->versions[i];

		*v = (struct w_version){ NEVER, NEVER, NEVER, { .type = MODEL_UNIT } };
		model_make(&v->model, d);
		if (!several)
			continue;
		if (i > 0 || dice_chance(d, 20))
			v->from = around(w);
		if (dice_chance(d, 40))
			v->to = around(w);
		if (v->from != NEVER && v->to != NEVER && v->to <= v->from)
			v->to = NEVER;
		if (recorded && (i > 0 || dice_chance(d, 30)))
			v->recorded_at = around(w);
	}
}

static void
time_make(struct world *w, struct w_price *p, enum usage_kind kind)
{
	struct dice *d = &w->dice;
	static const enum aggregate aggregates[] = { AGGREGATE_SUM, AGGREGATE_SUM,
		AGGREGATE_MAX, AGGREGATE_P95 };

	if (kind == USAGE_GAUGE)
		p->aggregate = DICE_PICK(d, aggregates);
	if (kind != USAGE_INTERVAL && kind != USAGE_GAUGE)
		return;
	p->per = (enum per)dice_range(d, PER_SECOND, PER_YEAR);
	if (p->per == PER_YEAR && dice_chance(d, 40))
		p->anchor = dice_chance(d, 50) ? "2004-02-29" : "2003-07-01";
	if (dice_chance(d, 20))
		p->granularity = (enum granularity)dice_range(d, GRAIN_HOUR, GRAIN_MONTH);
	if (dice_chance(d, 15))
		p->min_seconds = dice_range(d, 1, INT64_C(3) * 86400);
}

static void
price_make(struct world *w, const struct w_sku *sku, const char *offering)
{
	struct w_price *p = &w->prices[w->price_count++];
	struct dice *d = &w->dice;

	*p = (struct w_price){ .sku = sku->name, .offering = offering };
	time_make(w, p, sku->kind);
	if (dice_chance(d, 30))
		amount(p->divisor, d, 3600);
	p->by_resource = dice_chance(d, 50);
	p->reduced = dice_chance(d, 30);
	p->priority = dice_range(d, 0, 2);
	versions_make(w, p);
}

static void
prices_make(struct world *w)
{
	struct dice *d = &w->dice;

	for (size_t i = 0; i < ARRAY_LEN(skus); i++) {
		if (w->price_count < PRICES_MOST && dice_chance(d, 60))
			price_make(w, &skus[i], NULL);
		if (w->price_count < PRICES_MOST && dice_chance(d, 15))
			price_make(w, &skus[i], DICE_PICK(d, offerings));
	}
	if (w->price_count == 0)
		price_make(w, &skus[0], NULL);
}

/* ---- usage */

static void
tags_make(struct world *w, struct usage *u)
{
	struct dice *d = &w->dice;
	struct tag *list = arena_alloc(w->usage.arena, 2 * sizeof(*list));

	u->tags.list = list;
	if (dice_chance(d, 40))
		list[u->tags.count++] = (struct tag){ "offering",
			DICE_PICK(d, offerings) };
	if (dice_chance(d, 50))
		list[u->tags.count++] = (struct tag){ "project", DICE_PICK(d, projects) };
}

static void
quantity_make(struct world *w, mpq_t q)
{
	static const unsigned parts[] = { 1, 1, 1, 1, 2, 3, 7, 10 };
	struct dice *d = &w->dice;

	mpq_set_ui(q, (unsigned long)dice_range(d, 0, 40), DICE_PICK(d, parts));
	mpq_canonicalize(q);
}

static void
interval_make(struct world *w, struct usage *u)
{
	struct dice *d = &w->dice;
	int64_t a = around(w);
	int64_t b = around(w);

	u->span = (struct span){ { a < b ? a : b }, { a < b ? b : a } };
	if (dice_chance(d, 15))
		u->span.to = INSTANT_LAST;
	if (dice_chance(d, 30))
		u->seq = dice_range(d, 0, 3);
	quantity_make(w, u->qty);
}

static void
counter_make(struct world *w, struct usage *u)
{
	struct dice *d = &w->dice;
	int64_t t = w->window.from.ns - dice_range(d, 0, 86400) * S;
	uint64_t value = (uint64_t)dice_range(d, 0, 1000);
	uint64_t epoch = 0;

	if (dice_chance(d, 40)) {
		u->counter.width = 32;
		value = UINT32_MAX - (uint64_t)dice_range(d, 0, 2000);
		if (dice_chance(d, 60))
			u->counter.max_per_second = (uint64_t)dice_range(d, 1, 20);
	}
	u->counter.from_zero = dice_chance(d, 40);
	u->sample_count = (size_t)dice_range(d, 1, 10);
	u->readings = arena_alloc(w->usage.arena, u->sample_count * sizeof(*u->readings));
	for (size_t i = 0; i < u->sample_count; i++) {
		/* Now and then a late one, or one of the same instant. */
		t += dice_chance(d, 10) ? -dice_range(d, 0, 3600) * S
					: dice_range(d, 0, INT64_C(8) * 86400) * S;
		if (dice_chance(d, 15)) {
			epoch++;
			value = (uint64_t)dice_range(d, 0, 100);
		}
		u->readings[i] = (struct counter_reading){ { t }, value, epoch };
		value += (uint64_t)dice_range(d, 0, 3000);
		if (u->counter.width == 32)
			value &= UINT32_MAX;
		if (dice_chance(d, 5))
			value /= 3;
	}
}

static void
gauge_make(struct world *w, struct usage *u)
{
	struct dice *d = &w->dice;
	int64_t t = w->window.from.ns - dice_range(d, 0, 86400) * S;
	int64_t a = around(w);
	int64_t b = around(w);

	if (dice_chance(d, 50))
		u->span.from.ns = a < b ? a : b;
	if (dice_chance(d, 50))
		u->span.to.ns = a < b ? b : a;
	u->max_gap_ns = dice_range(d, 1, INT64_C(2) * 86400) * S;
	u->sample_count = (size_t)dice_range(d, 0, 12);
	u->samples = arena_alloc(w->usage.arena,
	    (u->sample_count + 1) * sizeof(*u->samples));
	for (size_t i = 0; i < u->sample_count; i++) {
		t += dice_range(d, 1, INT64_C(4) * 86400) * S;
		u->samples[i].t.ns = t;
		mpq_init(u->samples[i].value);
		quantity_make(w, u->samples[i].value);
	}
}

static void
item_make(struct world *w, size_t number)
{
	struct dice *d = &w->dice;
	const struct w_sku *sku = &DICE_PICK(d, skus);
	struct usage *u = usage_add(&w->usage, sku->kind, sku->name,
	    DICE_PICK(d, resources));
	bool named = sku->kind == USAGE_EVENT || sku->kind == USAGE_GAUGE;

	/* Two events or gauges that look alike are two: delivered twice they need a name.
	 */
	if (named || dice_chance(d, 30))
		u->id = arena_printf(w->usage.arena, "id%zu", number);
	tags_make(w, u);
	if (dice_chance(d, 40))
		u->received_at.ns = around(w);
	if (sku->kind == USAGE_INTERVAL)
		interval_make(w, u);
	if (sku->kind == USAGE_EVENT) {
		u->span.from.ns = around(w);
		u->span.to = u->span.from;
		quantity_make(w, u->qty);
	}
	if (sku->kind == USAGE_COUNTER)
		counter_make(w, u);
	if (sku->kind == USAGE_GAUGE)
		gauge_make(w, u);
}

/* ---- the whole */

static void
terms_make(struct world *w)
{
	struct dice *d = &w->dice;
	const struct w_currency *c = &DICE_PICK(d, currencies);

	w->currency = c->code;
	w->rounding = (enum rounding)dice_range(d, ROUND_HALF_EVEN, ROUND_UP);
	if (dice_chance(d, 70))
		(void)snprintf(w->increment, TEXT_MOST, "%s", c->increment);
	if (dice_chance(d, 15))
		decimal(w->fx, d, 2000, (int)dice_range(d, 0, 4));
	if (strspn(w->fx, "0.") == strlen(w->fx))
		w->fx[0] = '\0'; /* a rate of nothing is none */
	w->tax = (int)dice_range(d, 0, 2);
}

void
world_make(struct world *w, uint64_t seed)
{
	int64_t items;

	*w = (struct world){ .seed = seed, .dice = { seed } };
	w->zone = DICE_PICK(&w->dice, zones);
	terms_make(w);
	window_make(w);
	prices_make(w);
	usage_list_init(&w->usage);
	items = dice_range(&w->dice, 0, 14);
	for (int64_t i = 0; i < items; i++)
		item_make(w, (size_t)i);
	w->known = dice_chance(&w->dice, 60) ? INSTANT_LAST
					     : (struct instant){ around(w) };
}

void
world_done(struct world *w)
{
	usage_list_done(&w->usage);
	tariff_free(w->tariff);
	free(w->plain);
}

struct usage *
usage_copy(struct usage_list *to, const struct usage *u)
{
	struct usage *copy = usage_add(to, u->kind, u->sku, u->resource);
	mpq_t qty;

	mpq_init(qty);
	mpq_set(qty, u->qty);
	mpq_clear(copy->qty);
	*copy = *u;
	memcpy(copy->qty, qty, sizeof(qty));
	if (u->kind != USAGE_GAUGE)
		return copy; /* readings are only read */
	copy->samples = arena_alloc(to->arena,
	    (u->sample_count + 1) * sizeof(*u->samples));
	for (size_t i = 0; i < u->sample_count; i++) {
		copy->samples[i].t = u->samples[i].t;
		mpq_init(copy->samples[i].value);
		mpq_set(copy->samples[i].value, u->samples[i].value);
	}
	return copy;
}
