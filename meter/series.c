/* SPDX-License-Identifier: Apache-2.0 */
/* series: one resource's counters over time, and its open usage window */
#include "meter/series.h"
#include "base/mem.h"
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which counters and gauges a kind has: so many from that one on. */
static const struct {
	int counter, counters, gauge, gauges;
} kinds[] = {
	[SERIES_VM] = { FIELD_CPU, 1, GAUGE_MEMORY, 3 },
	[SERIES_NIC] = { FIELD_NET_RX, 2, 0, 0 },
	[SERIES_VOLUME] = { FIELD_DISK_READ, 4, GAUGE_CAPACITY, 3 },
};
size_t
series_size(enum series_kind kind)
{
	if (kind == SERIES_VM)
		return sizeof(struct series);
	if (kinds[kind].gauges == 0)
		return offsetof(struct series, counter) +
		    (size_t)kinds[kind].counters * sizeof(struct series_counter);
	return offsetof(struct series, vcpu_sum);
}

static_assert(FIELD_COUNT <= 8 && GAUGE_COUNT <= 8, "their bits are in a byte");

struct series_counter *
series_counter(struct series *s, enum series_field f)
{
	int i = (int)f - kinds[s->kind].counter;

	return i >= 0 && i < kinds[s->kind].counters ? &s->counter[i] : NULL;
}

uint64_t *
series_gauge(struct series *s, enum series_gauge g)
{
	int i = (int)g - kinds[s->kind].gauge;

	return i >= 0 && i < kinds[s->kind].gauges ? &s->gauge[i] : NULL;
}

/* ---- the name of a run */

static struct epoch *
epoch_new(const char *text)
{
	size_t length = strnlen(text, SERIES_EPOCH_MAX - 1);
	struct epoch *e = mem_alloc(sizeof(*e) + length + 1);

	e->users = 1;
	memcpy(e->text, text, length);
	return e;
}

static void
epoch_drop(struct epoch *e)
{
	if (e != NULL && --e->users == 0)
		free(e);
}

const char *
series_epoch_text(const struct series *s)
{
	return s->epoch != NULL ? s->epoch->text : "";
}

void
series_epoch_set(struct series *s, const char *text)
{
	struct epoch *was = s->epoch;

	if (was != NULL && strcmp(was->text, text) == 0)
		return;
	s->epoch = epoch_new(text);
	epoch_drop(was);
}

/* A disk's is its guest's, and so is that of a card without a port: one text for all. */
static void
epoch_take(struct series *s, const struct series_reading *r)
{
	if (r->like == NULL || strcmp(r->like->text, r->epoch) != 0) {
		series_epoch_set(s, r->epoch);
		return;
	}
	if (r->like == s->epoch)
		return;
	epoch_drop(s->epoch);
	s->epoch = r->like;
	s->epoch->users++;
}

/* ---- windows */

static void
sums_clear(struct series *s)
{
	for (int i = 0; i < kinds[s->kind].counters; i++)
		s->counter[i].sum = 0;
	if (s->kind == SERIES_VM)
		s->vcpu_sum = 0;
	s->samples = 0;
	s->resets = 0;
}

/* Made for each sample of each series: by printf it would cost more than the rest. */
struct text {
	char *at, *end;
};

static void
text_add(struct text *t, const char *more)
{
	while (*more != '\0' && t->at < t->end)
		*t->at++ = *more++;
}

static void
text_number(struct text *t, int64_t n)
{
	char digits[24] = "";
	char *at = digits + sizeof(digits) - 1;
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	do {
		*--at = (char)('0' + left % 10);
		left /= 10;
	} while (left != 0);
	if (n < 0)
		*--at = '-';
	text_add(t, at);
}

void
series_epoch(char out[SERIES_EPOCH_MAX], const char *host_uuid, int64_t domain_id,
    const struct series_run *run, const char *port)
{
	struct text t = { out, out + SERIES_EPOCH_MAX - 1 };

	text_add(&t, host_uuid);
	text_add(&t, "/");
	text_number(&t, domain_id);
	text_add(&t, "/");
	text_number(&t, run->begun.ns / NS_PER_US);
	text_add(&t, run->own ? "!" : "");
	text_add(&t, port[0] != '\0' ? "/" : "");
	text_add(&t, port);
	*t.at = '\0';
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
	const char *then = series_epoch_text(s);

	return same_run(then, r->epoch) ||
	    (r->guessed.ns != 0 && s->through.ns >= r->guessed.ns &&
		same_but_begin(then, r->epoch));
}

/* Of another run, or after a row of another turn. */
static bool
begins_apart(const struct series *s, const struct series_reading *r)
{
	return s->foreign || (series_has_row(s) && !goes_on(s, r));
}

/* Never before the end of the row before it, whatever became of the rule. */
static void
window_begin(struct series *s, const struct series_reading *r)
{
	struct instant before = s->to;

	window_of(r->at, s->rule, &s->from, &s->to);
	if (s->sampled && s->from.ns < before.ns)
		s->from = before;
	if (begins_apart(s, r) && s->from.ns < r->at.ns - NS_PER_US)
		s->from.ns = r->at.ns - NS_PER_US;
	s->foreign = false;
	sums_clear(s);
}

bool
series_full(const struct series *s, const struct series_reading *r)
{
	struct instant from;
	struct instant to;

	if (!s->sampled)
		return false;
	if (begins_apart(s, r))
		return true;
	window_of(r->at, s->rule, &from, &to);
	return r->at.ns > s->to.ns || (from.ns > s->from.ns && from.ns >= s->through.ns);
}

void
series_end(struct series *s, const struct series_reading *r)
{
	struct instant from;
	struct instant to;

	if (begins_apart(s, r) && r->at.ns - NS_PER_US < s->to.ns) {
		s->to.ns = r->at.ns - NS_PER_US;
		s->dirty = true;
	}
	window_of(r->at, s->rule, &from, &to);
	if (from.ns >= s->through.ns && from.ns < s->to.ns) {
		s->to = from;
		s->dirty = true;
	}
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
	if (s->vcpu_count != r->vcpu_count)
		s->vcpu_raw = mem_resize(s->vcpu_raw, r->vcpu_count,
		    sizeof(*s->vcpu_raw));
	memcpy(s->vcpu_raw, r->vcpu_ns, r->vcpu_count * sizeof(*s->vcpu_raw));
	s->vcpu_count = (uint16_t)r->vcpu_count;
}

static void
fields_take(struct series *s, struct series_reading *r, struct step *st)
{
	/* A field that is new in a life already sampled began after that: from zero. */
	bool from_zero = s->fresh || s->sampled;

	for (int i = 0; i < kinds[s->kind].counters; i++) {
		struct series_counter *c = &s->counter[i];
		int f = kinds[s->kind].counter + i;
		unsigned bit = 1U << f;
		uint64_t d;
		if (!r->has[f])
			continue;
		d = delta_of(st, (s->has & bit) != 0, from_zero, c->raw, r->value[f]);
		c->sum += d;
		r->delta[f] = d;
		c->raw = r->value[f];
		s->has |= (uint8_t)bit;
	}
}

static void
gauges_take(struct series *s, const struct series_reading *r)
{
	for (int i = 0; i < kinds[s->kind].gauges; i++) {
		int g = kinds[s->kind].gauge + i;
		if (!r->has_gauge[g])
			continue;
		s->gauge[i] = r->gauge[g];
		s->has_gauge |= (uint8_t)(1U << g);
	}
}

bool
series_take(struct series *s, struct series_reading *r)
{
	struct step st = { .reset = false };

	if (s->sampled && r->at.ns <= s->through.ns)
		return false;
	if (!s->sampled || series_full(s, r))
		window_begin(s, r);
	st.then.t = s->through;
	st.now.t = r->at;
	st.now.epoch = 1; /* only whether they are the same matters */
	st.then.epoch = goes_on(s, r) ? 1 : 0;
	fields_take(s, r, &st);
	if (r->vcpu_count > 0)
		vcpus_take(s, r, &st);
	gauges_take(s, r);
	epoch_take(s, r);
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
	if (s->kind == SERIES_VM) {
		free(s->vcpu_raw);
		s->vcpu_raw = NULL;
	}
	epoch_drop(s->epoch);
	s->epoch = NULL;
}
