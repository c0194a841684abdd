/* SPDX-License-Identifier: Apache-2.0 */
/* series: one resource's counters over time, and its open usage window */
#include "meter/series.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (3600 * NS_PER_S)

void
series_window(struct instant t, struct instant *from, struct instant *to)
{
	/* A reading at the very end of an hour still belongs to it. */
	*from = instant_floor((struct instant){ t.ns - 1 }, HOUR_NS);
	to->ns = from->ns + HOUR_NS;
}

bool
series_full(const struct series *s, struct instant t)
{
	return s->sampled && t.ns > s->to.ns;
}

static void
window_begin(struct series *s, struct instant t)
{
	series_window(t, &s->from, &s->to);
	memset(s->sum, 0, sizeof(s->sum));
	s->vcpu_sum = 0;
	s->samples = 0;
	s->resets = 0;
}

static uint64_t
delta_of(struct series *s, bool known, uint64_t last, uint64_t value,
    const struct series_reading *r)
{
	struct counter_reading then = { s->through, last, counter_epoch(s->epoch) };
	struct counter_reading now = { r->at, value, counter_epoch(r->epoch) };
	struct counter_rule rule = COUNTER_RULE_INIT;
	uint64_t delta = 0;

	/* A field or vCPU that is new in a life already sampled began after that: from
	 * zero. */
	rule.from_zero = s->fresh || s->sampled;
	if (counter_delta(&delta, known ? &then : NULL, &now, &rule) == COUNTER_RESET)
		s->resets++;
	return delta;
}

static void
vcpus_take(struct series *s, const struct series_reading *r)
{
	for (size_t i = 0; i < r->vcpu_count; i++) {
		bool known = i < s->vcpu_count;
		uint64_t d = delta_of(s, known, known ? s->vcpu_raw[i] : 0, r->vcpu_ns[i],
		    r);
		/* The first answer about vCPUs of an adopted guest is a baseline, also
		 * when its other counters were read before. */
		if (s->vcpu_count == 0 && !s->fresh && strcmp(s->epoch, r->epoch) == 0)
			d = 0;
		s->vcpu_sum += d;
		s->vcpu_total += d;
	}
	s->vcpu_raw = mem_resize(s->vcpu_raw, r->vcpu_count, sizeof(*s->vcpu_raw));
	memcpy(s->vcpu_raw, r->vcpu_ns, r->vcpu_count * sizeof(*s->vcpu_raw));
	s->vcpu_count = r->vcpu_count;
}

void
series_take(struct series *s, const struct series_reading *r)
{
	if (s->sampled && r->at.ns <= s->through.ns)
		return;
	if (!s->sampled || series_full(s, r->at))
		window_begin(s, r->at);
	for (int f = 0; f < FIELD_COUNT; f++) {
		uint64_t d;
		if (!r->has[f])
			continue;
		d = delta_of(s, s->has[f], s->raw[f], r->value[f], r);
		s->sum[f] += d;
		s->total[f] += d;
		s->raw[f] = r->value[f];
		s->has[f] = true;
	}
	if (r->vcpu_count > 0)
		vcpus_take(s, r);
	(void)snprintf(s->epoch, sizeof(s->epoch), "%s", r->epoch);
	s->through = r->at;
	s->samples++;
	s->sampled = true;
	s->dirty = true;
}

void
series_move(struct series *s, int64_t account_id)
{
	s->account_id = account_id;
	memset(s->sum, 0, sizeof(s->sum));
	s->vcpu_sum = 0;
	s->samples = 0;
	s->resets = 0;
	s->dirty = false;
}

void
series_done(struct series *s)
{
	free(s->vcpu_raw);
	s->vcpu_raw = NULL;
}
