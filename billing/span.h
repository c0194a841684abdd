/* SPDX-License-Identifier: Apache-2.0 */
/* span: a range of time, half-open [from, to) */
#pragma once
#include "base/clock.h"
#include <stdbool.h>

/* The ends of what has none. */
#define INSTANT_FIRST ((struct instant){ INT64_MIN })
#define INSTANT_LAST ((struct instant){ INT64_MAX })

struct span {
	struct instant from;
	struct instant to;
};

bool span_cut(struct span *span, const struct span *by); /* false: nothing is left */
bool span_holds(const struct span *span, struct instant t);
