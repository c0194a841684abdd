/* SPDX-License-Identifier: Apache-2.0 */
/* store: usage rows to PostgreSQL, or to the spool while it is away */
#pragma once
#include "base/db.h"
#include "base/spool.h"
#include "meter/series.h"

/* The 27 values of meter_window_put as one line with tabs; caller frees. */
char *store_line(const struct series *s) must_check;
/* Rows by one round trip. */
must_check bool store_lines(struct db *db, char **lines, size_t count, struct err *e);
/* Rows durable on this machine; keyed by resource and window, ordered by through. */
must_check bool store_spool(struct spool *spool, const struct series *const *list,
    size_t count, struct err *e);
/* Spooled rows into the database, oldest first, until none is left. */
must_check bool store_drain(struct spool *spool, struct db *db, struct err *e);
/* Where a resource's counters stood when its last row was written; nothing: untouched. */
must_check bool store_load(struct db *db, struct series *s, struct err *e);
