/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML out and in, sockets. */
#include "base/mem.h"
#include "provision/domain_xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
hostile_names_stay_text(void **unused_state unused)
{
	struct domain_want want = { .uuid = "11111111-2222-4333-8444-555555555555",
		.name = "i-1",
		.title = "</title><devices>&\"'",
		.domain_type = "qemu",
		.vcpus = 2,
		.memory_bytes = INT64_C(96) << 20,
		.disk_count = 2,
		.disks = { { .target = "vda", .path = "/a'b.raw", .format = "raw" },
		    { .target = "sda", .cdrom = true } },
		.nic_count = 1,
		.nics = { { .network = "default",
		    .mac = "52:54:00:11:22:33",
		    .tap = "jn525400112233" } },
		.console_path = "/c",
		.account_uuid = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee" };
	scoped_free char *xml = domain_xml(&want);
	struct domain_found found;
	struct err e = ERR_INIT;

	assert_true(domain_read(&found, xml, &e));
	assert_string_equal(found.account_uuid, want.account_uuid);
	assert_int_equal(found.disk_count, 1);
	assert_string_equal(found.disks[0].path, "/a'b.raw");
	assert_string_equal(found.disks[0].target, "vda");
	assert_int_equal(found.nic_count, 1);
	assert_string_equal(found.nics[0].mac, "52:54:00:11:22:33");
	assert_string_equal(found.nics[0].tap, "jn525400112233");
	assert_null(strstr(xml, "</title><devices>"));
}

static void
bad_xml_is_refused(void **unused_state unused)
{
	static const char *const bad[] = { "", "<domain", "<network/>", "nonsense",
		"<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>" };
	struct domain_found found;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		assert_false(domain_read(&found, bad[i], &e));
	}
}

#define CPU(socket, core)                                                                \
	"<cpu id='0' socket_id='" #socket "' die_id='0' core_id='" #core "'/>"

/* Two NUMA cells in one package: virNodeInfo would make two sockets of it. */
static void
sockets_are_packages_not_cells(void **unused_state unused)
{
	const char *one =
	    "<capabilities><host><topology><cells num='2'><cell id='0'><cpus>" CPU(0, 0)
		CPU(0, 1) "</cpus></cell><cell id='1'><cpus>" CPU(0, 2)
		    CPU(0, 3) "</cpus></cell></cells></topology></host></capabilities>";
	const char *two =
	    "<capabilities><host><topology><cells num='1'><cell id='0'><cpus>" CPU(0, 0)
		CPU(0, 0) CPU(3, 0)
		    CPU(3, 1) "</cpus></cell></cells></topology></host></capabilities>";
	struct topology t;
	struct err e = ERR_INIT;

	assert_true(topology_read(&t, one, &e));
	assert_int_equal(t.sockets, 1);
	assert_int_equal(t.numa_cells, 2);
	assert_int_equal(t.cores, 4);
	assert_true(topology_read(&t, two, &e));
	assert_int_equal(t.sockets, 2);
	assert_int_equal(t.cores, 3);
	assert_int_equal(t.threads, 4);
	assert_false(topology_read(&t, "<capabilities><host/></capabilities>", &e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_names_stay_text),
		cmocka_unit_test(bad_xml_is_refused),
		cmocka_unit_test(sockets_are_packages_not_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
