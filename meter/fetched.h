/* SPDX-License-Identifier: Apache-2.0 */
/* fetched: rows of one graph file */
#pragma once
#include "base/attr.h"
#include "meter/graph.h"
#include "meter/rrd_kinds.h"
#include <stdbool.h>
#include <time.h>

/* What one file answered: rows of step seconds, each of as many values as there are
 * sources. */
struct fetched {
	time_t start, end; /* the first row ends at start + step */
	unsigned long step;
	unsigned long sources;
	char **names;
	double *data;
};

/* Averages of q's time from the object's file of that kind, at the nearest step that is
 * kept; call fetched_done() in either case.  False: there is no such file, or it is
 * broken. */
must_check bool fetched_get(struct fetched *f, const struct graph_query *q,
    enum rrd_kind kind);
void fetched_done(struct fetched *f);
/* When the object's file of that kind was written last; 0: there is none. */
time_t fetched_last(const struct graph_query *q, enum rrd_kind kind);
