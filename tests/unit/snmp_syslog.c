/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 5424 lines of alarms. */
#include "snmp/syslog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct notice
example(const char *kind, const char *severity)
{
	return (struct notice){ .seq = 7,
		.kind = kind,
		.severity = severity,
		.at = { INT64_C(1700000000123456000) },
		.text = "host \"a\"\nlost",
		.alarm_uuid = "u",
		.rule = "host.unreachable",
		.object_kind = "host",
		.object_uuid = "o",
		.object_name = "kvm]07" };
}

static void
line_is_golden(void **unused_state unused)
{
	struct notice n = example("raise", "major");
	struct buf b = BUF_INIT;
	char want[1024];

	syslog_format(&b, &n, "noc", "32473");
	(void)snprintf(want, sizeof(want),
	    "<130>1 2023-11-14T22:13:20.123456Z noc jeoul-snmp %d ALARM.RAISE [alarm "
	    "resource=\"kvm\\]07\" probableCause=\"host.unreachable\" "
	    "perceivedSeverity=\"major\" "
	    "eventType=\"communicationsAlarm\"][jeoul@32473 id=\"u\" seq=\"7\" "
	    "rule=\"host.unreachable\" objectKind=\"host\" object=\"o\"][origin "
	    "software=\"jeoul\" "
	    "swVersion=\"" JEOUL_VERSION "\"] \xef\xbb\xbfhost \"a\" lost",
	    (int)getpid());
	assert_string_equal(buf_text(&b), want);
	buf_done(&b);
}

static void
severities_are_those_of_rfc_5674(void **unused_state unused)
{
	static const struct {
		const char *kind, *severity, *head;
	} cases[] = { { "raise", "critical", "<129>" }, { "raise", "minor", "<131>" },
		{ "raise", "warning", "<132>" }, { "raise", "indeterminate", "<133>" },
		{ "clear", "critical", "<133>" } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct notice n = example(cases[i].kind, cases[i].severity);
		struct buf b = BUF_INIT;
		syslog_format(&b, &n, "noc", "32473");
		assert_int_equal(strncmp(buf_text(&b), cases[i].head, 5), 0);
		buf_done(&b);
	}
}

static void
long_korean_text_is_cut_between_characters(void **unused_state unused)
{
	static char text[6001];
	struct notice n = example("raise", "major");
	struct buf b = BUF_INIT;

	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xea\xb0\x80", 3);
	n.text = text;
	syslog_format(&b, &n, "noc", "32473");
	assert_true(b.length <= SYSLOG_BYTES_MOST);
	assert_memory_equal(b.data + b.length - 3, "\xea\xb0\x80", 3);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_golden),
		cmocka_unit_test(severities_are_those_of_rfc_5674),
		cmocka_unit_test(long_korean_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
