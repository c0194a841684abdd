/* SPDX-License-Identifier: Apache-2.0 */
/* calendar: what can be said of local units without knowing a zone */
#include "billing/calendar.h"

#define MONTH_NS (INT64_C(2629746) * NS_PER_S) /* the mean one, for a first guess */

const char *
calendar_unit_name(enum calendar_unit unit)
{
	static const char *const names[] = { "hour", "day", "month", "year" };

	return names[unit];
}

bool
local_unit(const struct local *l, enum calendar_unit unit, struct instant at,
    struct span *out, struct err *e)
{
	return l->calendar->unit(l->calendar->context, l->zone, unit, at, out, e);
}

bool
local_anchored(const struct local *l, const struct anchored *which, struct span *out,
    struct err *e)
{
	return l->calendar->anchored(l->calendar->context, l->zone, which, out, e);
}

bool
local_wall(const struct local *l, struct instant day, int minutes, struct wall_time *out,
    struct err *e)
{
	return l->calendar->wall(l->calendar->context, l->zone, day, minutes, out, e);
}

bool
local_anchored_at(const struct local *l, const char *date, int months, struct instant at,
    struct span *out, struct err *e)
{
	struct anchored which = { date, months, 0 };
	struct span span;

	if (!local_anchored(l, &which, &span, e))
		return false;
	which.n = (at.ns - span.from.ns) / (months * MONTH_NS);
	for (;;) {
		if (!local_anchored(l, &which, &span, e))
			return false;
		if (span_holds(&span, at))
			break;
		which.n += at.ns < span.from.ns ? -1 : 1;
	}
	*out = span;
	return true;
}
