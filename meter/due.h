/* SPDX-License-Identifier: Apache-2.0 */
/* due: what is to be done next, for any number of things */
#pragma once
#include "base/clock.h"
#include <stddef.h>
#include <stdint.h>

/* Stands inside the thing that is due; zeroed: in no queue. */
struct due_item {
	struct mono at;
	size_t place; /* 1 and up while queued */
};

struct due {
	struct due_item **heap;
	size_t count, room;
};

/* Queues the item, or moves it to another time. */
void due_set(struct due *q, struct due_item *item, struct mono at);
void due_drop(struct due *q, struct due_item *item); /* not queued is fine */
/* The earliest, or NULL; it stays queued. */
struct due_item *due_first(const struct due *q);
void due_done(struct due *q);

/*
 * The next instant after now that lies smear after a whole multiple of step: so rounds
 * meet hour borders as a whole while their hosts are spread over the step.
 */
struct instant due_slot(struct instant now, int64_t step_ns, int64_t smear_ns);
/* Of a name: the same on every machine and after every restart; 0 .. step. */
int64_t due_smear(const char *name, int64_t step_ns);
/* How long to wait after so many failures in a row: grows from step, at most four steps
 * and half a minute. */
int64_t due_backoff(int64_t step_ns, unsigned failures);
