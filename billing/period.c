/* SPDX-License-Identifier: Apache-2.0 */
/* period: which time an invoice is for, and what was known when */
#include "billing/period.h"
#include "billing/form.h"
#include <string.h>

#define SPAN_KEYS "start", "end", "month", "anchor", "n", "months"

static const char *const period_keys[] = { SPAN_KEYS, "as_of", "closed", NULL };
static const char *const closed_keys[] = { SPAN_KEYS, "closed_at", NULL };

static bool
bounds_read(struct span *out, const struct form *f, struct err *e)
{
	if (!form_need(f, "start", "\"2024-03-01T00:00:00Z\"", e) ||
	    !form_need(f, "end", "\"2024-04-01T00:00:00Z\"", e) ||
	    !form_instant(f, "start", &out->from, e) ||
	    !form_instant(f, "end", &out->to, e))
		return false;
	if (out->to.ns <= out->from.ns)
		return err_set(e, ERR_INPUT, "%s: \"end\" must be later than \"start\"",
		    f->path);
	return true;
}

/* A calendar month is the run of one month from its first day. */
static bool
month_read(struct span *out, const struct form *f, const struct local *local,
    struct err *e)
{
	const char *month = json_text(json_get(f->object, "month"));
	char date[16] = "";
	int year;
	int number;

	if (month != NULL && strlen(month) == 7 && strspn(month, "0123456789-") == 7 &&
	    month[4] == '-') {
		memcpy(date, month, 7);
		memcpy(date + 7, "-01", 4);
	}
	number = date[0] == '\0' ? 0 : (date[5] - '0') * 10 + date[6] - '0';
	year = date[0] == '\0' ? 0 : (date[0] - '0') * 10 + date[1] - '0';
	if (number < 1 || number > 12 || year < 19 || year > 21)
		return err_set(e, ERR_INPUT,
		    "%s.month: write year and month as \"2024-03\"", f->path);
	return local_anchored(local, &(struct anchored){ date, 1, 0 }, out, e);
}

static bool
anchor_read(struct span *out, struct arena *a, const struct form *f,
    const struct local *local, struct err *e)
{
	struct anchored which = { NULL, 1, 0 };
	int64_t months = 1;

	if (!form_date(f, a, "anchor", &which.date, e) ||
	    !form_whole(f, "n", &which.n, -1200, 1200, e) ||
	    !form_whole(f, "months", &months, 1, 120, e))
		return false;
	which.months = (int)months;
	return local_anchored(local, &which, out, e);
}

static bool
span_read(struct span *out, struct arena *a, const struct form *f,
    const struct local *local, struct err *e)
{
	if (form_has(f, "month"))
		return month_read(out, f, local, e);
	if (form_has(f, "anchor"))
		return anchor_read(out, a, f, local, e);
	return bounds_read(out, f, e);
}

static bool
closed_read(struct closed_period *out, struct arena *a, const struct jval *v,
    const char *path, const struct local *local, struct err *e)
{
	struct form f;

	return form_open(&f, v, path, closed_keys, e) &&
	    span_read(&out->span, a, &f, local, e) &&
	    form_need(&f, "closed_at", "\"2024-04-03T00:00:00Z\"", e) &&
	    form_instant(&f, "closed_at", &out->closed_at, e);
}

static bool
closed_list_read(struct period *p, struct arena *a, const struct jval *list,
    const struct local *local, struct err *e)
{
	if (json_type(list) == JSON_ABSENT)
		return true;
	if (json_type(list) != JSON_ARRAY || json_count(list) > PERIOD_CLOSED_MAX)
		return err_set(e, ERR_INPUT,
		    "period.closed: a list of at most %d periods "
		    "belongs here",
		    PERIOD_CLOSED_MAX);
	p->closed = arena_alloc(a, (json_count(list) + 1) * sizeof(*p->closed));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		size_t i = p->closed_count++;

		if (!closed_read(&p->closed[i], a, v,
			arena_printf(a, "period.closed[%zu]", i), local, e))
			return false;
	}
	return true;
}

bool
period_read(struct period *out, struct arena *a, const struct jval *v,
    const struct local *local, struct err *e)
{
	struct period read = { .as_of = INSTANT_LAST };
	struct form f;

	if (!form_open(&f, v, "period", period_keys, e) ||
	    !span_read(&read.span, a, &f, local, e) ||
	    !form_instant(&f, "as_of", &read.as_of, e) ||
	    !closed_list_read(&read, a, json_get(v, "closed"), local, e))
		return false;
	*out = read;
	return true;
}
