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
	struct read_want *wants;
	size_t count;
};

/* Some guests a call, as the collector does it. */
static void
guarded_round(struct lane *l)
{
	struct read_told told[READ_GROUP];
	struct err e = ERR_INIT;
	size_t n;

	for (size_t i = 0; i < l->count; i += n) {
		n = reader_group(l->wants + i, l->count - i);
		if (!reader_guests(l->reader, l->wants + i, n, told, &e)) {
			(void)fprintf(stderr, "%s\n", e.text);
			return;
		}
		for (size_t g = 0; g < n; g++) {
			if (told[g].word != READ_DONE)
				(void)fprintf(stderr, "vm %s: busy or gone\n",
				    l->wants[i + g].uuid);
			read_round_done(&told[g].round);
		}
	}
}

static void
goes_on(void *unused_context unused)
{
}

/* For the guarded lane the guests are those of a first look. */
static bool
piece(void *context, struct read_round *round)
{
	struct lane *l = context;

	if (l->guarded)
		l->wants = mem_resize(l->wants, l->count + round->count,
		    sizeof(*l->wants));
	for (size_t i = 0; l->guarded && i < round->count; i++) {
		struct read_want *want = &l->wants[l->count + i];
		memset(want, 0, sizeof(*want));
		memcpy(want->uuid, round->list[i].uuid, sizeof(want->uuid));
		want->how = READ_FULL;
	}
	l->count += round->count;
	read_round_done(round);
	return true;
}

static uint64_t
lane_round(void *context)
{
	struct lane *l = context;
	const struct read_on on = { goes_on, piece, l };
	struct err e = ERR_INIT;

	if (!l->guarded)
		l->count = 0;
	if (l->count == 0 && !reader_fast(l->reader, NULL, 0, &on, &e))
		(void)fprintf(stderr, "%s\n", e.text);
	if (l->guarded)
		guarded_round(l);
	return l->count;
}

int
main(int argc, char **argv)
{
	struct lane l = { .guarded = argc > 1 && strcmp(argv[1], "guarded") == 0 };
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
	free(l.wants);
	reader_close(l.reader);
	return status;
}
