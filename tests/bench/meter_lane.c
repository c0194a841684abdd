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

/* Guest by guest, as the collector does it. */
static void
guarded_round(struct reader *r, const struct read_round *guests)
{
	for (size_t i = 0; i < guests->count; i++) {
		struct read_want want = { .how = READ_FULL };
		struct read_round one;
		struct err e = ERR_INIT;
		unsigned ms = 0;
		(void)snprintf(want.uuid, sizeof(want.uuid), "%s", guests->list[i].uuid);
		if (reader_guest(r, &want, &one, &ms, &e) == READ_BUSY)
			(void)fprintf(stderr, "vm %s: its channel is taken for %u ms\n",
			    want.uuid, ms);
		read_round_done(&one);
	}
}

static uint64_t
lane_round(void *context)
{
	struct lane *l = context;
	static struct read_round known; /* the guests, from a first look */
	const struct read_on nobody = { NULL, NULL };
	struct read_round r = { .count = 0 };
	struct err e = ERR_INIT;
	uint64_t count;

	if ((!l->guarded || known.count == 0) &&
	    !reader_fast(l->reader, NULL, 0, &nobody, l->guarded ? &known : &r, &e))
		(void)fprintf(stderr, "%s\n", e.text);
	if (l->guarded)
		guarded_round(l->reader, &known);
	count = l->guarded ? known.count : r.count;
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
