/* SPDX-License-Identifier: Apache-2.0 */
/* syslog: alarms as RFC 5424 lines with the alarm element of RFC 5674 */
#include "snmp/syslog.h"
#include "base/mem.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { FACILITY_LOCAL0 = 16, SEND_WAIT_S = 2, FIELD_MOST = 600 };

/* RFC 5674, section 2: critical 1, major 2, minor 3, warning 4, the others 5. */
static int
priority_of(const struct notice *n)
{
	static const int severities[] = { 5, 5, 5, 1, 2, 3, 4 };

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

void
syslog_format(struct buf *out, const struct notice *n, const char *hostname,
    const char *enterprise)
{
	char when[CLOCK_TEXT_MAX];
	char number[24];
	char msgid[32] = "ALARM.";

	for (size_t i = 0; n->kind[i] != '\0' && i < 20; i++)
		msgid[6 + i] = (char)(n->kind[i] - ('a' - 'A'));
	(void)snprintf(number, sizeof(number), "%lld", (long long)n->seq);
	buf_printf(out, "<%d>1 %s %s jeoul-snmp %d %s [alarm", priority_of(n),
	    instant_text(n->at, when), hostname[0] != '\0' ? hostname : "-",
	    (int)getpid(), msgid);
	parameter(out, "resource", n->object_name);
	parameter(out, "probableCause", n->rule);
	parameter(out, "perceivedSeverity",
	    strcmp(n->kind, "clear") == 0 ? "cleared" : n->severity);
	parameter(out, "eventType", "communicationsAlarm");
	buf_printf(out, "][jeoul@%s", enterprise);
	parameter(out, "id", n->alarm_uuid);
	parameter(out, "seq", number);
	parameter(out, "rule", n->rule);
	parameter(out, "objectKind", n->object_kind);
	parameter(out, "object", n->object_uuid);
	buf_puts(out, "][origin software=\"jeoul\" swVersion=\"" JEOUL_VERSION "\"]");
	message(out, n->text);
}

static int
connect_unix(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path)) {
		(void)err_set(e, ERR_INPUT, "syslog.target: the path %s is too long",
		    path);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		(void)err_errno(e, ERR_GONE, errno, "syslog %s", path);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}

/* Numeric addresses only: no name server may ever delay an alarm. */
static int
connect_inet(const char *address, int type, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = type,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct timeval wait = { .tv_sec = SEND_WAIT_S, .tv_usec = 0 };
	struct addrinfo *ai = NULL;
	scoped_free char *host = mem_strdup(address[0] == '[' ? address + 1 : address);
	char *colon = strrchr(host, ':');
	int fd = -1;

	if (colon != NULL) {
		*colon = '\0';
		if (colon > host && colon[-1] == ']')
			colon[-1] = '\0';
	}
	if (colon == NULL || getaddrinfo(host, colon + 1, &hints, &ai) != 0) {
		(void)err_set(e, ERR_INPUT,
		    "syslog.target \"%s\": write udp:address:port with a numeric "
		    "address",
		    address);
		return -1;
	}
	fd = socket(ai->ai_family, type | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		(void)err_errno(e, ERR_GONE, errno, "syslog %s", address);
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static int
connect_target(const char *target, struct err *e)
{
	if (strncmp(target, "unix:", 5) == 0)
		return connect_unix(target + 5, e);
	if (strncmp(target, "udp:", 4) == 0)
		return connect_inet(target + 4, SOCK_DGRAM, e);
	if (strncmp(target, "tcp:", 4) == 0)
		return connect_inet(target + 4, SOCK_STREAM, e);
	(void)err_set(e, ERR_INPUT,
	    "syslog.target \"%.80s\": write udp:address:port, tcp:address:port or "
	    "unix:/path",
	    target);
	return -1;
}

bool
syslog_send(const char *target, const char *line, size_t length, struct err *e)
{
	char head[24] = "";
	struct buf b = BUF_INIT;
	int fd = connect_target(target, e);
	ssize_t n;

	if (fd < 0)
		return false;
	if (strncmp(target, "tcp:", 4) == 0)
		(void)snprintf(head, sizeof(head), "%zu ", length);
	buf_puts(&b, head);
	buf_add(&b, line, length);
	n = send(fd, b.data, b.length, MSG_NOSIGNAL);
	if (n != (ssize_t)b.length)
		(void)err_errno(e, ERR_GONE, errno, "syslog %s", target);
	(void)close(fd);
	bool ok = n == (ssize_t)b.length;
	buf_done(&b);
	return ok;
}
