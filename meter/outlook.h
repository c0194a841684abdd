/* SPDX-License-Identifier: Apache-2.0 */
/* outlook: what was and is to be expected of one source of a graph */
#pragma once
#include "meter/forecast.h"
#include "meter/graph.h"
#include "meter/rrd_kinds.h"

/* What was and is to be expected of one source: rows of step seconds from start on. */
struct outlook {
	const struct rrd_source *source;
	int64_t start, step, season;
	int64_t known; /* seconds of history */
	size_t rows;
	struct forecast_band *bands; /* NULL: there is none */
};

/* Of the object's file of that kind; without bands where too little is known.  End it
 * with outlook_done(). */
void outlook_of(struct outlook *o, const struct graph_query *q, enum rrd_kind kind,
    const struct rrd_source *source);
/* In a second between rows too; not a number where nothing is expected. */
struct forecast_band outlook_at(const struct outlook *o, int64_t at);
/* "no forecast: 1.2 days are known, ..." */
void outlook_why(char out[128], int64_t known_s);
void outlook_done(struct outlook *o);
