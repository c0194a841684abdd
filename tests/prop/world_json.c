/* SPDX-License-Identifier: Apache-2.0 */
/* world_json: a world as the documents that say it: price list and rating vector */
#include "base/json.h"
#include "tests/prop/prop.h"
#include <stdio.h>
#include <string.h>

static void
text_write(struct jout *j, const char *key, const char *text)
{
	if (*text != '\0')
		jout_string(j, key, text);
}

static void
instant_write(struct jout *j, const char *key, int64_t ns)
{
	char text[CLOCK_TEXT_MAX];

	if (ns == NEVER)
		return;
	(void)instant_text((struct instant){ ns }, text);
	memcpy(text + 19, "Z", 2); /* whole seconds */
	jout_string(j, key, text);
}

static void
exact_write(struct jout *j, const char *key, const mpq_t q)
{
	scoped_free char *text = rat_text(q);

	jout_string(j, key, text);
}

/* ---- the price list */

static void
tiers_write(struct jout *j, const struct w_model *m)
{
	jout_open(j, "tiers", '[');
	for (size_t i = 0; i < m->tier_count; i++) {
		const struct w_tier *t = &m->tiers[i];

		jout_open(j, NULL, '{');
		if (t->up_to[0] == '\0')
			jout_raw(j, "up_to", "null");
		text_write(j, "up_to", t->up_to);
		text_write(j, "price", t->price);
		text_write(j, "flat", t->flat);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
minutes_write(struct jout *j, const char *key, int minutes)
{
	char text[8];

	(void)snprintf(text, sizeof(text), "%02d:%02d", minutes / 60 % 100, minutes % 60);
	jout_string(j, key, text);
}

static void
bands_write(struct jout *j, const struct w_model *m)
{
	jout_open(j, "bands", '[');
	for (size_t i = 0; i < m->band_count; i++) {
		const struct w_band *b = &m->bands[i];
		char name[16];

		(void)snprintf(name, sizeof(name), "band%zu", i);
		jout_open(j, NULL, '{');
		jout_string(j, "name", name);
		if (b->days != 0) {
			jout_open(j, "days", '[');
			for (int day = 1; day <= 7; day++)
				if ((b->days & (1U << day)) != 0)
					jout_number(j, NULL, day);
			jout_close(j, ']');
		}
		minutes_write(j, "from", b->from);
		minutes_write(j, "to", b->to);
		text_write(j, "price", b->price);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
model_write(struct jout *j, const struct w_model *m)
{
	static const char *const types[] = { "unit", "graduated", "volume", "package",
		"commit", "tou" };

	jout_open(j, "model", '{');
	jout_string(j, "type", types[m->type]);
	if (m->type == MODEL_GRADUATED || m->type == MODEL_VOLUME)
		tiers_write(j, m);
	else
		jout_string(j, "price", m->price);
	if (m->type == MODEL_TOU) {
		jout_string(j, "default_name", "day");
		bands_write(j, m);
	}
	if (m->type == MODEL_PACKAGE)
		jout_string(j, "size", m->size);
	if (m->type == MODEL_COMMIT) {
		jout_string(j, "units", m->units);
		jout_string(j, "overage", m->overage);
	}
	text_write(j, "free_units", m->free_units);
	text_write(j, "discount_pct", m->discount);
	text_write(j, "minimum", m->minimum);
	text_write(j, "maximum", m->maximum);
	jout_close(j, '}');
}

static void
version_write(struct jout *j, const struct w_version *v)
{
	jout_open(j, NULL, '{');
	instant_write(j, "from", v->from);
	instant_write(j, "to", v->to);
	instant_write(j, "recorded_at", v->recorded_at);
	model_write(j, &v->model);
	jout_close(j, '}');
}

static void
versions_write(struct jout *j, const struct w_price *p, size_t version, int64_t cut)
{
	if (p->version_count == 1 && version == NO_PRICE &&
	    p->versions[0].from == NEVER && p->versions[0].to == NEVER &&
	    p->versions[0].recorded_at == NEVER) {
		model_write(j, &p->versions[0].model);
		return;
	}
	jout_open(j, "versions", '[');
	for (size_t i = 0; i < p->version_count; i++) {
		struct w_version half = p->versions[i];

		if (i == version) {
			half.to = cut;
			version_write(j, &half);
			half = p->versions[i];
			half.from = cut;
		}
		version_write(j, &half);
	}
	jout_close(j, ']');
}

static void
price_write(struct jout *j, const struct world *w, const struct w_price *p,
    size_t version, int64_t cut)
{
	static const char *const grains[] = { "", "hour", "day", "month" };
	static const char *const aggregates[] = { "", "max", "p95" };
	char number[TEXT_MOST] = "";

	jout_open(j, NULL, '{');
	jout_string(j, "sku", p->sku);
	if (p->offering != NULL) {
		jout_open(j, "match", '{');
		jout_string(j, "offering", p->offering);
		jout_close(j, '}');
	}
	if (p->priority != 0)
		jout_number(j, "priority", p->priority);
	text_write(j, "per", per_name(p->per));
	text_write(j, "granularity", grains[p->granularity]);
	text_write(j, "aggregate", aggregates[p->aggregate]);
	if (p->min_seconds != 0)
		(void)snprintf(number, sizeof(number), "%lld", (long long)p->min_seconds);
	text_write(j, "min_seconds", number);
	jout_string(j, "anchor", p->anchor);
	text_write(j, "divisor", p->divisor);
	jout_string(j, "group_by", p->by_resource ? "resource" : "account");
	if (w->tax != 0 && p->reduced)
		jout_string(j, "tax_class", "reduced");
	versions_write(j, p, version, cut);
	jout_close(j, '}');
}

static void
tariff_write(struct jout *j, const char *key, const struct world *w, size_t twice,
    size_t version, int64_t cut)
{
	jout_open(j, key, '{');
	jout_string(j, "currency", w->currency);
	jout_string(j, "timezone", w->zone);
	jout_string(j, "rounding", rounding_name(w->rounding));
	text_write(j, "increment", w->increment);
	if (w->fx[0] != '\0') {
		jout_open(j, "fx", '{');
		/* The step is the currency's own: an increment stays with its currency.
		 */
		jout_string(j, "to", w->increment[0] != '\0' ? "CHF" : "KRW");
		jout_string(j, "rate", w->fx);
		jout_close(j, '}');
	}
	if (w->tax != 0) {
		jout_open(j, "tax", '{');
		jout_string(j, "mode", w->tax == 1 ? "exclusive" : "inclusive");
		jout_open(j, "classes", '{');
		jout_string(j, "standard", "0.19");
		jout_string(j, "reduced", "0.07");
		jout_close(j, '}');
		jout_close(j, '}');
	}
	jout_open(j, "prices", '[');
	for (size_t i = 0; i < w->price_count; i++)
		price_write(j, w, &w->prices[i], i == twice ? version : NO_PRICE, cut);
	jout_close(j, ']');
	jout_close(j, '}');
}

void
world_tariff(struct buf *out, const struct world *w, size_t twice, size_t version,
    int64_t cut)
{
	struct jout j = JOUT_INIT(out);

	tariff_write(&j, NULL, w, twice, version, cut);
}

/* ---- usage */

static void
readings_write(struct jout *j, const struct usage *u)
{
	jout_open(j, "samples", '[');
	for (size_t i = 0; i < u->sample_count; i++) {
		const struct counter_reading *r = &u->readings[i];
		char text[TEXT_MOST];

		jout_open(j, NULL, '[');
		instant_write(j, NULL, r->t.ns);
		jout_u64_string(j, NULL, r->value);
		(void)snprintf(text, sizeof(text), "e%llu", (unsigned long long)r->epoch);
		jout_string(j, NULL, text);
		jout_close(j, ']');
	}
	jout_close(j, ']');
	jout_number(j, "width", u->counter.width);
	jout_string(j, "baseline", u->counter.from_zero ? "zero" : "first");
	if (u->counter.max_per_second != 0)
		jout_u64_string(j, "max_per_second", u->counter.max_per_second);
}

static void
samples_write(struct jout *j, const struct usage *u)
{
	char text[TEXT_MOST];

	if (u->span.from.ns != INSTANT_FIRST.ns)
		instant_write(j, "from", u->span.from.ns);
	if (u->span.to.ns != INSTANT_LAST.ns)
		instant_write(j, "to", u->span.to.ns);
	(void)snprintf(text, sizeof(text), "%lld", (long long)(u->max_gap_ns / S));
	jout_string(j, "max_gap", text);
	jout_open(j, "samples", '[');
	for (size_t i = 0; i < u->sample_count; i++) {
		jout_open(j, NULL, '[');
		instant_write(j, NULL, u->samples[i].t.ns);
		exact_write(j, NULL, u->samples[i].value);
		jout_close(j, ']');
	}
	jout_close(j, ']');
}

static void
interval_write(struct jout *j, const struct usage *u)
{
	instant_write(j, "from", u->span.from.ns);
	if (u->span.to.ns == INSTANT_LAST.ns)
		jout_raw(j, "to", "null");
	else
		instant_write(j, "to", u->span.to.ns);
	exact_write(j, "qty", u->qty);
	jout_number(j, "seq", u->seq);
}

static void
item_write(struct jout *j, const struct usage *u)
{
	static const char *const kinds[] = { "interval", "event", "counter", "gauge" };

	jout_open(j, NULL, '{');
	jout_string(j, "kind", kinds[u->kind]);
	jout_string(j, "sku", u->sku);
	jout_string(j, "resource", u->resource);
	jout_string(j, "id", u->id);
	if (u->received_at.ns != INSTANT_FIRST.ns)
		instant_write(j, "received_at", u->received_at.ns);
	if (u->tags.count > 0) {
		jout_open(j, "tags", '{');
		for (size_t i = 0; i < u->tags.count; i++)
			jout_string(j, u->tags.list[i].key, u->tags.list[i].value);
		jout_close(j, '}');
	}
	if (u->kind == USAGE_INTERVAL)
		interval_write(j, u);
	if (u->kind == USAGE_EVENT) {
		instant_write(j, "at", u->span.from.ns);
		exact_write(j, "qty", u->qty);
	}
	if (u->kind == USAGE_COUNTER)
		readings_write(j, u);
	if (u->kind == USAGE_GAUGE)
		samples_write(j, u);
	jout_close(j, '}');
}

void
world_vector(struct buf *out, const struct world *w)
{
	struct jout j = JOUT_INIT(out);
	char name[64];

	(void)snprintf(name, sizeof(name), "case %llu", (unsigned long long)w->seed);
	jout_open(&j, NULL, '{');
	jout_string(&j, "name", name);
	tariff_write(&j, "tariff", w, NO_PRICE, NO_PRICE, 0);
	jout_open(&j, "usage", '[');
	for (size_t i = 0; i < w->usage.count; i++)
		item_write(&j, &w->usage.items[i]);
	jout_close(&j, ']');
	jout_open(&j, "period", '{');
	instant_write(&j, "start", w->window.from.ns);
	instant_write(&j, "end", w->window.to.ns);
	if (w->known.ns != INSTANT_LAST.ns)
		instant_write(&j, "as_of", w->known.ns);
	jout_close(&j, '}');
	jout_close(&j, '}');
}
