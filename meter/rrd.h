/* SPDX-License-Identifier: Apache-2.0 */
/* rrd: graphs, never bills; values are gathered and written many a call */
#pragma once
#include "base/clock.h"
#include <stdint.h>

enum rrd_kind { RRD_VM, RRD_VM_DISK, RRD_HOST };
enum { RRD_FIELDS_MOST = 5 };

struct rrd_store; /* of one folder */
struct rrd_store *rrd_store_new(const char *folder, int64_t step_ns,
    int64_t guarded_step_ns);

/* Gathers values of an object at t (whole seconds); counters are monotonic totals. */
void rrd_add(struct rrd_store *r, enum rrd_kind kind, const char *uuid, struct instant t,
    const uint64_t *values, int count);
/* Writes what was gathered; trouble is logged and never disturbs usage. */
void rrd_flush(struct rrd_store *r);
