/* SPDX-License-Identifier: Apache-2.0 */
/* forecast: what a curve that repeats itself will be like, by Holt and Winters */
#pragma once
#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fewer seasons than these tell nothing. */
enum { FORECAST_SEASONS = 3 };

/* Not a number where there is none: in the seasons that were learned from first. */
struct forecast_band {
	double expected, low, high;
};

/*
 * values: n averages of step_s seconds each, not a number where nothing is known; season:
 * rows after which they repeat themselves.  out has room for n + ahead: for each row what
 * was expected before it was known, then what is expected of those ahead.  Additive
 * smoothing with a damped trend; low and high are two deviations away, which are learned
 * by the time of the season as Brutlag does (and librrd's HWPREDICT after him). False:
 * less than FORECAST_SEASONS seasons are known, or too little of them; *known_s is how
 * long it is known.
 */
must_check bool forecast_run(const double *values, size_t n, size_t season,
    int64_t step_s, size_t ahead, struct forecast_band *out, int64_t *known_s);
