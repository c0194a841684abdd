/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms as syslog lines: names of guests and hosts come from outside, and whatever is in
 * them, it is one line of RFC 5424 that gives each of them back */
#include "base/mem.h"
#include "snmp/syslog.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Walks the structured data, [id name="value" ...][...], to its end; the value of the
 * first parameter called name comes back with its escapes undone.
 */
static const char *
structured_walk(const char *at, const char *name, struct buf *value)
{
	bool found = false;

	while (*at == '[') {
		at += strcspn(at, " ]");
		while (*at == ' ') {
			size_t n = strcspn(++at, "=");
			bool wanted = !found && n == strlen(name) &&
			    strncmp(at, name, n) == 0;
			found = found || wanted;
			must(at[n] == '=' && at[n + 1] == '"', "no value: %s", at);
			for (at += n + 2; *at != '"'; at++) {
				must(*at != '\0' && *at != ']', "not closed: %s", at);
				at += *at == '\\';
				if (wanted)
					buf_putc(value, *at);
			}
			at++;
		}
		must(*at++ == ']', "structured data is not closed: %s", at);
	}
	must(found, "no %s", name);
	return at;
}

static void
line_check(const char *line, size_t length, const struct notice *n)
{
	const char *at = line;

	must(length <= SYSLOG_BYTES_MOST, "%zu bytes", length);
	must(strlen(line) == length && fuzz_printable(line), "a control character");
	must(fuzz_utf8(line, length), "no UTF-8: %s", line);
	for (int i = 0; i < 6; i++) {
		at = strchr(at, ' ');
		must(at != NULL && at[1] != ' ', "field %d: %s", i, line);
		at++;
	}
	struct buf resource = BUF_INIT;
	struct buf id = BUF_INIT;
	(void)structured_walk(at, "resource", &resource);
	at = structured_walk(at, "id", &id);
	must(strncmp(at, " \xef\xbb\xbf", 4) == 0, "its message: %s", at);
	if (fuzz_printable(n->object_name))
		must(strcmp(buf_text(&resource), n->object_name) == 0, "%s became %s",
		    n->object_name, buf_text(&resource));
	must(strcmp(buf_text(&id), n->alarm_uuid) == 0, "id %s", buf_text(&id));
	buf_done(&resource);
	buf_done(&id);
}

/* The database holds no other text, and no longer name (120 characters). */
static bool
from_the_database(const char *text, size_t most)
{
	return strlen(text) <= most && fuzz_utf8(text, strlen(text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum notice_kind kind = (enum notice_kind)fuzz_choice(&data, &size, 3);
	struct notice *n = notice_new(kind,
	    (struct instant){ INT64_C(1700000000123456789) });
	struct buf line = BUF_INIT;

	n->severity = SEVERITY_INDETERMINATE + fuzz_choice(&data, &size, 5);
	n->seq = 42;
	(void)snprintf(n->alarm_uuid, sizeof(n->alarm_uuid), "%s",
	    "11111111-2222-4333-8444-555555555555");
	scoped_free char *rule = fuzz_piece(&data, &size);
	scoped_free char *name = fuzz_piece(&data, &size);
	scoped_free char *text = fuzz_text(data, size);
	if (from_the_database(rule, 60) && from_the_database(name, 480) &&
	    from_the_database(text, SIZE_MAX)) {
		notice_texts(n, rule, "vm", name, text);
		syslog_format(&line, n, "host", "8072");
		line_check(buf_text(&line), line.length, n);
	}
	buf_done(&line);
	notice_free(n);
	return 0;
}
