/* SPDX-License-Identifier: Apache-2.0 */
/* fetched: rows of one graph file */
#include "meter/fetched.h"
#include <rrd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
fetched_done(struct fetched *f)
{
	for (unsigned long i = 0; i < f->sources; i++)
		free(f->names[i]);
	free(f->names);
	free(f->data);
}

bool
fetched_get(struct fetched *f, const struct graph_query *q, enum rrd_kind kind)
{
	char path[RRD_PATH_MAX];

	memset(f, 0, sizeof(*f));
	f->start = (time_t)q->from;
	f->end = (time_t)q->to;
	f->step = q->step > 0 ? (unsigned long)q->step : 1;
	rrd_path(path, q->folder, kind, q->uuid);
	return access(path, R_OK) == 0 &&
	    rrd_fetch_r(path, "AVERAGE", &f->start, &f->end, &f->step, &f->sources,
		&f->names, &f->data) == 0;
}

time_t
fetched_last(const struct graph_query *q, enum rrd_kind kind)
{
	char path[RRD_PATH_MAX];
	time_t last;

	rrd_path(path, q->folder, kind, q->uuid);
	last = access(path, R_OK) == 0 ? rrd_last_r(path) : 0;
	return last > 0 ? last : 0;
}
