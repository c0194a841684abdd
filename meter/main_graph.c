/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jeoul-graph [--forecast] RRDDIR vm|host|pool UUID FROM TO STEP [json|png|svg [TOPIC
 * [WIDTH HEIGHT [TITLE]]]]: an object's graph as columns for the pages, or as a picture
 * for mail and NOC walls; with what was and is to be expected.  Web starts it as a child,
 * so that the program facing the network does not map librrd.  Exit 3: no such graph
 * (yet); 2: wrong words.
 */
#include "meter/graph.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_WORDS = 2, EXIT_NONE = 3 };

int
main(int argc, char **argv)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	bool forecast = argc > 1 && strcmp(argv[1], "--forecast") == 0;

	argc -= forecast;
	argv += forecast;
	if (argc < 7 || argc > 12 || argc == 10) {
		(void)fputs("usage: jeoul-graph [--forecast] RRDDIR vm|host|pool UUID "
			    "FROM TO STEP "
			    "[json|png|svg [TOPIC [WIDTH HEIGHT [TITLE]]]]\n",
		    stderr);
		return EXIT_WORDS;
	}
	const struct graph_query q = { .folder = argv[1],
		.object = argv[2],
		.uuid = argv[3],
		.from = strtoll(argv[4], NULL, 10),
		.to = strtoll(argv[5], NULL, 10),
		.step = strtoll(argv[6], NULL, 10),
		.format = argc > 7 ? argv[7] : "json",
		.topic = argc > 8 ? argv[8] : "cpu",
		.width = argc > 10 ? (int)strtol(argv[9], NULL, 10) : 600,
		.height = argc > 10 ? (int)strtol(argv[10], NULL, 10) : 150,
		.title = argc > 11 ? argv[11] : NULL,
		.forecast = forecast };
	if (!graph_run(&q, &out, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return e.kind == ERR_NOT_FOUND ? EXIT_NONE
		    : e.kind == ERR_INPUT      ? EXIT_WORDS
					       : 1;
	}
	return fwrite(out.data, 1, out.length, stdout) == out.length ? 0 : 1;
}
