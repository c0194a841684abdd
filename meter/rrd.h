/* SPDX-License-Identifier: Apache-2.0 */
/* rrd: graphs, never bills; values are gathered and written many a call, by a thread of
 * their own, so that a slow disk delays graphs alone */
#pragma once
#include "base/clock.h"
#include <stdbool.h>
#include <stdint.h>

/* What each kind's sources are, and how the pages call them: rrd_kinds.c. */
enum rrd_kind { RRD_VM, RRD_VM_DISK, RRD_HOST, RRD_POOL, RRD_VM_PERF, RRD_KINDS };
enum {
	RRD_FIELDS_MOST = 16,
	RRD_POOL_LEAST_S = 10 /* pools are not asked more often, whatever the steps */
};

struct rrd_settings {
	const char *folder;
	int64_t step_ns, guarded_ns;
	int64_t keep_ns;    /* files that nothing is added to for so long are removed */
	const char *cached; /* address of an rrdcached ("unix:/path"), or "" */
};

/* A value that may be missing: it becomes unknown, never zero. */
struct rrd_value {
	uint64_t value;
	bool has;
};

struct rrd_store; /* of one folder */

/* Starts its thread; what a collector that was killed had gathered is gathered again. */
struct rrd_store *rrd_store_new(const struct rrd_settings *settings) must_check;
/* Writes what was gathered, then ends. */
void rrd_store_free(struct rrd_store *r); /* NULL is fine */

/* Gathers values of an object at t (whole seconds), in the order of its sources; counters
 * as they are, a reset becomes an unknown step. */
void rrd_add(struct rrd_store *r, enum rrd_kind kind, const char *uuid, struct instant t,
    const struct rrd_value *values, int count);

/* Hands on what is due, spread over time; trouble is logged and never disturbs usage. */
void rrd_tick(struct rrd_store *r, struct mono now);
/* Somebody looks at this object: what is gathered of it is written now. */
void rrd_wanted(struct rrd_store *r, const char *uuid);
/* Everything is handed on, and in the files when it returns. */
void rrd_flush(struct rrd_store *r);
