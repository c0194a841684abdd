/* SPDX-License-Identifier: Apache-2.0 */
/* rrd_kinds: what is in the graph files, and how it is shown; told once for all */
#pragma once
#include "meter/rrd.h"
#include <stddef.h>

struct rrd_source {
	const char *name;  /* at most 19 letters, digits and underscores */
	bool counter;      /* DERIVE: files never take a reset for a wrap */
	const char *shown; /* the column's name */
	int64_t divisor;   /* shown = rate or value / divisor */
	const char *topic; /* which picture it is in */
	const char *title; /* there */
	const char *color;
};

struct rrd_layout {
	const char *folder; /* below v2/ */
	const char *suffix; /* of the file's name */
	bool guarded;       /* by the guarded step */
	struct rrd_source sources[RRD_FIELDS_MOST + 1];
};

extern const struct rrd_layout rrd_layouts[RRD_KINDS];

int rrd_source_count(enum rrd_kind kind);
/* The kinds that belong to an object of the pages ("vm", "host", "pool"); answers how
 * many, 0: no such object. */
size_t rrd_kinds_of(const char *object, enum rrd_kind out[RRD_KINDS]);
/* FOLDER/v2/vm/3f/3f1f....rrd; room is at least RRD_PATH_MAX. */
#define RRD_PATH_MAX 4096
void rrd_path(char out[RRD_PATH_MAX], const char *folder, enum rrd_kind kind,
    const char *uuid);
