/* SPDX-License-Identifier: Apache-2.0 */
/* syslog: alarms as RFC 5424 lines with the alarm element of RFC 5674 */
#include "snmp/syslog.h"
#include "snmp/rule.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FACILITY_LOCAL0 = 16, FIELD_MOST = 600 };

/* RFC 5674, section 2: critical 1, major 2, minor 3, warning 4, the others 5. */
static int
priority_of(const struct notice *n)
{
	static const int severities[] = { [SEVERITY_CLEARED] = 5,
		[SEVERITY_INDETERMINATE] = 5,
		[SEVERITY_CRITICAL] = 1,
		[SEVERITY_MAJOR] = 2,
		[SEVERITY_MINOR] = 3,
		[SEVERITY_WARNING] = 4 };

	return FACILITY_LOCAL0 * 8 + severities[notice_severity(n)];
}

/* A value in quotes: backslash, quote and bracket escaped, control characters blanked. */
static void
parameter(struct buf *out, const char *name, const char *value)
{
	size_t used = 0;

	buf_printf(out, " %s=\"", name);
	for (const char *p = value; *p != '\0' && used < FIELD_MOST; p++, used++) {
		unsigned char c = (unsigned char)*p;
		if (c == '"' || c == '\\' || c == ']')
			buf_putc(out, '\\');
		buf_putc(out, c < 0x20 || c == 0x7f ? ' ' : *p);
	}
	buf_putc(out, '"');
}

/* Cut between characters, never inside one. */
static size_t
utf8_cut(const char *text, size_t most)
{
	size_t n = strlen(text);

	if (n <= most)
		return n;
	for (n = most; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

static void
message(struct buf *out, const char *text)
{
	size_t room = SYSLOG_BYTES_MOST > out->length + 4
	    ? SYSLOG_BYTES_MOST - out->length - 4
	    : 0;
	size_t n = utf8_cut(text, room);

	buf_puts(out, " \xef\xbb\xbf");
	for (size_t i = 0; i < n; i++)
		buf_putc(out,
		    (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i]);
}

static void
number(struct buf *out, const char *name, int64_t value)
{
	buf_printf(out, " %s=\"%lld\"", name, (long long)value);
}

/* RFC 5674, section 3: the first three are wanted, the others may be there. */
static void
alarm_element(struct buf *out, const struct notice *n)
{
	const struct rule *r = rule_named(n->rule);

	buf_puts(out, "[alarm");
	parameter(out, "resource", n->object_name);
	parameter(out, "probableCause", r->probable_cause);
	parameter(out, "perceivedSeverity", severity_word(notice_severity(n)));
	parameter(out, "eventType", r->event_type);
	buf_putc(out, ']');
}

static void
own_element(struct buf *out, const struct notice *n, const char *enterprise)
{
	buf_printf(out, "[jeoul@%s", enterprise);
	parameter(out, "id", n->alarm_uuid);
	parameter(out, "notice", n->uuid);
	number(out, "seq", n->seq);
	number(out, "times", n->times);
	parameter(out, "rule", n->rule);
	parameter(out, "objectKind", n->object_kind);
	parameter(out, "object", n->object_uuid);
	buf_putc(out, ']');
}

void
syslog_format(struct buf *out, const struct notice *n, const char *hostname,
    const char *enterprise)
{
	static const char *const msgids[] = { [NOTICE_RAISE] = "ALARM.RAISE",
		[NOTICE_CHANGE] = "ALARM.CHANGE",
		[NOTICE_CLEAR] = "ALARM.CLEAR" };
	char when[CLOCK_TEXT_MAX];

	buf_printf(out, "<%d>1 %s %s jeoul-snmp %d %s ", priority_of(n),
	    instant_text(n->at, when), hostname[0] != '\0' ? hostname : "-",
	    (int)getpid(), msgids[n->kind]);
	alarm_element(out, n);
	own_element(out, n, enterprise);
	buf_puts(out, "[origin software=\"jeoul\" swVersion=\"" JEOUL_VERSION "\"]");
	message(out, n->text);
}
