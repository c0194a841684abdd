/* SPDX-License-Identifier: Apache-2.0 */
/* usage_read: usage as a JSON document writes it (billing-rules section 0) */
#include "billing/form.h"
#include "billing/usage.h"
#include <stdlib.h>
#include <string.h>

#define COMMON_KEYS "kind", "sku", "resource", "tags", "id", "received_at"

static const char *const kind_words[] = { "interval", "event", "counter", "gauge", NULL };
static const char *const interval_keys[] = { COMMON_KEYS, "from", "to", "qty", "seq",
	NULL };
static const char *const event_keys[] = { COMMON_KEYS, "at", "qty", NULL };
static const char *const counter_keys[] = { COMMON_KEYS, "samples", "width", "baseline",
	"max_per_second", NULL };
static const char *const gauge_keys[] = { COMMON_KEYS, "samples", "max_gap", "from", "to",
	NULL };
static const char *const *const kind_keys[] = { interval_keys, event_keys, counter_keys,
	gauge_keys };
static const char *const baseline_words[] = { "first", "zero", NULL };

static bool
qty_read(struct usage *u, const struct form *f, struct err *e)
{
	return form_need(f, "qty", "\"1\"", e) && form_exact(f, "qty", u->qty, e);
}

static bool
interval_read(struct usage *u, const struct form *f, struct err *e)
{
	if (!form_need(f, "from", "\"2024-03-01T00:00:00Z\"", e) ||
	    !form_instant(f, "from", &u->span.from, e) ||
	    !form_instant(f, "to", &u->span.to, e) || !qty_read(u, f, e) ||
	    !form_whole(f, "seq", &u->seq, INT64_MIN, INT64_MAX, e))
		return false;
	if (u->span.to.ns < u->span.from.ns)
		return err_set(e, ERR_INPUT, "%s: ends before it begins", f->path);
	return true;
}

static bool
event_read(struct usage *u, const struct form *f, struct err *e)
{
	return form_need(f, "at", "\"2024-03-01T00:00:00Z\"", e) &&
	    form_instant(f, "at", &u->span.from, e) && qty_read(u, f, e);
}

/* The text of item k of a sample [time, value, epoch?]; NULL when it is not there. */
static const char *
sample_text(const struct jval *sample, size_t k)
{
	const struct jval *v = json_at(sample, k);

	return json_type(v) == JSON_STRING || json_type(v) == JSON_NUMBER ? json_text(v)
									  : NULL;
}

static bool
sample_time(const struct jval *sample, struct instant *t, const char *path, size_t i,
    struct err *e)
{
	const char *text = sample_text(sample, 0);

	if (json_type(sample) != JSON_ARRAY || text == NULL ||
	    sample_text(sample, 1) == NULL || json_count(sample) > 3)
		return err_set(e, ERR_INPUT,
		    "%s.samples[%zu]: write [\"time\", \"value\"]", path, i);
	if (!instant_parse(t, text, e))
		return err_wrap(e, "%s.samples[%zu]", path, i);
	return true;
}

/* Digit by digit: 9007199254740993 must stay what it is. */
static bool
u64_parse(uint64_t *out, const char *text)
{
	uint64_t value = 0;

	if (text == NULL || *text == '\0')
		return false;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

static bool
reading_read(struct counter_reading *out, const struct jval *v, const char *path,
    size_t i, struct err *e)
{
	const char *epoch = sample_text(v, 2);

	if (!sample_time(v, &out->t, path, i, e))
		return false;
	if (!u64_parse(&out->value, sample_text(v, 1)))
		return err_set(e, ERR_INPUT,
		    "%s.samples[%zu]: a counter's value is a whole number of 64 bits",
		    path, i);
	out->epoch = epoch == NULL ? 0 : counter_epoch(epoch);
	return true;
}

static bool
samples_list(const struct jval **list, size_t *count, const struct form *f, struct err *e)
{
	*list = json_get(f->object, "samples");
	*count = json_count(*list);
	if (json_type(*list) == JSON_ARRAY && *count <= USAGE_SAMPLES_MAX)
		return true;
	return err_set(e, ERR_INPUT,
	    "%s.samples: a list of at most %d samples belongs "
	    "here",
	    f->path, USAGE_SAMPLES_MAX);
}

static bool
speed_read(struct usage *u, const struct form *f, struct err *e)
{
	scoped_exact mpq_t speed;
	scoped_exact mpq_t most;

	mpq_inits(speed, most, NULL);
	if (!form_has(f, "max_per_second"))
		return true;
	if (!form_exact_positive(f, "max_per_second", speed, e))
		return false;
	rat_set_u64(most, UINT64_MAX);
	exact_min(speed, most);
	mpz_fdiv_q(mpq_numref(speed), mpq_numref(speed), mpq_denref(speed));
	u->counter.max_per_second = mpz_get_ui(mpq_numref(speed));
	return true;
}

static bool
counter_read(struct usage_list *l, struct usage *u, const struct form *f, struct err *e)
{
	const struct jval *list;
	size_t count;
	size_t i = 0;
	int64_t width = 64;
	int baseline = 0;

	if (!samples_list(&list, &count, f, e) ||
	    !form_whole(f, "width", &width, 32, 64, e) ||
	    !form_choice(f, "baseline", baseline_words, &baseline, e) ||
	    !speed_read(u, f, e))
		return false;
	if (width != 32 && width != 64)
		return err_set(e, ERR_INPUT, "%s.width: is 32 or 64", f->path);
	u->counter.width = (unsigned)width;
	u->counter.from_zero = baseline == 1;
	u->readings = arena_alloc(l->arena, (count + 1) * sizeof(*u->readings));
	u->sample_count = count;
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v), i++)
		if (!reading_read(&u->readings[i], v, f->path, i, e))
			return false;
	return true;
}

static int
by_time(const void *a, const void *b)
{
	const struct gauge_sample *x = a;
	const struct gauge_sample *y = b;

	return (x->t.ns > y->t.ns) - (x->t.ns < y->t.ns);
}

static bool
max_gap_read(struct usage *u, const struct form *f, struct err *e)
{
	int64_t seconds = 0;

	if (!form_need(f, "max_gap", "\"600\"", e) ||
	    !form_whole(f, "max_gap", &seconds, 1, INT64_C(366) * 86400, e))
		return false;
	u->max_gap_ns = seconds * NS_PER_S;
	return true;
}

static bool
gauge_read(struct usage_list *l, struct usage *u, const struct form *f, struct err *e)
{
	const struct jval *list;
	size_t count;

	if (!samples_list(&list, &count, f, e) || !max_gap_read(u, f, e) ||
	    !form_instant(f, "from", &u->span.from, e) ||
	    !form_instant(f, "to", &u->span.to, e))
		return false;
	u->samples = arena_alloc(l->arena, (count + 1) * sizeof(*u->samples));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		size_t i = u->sample_count++;

		mpq_init(u->samples[i].value);
		if (!sample_time(v, &u->samples[i].t, f->path, i, e))
			return false;
		if (!rat_parse(u->samples[i].value, sample_text(v, 1), e))
			return err_wrap(e, "%s.samples[%zu]", f->path, i);
	}
	if (count > 1)
		qsort(u->samples, count, sizeof(*u->samples), by_time);
	return true;
}

static bool
kind_read(struct usage_list *l, struct usage *u, const struct form *f, struct err *e)
{
	switch (u->kind) {
	case USAGE_EVENT:
		return event_read(u, f, e);
	case USAGE_COUNTER:
		return counter_read(l, u, f, e);
	case USAGE_GAUGE:
		return gauge_read(l, u, f, e);
	case USAGE_INTERVAL:
	default:
		return interval_read(u, f, e);
	}
}

static bool
item_read(struct usage_list *l, const struct jval *v, const char *path, struct err *e)
{
	struct form f = { v, path };
	struct usage *u;
	int kind = 0;

	if (json_type(v) != JSON_OBJECT)
		return err_set(e, ERR_INPUT, "%s: an object {...} belongs here", path);
	if (!form_need(&f, "kind", "\"interval\"", e) ||
	    !form_choice(&f, "kind", kind_words, &kind, e) ||
	    !form_open(&f, v, path, kind_keys[kind], e) ||
	    !form_need(&f, "sku", "\"vcpu\"", e))
		return false;
	u = usage_add(l, (enum usage_kind)kind, "", "");
	return form_text(&f, l->arena, "sku", &u->sku, e) &&
	    form_text(&f, l->arena, "resource", &u->resource, e) &&
	    form_text(&f, l->arena, "id", &u->id, e) &&
	    form_instant(&f, "received_at", &u->received_at, e) &&
	    tags_read(&u->tags, l->arena, json_get(v, "tags"),
		arena_printf(l->arena, "%s.tags", path), e) &&
	    kind_read(l, u, &f, e);
}

bool
usage_read(struct usage_list *l, const struct jval *list, struct err *e)
{
	size_t i = 0;

	if (json_type(list) != JSON_ARRAY || json_count(list) > USAGE_ITEMS_MAX)
		return err_set(e, ERR_INPUT,
		    "usage: a list of at most %d items belongs "
		    "here",
		    USAGE_ITEMS_MAX);
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v), i++)
		if (!item_read(l, v, arena_printf(l->arena, "usage[%zu]", i), e))
			return false;
	return true;
}
