/* SPDX-License-Identifier: Apache-2.0 */
/* series: one resource's counters over time, and its open usage window */
#include "meter/series.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
series_full(const struct series *s, struct instant t)
{
	struct instant from;
	struct instant to;

	if (!s->sampled)
		return false;
	window_of(t, s->rule, &from, &to);
	return t.ns > s->to.ns || (from.ns > s->from.ns && from.ns >= s->through.ns);
}

void
series_end(struct series *s, struct instant t)
{
	struct instant from;
	struct instant to;

	window_of(t, s->rule, &from, &to);
	if (from.ns >= s->through.ns && from.ns < s->to.ns) {
		s->to = from;
		s->dirty = true;
	}
}

static void
sums_clear(struct series *s)
{
	memset(s->sum, 0, sizeof(s->sum));
	s->vcpu_sum = 0;
	s->samples = 0;
	s->resets = 0;
}

/* Never before the end of the row before it, whatever became of the rule. */
static void
window_begin(struct series *s, struct instant t)
{
	struct instant before = s->to;

	window_of(t, s->rule, &s->from, &s->to);
	if (s->sampled && s->from.ns < before.ns)
		s->from = before;
	sums_clear(s);
}

void
series_epoch(char out[SERIES_EPOCH_MAX], const char *host_uuid, int64_t domain_id,
    const struct series_run *run, const char *port)
{
	(void)snprintf(out, SERIES_EPOCH_MAX, "%s/%lld/%lld%s%s%s", host_uuid,
	    (long long)domain_id, (long long)(run->begun.ns / NS_PER_US),
	    run->own ? "!" : "", port[0] != '\0' ? "/" : "", port);
}

/* Rows of before 041 name the host and the id only: they go on if those are the same. */
static bool
same_run(const char *then, const char *now)
{
	const char *slash = strchr(then, '/');
	size_t length = strlen(then);

	if (strcmp(then, now) == 0)
		return true;
	return slash != NULL && strchr(slash + 1, '/') == NULL &&
	    strncmp(then, now, length) == 0 && now[length] == '/';
}

/* host/id/begin[/port]: the same but for the begin. */
static bool
same_but_begin(const char *then, const char *now)
{
	const char *end = strchr(then, '/');
	const char *port;

	end = end != NULL ? strchr(end + 1, '/') : NULL;
	if (end == NULL || strncmp(then, now, (size_t)(end - then) + 1) != 0)
		return false;
	port = strchr(end + 1, '/');
	now = strchr(now + (end - then) + 1, '/');
	return port == NULL || now == NULL ? port == now : strcmp(port, now) == 0;
}

static bool
goes_on(const struct series *s, const struct series_reading *r)
{
	return same_run(s->epoch, r->epoch) ||
	    (r->guessed.ns != 0 && s->through.ns >= r->guessed.ns &&
		same_but_begin(s->epoch, r->epoch));
}

struct step {
	struct counter_reading then, now;
	bool reset;
};

static uint64_t
delta_of(struct step *st, bool known, bool from_zero, uint64_t last, uint64_t value)
{
	struct counter_rule rule = COUNTER_RULE_INIT;
	uint64_t delta = 0;

	rule.from_zero = from_zero;
	st->then.value = last;
	st->now.value = value;
	if (counter_delta(&delta, known ? &st->then : NULL, &st->now, &rule) ==
	    COUNTER_RESET)
		st->reset = true;
	return delta;
}

static void
vcpus_take(struct series *s, const struct series_reading *r, struct step *st)
{
	/* The first answer about vCPUs of an adopted guest is a baseline, also when its
	 * other counters were read before; one that is plugged in later counts whole. */
	bool from_zero = s->fresh || s->vcpu_count > 0 ||
	    (s->sampled && st->then.epoch != st->now.epoch);

	for (size_t i = 0; i < r->vcpu_count; i++) {
		bool known = i < s->vcpu_count;
		uint64_t d = delta_of(st, known, from_zero, known ? s->vcpu_raw[i] : 0,
		    r->vcpu_ns[i]);
		s->vcpu_sum += d;
	}
	s->vcpu_raw = mem_resize(s->vcpu_raw, r->vcpu_count, sizeof(*s->vcpu_raw));
	memcpy(s->vcpu_raw, r->vcpu_ns, r->vcpu_count * sizeof(*s->vcpu_raw));
	s->vcpu_count = r->vcpu_count;
}

static void
fields_take(struct series *s, struct series_reading *r, struct step *st)
{
	/* A field that is new in a life already sampled began after that: from zero. */
	bool from_zero = s->fresh || s->sampled;

	for (int f = 0; f < FIELD_COUNT; f++) {
		uint64_t d;
		if (!r->has[f])
			continue;
		d = delta_of(st, s->has[f], from_zero, s->raw[f], r->value[f]);
		s->sum[f] += d;
		r->delta[f] = d;
		s->raw[f] = r->value[f];
		s->has[f] = true;
	}
}

static void
gauges_take(struct series *s, const struct series_reading *r)
{
	for (int g = 0; g < GAUGE_COUNT; g++)
		if (r->has_gauge[g]) {
			s->gauge[g] = r->gauge[g];
			s->has_gauge[g] = true;
		}
}

bool
series_take(struct series *s, struct series_reading *r)
{
	struct step st = { .reset = false };

	if (s->sampled && r->at.ns <= s->through.ns)
		return false;
	if (!s->sampled || series_full(s, r->at))
		window_begin(s, r->at);
	st.then.t = s->through;
	st.now.t = r->at;
	st.now.epoch = counter_epoch(r->epoch);
	st.then.epoch = goes_on(s, r) ? st.now.epoch : counter_epoch(s->epoch);
	fields_take(s, r, &st);
	if (r->vcpu_count > 0)
		vcpus_take(s, r, &st);
	gauges_take(s, r);
	(void)snprintf(s->epoch, sizeof(s->epoch), "%s", r->epoch);
	s->through = r->at;
	s->resets += st.reset;
	s->samples++;
	s->simulated = s->simulated || r->simulated;
	s->sampled = true;
	s->dirty = true;
	return st.reset;
}

void
series_part(struct series *s)
{
	if (!series_has_row(s))
		return;
	s->to = s->through;
	s->dirty = true;
}

void
series_move(struct series *s, int64_t account_id)
{
	s->account_id = account_id;
	s->from = s->to = s->through;
	sums_clear(s);
	s->sent = (struct instant){ 0 };
	s->dirty = false;
}

bool
series_has_row(const struct series *s)
{
	return s->sampled && s->samples > 0;
}

void
series_done(struct series *s)
{
	free(s->vcpu_raw);
	s->vcpu_raw = NULL;
}
