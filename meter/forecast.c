/* SPDX-License-Identifier: Apache-2.0 */
/* forecast: what a curve that repeats itself will be like, by Holt and Winters */
#include "meter/forecast.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>

/* How fast it forgets: half of a surprise is gone after these, in seconds. */
#define LEVEL_HALF 43200.0
#define TREND_HALF 259200.0
#define TREND_FADES 86400.0
#define LN2 0.6931471805599453
#define SEASON_RATE 0.3 /* each season's share in what its times are like */
#define WIDTH 2.0       /* deviations to each side */
#define SMOOTH 20       /* a season's times are looked at with a 20th of it around */

struct model {
	size_t season;
	double level, trend;
	double *shape;     /* by the time of the season, beside the level */
	double *deviation; /* likewise, how far off the forecast was */
	double alpha, beta, fade;
};

/* The mean of a ring around a place. */
static double
around(const double *ring, size_t size, size_t at)
{
	size_t reach = size / SMOOTH / 2;
	double sum = 0;

	for (size_t i = 0; i <= 2 * reach; i++)
		sum += ring[(at + size - reach + i) % size];
	return sum / (double)(2 * reach + 1);
}

static void
smooth(double *ring, size_t size)
{
	scoped_free double *was = mem_array(size, sizeof(*was));

	for (size_t i = 0; i < size; i++)
		was[i] = ring[i];
	for (size_t i = 0; i < size; i++)
		ring[i] = around(was, size, i);
}

/* ---- the beginning, from two seasons */

static double
mean(const double *values, size_t from, size_t to, size_t stride)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = from; i < to; i += stride)
		if (!isnan(values[i])) {
			sum += values[i];
			count++;
		}
	return count > 0 ? sum / (double)count : (double)NAN;
}

/* How far the values of one time of the season are from what is thought of it. */
static double
spread(const struct model *m, const double *values, size_t from, size_t to)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = from; i < to; i += m->season)
		if (!isnan(values[i])) {
			sum += fabs(values[i] - m->level - m->shape[i % m->season]);
			count++;
		}
	return count > 0 ? sum / (double)count : 0;
}

/* Of a time that was never known the one before it is the best guess. */
static void
shape_fill(double *shape, size_t size)
{
	double before = 0;

	for (size_t i = 0; i < 2 * size; i++) {
		double *at = &shape[i % size];
		if (!isnan(*at))
			before = *at;
		else if (i >= size)
			*at = before;
	}
}

static void
model_begin(struct model *m, const double *values, size_t first)
{
	size_t end = first + 2 * m->season;

	m->level = mean(values, first, end, 1);
	for (size_t i = first; i < first + m->season; i++) {
		double at = mean(values, i, end, m->season);
		m->shape[i % m->season] = at - m->level;
	}
	shape_fill(m->shape, m->season);
	smooth(m->shape, m->season);
	for (size_t i = first; i < first + m->season; i++)
		m->deviation[i % m->season] = spread(m, values, i, end);
	smooth(m->deviation, m->season);
}

/* ---- row by row */

/* Nothing that is drawn is ever below zero. */
static double
drawn(double value)
{
	return value > 0 ? value : 0;
}

static struct forecast_band
model_say(const struct model *m, size_t row)
{
	size_t time = row % m->season;
	double expected = m->level + m->fade * m->trend + m->shape[time];
	double off = WIDTH * around(m->deviation, m->season, time);

	return (struct forecast_band){ drawn(expected), drawn(expected - off),
		drawn(expected + off) };
}

static void
model_learn(struct model *m, size_t row, double value)
{
	size_t time = row % m->season;
	double expected = m->level + m->fade * m->trend + m->shape[time];
	double error = isnan(value) ? 0 : value - expected;

	m->level += m->fade * m->trend + m->alpha * error;
	m->trend = m->fade * m->trend + m->alpha * m->beta * error;
	if (isnan(value))
		return;
	m->shape[time] += SEASON_RATE * (1 - m->alpha) * error;
	m->deviation[time] += SEASON_RATE * (fabs(error) - m->deviation[time]);
}

/* Where what is known begins and ends, and how many rows of it there are. */
struct extent {
	size_t first, end, count;
};

static struct extent
extent_of(const double *values, size_t n)
{
	struct extent x = { n, 0, 0 };

	for (size_t i = 0; i < n; i++) {
		if (isnan(values[i]))
			continue;
		x.first = i < x.first ? i : x.first;
		x.end = i + 1;
		x.count++;
	}
	return x;
}

static void
model_run(struct model *m, const double *values, size_t first, size_t n, size_t ahead,
    struct forecast_band *out)
{
	const struct forecast_band none = { (double)NAN, (double)NAN, (double)NAN };

	model_begin(m, values, first);
	for (size_t i = 0; i < n + ahead; i++) {
		out[i] = i < first + 2 * m->season ? none : model_say(m, i);
		if (i >= first)
			model_learn(m, i, i < n ? values[i] : (double)NAN);
	}
}

bool
forecast_run(const double *values, size_t n, size_t season, int64_t step_s, size_t ahead,
    struct forecast_band *out, int64_t *known_s)
{
	struct extent x = extent_of(values, n);
	size_t rows = x.end > x.first ? x.end - x.first : 0;
	struct model m = { .season = season,
		.alpha = LN2 * (double)step_s / LEVEL_HALF,
		.beta = LN2 * (double)step_s / TREND_HALF,
		.fade = 1 - LN2 * (double)step_s / TREND_FADES };

	*known_s = (int64_t)rows * step_s;
	if (season == 0 || rows < FORECAST_SEASONS * season || x.count * 3 < rows * 2)
		return false;
	m.shape = mem_array(season, sizeof(*m.shape));
	m.deviation = mem_array(season, sizeof(*m.deviation));
	model_run(&m, values, x.first, n, ahead, out);
	free(m.shape);
	free(m.deviation);
	return true;
}
