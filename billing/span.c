/* SPDX-License-Identifier: Apache-2.0 */
/* span: a range of time, half-open [from, to) */
#include "billing/span.h"

bool
span_cut(struct span *span, const struct span *by)
{
	if (span->from.ns < by->from.ns)
		span->from = by->from;
	if (span->to.ns > by->to.ns)
		span->to = by->to;
	return span->from.ns < span->to.ns;
}

bool
span_holds(const struct span *span, struct instant t)
{
	return span->from.ns <= t.ns && t.ns < span->to.ns;
}
