/* SPDX-License-Identifier: Apache-2.0 */
/* spool: what must not be lost while PostgreSQL or a receiver is away (SQLite, fsynced)
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Records by key; putting a key again replaces its payload when order is larger
 * (the same rule as the upsert in PostgreSQL: absolute states, safe to repeat).
 * Use order = through time for usage rows, a sequence number for notifications.
 */
struct spool;

/*
 * What an earlier life left damaged.  Records that stand alone are saved; where the
 * newest ones tell what the others said before (usage), half of them are worse than none.
 */
enum spool_found_damaged { SPOOL_SALVAGE, SPOOL_START_OVER };

/* Creates the file if need be.  A torn or foreign file is set aside with a log line, here
 * or when it shows later; what it still tells is in the new one, but for START_OVER here.
 */
must_check bool spool_open(struct spool **out, const char *path,
    enum spool_found_damaged found, struct err *e);
void spool_close(struct spool *s); /* NULL is fine */

/* One durable group: after it returns true all records are on disk. */
struct spool_record {
	const char *key; /* up to 255 bytes */
	int64_t order;
	const char *payload; /* text, up to 1 MiB */
	int64_t seq; /* its place, when read: what was first put later is larger */
};
must_check bool spool_put(struct spool *s, const struct spool_record *records,
    size_t count, struct err *e);

/* Oldest first, at most count of them; the visitor answers false to stop. */
typedef bool (*spool_visit)(const struct spool_record *record, void *context);
must_check bool spool_each(struct spool *s, size_t count, spool_visit visit,
    void *context, struct err *e);

/* The same from a place on, for who keeps records after having looked at them. */
must_check bool spool_each_after(struct spool *s, int64_t seq, size_t count,
    spool_visit visit, void *context, struct err *e);

/* Forgets key unless a larger order was put meanwhile. */
must_check bool spool_drop(struct spool *s, const char *key, int64_t order,
    struct err *e);
/* The same for many, in one transaction. */
must_check bool spool_drop_all(struct spool *s, const struct spool_record *records,
    size_t count, struct err *e);
must_check bool spool_count(struct spool *s, uint64_t *count, struct err *e);
