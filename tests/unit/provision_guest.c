/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest's agent tells, as libvirt names it, becomes one small document. */
#include "base/mem.h"
#include "provision/guest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *
written(const struct guest_facts *f)
{
	struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	guest_facts_write(&j, f);
	return buf_take(&b);
}

static void
what_an_agent_tells_is_written(void **state)
{
	scoped_free struct guest_facts *f = mem_alloc(sizeof(*f));
	scoped_free char *text = NULL;

	(void)state;
	guest_text(f, "hostname", "web1");
	guest_text(f, "os.pretty-name", "Debian GNU/Linux 12");
	guest_text(f, "os.name", "Debian");
	guest_text(f, "os.version", "12");
	guest_text(f, "os.id", "debian");
	guest_text(f, "os.kernel-release", "6.1.0");
	guest_text(f, "os.machine", "x86_64");
	guest_text(f, "user.0.name", "kim");
	guest_text(f, "fs.0.mountpoint", "/");
	guest_text(f, "fs.0.name", "vda1");
	guest_text(f, "fs.0.fstype", "ext4");
	guest_number(f, "fs.0.total-bytes", UINT64_MAX);
	guest_number(f, "fs.0.used-bytes", 0);
	guest_text(f, "fs.3.mountpoint", "/boot");
	guest_number(f, "fs.3.total-bytes", 5); /* without the other it says little */
	guest_text(f, "if.0.name", "eth0");
	guest_text(f, "if.0.hwaddr", "52:54:00:00:00:01");
	guest_text(f, "if.0.addr.0.addr", "192.0.2.7");
	guest_number(f, "if.0.addr.0.prefix", 24);
	guest_text(f, "if.0.addr.1.addr", "2001:db8::7");
	text = written(f);
	assert_string_equal(text,
	    "{\"hostname\":\"web1\",\"osname\":\"Debian GNU/Linux "
	    "12\",\"osversion\":\"12\","
	    "\"osid\":\"debian\",\"kernel\":\"6.1.0\",\"machine\":\"x86_64\","
	    "\"filesystems\":[{\"mountpoint\":\"/\",\"name\":\"vda1\",\"type\":\"ext4\","
	    "\"total\":\"18446744073709551615\",\"used\":\"0\"},{\"mountpoint\":\"/"
	    "boot\"}],"
	    "\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"52:54:00:00:00:01\","
	    "\"addresses\":[\"192.0.2.7/24\",\"2001:db8::7\"]}]}");
}

static void
nothing_told_is_nothing_written(void **state)
{
	scoped_free struct guest_facts *f = mem_alloc(sizeof(*f));
	scoped_free char *text = written(f);

	(void)state;
	assert_string_equal(text, "{\"filesystems\":[],\"interfaces\":[]}");
}

static void
a_guest_that_lies_is_cut_and_tamed(void **state)
{
	scoped_free struct guest_facts *f = mem_alloc(sizeof(*f));

	(void)state;
	guest_text(f, "hostname", "\x1b[2Ja\tb\x7f\xc3(\xc2\x85");
	assert_string_equal(f->hostname,
	    "?[2Ja?b?"
	    "?(?"
	    "?");
	guest_text(f, "os.name", "x\xe2\x80\xae\xed\xa0\x80");
	assert_string_equal(f->os_name, "x??????");
	/* Whole characters of three bytes, and no piece of one. */
	guest_text(f, "os.id",
	    "저저저저저저저저저저저저저저저저저저저저저저저저저저저저저저");
	assert_int_equal(strlen(f->os_id), 63);
	guest_text(f, "if.0.name", "e");
	guest_text(f, "if.0.addr.0.addr", "1.2.3.4<b>");
	guest_number(f, "if.0.addr.0.prefix", 129);
	assert_string_equal(f->interfaces[0].addresses[0].text, "");
	assert_false(f->interfaces[0].addresses[0].has_prefix);
	guest_text(f, "fs.32.mountpoint", "/beyond");
	guest_text(f, "if.31.addr.16.addr", "::1");
	guest_text(f, "fs.18446744073709551616.mountpoint", "/");
	guest_text(f, "fs.-1.mountpoint", "/");
	guest_text(f, "fs.", "/");
	guest_text(f, "if.0.addr", "/");
	assert_string_equal(f->filesystems[31].mountpoint, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_agent_tells_is_written),
		cmocka_unit_test(nothing_told_is_nothing_written),
		cmocka_unit_test(a_guest_that_lies_is_cut_and_tamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
