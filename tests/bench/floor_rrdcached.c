/* SPDX-License-Identifier: Apache-2.0 */
/* floor_rrdcached FOLDER VALUES SOCKET: an update of each file of the folder in one BATCH
 * a round, by a plain socket */
#include "base/attr.h"
#include "tests/bench/bench.h"
#include <glob.h>
#include <rrd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { STEP_S = 10, VALUES_MOST = 64, ANSWER_MOST = 4096 };

struct work {
	glob_t files;
	int values;
	long at_s;
	FILE *link;
};

static void
update_put(const struct work *w, const char *path)
{
	(void)fprintf(w->link, "update %s", path);
	for (int v = 0; v < w->values; v++) {
		long at = w->at_s + (long)v * STEP_S;
		(void)fprintf(w->link, " %ld:1:%ld:%ld:%ld:%ld:1", at, at, at, at, at);
	}
	(void)fputc('\n', w->link);
}

/* "0 Go ahead...", then "0 errors". */
static bool
answered(const struct work *w)
{
	char line[ANSWER_MOST];

	return fgets(line, sizeof(line), w->link) != NULL && line[0] == '0' &&
	    fgets(line, sizeof(line), w->link) != NULL && line[0] == '0';
}

static uint64_t
cached_round(void *context)
{
	struct work *w = context;

	(void)fputs("batch\n", w->link);
	for (size_t i = 0; i < w->files.gl_pathc; i++)
		update_put(w, w->files.gl_pathv[i]);
	(void)fputs(".\n", w->link);
	(void)fflush(w->link);
	w->at_s += (long)w->values * STEP_S;
	if (!answered(w)) {
		(void)fprintf(stderr, "rrdcached refuses values\n");
		return 0;
	}
	return w->files.gl_pathc * (uint64_t)w->values;
}

static FILE *
link_open(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return NULL;
	return fdopen(fd, "r+");
}

int
main(int argc, char **argv)
{
	struct work w = { .values = argc == 4 ? (int)strtol(argv[2], NULL, 10) : 0 };
	char pattern[4096];

	if (w.values < 1 || w.values > VALUES_MOST) {
		(void)fprintf(stderr, "usage: floor_rrdcached FOLDER VALUES SOCKET\n");
		return 2;
	}
	(void)snprintf(pattern, sizeof(pattern), "%s/v2/vm/*/*.rrd", argv[1]);
	w.link = link_open(argv[3]);
	if (w.link == NULL || glob(pattern, 0, NULL, &w.files) != 0) {
		(void)fprintf(stderr, "no file like %s, or no rrdcached at %s\n", pattern,
		    argv[3]);
		return 1;
	}
	w.at_s = rrd_last_r(w.files.gl_pathv[0]) + STEP_S;
	return bench_serve(cached_round, &w, 0);
}
