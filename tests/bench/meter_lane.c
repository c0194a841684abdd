/* SPDX-License-Identifier: Apache-2.0 */
/* meter_lane fast|guarded URI [PID]: the collector's own lanes, on request */
#include "meter/read.h"
#include "tests/bench/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lane {
	struct reader *reader;
	bool guarded;
};

static void
blocked(void *unused_context unused, const char *uuid, unsigned ms)
{
	(void)fprintf(stderr, "vm %s: its channel is taken for %u ms\n", uuid, ms);
}

static uint64_t
lane_round(void *context)
{
	struct lane *l = context;
	struct read_round r = { NULL, 0 };
	struct err e = ERR_INIT;
	uint64_t count;
	bool ok = l->guarded ? reader_guarded(l->reader, &r, blocked, NULL, &e)
			     : reader_fast(l->reader, &r, &e);

	if (!ok)
		(void)fprintf(stderr, "%s\n", e.text);
	count = ok ? r.count : 0;
	read_round_done(&r);
	return count;
}

int
main(int argc, char **argv)
{
	struct lane l = { NULL, argc > 1 && strcmp(argv[1], "guarded") == 0 };
	struct err e = ERR_INIT;
	int status;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: meter_lane fast|guarded URI [PID]\n");
		return 2;
	}
	if (!reader_init(&e) || !reader_open(&l.reader, argv[2], &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	status = bench_serve(lane_round, &l,
	    argc > 3 ? (pid_t)strtol(argv[3], NULL, 10) : 0);
	reader_close(l.reader);
	return status;
}
