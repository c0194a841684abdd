/* SPDX-License-Identifier: Apache-2.0 */
/* keep: what the collector has on this machine, so that a restart while the database is
 * away loses nothing: the newest row of each resource, rows not written yet, and the
 * inventory */
#pragma once
#include "base/err.h"
#include "base/spool.h"
#include "meter/store.h"

struct keep;

/* folder: for files of its own.  Without a disk that works everything else goes on. */
must_check bool keep_open(struct keep **out, const char *folder, struct err *e);
void keep_close(struct keep *k); /* NULL is fine */

/* A group of rows as they are to be written, durable when it returns true.  Of the same
 * key (keep_key) the later one stays. */
struct keep_row {
	enum store_kind kind;
	char key[160];
	int64_t order; /* ns: the row's through */
	const char *line;
};
must_check bool keep_put(struct keep *k, const struct keep_row *rows, size_t count,
    struct err *e);
must_check bool keep_drop(struct keep *k, const struct keep_row *rows, size_t count,
    struct err *e);

/* "account/resource/window begin" */
void keep_key(char out[160], const struct series *s);

/* From a place on (0: all), in the order in which they were first put. */
typedef bool (*keep_visit)(void *context, enum store_kind kind, const char *key,
    int64_t order, const char *line, int64_t place);
must_check bool keep_each(struct keep *k, int64_t place, size_t count, keep_visit visit,
    void *context, struct err *e);

/* The last snapshot of the inventory; text is the caller's to free. */
must_check bool keep_snapshot(struct keep *k, const char *text, struct err *e);
must_check bool keep_snapshot_read(struct keep *k, char **text, struct err *e);
/* What is kept grows old: a restart must not go on from it before the database answers.
 */
void keep_snapshot_forget(const struct keep *k);
