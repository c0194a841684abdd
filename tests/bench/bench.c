/* SPDX-License-Identifier: Apache-2.0 */
/* bench: what is measured runs on request, so that two rivals can take turns */
#include "tests/bench/bench.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* 0 for a clock that is not there: another's CPU time ends with the process. */
static int64_t
read_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t
beside_ns(pid_t pid)
{
	clockid_t id;

	return pid == 0 || clock_getcpuclockid(pid, &id) != 0 ? 0 : read_ns(id);
}

int
bench_serve(bench_round round, void *context, pid_t beside)
{
	char line[32];

	(void)puts("ready");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		long times = strtol(line, NULL, 10);
		int64_t own = read_ns(CLOCK_PROCESS_CPUTIME_ID);
		int64_t other = beside_ns(beside);
		int64_t wall = read_ns(CLOCK_MONOTONIC);
		uint64_t samples = 0;

		for (long i = 0; i < times; i++) {
			uint64_t n = round(context);
			if (n == 0)
				return 1;
			samples += n;
		}
		own = read_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
		other = beside_ns(beside) - other;
		wall = read_ns(CLOCK_MONOTONIC) - wall;
		(void)printf("%" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", samples,
		    own, other, wall);
		(void)fflush(stdout);
	}
	return 0;
}
