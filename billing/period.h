/* SPDX-License-Identifier: Apache-2.0 */
/* period: which time an invoice is for, and what was known when */
#pragma once
#include "base/json.h"
#include "base/mem.h"
#include "billing/calendar.h"

#define PERIOD_CLOSED_MAX 1200

/* A period that has been invoiced already. */
struct closed_period {
	struct span span;
	struct instant closed_at;
};

struct period {
	struct span span;
	struct instant as_of; /* INSTANT_LAST: everything is known */
	struct closed_period *closed;
	size_t closed_count;
};

/*
 * {"start","end"}, {"month":"2024-03"} or {"anchor","n","months"}, and "as_of",
 * "closed".  Errors as in billing/form.h, or the calendar's.
 */
must_check bool period_read(struct period *out, struct arena *a, const struct jval *v,
    const struct local *local, struct err *e);
