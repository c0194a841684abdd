/* SPDX-License-Identifier: Apache-2.0 */
/* counter: what a cumulative counter has moved between two readings (billing-rules 2.6)
 */
#include "base/counter.h"
#include <stddef.h>

#define WRAP_32 (UINT64_C(1) << 32)

/* Compared in nanoseconds: 2^32 x 10^9 still fits 64 bits, a larger limit is no limit. */
static bool
wrap_is_believable(uint64_t wrapped, int64_t elapsed_ns, uint64_t max_per_second)
{
	uint64_t most;

	if (__builtin_mul_overflow(max_per_second, (uint64_t)elapsed_ns, &most))
		return true;
	return wrapped * (uint64_t)NS_PER_S <= most;
}

static bool
wrapped(uint64_t *delta, const struct counter_reading *last,
    const struct counter_reading *now, const struct counter_rule *rule)
{
	if (rule->width != 32 || last->value >= WRAP_32)
		return false;
	*delta = now->value + WRAP_32 - last->value;
	return wrap_is_believable(*delta, now->t.ns - last->t.ns, rule->max_per_second);
}

enum counter_story
counter_delta(uint64_t *delta, const struct counter_reading *last,
    const struct counter_reading *now, const struct counter_rule *rule)
{
	uint64_t over;

	*delta = now->value;
	if (last == NULL) {
		*delta = rule->from_zero ? now->value : 0;
		return COUNTER_FIRST;
	}
	if (now->t.ns <= last->t.ns) {
		*delta = 0;
		return COUNTER_STALE;
	}
	if (now->epoch != last->epoch)
		return COUNTER_NEW_EPOCH;
	if (now->value >= last->value) {
		*delta = now->value - last->value;
		return COUNTER_MOVED;
	}
	if (wrapped(&over, last, now, rule)) {
		*delta = over;
		return COUNTER_WRAPPED;
	}
	return COUNTER_RESET;
}

/* FNV-1a: short, stable, and a clash of two lives of one device is out of reach. */
uint64_t
counter_epoch(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		hash = (hash ^ *p) * UINT64_C(1099511628211);
	return hash;
}
