/* SPDX-License-Identifier: Apache-2.0 */
/* CloudStack's XML form of an answer. */
#include "web/xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"

struct xml_case {
	const char *json;
	const char *version;
	const char *xml;
};

static const struct xml_case cases[] = {
	{ "{\"listzonesresponse\":{}}", "4.20.0.0",
	    HEAD
	    "<listzonesresponse cloud-stack-version=\"4.20.0.0\"></listzonesresponse>" },
	{ "{\"r\":{\"count\":2,\"vm\":[{\"id\":\"a\",\"nic\":[{\"ip\":\"1\"},{\"ip\":"
	  "\"2\"}]},{"
	  "\"id\":\"b\",\"nic\":[]}]}}",
	    NULL,
	    HEAD
	    "<r><count>2</count><vm><id>a</id><nic><ip>1</ip></nic><nic><ip>2</ip></nic>"
	    "</vm><vm><id>b</id></vm></r>" },
	{ "{\"r\":{\"t\":\"a<b & c>d \\\"e\\\" "
	  "'f'\",\"on\":true,\"none\":null,\"n\":-1.50}}",
	    NULL,
	    HEAD "<r><t>a&lt;b &amp; c&gt;d &quot;e&quot; &apos;f&apos;</t><on>true</on>"
		 "<n>-1.50</n></r>" },
	{ "{\"r\":{\"t\":\"bell\\u0007 tab\\t 저울\"}}", NULL,
	    HEAD "<r><t>bell\xef\xbf\xbd tab\t 저울</t></r>" },
	{ "{\"r\":{\"1 a/b\":1,\"ok-1.x\":2}}", NULL,
	    HEAD "<r><__a_b>1</__a_b><ok-1.x>2</ok-1.x></r>" },
	{ "{\"r\":{\"big\":9007199254740993}}", NULL,
	    HEAD "<r><big>9007199254740993</big></r>" },
};

static void
answers_become_elements(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = BUF_INIT;
		struct err e = ERR_INIT;
		assert_true(xml_from_json(&out, cases[i].json, strlen(cases[i].json),
		    cases[i].version, &e));
		assert_string_equal(buf_text(&out), cases[i].xml);
		buf_done(&out);
	}
}

static void
broken_json_is_refused(void **state)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_false(xml_from_json(&out, "{\"r\":", 5, NULL, &e));
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_become_elements),
		cmocka_unit_test(broken_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
