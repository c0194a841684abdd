/* SPDX-License-Identifier: Apache-2.0 */
/* pool: worker threads that ask hosts; one that hangs is replaced, up to a limit */
#pragma once
#include "meter/meter.h"
#include <event2/event.h>

struct pool;

struct pool_calls {
	/* In the loop's thread; the answer's round is released after. */
	void (*answer)(void *context, struct meter_answer *answer);
	void (*event)(void *context, int64_t host_id, const char *uuid);
	void *context;
};

struct pool *pool_new(unsigned workers, struct event_base *base,
    const struct pool_calls *calls) must_check;

/* As struct meter_ports has them. */
void pool_ask(struct pool *p, const struct meter_question *q);
bool pool_progress(struct pool *p, int64_t ticket, struct meter_progress *out);
void pool_abandon(struct pool *p, int64_t ticket);
void pool_forget(struct pool *p, int64_t host_id);
