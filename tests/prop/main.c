/* SPDX-License-Identifier: Apache-2.0 */
/* properties of the price function over random worlds:
 *   billing CASES [SEED]            closes with N passed, N failed, N skipped
 * (properties) billing --list                  the names of the properties billing
 * --world SEED            one world again billing --vectors CASES [SEED]  worlds as a
 * file of rating vectors, for the judge */
#include "base/json.h"
#include "tests/prop/prop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
broken(const char *property, const struct world *w, const struct buf *why)
{
	scoped(buf_done) struct buf vector = BUF_INIT;

	world_vector(&vector, w);
	printf("BROKEN: %s\n%s\n", property, buf_text(why));
	printf("again: --world %llu\n%s\n", (unsigned long long)w->seed,
	    buf_text(&vector));
	return false;
}

/* failed[i] tells of properties that no longer hold: told once each. */
static void
world_try(uint64_t seed, bool *failed)
{
	struct world w;

	world_make(&w, seed);
	for (size_t i = 0; i < property_count; i++) {
		scoped(buf_done) struct buf why = BUF_INIT;

		if (!failed[i] && !properties[i].holds(&w, &why))
			failed[i] = !broken(properties[i].name, &w, &why);
	}
	world_done(&w);
}

static bool
once(const char *name, bool holds, const struct buf *why)
{
	if (!holds)
		printf("BROKEN: %s\n%s\n", name, buf_text(why));
	return holds;
}

/* Every jobs-th world; the exit status of a child is how many properties broke. */
static size_t
share_try(uint64_t cases, uint64_t seed, uint64_t job, uint64_t jobs, bool *failed)
{
	struct dice d = { seed };
	size_t broke = 0;

	for (uint64_t i = 0; i < cases; i++) {
		uint64_t world = dice_next(&d);

		if (i % jobs == job)
			world_try(world, failed);
	}
	for (size_t i = 0; i < property_count; i++)
		broke += failed[i] ? 1 : 0;
	return broke;
}

/* What broke is told by each child; here it is only counted, at most. */
static size_t
shares_try(uint64_t cases, uint64_t seed)
{
	uint64_t jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = 0;

	(void)fflush(stdout);
	for (uint64_t job = 0; job < jobs; job++)
		if (fork() == 0) {
			bool *failed = mem_array(property_count, sizeof(*failed));
			size_t broke = share_try(cases, seed, job, jobs, failed);

			free(failed);
			exit((int)broke); /* NOLINT(concurrency-mt-unsafe): one thread */
		}
	for (int status; wait(&status) > 0;) {
		size_t broke = WIFEXITED(status) ? (size_t)WEXITSTATUS(status)
						 : property_count;

		most = broke > most ? broke : most;
	}
	return most;
}

static int
all_try(uint64_t cases, uint64_t seed)
{
	scoped(buf_done) struct buf why = BUF_INIT;
	size_t count = property_count + 2;
	size_t broke = 0;

	printf("%llu worlds, seed %llu\n", (unsigned long long)cases,
	    (unsigned long long)seed);
	broke += !once("full_units_measure_one_in_every_zone",
	    full_units_measure_one(seed, 4, &why), &why);
	broke += !once("rounding_is_symmetric", rounding_is_symmetric(seed, 20000, &why),
	    &why);
	broke += shares_try(cases, seed);
	printf("%zu passed, %zu failed, 0 skipped\n", count - broke, broke);
	return broke == 0 ? 0 : 1;
}

static int
world_again(uint64_t seed)
{
	bool *failed = mem_array(property_count, sizeof(*failed));
	int status = 0;

	world_try(seed, failed);
	for (size_t i = 0; i < property_count; i++)
		status |= failed[i];
	free(failed);
	return status;
}

static int
vectors_write(uint64_t cases, uint64_t seed)
{
	struct dice d = { seed };

	printf("{\"format\":\"rating-vectors/1\",\"title\":\"%llu worlds of seed %llu\","
	       "\"vectors\":[\n",
	    (unsigned long long)cases, (unsigned long long)seed);
	for (uint64_t i = 0; i < cases; i++) {
		scoped(buf_done) struct buf b = BUF_INIT;
		struct world w;

		world_make(&w, dice_next(&d));
		world_vector(&b, &w);
		printf("%s%s\n", i == 0 ? "" : ",", buf_text(&b));
		world_done(&w);
	}
	puts("]}");
	return 0;
}

static int
names_list(void)
{
	puts("full_units_measure_one_in_every_zone\nrounding_is_symmetric");
	for (size_t i = 0; i < property_count; i++)
		puts(properties[i].name);
	return 0;
}

int
main(int argc, char **argv)
{
	bool vectors = argc > 2 && strcmp(argv[1], "--vectors") == 0;
	int first = vectors ? 2 : 1;
	uint64_t seed;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return names_list();
	if (argc == 3 && strcmp(argv[1], "--world") == 0)
		return world_again(strtoull(argv[2], NULL, 10));
	if (argc <= first) {
		(void)fputs(
		    "usage: billing [--vectors] CASES [SEED] | --world SEED | --list\n",
		    stderr);
		return 2;
	}
	seed = argc > first + 1 ? strtoull(argv[first + 1], NULL, 10)
				: (uint64_t)clock_now().ns / 1000000;
	return vectors ? vectors_write(strtoull(argv[first], NULL, 10), seed)
		       : all_try(strtoull(argv[first], NULL, 10), seed);
}
