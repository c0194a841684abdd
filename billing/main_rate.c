/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-rate: one round of the rater by hand, as of now or of an instant of the past; all
 * usage is read from its rows, with --kept only what the kept sums don't have */
#include "base/log.h"
#include "base/mem.h"
#include "billing/rater.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	const char *config;
	const char *flags[16];
	size_t flag_count;
	const char *as_of;
	bool kept;
};

static bool
options_read(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "--kept") == 0)
			o->kept = true;
		else if (more && strcmp(argv[i], "--config") == 0)
			o->config = argv[++i];
		else if (more && strcmp(argv[i], "--as-of") == 0)
			o->as_of = argv[++i];
		else if (more && strcmp(argv[i], "--set") == 0 &&
		    o->flag_count < ARRAY_LEN(o->flags))
			o->flags[o->flag_count++] = argv[++i];
		else
			return false;
	}
	return true;
}

static bool
round_do(const struct options *o, struct err *e)
{
	struct conf *conf = conf_new();
	struct instant now = clock_now();
	struct rater *r = NULL;
	struct rater_round done = { .shards = 0 };
	bool ok = conf_load(conf, o->config, o->flags, o->flag_count, e) &&
	    (o->as_of == NULL || instant_parse(&now, o->as_of, e));

	if (ok) {
		r = rater_new(conf);
		if (!o->kept)
			rater_anew(r);
		ok = rater_work(r, now, &done, e);
	}
	if (ok)
		printf(
		    "%zu of the shares, %zu accounts, %zu failed, %zu periods drawn up, "
		    "%zu statements issued\n",
		    done.shards, done.accounts, done.failed, done.drawn, done.issued);
	rater_free(r);
	conf_free(conf);
	return ok;
}

/* Exit status: 0 done, 1 failed (safe to try again), 2 wrong usage. */
int
main(int argc, char **argv)
{
	struct options o = { .as_of = NULL };
	struct err e = ERR_INIT;

	log_open("jeoul-rate", LOG_TO_STDERR, LOG_LVL_WARNING);
	if (!options_read(&o, argc, argv)) {
		(void)fprintf(stderr,
		    "usage: jeoul-rate [--config FILE] [--set KEY=VALUE]... "
		    "[--as-of 2026-04-02T00:00:00Z] [--kept]\n");
		return 2;
	}
	if (round_do(&o, &e))
		return 0;
	log_error("%s", e.text);
	return 1;
}
