/* SPDX-License-Identifier: Apache-2.0 */
/* Which network card is which, and how many sockets a host has. */
#include "base/mem.h"
#include "meter/xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char xml[] =
    "<domain type='kvm' id='3'><devices>"
    "<disk type='file'><target dev='vda'/></disk>"
    "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
    "<interface type='network'><mac address='52:54:00:AB:CD:EF'/>"
    "<source network='default' portid='6f2b8a5e-0c1d-4b60-9a55-5a8a3fd5c9f1'/>"
    "<target dev='vnet3'/></interface>"
    "<interface type='bridge'><mac address='52:54:00:00:00:03'/>"
    "<target dev='vnet4'/></interface>"
    "</devices></domain>";

static void
a_card_is_found_by_its_name_on_the_host(void **unused_state unused)
{
	struct domain_nics nics = { 0, NULL };
	struct err e = ERR_INIT;

	assert_true(domain_nics_read(&nics, xml, &e));
	assert_int_equal(nics.count, 3);
	assert_string_equal(domain_nic_find(&nics, "vnet3")->mac, "52:54:00:ab:cd:ef");
	assert_string_equal(domain_nic_find(&nics, "vnet3")->port,
	    "6f2b8a5e-0c1d-4b60-9a55-5a8a3fd5c9f1");
	assert_string_equal(domain_nic_find(&nics, "vnet4")->mac, "52:54:00:00:00:03");
	assert_string_equal(domain_nic_find(&nics, "vnet4")->port, "");
	assert_null(domain_nic_find(&nics, "vnet5"));
	assert_null(domain_nic_find(&nics, ""));
	domain_nics_done(&nics);
}

static void
what_is_no_domain_is_refused(void **unused_state unused)
{
	static const char *const bad[] = { "", "<domain", "<network/>", "nonsense",
		"<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
		"<domain>&a;</domain>" };
	struct domain_nics nics = { 0, NULL };

	{
		struct err e = ERR_INIT;
		assert_true(domain_nics_read(&nics, xml, &e));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		assert_false(domain_nics_read(&nics, bad[i], &e));
		assert_int_equal(nics.count, 3);
	}
	domain_nics_done(&nics);
}

#define CPU(id, socket, core)                                                            \
	"<cpu id='" #id "' socket_id='" #socket "' die_id='0' core_id='" #core "'/>"

/* Two packages of two NUMA cells each (NPS2), two threads a core. */
static void
sockets_are_packages_whatever_the_cells(void **unused_state unused)
{
	static const char capabilities[] =
	    "<capabilities><host><topology><cells num='4'>"
	    "<cell id='0'><cpus num='2'>" CPU(0, 0, 0) CPU(4, 0,
		0) "</cpus></cell>"
		   "<cell id='1'><cpus num='2'>" CPU(1, 0, 1) CPU(5, 0,
		       1) "</cpus></cell>"
			  "<cell id='2'><cpus num='2'>" CPU(2, 36, 0) CPU(6, 36,
			      0) "</cpus></cell>"
				 "<cell id='3'><cpus num='3'>" CPU(3, 36, 1)
				     CPU(7, 36, 1) "<cpu id='8'/>"
						   "</cpus></cell></cells></topology></"
						   "host></capabilities>";
	struct topology t = { .sockets = 0 };
	struct err e = ERR_INIT;

	assert_true(topology_read(&t, capabilities, &e));
	assert_true(t.sockets == 2 && t.cores == 4 && t.threads == 8 && t.cells == 4);
	assert_false(topology_read(&t, "<capabilities><host/></capabilities>", &e));
	assert_int_equal(t.sockets, 2);
}

/* Amounts of memory change while a machine runs; what its sockets are is the rest. */
static void
facts_are_all_but_amounts_of_memory(void **unused_state unused)
{
	scoped_free char *facts = topology_facts(
	    "<pages unit='KiB' size='4'/><cell id='0'><memory "
	    "unit='KiB'>13199564</memory>"
	    "<pages unit='KiB' size='4'>32</pages><wordsize>64</wordsize><memory");
	scoped_free char *none = topology_facts("");

	assert_string_equal(facts,
	    "<pages unit='KiB' size='4'/><cell id='0'><memory unit='KiB'></memory>"
	    "<pages unit='KiB' size='4'></pages><wordsize>64</wordsize><memory");
	assert_string_equal(none, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_is_found_by_its_name_on_the_host),
		cmocka_unit_test(what_is_no_domain_is_refused),
		cmocka_unit_test(sockets_are_packages_whatever_the_cells),
		cmocka_unit_test(facts_are_all_but_amounts_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
