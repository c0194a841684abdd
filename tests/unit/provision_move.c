/* SPDX-License-Identifier: Apache-2.0 */
/* Moving: when a guest is stopped for the rest of its memory, and what its XML becomes.
 */
#include "provision/domain_xml.h"
#include "provision/move.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static struct hv_move_look
look(uint64_t total, uint64_t left, uint64_t pass, uint64_t bytes_s)
{
	return (struct hv_move_look){ .moving = true,
		.memory_total = total * MIB,
		.memory_left = left * MIB,
		.pass = pass,
		.bytes_s = bytes_s * MIB };
}

/* As one that begins: 300 ms of standing still are allowed. */
static struct move_flight
flight(void)
{
	return (struct move_flight){ .pause_ns = 300 * NS_PER_MS,
		.speed = 1,
		.speed_known = true };
}

static void
a_large_guest_is_stopped_when_a_pass_leaves_little(void **unused_state unused)
{
	struct move_flight f = flight();
	struct hv_move_look l = look(8192, 8000, 1, 1);
	uint64_t mib = 77;

	/* At first as fast as it goes. */
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	assert_int_equal(mib, 0);
	l = look(8192, 4000, 1, 1000);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_WAIT);
	/* Near the end of the first pass slower and slower; how much is dirty is not
	 * known. */
	l = look(8192, 100, 1, 1000);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	assert_int_equal(mib, 500);
	l = look(8192, 10, 1, 900);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	assert_int_equal(mib, 50);
	l = look(8192, 0, 1, 50);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	assert_int_equal(mib, 1);
	/* 400 MiB take 400 ms, 290 take 290. */
	l = look(8192, 400, 2, 1);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	l = look(8192, 290, 3, 1000);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_HOLD);
}

static void
one_that_does_not_come_to_an_end_is_stopped_when_its_time_is_over(
    void **unused_state unused)
{
	struct move_flight f = flight();
	struct hv_move_look l = look(8192, 4000, 9, 1000);
	uint64_t mib = 0;

	assert_int_not_equal(move_decide(&f, &l, &mib), MOVE_HOLD);
	f.late = true;
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_HOLD);
}

static void
a_small_or_paused_guest_is_stopped_within_the_first_pass(void **unused_state unused)
{
	struct move_flight f = flight();
	struct hv_move_look l = look(96, 95, 1, 1);
	uint64_t mib = 0;

	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	l = look(96, 24, 1, 10);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_HOLD);
	/* One that was over its first pass between two looks too. */
	f = flight();
	l = look(96, 60, 2, 10);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_HOLD);
	f = flight();
	f.stands = true;
	l = look(8192, 2000, 1, 100);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_HOLD);
}

static void
memory_waits_for_the_disks(void **unused_state unused)
{
	struct move_flight f = flight();
	struct hv_move_look l = { .moving = true };
	uint64_t mib = 0;

	f.speed = 0;
	/* Nothing is said yet: the disks would be slowed down too. */
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_WAIT);
	l.disk_total = 100 * MIB;
	l.disk_left = 90 * MIB;
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_SPEED);
	assert_int_equal(mib, 1);
	assert_int_equal(move_decide(&f, &l, &mib), MOVE_WAIT);
}

static void
the_xml_of_another_host_has_its_paths(void **unused_state unused)
{
	static const char xml[] =
	    "<domain type='qemu'><name>a</name><devices>"
	    "<disk type='file' device='disk'><source file='/a/one'/>"
	    "<backingStore type='file'><source file='/a/base'/></backingStore>"
	    "<target dev='vda'/></disk>"
	    "<disk type='file' device='disk'><source file='/a/two'/>"
	    "<backingStore type='file'><source file='/a/base2'/></backingStore>"
	    "<target dev='vdb'/></disk>"
	    "<channel type='unix'><source mode='bind' path='/a/x.ctl'/>"
	    "<target type='virtio' name='org.jeoul.ctl'/></channel>"
	    "<channel type='unix'><source mode='bind' path='/a/agent'/>"
	    "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
	    "</devices></domain>";
	const struct domain_move move = { .control_path = "/b/<x>.ctl",
		.disk_count = 1,
		.disks = { { "vda", "/b/one" } } };
	struct err e = ERR_INIT;
	char *moved = domain_moved(xml, &move, &e);

	assert_non_null(moved);
	assert_non_null(strstr(moved, "file=\"/b/one\""));
	assert_null(strstr(moved, "/a/base\""));
	assert_non_null(strstr(moved, "file=\"/a/two\""));
	assert_non_null(strstr(moved, "/a/base2"));
	assert_non_null(strstr(moved, "path=\"/b/&lt;x&gt;.ctl\""));
	assert_non_null(strstr(moved, "path=\"/a/agent\""));
	free(moved);
	assert_null(domain_moved("<domain><devices>", &move, &e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_guest_is_stopped_when_a_pass_leaves_little),
		cmocka_unit_test(
		    one_that_does_not_come_to_an_end_is_stopped_when_its_time_is_over),
		cmocka_unit_test(
		    a_small_or_paused_guest_is_stopped_within_the_first_pass),
		cmocka_unit_test(memory_waits_for_the_disks),
		cmocka_unit_test(the_xml_of_another_host_has_its_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
