/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: what one receiver is still owed, in which order, and when it may be tried */
#include "snmp/outbox.h"
#include <stdio.h>
#include <string.h>

enum { LOOK_MOST = 256 };

void
outbox_init(struct outbox *o, const struct outbox_rules *rules)
{
	*o = (struct outbox){ .rules = *rules };
	TAILQ_INIT(&o->queue);
}

void
outbox_put(struct outbox *o, struct letter *l)
{
	struct letter *before;

	TAILQ_FOREACH_REVERSE (before, &o->queue, letters, queue)
		if (before->notice->seq < l->notice->seq)
			break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&o->queue, before, l, queue);
	else
		TAILQ_INSERT_HEAD(&o->queue, l, queue);
	o->count++;
}

/* Another letter about the same stands before it. */
static bool
overtakes(const struct outbox *o, const struct letter *l)
{
	const struct letter *before;

	TAILQ_FOREACH (before, &o->queue, queue) {
		if (before == l)
			return false;
		if (notice_same_object(before->notice, l->notice))
			return true;
	}
	return false;
}

static size_t
window(const struct outbox *o)
{
	return o->failures > 0 && !o->rules.stream ? 1 : o->rules.window;
}

struct letter *
outbox_next(const struct outbox *o, int64_t now_ns)
{
	struct letter *l;
	int looked = 0;

	if (now_ns < o->not_before_ns || o->out >= window(o))
		return NULL;
	TAILQ_FOREACH (l, &o->queue, queue) {
		if (l->state == LETTER_WAITING &&
		    (!o->rules.answered || !overtakes(o, l)))
			return l;
		if (o->rules.answered && ++looked == LOOK_MOST)
			return NULL;
	}
	return NULL;
}

void
outbox_went(struct outbox *o, struct letter *l, int64_t now_ns)
{
	l->state = LETTER_OUT;
	l->out_ns = now_ns;
	l->attempts++;
	o->out++;
}

static void
end(struct outbox *o, struct letter *l, enum letter_state state, struct instant at)
{
	if (l->state == LETTER_OUT)
		o->out--;
	TAILQ_REMOVE(&o->queue, l, queue);
	o->count--;
	l->state = state;
	l->ended = at;
	l->notice->revision++;
}

void
outbox_confirmed(struct outbox *o, struct letter *l, struct instant at)
{
	o->failures = 0;
	o->silent = false;
	o->not_before_ns = 0;
	l->error[0] = '\0';
	end(o, l, LETTER_CONFIRMED, at);
}

/* 1, 2, 4 ... 30 s; failures of letters that went together count once. */
static void
wait_longer(struct outbox *o, int64_t now_ns)
{
	static const int64_t waits_s[] = { 1, 2, 4, 8, 16, 30 };

	if (now_ns < o->not_before_ns)
		return;
	if (o->failures < (int)ARRAY_LEN(waits_s))
		o->failures++;
	o->not_before_ns = now_ns + waits_s[o->failures - 1] * NS_PER_S;
}

static void
take_back(struct outbox *o, struct letter *l)
{
	l->state = LETTER_WAITING;
	o->out--;
}

/* The reason is worth writing down once, not at every try. */
static void
blame(struct letter *l, const char *why)
{
	if (strncmp(l->error, why, sizeof(l->error) - 1) == 0)
		return;
	(void)snprintf(l->error, sizeof(l->error), "%s", why);
	l->notice->revision++;
}

void
outbox_silent(struct outbox *o, struct letter *l, int64_t now_ns, const char *why)
{
	if (l->state != LETTER_OUT)
		return;
	o->silent = true;
	take_back(o, l);
	blame(l, why);
	wait_longer(o, now_ns);
}

void
outbox_silent_all(struct outbox *o, int64_t now_ns, const char *why)
{
	struct letter *l;

	TAILQ_FOREACH (l, &o->queue, queue)
		outbox_silent(o, l, now_ns, why);
}

void
outbox_refused(struct outbox *o, int64_t now_ns, const char *why)
{
	struct letter *l;
	bool first = true;

	if (o->count == 0)
		return; /* nobody misses it */
	o->silent = false;
	if (o->out == 0) /* no way to it: nothing could go yet */
		blame(TAILQ_FIRST(&o->queue), why);
	TAILQ_FOREACH (l, &o->queue, queue) {
		if (l->copied && now_ns - l->copied_ns < o->rules.settle_ns)
			l->copied = false;
		if (l->state != LETTER_OUT)
			continue;
		take_back(o, l);
		if (first)
			blame(l, why);
		first = false;
	}
	wait_longer(o, now_ns);
}

size_t
outbox_settle(struct outbox *o, int64_t now_ns, struct instant at)
{
	struct letter *l;
	struct letter *next;
	size_t count = 0;

	if (o->rules.answered || o->out == 0)
		return 0;
	for (l = TAILQ_FIRST(&o->queue); l != NULL; l = next) {
		next = TAILQ_NEXT(l, queue);
		if (l->state != LETTER_OUT || now_ns - l->out_ns < o->rules.settle_ns)
			continue;
		l->error[0] = '\0';
		end(o, l, LETTER_TOLD, at);
		count++;
	}
	if (count != 0) {
		o->failures = 0;
		o->not_before_ns = 0;
	}
	return count;
}

struct letter *
outbox_next_copy(const struct outbox *o)
{
	struct letter *l;

	if (!o->silent)
		return NULL;
	TAILQ_FOREACH (l, &o->queue, queue)
		if (!l->copied)
			return l;
	return NULL;
}

void
outbox_copied(struct letter *l, int64_t now_ns)
{
	l->copied = true;
	l->copied_ns = now_ns;
	l->notice->revision++;
}

static bool
superseded(const struct letter *l)
{
	const struct letter *after = l;

	while ((after = TAILQ_NEXT(after, queue)) != NULL)
		if (notice_same_object(after->notice, l->notice))
			return true;
	return false;
}

static void
drop(struct outbox *o, struct letter *l, struct instant at, const char *why)
{
	(void)snprintf(l->error, sizeof(l->error), "%s", why);
	end(o, l, LETTER_DROPPED, at);
	o->dropped++;
}

size_t
outbox_shrink(struct outbox *o, size_t most, struct instant at)
{
	uint64_t before = o->dropped;
	struct letter *l;
	struct letter *next;

	for (l = TAILQ_FIRST(&o->queue); l != NULL && o->count > most; l = next) {
		next = TAILQ_NEXT(l, queue);
		if (l->state == LETTER_WAITING && superseded(l))
			drop(o, l, at,
			    "too many wait: a newer one about the same is kept");
	}
	while (o->count > most && (l = TAILQ_FIRST(&o->queue)) != NULL)
		drop(o, l, at, "too many wait: the oldest is dropped");
	return (size_t)(o->dropped - before);
}
