/* SPDX-License-Identifier: Apache-2.0 */
/* model_read: models as a tariff document writes them */
#include "billing/form.h"
#include "billing/model.h"
#include <string.h>

static const char *const type_words[] = { "unit", "graduated", "volume", "package",
	"commit", "tou", NULL };

#define MODIFIER_KEYS "free_units", "discount_pct", "minimum", "maximum"

/* What each type may carry, so that a misplaced key is told and not ignored. */
static const char *const unit_keys[] = { "type", "price", MODIFIER_KEYS, NULL };
static const char *const tier_model_keys[] = { "type", "tiers", MODIFIER_KEYS, NULL };
static const char *const package_keys[] = { "type", "size", "price", MODIFIER_KEYS,
	NULL };
static const char *const commit_keys[] = { "type", "units", "price", "overage",
	MODIFIER_KEYS, NULL };
static const char *const tou_keys[] = { "type", "price", "default_name", "bands",
	MODIFIER_KEYS, NULL };
static const char *const *const type_keys[] = { unit_keys, tier_model_keys,
	tier_model_keys, package_keys, commit_keys, tou_keys };

static const char *const tier_keys[] = { "up_to", "price", "flat", NULL };
static const char *const band_keys[] = { "name", "days", "from", "to", "price", NULL };

static bool
amount_read(const struct form *f, const char *key, mpq_t out, struct err *e)
{
	return form_need(f, key, "\"1.25\"", e) && form_exact(f, key, out, e);
}

static bool
tier_bound(struct tier *tier, const struct form *f, const struct model *m, struct err *e)
{
	size_t before = m->tier_count;

	tier->open = !form_has(f, "up_to");
	if (before > 0 && m->tiers[before - 1].open)
		return err_set(e, ERR_INPUT,
		    "%s: stands behind an open tier; only the last one has up_to null",
		    f->path);
	if (!form_exact_positive(f, "up_to", tier->up_to, e))
		return false;
	if (!tier->open && before > 0 &&
	    mpq_cmp(tier->up_to, m->tiers[before - 1].up_to) <= 0)
		return err_set(e, ERR_INPUT,
		    "%s.up_to: must be larger than that of the tier before; sort the "
		    "tiers by their bounds",
		    f->path);
	return true;
}

static bool
tier_read(struct tier *tier, const struct jval *v, const char *path,
    const struct model *m, struct err *e)
{
	struct form f;

	return form_open(&f, v, path, tier_keys, e) && tier_bound(tier, &f, m, e) &&
	    amount_read(&f, "price", tier->price, e) &&
	    form_exact(&f, "flat", tier->flat, e);
}

static bool
tiers_read(struct model *m, struct arena *a, const struct form *f, struct err *e)
{
	const struct jval *list = json_get(f->object, "tiers");
	size_t count = json_count(list);
	bool ok = true;

	if (json_type(list) != JSON_ARRAY || count == 0 || count > MODEL_TIERS_MAX)
		return err_set(e, ERR_INPUT,
		    "%s.tiers: a list of 1 to %d tiers belongs here; write at least the "
		    "one for everything, without a bound",
		    f->path, MODEL_TIERS_MAX);
	m->tiers = arena_alloc(a, count * sizeof(*m->tiers));
	for (const struct jval *v = json_first(list); ok && v != NULL; v = json_next(v)) {
		struct tier *tier = &m->tiers[m->tier_count];

		mpq_inits(tier->up_to, tier->price, tier->flat, NULL);
		ok = tier_read(tier, v,
		    arena_printf(a, "%s.tiers[%zu]", f->path, m->tier_count), m, e);
		m->tier_count++;
	}
	if (!ok)
		return false;
	if (!m->tiers[count - 1].open)
		return err_set(e, ERR_INPUT,
		    "%s.tiers: larger quantities have no price; the last tier needs "
		    "\"up_to\": null",
		    f->path);
	return true;
}

/* "08:30" in minutes; 24:00 is the end of the day. */
static bool
minutes_parse(int *out, const char *text)
{
	int hours;
	int minutes;

	if (strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789:") != 5)
		return false;
	hours = (text[0] - '0') * 10 + text[1] - '0';
	minutes = (text[3] - '0') * 10 + text[4] - '0';
	if (hours > 24 || minutes > 59 || (hours == 24 && minutes != 0))
		return false;
	*out = hours * 60 + minutes;
	return true;
}

static bool
wall_read(const struct form *f, const char *key, int *out, struct err *e)
{
	const struct jval *v = json_get(f->object, key);

	if (json_type(v) == JSON_STRING && minutes_parse(out, json_text(v)))
		return true;
	return err_set(e, ERR_INPUT,
	    "%s.%s: this is no time of a day; write a local time as \"08:30\"", f->path,
	    key);
}

static bool
days_read(unsigned *out, const struct form *f, struct err *e)
{
	const struct jval *list = json_get(f->object, "days");
	unsigned days = 0;

	*out = 0xfe;
	if (!form_has(f, "days"))
		return true;
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		int64_t day;

		if (!json_i64(&day, v, e))
			return err_wrap(e, "%s.days", f->path);
		if (day < 1 || day > 7)
			break;
		days |= 1U << day;
	}
	if (json_type(list) != JSON_ARRAY || days == 0 ||
	    (size_t)__builtin_popcount(days) != json_count(list))
		return err_set(e, ERR_INPUT,
		    "%s.days: these are no days; write different ones from 1 (Monday) "
		    "to 7, as in [6, 7]",
		    f->path);
	*out = days;
	return true;
}

static bool
band_read(struct band *band, struct arena *a, const struct jval *v, const char *path,
    struct err *e)
{
	struct form f;

	return form_open(&f, v, path, band_keys, e) &&
	    form_need(&f, "name", "\"night\"", e) &&
	    form_text(&f, a, "name", &band->name, e) && days_read(&band->days, &f, e) &&
	    wall_read(&f, "from", &band->from, e) && wall_read(&f, "to", &band->to, e) &&
	    amount_read(&f, "price", band->price, e);
}

static bool
bands_read(struct model *m, struct arena *a, const struct form *f, struct err *e)
{
	const struct jval *list = json_get(f->object, "bands");
	size_t count = json_count(list);

	m->default_name = "default";
	if (!form_text(f, a, "default_name", &m->default_name, e))
		return false;
	if (json_type(list) != JSON_ARRAY || count == 0 || count > MODEL_BANDS_MAX)
		return err_set(e, ERR_INPUT,
		    "%s.bands: a list of 1 to %d bands belongs here; write one, or use "
		    "a unit price",
		    f->path, MODEL_BANDS_MAX);
	m->bands = arena_alloc(a, count * sizeof(*m->bands));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		size_t i = m->band_count++;

		mpq_init(m->bands[i].price);
		if (!band_read(&m->bands[i], a, v,
			arena_printf(a, "%s.bands[%zu]", f->path, i), e))
			return false;
	}
	return true;
}

static bool
type_read(struct model *m, struct arena *a, const struct form *f, struct err *e)
{
	switch (m->type) {
	case MODEL_GRADUATED:
	case MODEL_VOLUME:
		return tiers_read(m, a, f, e);
	case MODEL_PACKAGE:
		return form_need(f, "size", "\"100\"", e) &&
		    form_exact_positive(f, "size", m->size, e) &&
		    amount_read(f, "price", m->price, e);
	case MODEL_COMMIT:
		return amount_read(f, "units", m->units, e) &&
		    amount_read(f, "price", m->price, e) &&
		    amount_read(f, "overage", m->overage, e);
	case MODEL_TOU:
		return amount_read(f, "price", m->price, e) && bands_read(m, a, f, e);
	case MODEL_UNIT:
	default:
		return amount_read(f, "price", m->price, e);
	}
}

static bool
modifiers_read(struct model *m, const struct form *f, struct err *e)
{
	m->has_minimum = form_has(f, "minimum");
	m->has_maximum = form_has(f, "maximum");
	if (!form_exact(f, "free_units", m->free_units, e) ||
	    !form_exact(f, "discount_pct", m->discount_pct, e) ||
	    !form_exact(f, "minimum", m->minimum, e) ||
	    !form_exact(f, "maximum", m->maximum, e))
		return false;
	if (mpq_sgn(m->free_units) < 0)
		return err_set(e, ERR_INPUT,
		    "%s.free_units: can't be less than 0; write 0 or more", f->path);
	if (mpq_cmp_ui(m->discount_pct, 100, 1) > 0)
		return err_set(e, ERR_INPUT,
		    "%s.discount_pct: more than 100 %% would pay the customer; write "
		    "less",
		    f->path);
	return true;
}

bool
model_read(struct model *m, struct arena *a, const struct jval *object, const char *path,
    struct err *e)
{
	/* The type is looked at first: it decides which keys are known. */
	struct form f = { object, path };
	int type = 0;

	if (json_type(object) != JSON_OBJECT)
		return err_set(e, ERR_INPUT,
		    "%s: an object {...} belongs here; write its keys in braces", path);
	if (!form_need(&f, "type", "\"unit\"", e) ||
	    !form_choice(&f, "type", type_words, &type, e))
		return false;
	m->type = (enum model_type)type;
	return form_open(&f, object, path, type_keys[type], e) &&
	    type_read(m, a, &f, e) && modifiers_read(m, &f, e);
}
