/* SPDX-License-Identifier: Apache-2.0 */
/* Which network card is which. */
#include "meter/domain.h"
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_is_found_by_its_name_on_the_host),
		cmocka_unit_test(what_is_no_domain_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
