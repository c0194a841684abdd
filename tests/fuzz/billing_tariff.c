/* SPDX-License-Identifier: Apache-2.0 */
/* A price list from outside: what is taken prices sanely: nothing costs nothing but what
 * is owed anyway, more never costs less, and written again it is the same price list */
#include "base/mem.h"
#include "billing/tariff.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static bool
has_negative(const struct model *m)
{
	bool negative = mpq_sgn(m->price) < 0 || mpq_sgn(m->overage) < 0;

	for (size_t i = 0; i < m->tier_count; i++)
		negative = negative || mpq_sgn(m->tiers[i].price) < 0 ||
		    mpq_sgn(m->tiers[i].flat) < 0;
	return negative;
}

static void
model_sane(const struct model *m)
{
	static const char *const steps[] = { "0", "1/1000", "1", "1001/10",
		"999999999999", "99999999999999999999999999/7" };
	struct err e = ERR_INIT;
	mpq_t q;
	mpq_t cost;
	mpq_t last;

	if (m->type == MODEL_TOU)
		return;
	mpq_inits(q, cost, last, NULL);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		must(rat_parse(q, steps[i], &e), "%s", e.text);
		model_total(cost, m, q);
		if (m->has_maximum)
			must(mpq_cmp(cost, m->maximum) <= 0, "past its maximum");
		/* Volume tiers may fall by design, prices below zero do. */
		if (i > 0 && m->type != MODEL_VOLUME && !has_negative(m))
			must(mpq_cmp(cost, last) >= 0, "%s costs less than %s", steps[i],
			    steps[i - 1]);
		mpq_set(last, cost);
	}
	mpq_clears(q, cost, last, NULL);
}

static void
tariff_sane(const struct tariff *t)
{
	must(strlen(t->currency) == 3 && strlen(t->invoiced) == 3, "%s", t->currency);
	must(mpq_sgn(t->step) > 0 && mpq_sgn(t->minor) > 0, "steps of rounding");
	must(mpq_sgn(t->fx_rate) > 0, "rate of exchange");
	must(t->price_count <= TARIFF_PRICES_MAX, "%zu prices", t->price_count);
	for (size_t i = 0; i < t->price_count; i++) {
		const struct price *p = &t->prices[i];
		must(p->sku != NULL, "a price of nothing");
		must(mpq_sgn(p->divisor) > 0 && p->min_ns >= 0, "%s", p->sku);
		must(p->version_count > 0 && p->version_count <= TARIFF_VERSIONS_MAX,
		    "%s", p->sku);
		for (size_t k = 0; k < p->version_count; k++) {
			must(p->versions[k].valid.from.ns < p->versions[k].valid.to.ns,
			    "%s: a version of no time", p->sku);
			model_sane(&p->versions[k].model);
		}
	}
}

static void
write_value(struct jout *j, const char *key, const struct jval *v)
{
	bool object = json_type(v) == JSON_OBJECT;

	if (json_type(v) == JSON_STRING) {
		jout_string(j, key, json_text(v));
	} else if (object || json_type(v) == JSON_ARRAY) {
		jout_open(j, key, object ? '{' : '[');
		for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
			write_value(j, object ? json_name(m) : NULL, m);
		jout_close(j, object ? '}' : ']');
	} else if (json_type(v) == JSON_BOOL) {
		jout_bool(j, key, json_bool(v, false));
	} else {
		jout_raw(j, key, json_type(v) == JSON_NUMBER ? json_text(v) : "null");
	}
}

static void
same_again(const struct tariff *t, const char *text, size_t length)
{
	struct json *doc = NULL;
	struct tariff *back = NULL;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	must(json_parse(&doc, text, length, &e), "%s", e.text);
	write_value(&j, NULL, json_root(doc));
	must(tariff_parse(&back, buf_text(&b), b.length, &e), "%s: %s", e.text,
	    buf_text(&b));
	must(back->price_count == t->price_count && back->rounding == t->rounding &&
		mpq_equal(back->step, t->step) && mpq_equal(back->fx_rate, t->fx_rate) &&
		strcmp(back->timezone, t->timezone) == 0,
	    "written again: %s", buf_text(&b));
	tariff_free(back);
	json_free(doc);
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tariff *t = NULL;
	struct err e = ERR_INIT;

	if (!tariff_parse(&t, (const char *)data, size, &e)) {
		must(t == NULL && e.kind == ERR_INPUT && e.text[0] != '\0',
		    "a refusal changes nothing and says why");
		return 0;
	}
	tariff_sane(t);
	same_again(t, (const char *)data, size);
	tariff_free(t);
	return 0;
}
