/* SPDX-License-Identifier: Apache-2.0 */
/* window: which usage window an instant belongs to (DESIGN 2) */
#pragma once
#include "base/clock.h"
#include <stddef.h>
#include <stdint.h>

#define WINDOW_HOUR_NS (3600 * NS_PER_S)

/* From an instant on, local hours of a zone begin so long after the UTC hour (+05:30: 30
 * minutes); calendars are computed in SQL, this is what it found. */
struct window_shift {
	struct instant since;
	int64_t shift_ns; /* 0 .. one hour */
};

/*
 * How an account's time is cut: UTC hours (or a finer grain), its local hours where they
 * begin inside a UTC hour, so that local midnights and time bands are borders too, and
 * single instants such as a change of its tariff.  Lists ascend.
 */
struct window_rule {
	int64_t grain_ns; /* divides an hour; 0: an hour */
	const struct window_shift *shifts;
	size_t shift_count;
	const struct instant *cuts;
	size_t cut_count;
};

/* The window of what was counted up to t: from < t <= to.  rule NULL: UTC hours. */
void window_of(struct instant t, const struct window_rule *rule, struct instant *from,
    struct instant *to);
