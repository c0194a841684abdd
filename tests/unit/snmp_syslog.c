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

static struct notice *
example(enum notice_kind kind, enum severity severity, const char *text)
{
	struct notice *n = notice_new(kind,
	    (struct instant){ INT64_C(1700000000123456000) });

	n->seq = 7;
	n->times = 2;
	n->severity = severity;
	(void)snprintf(n->uuid, sizeof(n->uuid), "n");
	(void)snprintf(n->alarm_uuid, sizeof(n->alarm_uuid), "u");
	(void)snprintf(n->object_uuid, sizeof(n->object_uuid), "o");
	notice_texts(n, "host.unreachable", "host", "kvm]07", text);
	return n;
}

static void
line_is_golden(void **unused_state unused)
{
	struct notice *n = example(NOTICE_RAISE, SEVERITY_MAJOR, "host \"a\"\nlost");
	struct buf b = BUF_INIT;
	char want[1024];

	syslog_format(&b, n, "noc", "32473");
	(void)snprintf(want, sizeof(want),
	    "<130>1 2023-11-14T22:13:20.123456Z noc jeoul-snmp %d ALARM.RAISE [alarm "
	    "resource=\"kvm\\]07\" probableCause=\"communicationsSubsystemFailure\" "
	    "perceivedSeverity=\"major\" "
	    "eventType=\"communicationsAlarm\"][jeoul@32473 id=\"u\" notice=\"n\" "
	    "seq=\"7\" times=\"2\" rule=\"host.unreachable\" objectKind=\"host\" "
	    "object=\"o\"][origin "
	    "software=\"jeoul\" "
	    "swVersion=\"" JEOUL_VERSION "\"] \xef\xbb\xbfhost \"a\" lost",
	    (int)getpid());
	assert_string_equal(buf_text(&b), want);
	buf_done(&b);
	notice_free(n);
}

static void
severities_are_those_of_rfc_5674(void **unused_state unused)
{
	static const struct {
		enum notice_kind kind;
		enum severity severity;
		const char *head;
	} cases[] = { { NOTICE_RAISE, SEVERITY_CRITICAL, "<129>" },
		{ NOTICE_CHANGE, SEVERITY_MINOR, "<131>" },
		{ NOTICE_RAISE, SEVERITY_WARNING, "<132>" },
		{ NOTICE_RAISE, SEVERITY_INDETERMINATE, "<133>" },
		{ NOTICE_CLEAR, SEVERITY_CRITICAL, "<133>" } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct notice *n = example(cases[i].kind, cases[i].severity, "x");
		struct buf b = BUF_INIT;
		syslog_format(&b, n, "noc", "32473");
		assert_int_equal(strncmp(buf_text(&b), cases[i].head, 5), 0);
		buf_done(&b);
		notice_free(n);
	}
}

static void
long_korean_text_is_cut_between_characters(void **unused_state unused)
{
	static char text[6001];
	struct buf b = BUF_INIT;

	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xea\xb0\x80", 3);
	struct notice *n = example(NOTICE_RAISE, SEVERITY_MAJOR, text);
	syslog_format(&b, n, "noc", "32473");
	assert_true(b.length <= SYSLOG_BYTES_MOST);
	assert_memory_equal(b.data + b.length - 3, "\xea\xb0\x80", 3);
	buf_done(&b);
	notice_free(n);
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
