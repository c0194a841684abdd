/* SPDX-License-Identifier: Apache-2.0 */
/* graph: one question about an object's graph, answered as columns or as a picture */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct graph_query {
	const char *folder; /* of the graph files */
	const char *object; /* "vm", "host", "pool" */
	const char *uuid;
	int64_t from, to;   /* seconds since 1970 */
	int64_t step;       /* wanted, seconds; 0: the finest there is */
	const char *format; /* "json", "png", "svg" */
	const char *topic;  /* of a picture: "cpu", "memory", "network", "disk", ... */
	const char *title;  /* over it; NULL: none */
	int width, height;  /* of its field, pixels */
	bool forecast;      /* with what was to be expected, and is; to may be ahead */
};

/*
 * json: {"start":..,"step":..,"series":{"cpu":[..],..}}, missing values null; with a
 * forecast also "forecast":{"season":..,"known":..,"series":{"cpu":{"expected":[..],
 * "low":[..],"high":[..]},..}} of CPU, network and disk, or "forecast":{"why":".."}.  A
 * picture comes as the bytes of its file; where there is no forecast it says so.
 * ERR_NOT_FOUND: nothing was drawn of it yet; ERR_INPUT: no such object, topic or format.
 * Graphs only: money is never computed from these.
 */
must_check bool graph_run(const struct graph_query *q, struct buf *out, struct err *e);
