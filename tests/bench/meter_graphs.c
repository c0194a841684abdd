/* SPDX-License-Identifier: Apache-2.0 */
/* meter_graphs FOLDER OBJECTS VALUES: the collector's graphs, as many values a flush */
#include "base/log.h"
#include "meter/rrd.h"
#include "tests/bench/bench.h"
#include <stdio.h>
#include <stdlib.h>

enum { STEP_S = 10, BEGIN_S = 1700000000 };

struct work {
	struct rrd_store *store;
	unsigned long objects, values;
	int64_t at_s;
};

/* As many steps as the collector gathers between two flushes, of all guests. */
static uint64_t
graphs_round(void *context)
{
	struct work *w = context;
	char uuid[40];

	for (unsigned long v = 0; v < w->values; v++, w->at_s += STEP_S)
		for (unsigned long i = 0; i < w->objects; i++) {
			uint64_t n = (uint64_t)w->at_s * (i + 1);
			const struct rrd_value values[] = { { 1, true }, { n, true },
				{ n, true }, { n, true }, { n, true }, { 1, true } };
			(void)snprintf(uuid, sizeof(uuid),
			    "%08lx-0000-4000-8000-000000000000", i << 16);
			rrd_add(w->store, RRD_VM, uuid,
			    (struct instant){ w->at_s * NS_PER_S }, values, 6);
		}
	rrd_flush(w->store);
	return w->objects * w->values;
}

int
main(int argc, char **argv)
{
	struct work w = { .at_s = BEGIN_S };
	struct rrd_settings settings = { .step_ns = STEP_S * NS_PER_S,
		.guarded_ns = 6 * (STEP_S * NS_PER_S),
		.cached = "" };

	if (argc < 4) {
		(void)fprintf(stderr,
		    "usage: meter_graphs FOLDER OBJECTS VALUES [RRDCACHED]\n");
		return 2;
	}
	settings.folder = argv[1];
	if (argc > 4)
		settings.cached = argv[4];
	w.store = rrd_store_new(&settings);
	w.objects = strtoul(argv[2], NULL, 10);
	w.values = strtoul(argv[3], NULL, 10);
	return bench_serve(graphs_round, &w, 0);
}
