/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/stats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A record as libvirt builds it. */
struct record {
	virTypedParameterPtr params;
	int count, room;
};

static void
number(struct record *r, const char *name, unsigned long long value)
{
	assert_int_equal(virTypedParamsAddULLong(&r->params, &r->count, &r->room, name,
			     value),
	    0);
}

static void
text(struct record *r, const char *name, const char *value)
{
	assert_int_equal(virTypedParamsAddString(&r->params, &r->count, &r->room, name,
			     value),
	    0);
}

static struct stats out; /* stale from one test to the next, as in the collector */

static void
record_read(struct record *r)
{
	stats_read(&out, r->params, r->count);
}

static void
record_free(struct record *r)
{
	virTypedParamsFree(r->params, r->count);
}

static void
every_value_finds_its_place_in_any_order(void **unused_state unused)
{
	struct record r = { NULL, 0, 0 };

	number(&r, "net.1.tx.bytes", 7);
	number(&r, "state.state", 1);
	number(&r, "block.0.wr.reqs", 4);
	number(&r, "block.0.wr.bytes", 3);
	text(&r, "block.0.name", "vda");
	number(&r, "block.0.physical", 11);
	number(&r, "block.0.rd.reqs", 2);
	number(&r, "block.0.rd.bytes", 1);
	number(&r, "block.0.rd.times", 99);
	number(&r, "block.0.capacity", 9);
	number(&r, "block.0.allocation", 10);
	text(&r, "net.1.name", "vnet7");
	number(&r, "net.1.rx.bytes", 6);
	number(&r, "net.1.rx.pkts", 99);
	number(&r, "balloon.rss", 5);
	number(&r, "balloon.current", 6);
	number(&r, "balloon.unused", 7);
	number(&r, "balloon.usable", 8);
	number(&r, "balloon.swap_in", 9);
	number(&r, "balloon.swap_out", 10);
	number(&r, "balloon.major_fault", 11);
	number(&r, "vcpu.0.delay", 20);
	number(&r, "vcpu.5.delay", 22);
	number(&r, "vcpu.5.time", 99);
	number(&r, "perf.context_switches", 30);
	record_read(&r);
	assert_int_equal(out.nic_count, 2);
	assert_null(out.nics[0].target);
	assert_false(out.nics[0].rx.has);
	assert_string_equal(out.nics[1].target, "vnet7");
	assert_true(out.nics[1].rx.has && out.nics[1].tx.has);
	assert_int_equal(out.nics[1].rx.value, 6);
	assert_int_equal(out.nics[1].tx.value, 7);
	assert_int_equal(out.disk_count, 1);
	const struct stats_disk *d = &out.disks[0];
	assert_string_equal(d->target, "vda");
	assert_int_equal(d->read_bytes.value, 1);
	assert_int_equal(d->read_requests.value, 2);
	assert_int_equal(d->write_bytes.value, 3);
	assert_int_equal(d->write_requests.value, 4);
	assert_int_equal(d->capacity.value, 9);
	assert_int_equal(d->allocation.value, 10);
	assert_int_equal(d->physical.value, 11);
	assert_int_equal(out.memory.rss.value, 5 * 1024);
	assert_int_equal(out.memory.current.value, 6 * 1024);
	assert_int_equal(out.memory.guest_free.value, 7 * 1024);
	assert_int_equal(out.memory.usable.value, 8 * 1024);
	assert_int_equal(out.memory.swap_in.value, 9 * 1024);
	assert_int_equal(out.memory.swap_out.value, 10 * 1024);
	assert_int_equal(out.memory.major_faults.value, 11);
	assert_true(out.steal_ns.has);
	assert_int_equal(out.steal_ns.value, 42);
	assert_int_equal(out.perf[PERF_SWITCHES].value, 30);
	assert_false(out.perf[PERF_CYCLES].has);
	record_free(&r);
}

/* The record before had all of it. */
static void
what_is_not_said_has_no_value(void **unused_state unused)
{
	struct record r = { NULL, 0, 0 };

	text(&r, "net.0.name", "tap0");
	number(&r, "net.0.rx.bytes", 0);
	text(&r, "block.0.name", "hdc");
	record_read(&r);
	assert_int_equal(out.nic_count, 1);
	assert_true(out.nics[0].rx.has);
	assert_int_equal(out.nics[0].rx.value, 0);
	assert_false(out.nics[0].tx.has);
	assert_int_equal(out.disk_count, 1);
	assert_false(out.disks[0].read_bytes.has || out.disks[0].write_bytes.has ||
	    out.disks[0].read_requests.has || out.disks[0].capacity.has);
	assert_false(out.memory.current.has || out.memory.rss.has ||
	    out.memory.major_faults.has || out.steal_ns.has);
	for (int i = 0; i < PERF_COUNT; i++)
		assert_false(out.perf[i].has);
	record_free(&r);
	stats_read(&out, NULL, 0);
	assert_int_equal(out.nic_count + out.disk_count, 0);
}

static void
numbers_of_any_width_are_taken_and_texts_are_none(void **unused_state unused)
{
	struct record r = { NULL, 0, 0 };

	assert_int_equal(virTypedParamsAddUInt(&r.params, &r.count, &r.room,
			     "net.0.rx.bytes", UINT32_MAX),
	    0);
	assert_int_equal(virTypedParamsAddLLong(&r.params, &r.count, &r.room,
			     "net.0.tx.bytes", -1),
	    0);
	number(&r, "net.0.name", 5);
	assert_int_equal(virTypedParamsAddInt(&r.params, &r.count, &r.room, "balloon.rss",
			     3),
	    0);
	text(&r, "balloon.current", "12");
	number(&r, "block.0.rd.bytes", UINT64_MAX);
	record_read(&r);
	assert_int_equal(out.nics[0].rx.value, UINT32_MAX);
	assert_true(out.nics[0].tx.has);
	assert_int_equal(out.nics[0].tx.value, 0);
	assert_null(out.nics[0].target);
	assert_int_equal(out.memory.rss.value, 3 * 1024);
	assert_false(out.memory.current.has);
	assert_true(out.disks[0].read_bytes.value == UINT64_MAX);
	record_free(&r);
}

static void
names_that_make_no_sense_are_passed_over(void **unused_state unused)
{
	static const char *const names[] = { "net.", "net.count", "net..rx.bytes",
		"net.-1.rx.bytes", "net.0", "net.32.rx.bytes", "net.4294967296.rx.bytes",
		"net.99999999999999999999999.rx.bytes", "block.32.name", "block.0x1.name",
		"vcpu.256.delay", "vcpu.delay", "perf.", "balloon.", "", ".",
		"netx.0.rx.bytes" };
	struct record r = { NULL, 0, 0 };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		number(&r, names[i], 1);
	record_read(&r);
	assert_int_equal(out.nic_count + out.disk_count, 0);
	assert_false(out.steal_ns.has || out.memory.current.has);
	number(&r, "net.31.rx.bytes", 1);
	record_read(&r);
	assert_int_equal(out.nic_count, 32);
	record_free(&r);
}

static int
setup(void **unused_state unused)
{
	return virInitialize();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_finds_its_place_in_any_order),
		cmocka_unit_test(what_is_not_said_has_no_value),
		cmocka_unit_test(numbers_of_any_width_are_taken_and_texts_are_none),
		cmocka_unit_test(names_that_make_no_sense_are_passed_over),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
