/* SPDX-License-Identifier: Apache-2.0 */
/* billing_rater TIME VMHOURS [kept]: rounds of the real rater as of a time, all accounts
 * each: every round from all rows, or with the sums that it keeps */
#include "base/conf.h"
#include "billing/rater.h"
#include "tests/bench/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
	struct rater *rater;
	struct instant now;
	int kept;
	uint64_t
	    vm_hours; /* in the period that now lies in, as the database was filled */
};

static uint64_t
rater_round(void *context)
{
	struct work *w = context;
	struct rater_round out;
	struct err e = ERR_INIT;

	if (!w->kept)
		rater_anew(w->rater);
	if (!rater_work(w->rater, w->now, &out, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 0;
	}
	if (out.shards == 0 || out.failed > 0 || out.accounts == 0) {
		(void)fprintf(stderr, "%zu shards, %zu accounts, %zu failed\n",
		    out.shards, out.accounts, out.failed);
		return 0;
	}
	return w->vm_hours;
}

int
main(int argc, char **argv)
{
	struct conf *conf = conf_new();
	struct work w = { .rater = NULL };
	struct err e = ERR_INIT;
	int status;

	w.kept = argc == 4 && strcmp(argv[3], "kept") == 0;
	if (argc != 3 && !w.kept) {
		(void)fprintf(stderr, "usage: billing_rater TIME VMHOURS [kept]\n");
		return 2;
	}
	if (!instant_parse(&w.now, argv[1], &e) ||
	    !conf_load(conf, "/dev/null", NULL, 0, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	w.vm_hours = strtoull(argv[2], NULL, 10);
	w.rater = rater_new(conf);
	status = bench_serve(rater_round, &w, 0);
	rater_free(w.rater);
	conf_free(conf);
	return status;
}
