/* SPDX-License-Identifier: Apache-2.0 */
/* counter: what a cumulative counter has moved between two readings (billing-rules 2.6)
 */
#pragma once
#include "base/clock.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * epoch tells the life of the counter: libvirt's counters restart at 0 with every new
 * qemu process, so it stands for (host, qemu start, device).  Only equality matters;
 * counter_epoch() makes one out of any text.
 */
struct counter_reading {
	struct instant t;
	uint64_t value;
	uint64_t epoch;
};

struct counter_rule {
	unsigned width; /* 32 or 64 bits, as the source counts */
	bool from_zero; /* created under our eyes: the first value counts whole */
	uint64_t
	    max_per_second; /* fastest believable; 0: unknown, never taken for a wrap */
};

#define COUNTER_RULE_INIT                                                                \
	{                                                                                \
		.width = 64, .from_zero = false, .max_per_second = 0                     \
	}

/* What the two readings tell; for logs and quality flags. */
enum counter_story {
	COUNTER_FIRST,     /* nothing before it */
	COUNTER_STALE,     /* not later than the last one: keep the last reading */
	COUNTER_NEW_EPOCH, /* another life of the counter */
	COUNTER_MOVED,     /* the ordinary case, also by 0 */
	COUNTER_WRAPPED,   /* 32 bits were full */
	COUNTER_RESET,     /* went down within its epoch: counts from 0 again */
};

/*
 * Sets *delta to what has been counted from last (NULL: there is none) to now; it
 * belongs to the window that ends at now->t.  On COUNTER_STALE it is 0 and the caller
 * keeps last as it is; after any other story now is the next last.
 */
enum counter_story counter_delta(uint64_t *delta, const struct counter_reading *last,
    const struct counter_reading *now, const struct counter_rule *rule);

/* The same text gives the same epoch, on any machine and after any restart. */
uint64_t counter_epoch(const char *text);
