/* SPDX-License-Identifier: Apache-2.0 */
/* outlook: what was and is to be expected of one source of a graph */
#include "meter/outlook.h"
#include "base/clock.h"
#include "base/mem.h"
#include "meter/fetched.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY INT64_C(86400)

void
outlook_done(struct outlook *o)
{
	free(o->bands);
	o->bands = NULL;
}

static bool
season_try(struct outlook *o, const double *values, size_t n, size_t ahead,
    int64_t season)
{
	o->bands = mem_array(n + ahead, sizeof(*o->bands));
	if (forecast_run(values, n, (size_t)(season / o->step), o->step, ahead, o->bands,
		&o->known)) {
		o->rows = n + ahead;
		o->season = season;
		return true;
	}
	outlook_done(o);
	return false;
}

/* Weeks repeat themselves better than days, where four of them are known. */
static void
outlook_make(struct outlook *o, const struct graph_query *q, const struct fetched *f,
    unsigned long column)
{
	size_t n = (size_t)(f->end - f->start) / f->step;
	size_t ahead = q->to > f->end ? (size_t)((q->to - f->end) / o->step) + 1 : 0;
	scoped_free double *values = mem_array(n + 1, sizeof(*values));

	if (ahead > (size_t)(14 * DAY / o->step))
		ahead = (size_t)(14 * DAY / o->step);
	for (size_t i = 0; i < n; i++)
		values[i] = f->data[i * f->sources + column] / (double)o->source->divisor;
	o->start = (int64_t)f->start;
	if (o->step == 3600 && season_try(o, values, n, ahead, 7 * DAY) &&
	    o->known >= 28 * DAY)
		return;
	outlook_done(o);
	(void)season_try(o, values, n, ahead, DAY);
}

/*
 * From the averages of five minutes, which are kept for a week, or for longer graphs from
 * those of hours.
 */
void
outlook_of(struct outlook *o, const struct graph_query *q, enum rrd_kind kind,
    const struct rrd_source *source)
{
	bool close = q->to - q->from <= 2 * DAY;
	struct graph_query history = *q;
	struct fetched f;
	time_t last = fetched_last(q, kind);

	*o = (struct outlook){ .source = source, .step = close ? 300 : 3600 };
	history.step = o->step;
	history.to = (int64_t)last < q->to ? (int64_t)last : q->to;
	history.to -= history.to % o->step;
	history.from = history.to - (close ? 7 * DAY : 56 * DAY);
	if (last > 0 && fetched_get(&f, &history, kind) && (int64_t)f.step == o->step)
		for (unsigned long i = 0; i < f.sources; i++)
			if (strcmp(f.names[i], source->name) == 0)
				outlook_make(o, q, &f, i);
	if (last > 0)
		fetched_done(&f);
}

/* "no forecast: 1.2 days are known, 3 ..." */
void
outlook_why(char out[128], int64_t known)
{
	(void)snprintf(out, 128,
	    "no forecast: %lld.%lld days are known, %d without large gaps are needed",
	    (long long)(known / DAY), (long long)(known % DAY * 10 / DAY),
	    FORECAST_SEASONS);
}

/* Rows lie in the middle of their time, and between two of them is a straight line. */
static double
between(double a, double b, double part)
{
	return isnan(a) ? b : isnan(b) ? a : a + (b - a) * part;
}

struct forecast_band
outlook_at(const struct outlook *o, int64_t at)
{
	int64_t half = 2 * (at - o->start) - o->step; /* in half seconds */
	int64_t row = half < 0 ? 0 : half / (2 * o->step);
	double part = half < 0 ? 0
			       : (double)(half % (2 * o->step)) / (double)(2 * o->step);
	const struct forecast_band none = { (double)NAN, (double)NAN, (double)NAN };

	if (row >= (int64_t)o->rows)
		return none;
	const struct forecast_band *a = &o->bands[row];
	const struct forecast_band *b = row + 1 < (int64_t)o->rows ? a + 1 : a;
	return (struct forecast_band){ between(a->expected, b->expected, part),
		between(a->low, b->low, part), between(a->high, b->high, part) };
}
