/* SPDX-License-Identifier: Apache-2.0 */
/* alarm: when an alarm is raised and when it is over; decides from values, touches
 * nothing */
#include "snmp/alarm.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static struct instant
earlier(struct instant a, struct instant b)
{
	return a.ns < b.ns ? a : b;
}

static enum alarm_step
while_quiet(struct alarm_mark *m, enum alarm_sign sign, struct instant seen,
    struct instant now, int64_t hold_ns)
{
	if (sign != SIGN_BAD) {
		*m = (struct alarm_mark){ ALARM_OK, now };
		return STEP_NONE;
	}
	if (m->phase == ALARM_OK)
		*m = (struct alarm_mark){ ALARM_PENDING, earlier(seen, now) };
	m->since = earlier(m->since, now);
	if (now.ns - m->since.ns < hold_ns)
		return STEP_NONE;
	*m = (struct alarm_mark){ ALARM_ACTIVE, now };
	return STEP_RAISE;
}

static enum alarm_step
while_active(struct alarm_mark *m, enum alarm_sign sign, struct instant seen,
    struct instant now, int64_t hold_ns)
{
	bool was_clearing = m->phase == ALARM_CLEARING;

	if (sign != SIGN_GOOD) {
		m->phase = ALARM_ACTIVE;
		return was_clearing && sign == SIGN_BAD ? STEP_REPEAT : STEP_NONE;
	}
	if (!was_clearing)
		*m = (struct alarm_mark){ ALARM_CLEARING, earlier(seen, now) };
	m->since = earlier(m->since, now);
	if (now.ns - m->since.ns < hold_ns)
		return STEP_NONE;
	*m = (struct alarm_mark){ ALARM_OK, now };
	return STEP_CLEAR;
}

enum alarm_step
alarm_next(struct alarm_mark *m, enum alarm_sign sign, struct instant seen,
    struct instant now, const struct alarm_hold *hold)
{
	if (m->phase == ALARM_OK || m->phase == ALARM_PENDING)
		return while_quiet(m, sign, seen, now, hold->raise_ns);
	return while_active(m, sign, seen, now, hold->clear_ns);
}

enum alarm_sign
contact_sign(const struct contact *c, struct instant now, int64_t stale_ns,
    bool collector_lives, struct instant *since)
{
	*since = now;
	if (c->failing_since.ns != 0) {
		*since = c->failing_since;
		return SIGN_BAD;
	}
	if (c->last_ok.ns == 0)
		return SIGN_UNKNOWN;
	if (now.ns - c->last_ok.ns < stale_ns)
		return SIGN_GOOD;
	return collector_lives ? SIGN_BAD : SIGN_UNKNOWN;
}

struct alarm *
book_find(const struct book *b, const char *rule, const char *object)
{
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->list[i].object, object) == 0 &&
		    strcmp(b->list[i].rule, rule) == 0)
			return &b->list[i];
	return NULL;
}

struct alarm *
book_get(struct book *b, const char *rule, const char *object)
{
	struct alarm *a = book_find(b, rule, object);

	if (a != NULL)
		return a;
	if (b->count == b->capacity) {
		b->capacity = b->capacity * 2 + 8;
		b->list = mem_resize(b->list, b->capacity, sizeof(*b->list));
	}
	a = &b->list[b->count++];
	*a = (struct alarm){ .rule = mem_strdup(rule), .object = mem_strdup(object) };
	return a;
}

static void
alarm_done(struct alarm *a)
{
	free(a->rule);
	free(a->object);
}

void
book_tidy(struct book *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->count; i++) {
		if (b->list[i].mark.phase == ALARM_OK)
			alarm_done(&b->list[i]);
		else
			b->list[kept++] = b->list[i];
	}
	b->count = kept;
}

void
book_done(struct book *b)
{
	for (size_t i = 0; i < b->count; i++)
		alarm_done(&b->list[i]);
	free(b->list);
	*b = (struct book){ .list = NULL };
}
