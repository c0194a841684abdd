/* SPDX-License-Identifier: Apache-2.0 */
/* due: what is to be done next, for any number of things; a binary heap */
#include "meter/due.h"
#include "base/counter.h"
#include "base/mem.h"
#include <stdlib.h>

#define BACKOFF_MOST_NS (30 * NS_PER_S)

static void
place(struct due *q, struct due_item *item, size_t at)
{
	q->heap[at - 1] = item;
	item->place = at;
}

static void
rise(struct due *q, struct due_item *item, size_t at)
{
	while (at > 1 && q->heap[at / 2 - 1]->at.ns > item->at.ns) {
		place(q, q->heap[at / 2 - 1], at);
		at /= 2;
	}
	place(q, item, at);
}

static void
sink(struct due *q, struct due_item *item, size_t at)
{
	for (size_t child = 2 * at; child <= q->count; child = 2 * at) {
		if (child < q->count && q->heap[child]->at.ns < q->heap[child - 1]->at.ns)
			child++;
		if (q->heap[child - 1]->at.ns >= item->at.ns)
			break;
		place(q, q->heap[child - 1], at);
		at = child;
	}
	place(q, item, at);
}

void
due_set(struct due *q, struct due_item *item, struct mono at)
{
	struct mono before = item->at;

	item->at = at;
	if (item->place == 0) {
		if (q->count == q->room) {
			q->room = q->room == 0 ? 64 : 2 * q->room;
			q->heap = mem_resize(q->heap, q->room, sizeof(struct due_item *));
		}
		rise(q, item, ++q->count);
	} else if (at.ns < before.ns)
		rise(q, item, item->place);
	else
		sink(q, item, item->place);
}

void
due_drop(struct due *q, struct due_item *item)
{
	size_t at = item->place;
	struct due_item *last;

	if (at == 0)
		return;
	item->place = 0;
	last = q->heap[--q->count];
	if (last == item)
		return;
	place(q, last, at);
	if (at > 1 && q->heap[at / 2 - 1]->at.ns > last->at.ns)
		rise(q, last, at);
	else
		sink(q, last, at);
}

struct due_item *
due_first(const struct due *q)
{
	return q->count > 0 ? q->heap[0] : NULL;
}

void
due_done(struct due *q)
{
	free(q->heap);
	*q = (struct due){ NULL, 0, 0 };
}

struct instant
due_slot(struct instant now, int64_t step_ns, int64_t smear_ns)
{
	struct instant slot = instant_floor((struct instant){ now.ns - smear_ns },
	    step_ns);

	slot.ns += smear_ns + step_ns;
	return slot;
}

int64_t
due_smear(const char *name, int64_t step_ns)
{
	return (int64_t)(counter_epoch(name) % (uint64_t)step_ns);
}

int64_t
due_backoff(int64_t step_ns, unsigned failures)
{
	int64_t most = 4 * step_ns < BACKOFF_MOST_NS ? 4 * step_ns : BACKOFF_MOST_NS;
	int64_t wait = step_ns;

	for (unsigned i = 1; i < failures && wait < most; i++)
		wait *= 2;
	if (wait > most)
		wait = most;
	return wait > step_ns ? wait : step_ns;
}
