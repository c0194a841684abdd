/* SPDX-License-Identifier: Apache-2.0 */
/* tariff: a price list as billing-rules section 0 writes it, checked to the last key */
#include "billing/tariff.h"
#include "billing/form.h"
#include <stdlib.h>
#include <string.h>

static const char *const tariff_keys[] = { "currency", "timezone", "rounding",
	"increment", "fx", "tax", "prices", NULL };
static const char *const fx_keys[] = { "to", "rate", NULL };
static const char *const tax_keys[] = { "mode", "classes", "rounding", NULL };
static const char *const price_keys[] = { "sku", "match", "priority", "tax_class",
	"group_by", "per", "granularity", "min_seconds", "anchor", "divisor", "aggregate",
	"model", "versions", NULL };
static const char *const version_keys[] = { "from", "to", "recorded_at", "model", NULL };

static const char *const rounding_words[] = { "half_even", "half_up", "down", "up",
	NULL };
static const char *const per_words[] = { "second", "minute", "hour", "day", "month",
	"year", NULL };
static const char *const granularity_words[] = { "hour", "day", "month", NULL };
static const char *const aggregate_words[] = { "sum", "max", "p95", NULL };
static const char *const group_words[] = { "account", "resource", NULL };
static const char *const mode_words[] = { "exclusive", "inclusive", NULL };

const char *
per_name(enum per per)
{
	return per == PER_NONE ? "" : per_words[per - PER_SECOND];
}

static bool
rounding_read(const struct form *f, enum rounding *out, struct err *e)
{
	int word = (int)*out;

	if (!form_choice(f, "rounding", rounding_words, &word, e))
		return false;
	*out = (enum rounding)word;
	return true;
}

static bool
currency_read(struct tariff *t, const struct form *f, const char *key, const char **out,
    struct err *e)
{
	if (!form_need(f, key, "\"USD\"", e) || !form_text(f, t->arena, key, out, e))
		return false;
	if (!currency_places(&t->places, *out, e))
		return err_wrap(e, "%s.%s", f->path, key);
	return true;
}

static bool
fx_read(struct tariff *t, const struct jval *v, struct err *e)
{
	struct form f;

	t->invoiced = t->currency;
	mpq_set_ui(t->fx_rate, 1, 1);
	if (json_type(v) == JSON_ABSENT || json_type(v) == JSON_NULL)
		return true;
	return form_open(&f, v, "fx", fx_keys, e) &&
	    currency_read(t, &f, "to", &t->invoiced, e) &&
	    form_need(&f, "rate", "\"1387.25\"", e) &&
	    form_exact_positive(&f, "rate", t->fx_rate, e);
}

static bool
tax_class_read(struct tariff *t, const struct jval *v, struct err *e)
{
	struct tax_class *class = &t->taxes[t->tax_count++];

	mpq_init(class->rate);
	class->name = arena_strdup(t->arena, json_name(v));
	if (json_type(v) != JSON_STRING)
		return err_set(e, ERR_INPUT,
		    "tax.classes.%s: a bare number may have lost digits; write the rate "
		    "as a string, \"0.19\" for 19 %%",
		    class->name);
	if (!rat_parse(class->rate, json_text(v), e))
		return err_wrap(e, "tax.classes.%s", class->name);
	if (mpq_sgn(class->rate) < 0 || mpq_cmp_ui(class->rate, 1, 1) > 0)
		return err_set(e, ERR_INPUT,
		    "tax.classes.%s: is a share from 0 to 1; write \"0.19\" for 19 %%",
		    class->name);
	return true;
}

static bool
tax_classes_read(struct tariff *t, const struct jval *classes, struct err *e)
{
	if (json_type(classes) != JSON_OBJECT || json_count(classes) == 0 ||
	    json_count(classes) > TAGS_MAX)
		return err_set(e, ERR_INPUT,
		    "tax.classes: there is none, or too many; write at least one, as in "
		    "{\"standard\":\"0.19\"}");
	t->taxes = arena_alloc(t->arena, json_count(classes) * sizeof(*t->taxes));
	for (const struct jval *v = json_first(classes); v != NULL; v = json_next(v))
		if (!tax_class_read(t, v, e))
			return false;
	return true;
}

static bool
tax_read(struct tariff *t, const struct jval *v, struct err *e)
{
	struct form f;
	int mode = 0;

	t->tax_rounding = t->rounding;
	if (json_type(v) == JSON_ABSENT || json_type(v) == JSON_NULL)
		return true;
	if (!form_open(&f, v, "tax", tax_keys, e) ||
	    !form_choice(&f, "mode", mode_words, &mode, e) ||
	    !rounding_read(&f, &t->tax_rounding, e))
		return false;
	t->tax_inclusive = mode == 1;
	return tax_classes_read(t, json_get(v, "classes"), e);
}

static bool
version_read(struct tariff *t, struct price *p, const struct jval *v, const char *path,
    struct err *e)
{
	struct version *version = &p->versions[p->version_count++];
	struct form f;

	version->valid = (struct span){ INSTANT_FIRST, INSTANT_LAST };
	version->recorded_at = INSTANT_FIRST;
	model_init(&version->model);
	if (!form_open(&f, v, path, version_keys, e) ||
	    !form_instant(&f, "from", &version->valid.from, e) ||
	    !form_instant(&f, "to", &version->valid.to, e) ||
	    !form_instant(&f, "recorded_at", &version->recorded_at, e))
		return false;
	if (version->valid.to.ns <= version->valid.from.ns)
		return err_set(e, ERR_INPUT,
		    "%s: \"to\" must be later than \"from\"; swap them or leave one out",
		    path);
	return model_read(&version->model, t->arena, json_get(v, "model"),
	    arena_printf(t->arena, "%s.model", path), e);
}

static bool
versions_read(struct tariff *t, struct price *p, const struct form *f, struct err *e)
{
	const struct jval *list = json_get(f->object, "versions");
	size_t count = json_count(list);

	if (json_type(list) != JSON_ARRAY || count == 0 || count > TARIFF_VERSIONS_MAX)
		return err_set(e, ERR_INPUT,
		    "%s.versions: a list of 1 to %d versions belongs here; write one, "
		    "or a model alone",
		    f->path, TARIFF_VERSIONS_MAX);
	p->versions = arena_alloc(t->arena, count * sizeof(*p->versions));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v))
		if (!version_read(t, p, v,
			arena_printf(t->arena, "%s.versions[%zu]", f->path,
			    p->version_count),
			e))
			return false;
	return true;
}

/* One model is one version that was always known and holds for ever. */
static bool
models_read(struct tariff *t, struct price *p, const struct form *f, struct err *e)
{
	if (form_has(f, "model") == form_has(f, "versions"))
		return err_set(e, ERR_INPUT,
		    "%s: how it is priced is not said, or said twice; write either "
		    "\"model\" or \"versions\"",
		    f->path);
	if (form_has(f, "versions"))
		return versions_read(t, p, f, e);
	p->versions = arena_alloc(t->arena, sizeof(*p->versions));
	p->version_count = 1;
	p->versions->valid = (struct span){ INSTANT_FIRST, INSTANT_LAST };
	p->versions->recorded_at = INSTANT_FIRST;
	model_init(&p->versions->model);
	return model_read(&p->versions->model, t->arena, json_get(f->object, "model"),
	    arena_printf(t->arena, "%s.model", f->path), e);
}

static bool
price_words_read(struct price *p, const struct form *f, struct err *e)
{
	int per = -1;
	int grain = -1;
	int aggregate = AGGREGATE_SUM;
	int group = 0;

	if (!form_choice(f, "per", per_words, &per, e) ||
	    !form_choice(f, "granularity", granularity_words, &grain, e) ||
	    !form_choice(f, "aggregate", aggregate_words, &aggregate, e) ||
	    !form_choice(f, "group_by", group_words, &group, e))
		return false;
	p->per = (enum per)(per + 1);
	p->granularity = (enum granularity)(grain + 1);
	p->aggregate = (enum aggregate)aggregate;
	p->by_resource = group == 1;
	return true;
}

static bool
min_seconds_read(struct price *p, const struct form *f, struct err *e)
{
	scoped_exact mpq_t seconds;

	mpq_init(seconds);
	if (!form_exact(f, "min_seconds", seconds, e))
		return false;
	if (mpq_sgn(seconds) < 0 || mpq_cmp_ui(seconds, 31622400, 1) > 0 ||
	    mpz_cmp_ui(mpq_denref(seconds), 1) != 0)
		return err_set(e, ERR_INPUT,
		    "%s.min_seconds: must be whole seconds, at most a year; write 60 for "
		    "a "
		    "minute",
		    f->path);
	p->min_ns = (int64_t)mpz_get_ui(mpq_numref(seconds)) * NS_PER_S;
	return true;
}

static bool
price_coherent(const struct price *p, const struct form *f, struct err *e)
{
	if (p->anchor != NULL && p->per != PER_YEAR)
		return err_set(e, ERR_INPUT,
		    "%s.anchor: only \"per\":\"year\" has an anniversary; remove the "
		    "anchor "
		    "or price by the year",
		    f->path);
	if (p->per == PER_NONE && (p->granularity != GRAIN_NONE || p->min_ns != 0))
		return err_set(e, ERR_INPUT,
		    "%s: granularity and min_seconds need \"per\"; add it, as in "
		    "\"hour\"",
		    f->path);
	return true;
}

static bool
price_read(struct tariff *t, struct price *p, const struct jval *v, const char *path,
    struct err *e)
{
	struct form f;

	p->tax_class = "standard";
	mpq_init(p->divisor);
	mpq_set_ui(p->divisor, 1, 1);
	if (!form_open(&f, v, path, price_keys, e) ||
	    !form_need(&f, "sku", "\"vcpu\"", e) ||
	    !form_text(&f, t->arena, "sku", &p->sku, e) ||
	    !form_text(&f, t->arena, "tax_class", &p->tax_class, e) ||
	    !form_date(&f, t->arena, "anchor", &p->anchor, e) ||
	    !form_whole(&f, "priority", &p->priority, -1000000, 1000000, e) ||
	    !form_exact_positive(&f, "divisor", p->divisor, e) ||
	    !min_seconds_read(p, &f, e) || !price_words_read(p, &f, e))
		return false;
	if (t->tax_count > 0 && tariff_tax(t, p->tax_class) == NULL)
		return err_set(e, ERR_INPUT,
		    "%s.tax_class: \"%s\" is not in tax.classes; add its rate there",
		    path, p->tax_class);
	return tags_read(&p->match, t->arena, json_get(v, "match"),
		   arena_printf(t->arena, "%s.match", path), e) &&
	    price_coherent(p, &f, e) && models_read(t, p, &f, e);
}

/* The same sku, tags and priority twice could never be told apart. */
static bool
price_unique(const struct tariff *t, const struct price *p, struct err *e)
{
	for (const struct price *q = t->prices; q < p; q++)
		if (strcmp(q->sku, p->sku) == 0 && q->priority == p->priority &&
		    tags_equal(&q->match, &p->match))
			return err_set(e, ERR_INPUT,
			    "prices[%zu]: prices[%zu] is for %s too, with the same match "
			    "and priority; change one or remove it",
			    (size_t)(p - t->prices), (size_t)(q - t->prices), p->sku);
	return true;
}

static bool
prices_read(struct tariff *t, const struct jval *list, struct err *e)
{
	size_t count = json_count(list);

	if (json_type(list) != JSON_ARRAY || count > TARIFF_PRICES_MAX)
		return err_set(e, ERR_INPUT,
		    "prices: a list of at most %d prices belongs here; write [] or some",
		    TARIFF_PRICES_MAX);
	t->prices = arena_alloc(t->arena, (count + 1) * sizeof(*t->prices));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		struct price *p = &t->prices[t->price_count++];

		if (!price_read(t, p, v,
			arena_printf(t->arena, "prices[%zu]", t->price_count - 1), e) ||
		    !price_unique(t, p, e))
			return false;
	}
	return true;
}

static bool
document_read(struct tariff *t, const struct jval *document, struct err *e)
{
	struct form f;

	t->timezone = "UTC";
	if (!form_open(&f, document, "tariff", tariff_keys, e) ||
	    !currency_read(t, &f, "currency", &t->currency, e) ||
	    !form_text(&f, t->arena, "timezone", &t->timezone, e) ||
	    !rounding_read(&f, &t->rounding, e) ||
	    !fx_read(t, json_get(document, "fx"), e))
		return false;
	exact_minor(t->minor, t->places);
	mpq_set(t->step, t->minor);
	return form_exact_positive(&f, "increment", t->step, e) &&
	    tax_read(t, json_get(document, "tax"), e) &&
	    prices_read(t, json_get(document, "prices"), e);
}

bool
tariff_read(struct tariff **out, const struct jval *document, struct err *e)
{
	struct arena *a = arena_new();
	struct tariff *t = arena_alloc(a, sizeof(*t));

	t->arena = a;
	mpq_inits(t->fx_rate, t->step, t->minor, NULL);
	if (!document_read(t, document, e)) {
		tariff_free(t);
		return false;
	}
	*out = t;
	return true;
}

bool
tariff_parse(struct tariff **out, const char *text, size_t length, struct err *e)
{
	struct json *document = NULL;
	bool ok;

	if (!json_parse(&document, text, length, e))
		return err_wrap(e, "tariff");
	ok = tariff_read(out, json_root(document), e);
	if (!ok)
		e->kind = ERR_INPUT;
	json_free(document);
	return ok;
}

void
tariff_free(struct tariff *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->price_count; i++) {
		for (size_t k = 0; k < t->prices[i].version_count; k++)
			model_done(&t->prices[i].versions[k].model);
		mpq_clear(t->prices[i].divisor);
	}
	for (size_t i = 0; i < t->tax_count; i++)
		mpq_clear(t->taxes[i].rate);
	mpq_clears(t->fx_rate, t->step, t->minor, NULL);
	arena_free(t->arena);
}

/* More than 0: a is the better match. */
static int
price_rank(const struct price *a, const struct price *b)
{
	if (a->match.count != b->match.count)
		return a->match.count > b->match.count ? 1 : -1;
	return (a->priority > b->priority) - (a->priority < b->priority);
}

bool
tariff_price(const struct tariff *t, const char *sku, const struct tags *tags,
    const struct price **out, struct err *e)
{
	const struct price *best = NULL;
	const struct price *rival = NULL;

	for (size_t i = 0; i < t->price_count; i++) {
		const struct price *p = &t->prices[i];
		int rank;

		if (strcmp(p->sku, sku) != 0 || !tags_hold(tags, &p->match))
			continue;
		rank = best == NULL ? 1 : price_rank(p, best);
		if (rank == 0)
			rival = p;
		if (rank > 0) {
			best = p;
			rival = NULL;
		}
	}
	if (rival != NULL)
		return err_set(e, ERR_INPUT,
		    "prices[%zu] and prices[%zu] match the same usage of %s equally "
		    "well; give one of them a higher priority",
		    (size_t)(best - t->prices), (size_t)(rival - t->prices), sku);
	*out = best;
	return true;
}

const struct tax_class *
tariff_tax(const struct tariff *t, const char *name)
{
	for (size_t i = 0; i < t->tax_count; i++)
		if (strcmp(t->taxes[i].name, name) == 0)
			return &t->taxes[i];
	return NULL;
}
