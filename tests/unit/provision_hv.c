/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt keeps for us is made once, however many jobs want it at the same moment.
 */
#include "base/err.h"
#include "provision/hv.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { JOBS = 8, ROUNDS = 100 };

static pthread_barrier_t together;
static const char POOL[] = "race";
static const char XML[] =
    "<pool type='dir'><name>race</name><target><path>/race</path></target></pool>";

/* One job of many; a libvirt of its own, for the test driver's is one for all. */
static void *
makes_the_pool(void *context)
{
	bool by_xml = (uintptr_t)context % 2 != 0;
	struct err e = ERR_INIT;
	struct hv *hv;
	uintptr_t refused = 0;

	if (!hv_open(&hv, "test:///default", NULL, NULL, &e))
		return (void *)(uintptr_t)ROUNDS;
	for (int i = 0; i < ROUNDS; i++) {
		(void)pthread_barrier_wait(&together);
		if (by_xml ? !hv_pool_define(hv, POOL, XML, &e)
			   : !hv_pool_ensure(hv, POOL, "/race", &e))
			refused++;
		if (pthread_barrier_wait(&together) == PTHREAD_BARRIER_SERIAL_THREAD &&
		    !hv_pool_undefine(hv, POOL, &e))
			refused++;
	}
	hv_close(hv);
	return (void *)refused;
}

static void
many_jobs_make_one_pool(void **state)
{
	struct err e = ERR_INIT;
	pthread_t jobs[JOBS];

	(void)state;
	assert_true(hv_init(&e));
	assert_int_equal(pthread_barrier_init(&together, NULL, JOBS), 0);
	for (uintptr_t i = 0; i < JOBS; i++)
		assert_int_equal(pthread_create(&jobs[i], NULL, makes_the_pool,
				     (void *)i),
		    0);
	for (int i = 0; i < JOBS; i++) {
		void *refused;

		assert_int_equal(pthread_join(jobs[i], &refused), 0);
		assert_null(refused);
	}
	(void)pthread_barrier_destroy(&together);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_jobs_make_one_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
