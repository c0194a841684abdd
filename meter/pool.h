/* SPDX-License-Identifier: Apache-2.0 */
/* pool: worker threads that ask hosts; a hung host costs one worker, never the round */
#pragma once
#include "meter/meter.h"

struct pool;
struct pool *pool_new(struct meter *m, struct proc *p) must_check;

/*
 * Asks a host by one lane; false when that lane of that host is still under way, with for
 * how long (ns).  uri is copied.  The answer comes back through meter_take().
 */
bool pool_ask(struct pool *pool, int64_t host_id, const char *uri, bool guarded,
    int64_t *since_ns);
