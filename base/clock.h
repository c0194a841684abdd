/* SPDX-License-Identifier: Apache-2.0 */
/* clock: instants, spans and the one place that asks the machine for the time */
#pragma once
#include "base/attr.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

/* Wall time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds ignored. */
struct instant {
	int64_t ns;
};

/* Boot time: nanoseconds of CLOCK_BOOTTIME; only differences mean something. */
struct mono {
	int64_t ns;
};

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)
#define CLOCK_TEXT_MAX 40

struct instant clock_now(void);
struct mono clock_mono(void);

/*
 * Tests and the simulator put a clock of their own in; NULL brings the real one
 * back.  Not thread-safe: set it before any thread starts.
 */
struct clock_source {
	struct instant (*now)(void *context);
	struct mono (*mono)(void *context);
	void *context;
};
void clock_replace(const struct clock_source *source);

/* "2026-11-21T04:17:00.123456Z" (RFC 3339, UTC, microseconds); answers out. */
const char *instant_text(struct instant t, char out[CLOCK_TEXT_MAX]);

/*
 * Reads RFC 3339 ("2024-03-01T00:00:00Z", "...+09:00", fractions up to 9 digits;
 * a blank for the T and "+00" as PostgreSQL writes them are taken too).
 */
must_check bool instant_parse(struct instant *t, const char *text, struct err *e);

struct instant instant_floor(struct instant t,
    int64_t step_ns); /* e.g. to the UTC hour */
