/* SPDX-License-Identifier: Apache-2.0 */
/* Graph files: the first batch, a restart, the same second twice. */
#include "base/mem.h"
#include "meter/rrd.h"
#include <rrd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UUID "3f1f0c1e-0000-4000-8000-000000000001"

static char folder[64];

static void
add(struct rrd_store *r, int64_t second, uint64_t cpu)
{
	const uint64_t values[] = { 1, cpu, 1 << 20, 0, 0 };

	rrd_add(r, RRD_VM, UUID, (struct instant){ second * NS_PER_S }, values, 5);
}

static time_t
last(void)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/v1/vm/3f/" UUID ".rrd", folder);
	return rrd_last_r(path);
}

/* The average of a source in (from, to], or -1 where there is none. */
static double
average(const char *source, time_t from, time_t to)
{
	char path[160];
	unsigned long step = 1;
	unsigned long sources = 0;
	char **names = NULL;
	rrd_value_t *data = NULL;
	double found = -1;

	(void)snprintf(path, sizeof(path), "%s/v1/vm/3f/" UUID ".rrd", folder);
	assert_int_equal(rrd_fetch_r(path, "AVERAGE", &from, &to, &step, &sources, &names,
			     &data),
	    0);
	for (unsigned long i = 0; i < sources; i++) {
		if (strcmp(names[i], source) == 0)
			found = data[i];
		free(names[i]);
	}
	free(names);
	free(data);
	return found;
}

static int
folder_make(void **unused_state unused)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/jeoul-unit-rrd-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
folder_remove(void **unused_state unused)
{
	scoped_free char *command = mem_printf("rm -r %s", folder);

	return system(command); /* NOLINT(cert-env33-c): a path of our own */
}

static void
the_first_batch_of_a_new_file_is_taken_whole(void **unused_state unused)
{
	struct rrd_store *r = rrd_store_new(folder, 10 * NS_PER_S, 60 * NS_PER_S);

	for (int64_t t = 1700000000; t <= 1700000060; t += 10)
		add(r, t, (uint64_t)(t - 1700000000) * 1000);
	rrd_flush(r);
	assert_int_equal(last(), 1700000060);
	assert_true(average("cpu_ns", 1700000010, 1700000020) > 999);
	assert_true(average("cpu_ns", 1700000050, 1700000060) > 999);
}

static void
a_restart_within_a_second_of_the_last_value_loses_no_later_one(void **unused_state unused)
{
	struct rrd_store *r = rrd_store_new(folder, 10 * NS_PER_S, 60 * NS_PER_S);

	add(r, 1700000060, 60000);
	add(r, 1700000070, 70000);
	add(r, 1700000080, 80000);
	rrd_flush(r);
	assert_int_equal(last(), 1700000080);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_batch_of_a_new_file_is_taken_whole),
		cmocka_unit_test(
		    a_restart_within_a_second_of_the_last_value_loses_no_later_one),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
