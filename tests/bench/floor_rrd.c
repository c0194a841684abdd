/* SPDX-License-Identifier: Apache-2.0 */
/* floor_rrd FOLDER VALUES: rrd_update_r on each file of the folder, texts made before */
#include "base/attr.h"
#include "tests/bench/bench.h"
#include <glob.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_S = 10, VALUES_MOST = 64, TEXT_MAX = 80 };

struct work {
	glob_t files;
	int values;
	long at_s;
};

static uint64_t
rrd_round(void *context)
{
	struct work *w = context;
	static char text[VALUES_MOST][TEXT_MAX];
	const char *argv[VALUES_MOST];

	for (int v = 0; v < w->values; v++, w->at_s += STEP_S) {
		(void)snprintf(text[v], TEXT_MAX, "%ld:1:%ld:%ld:%ld:%ld:1", w->at_s,
		    w->at_s, w->at_s, w->at_s, w->at_s);
		argv[v] = text[v];
	}
	for (size_t i = 0; i < w->files.gl_pathc; i++)
		if (rrd_update_r(w->files.gl_pathv[i], NULL, w->values, argv) != 0) {
			(void)fprintf(stderr, "%s\n", rrd_get_error());
			return 0;
		}
	return w->files.gl_pathc * (uint64_t)w->values;
}

int
main(int argc, char **argv)
{
	struct work w = { .values = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0 };
	char pattern[4096];

	if (w.values < 1 || w.values > VALUES_MOST) {
		(void)fprintf(stderr, "usage: floor_rrd FOLDER VALUES\n");
		return 2;
	}
	(void)snprintf(pattern, sizeof(pattern), "%s/v2/vm/*/*.rrd", argv[1]);
	if (glob(pattern, 0, NULL, &w.files) != 0) {
		(void)fprintf(stderr, "no file like %s\n", pattern);
		return 1;
	}
	w.at_s = rrd_last_r(w.files.gl_pathv[0]) + STEP_S;
	return bench_serve(rrd_round, &w, 0);
}
