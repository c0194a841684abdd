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
calendar_anchored_at(const struct calendar *c, const char *zone, const char *date,
    int months, struct instant at, struct span *out, struct err *e)
{
	struct span span;
	int64_t n;

	if (!c->anchored(c->context, zone, date, months, 0, &span, e))
		return false;
	n = (at.ns - span.from.ns) / (months * MONTH_NS);
	for (;;) {
		if (!c->anchored(c->context, zone, date, months, n, &span, e))
			return false;
		if (span_holds(&span, at))
			break;
		n += at.ns < span.from.ns ? -1 : 1;
	}
	*out = span;
	return true;
}
