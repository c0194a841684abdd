/* SPDX-License-Identifier: Apache-2.0 */
/* calendar: local days, months and years; the price function asks, SQL computes */
#pragma once
#include "base/err.h"
#include "billing/span.h"
#include <stdbool.h>
#include <stdint.h>

enum calendar_unit { UNIT_HOUR, UNIT_DAY, UNIT_MONTH, UNIT_YEAR };
const char *calendar_unit_name(enum calendar_unit unit); /* "hour"... */

/* A wall-clock time of a local day, and which day of the week that is (Monday 1). */
struct wall_time {
	struct instant at;
	int weekday;
};

/*
 * The n-th run of so many months after local midnight of a date: the day is clamped to
 * the month and never drifts.
 */
struct anchored {
	const char *date;
	int months;
	int64_t n;
};

/*
 * What the pure code needs to know of a zone.  A local time that does not exist means
 * the offset before the gap, one that exists twice the first of the two.
 */
struct calendar {
	void *context;
	/* The local unit that holds an instant. */
	bool (*unit)(void *context, const char *zone, enum calendar_unit unit,
	    struct instant at, struct span *out, struct err *e);
	bool (*anchored)(void *context, const char *zone, const struct anchored *which,
	    struct span *out, struct err *e);
	/* So many minutes (0 to 1440) by the wall clock of the local day of an instant.
	 */
	bool (*wall)(void *context, const char *zone, struct instant day, int minutes,
	    struct wall_time *out, struct err *e);
};

/* The calendar of one zone. */
struct local {
	const struct calendar *calendar;
	const char *zone;
};
must_check bool local_unit(const struct local *l, enum calendar_unit unit,
    struct instant at, struct span *out, struct err *e);
must_check bool local_anchored(const struct local *l, const struct anchored *which,
    struct span *out, struct err *e);
must_check bool local_wall(const struct local *l, struct instant day, int minutes,
    struct wall_time *out, struct err *e);
/* The anchored run of months that holds an instant. */
must_check bool local_anchored_at(const struct local *l, const char *date, int months,
    struct instant at, struct span *out, struct err *e);
