/* SPDX-License-Identifier: Apache-2.0 */
/* link: the way to a syslog receiver: datagrams, or a connection that is kept open */
#include "snmp/link.h"
#include "base/buf.h"
#include "base/mem.h"
#include "snmp/peer.h"
#include "snmp/tls.h"
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECT_S = 5, UNANSWERED_MS = 10000 };

enum kind { LINK_UDP, LINK_TCP, LINK_TLS, LINK_UNIX };
enum state { STATE_CLOSED, STATE_CONNECTING, STATE_GREETING, STATE_OPEN };

struct link {
	struct event_base *base;
	struct link_events events;
	enum kind kind;
	char *target;
	struct peer peer;
	enum state state;
	int fd;
	struct event *readable, *writable;
	struct buf out; /* of a stream: what the kernel has not taken yet */
	struct tls_trust *trust;
	struct tls *tls;
	char *name; /* what the certificate must be for */
};

static const struct {
	const char *word;
	enum kind kind;
} kinds[] = { { "udp:", LINK_UDP }, { "tcp:", LINK_TCP }, { "tls:", LINK_TLS },
	{ "unix:", LINK_UNIX } };

static bool
unix_parse(struct peer *p, const char *path, struct err *e)
{
	struct sockaddr_un *a = (struct sockaddr_un *)(void *)&p->address;

	if (path[0] != '/' || strlen(path) >= sizeof(a->sun_path))
		return err_set(e, ERR_INPUT, "\"%.80s\" is no absolute path of a socket",
		    path);
	*p = (struct peer){ .length = sizeof(*a) };
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, strlen(path) + 1);
	return true;
}

/* "192.0.2.7:6514,name=log.example"; without a name it must be for the address. */
static bool
inet_parse(struct link *l, const char *words, struct err *e)
{
	scoped_free char *address = mem_strdup(words);
	size_t bracket = address[0] == '[';
	char *option = strchr(address, ',');
	bool named = option != NULL && strncmp(option, ",name=", 6) == 0;

	if (option != NULL && (l->kind != LINK_TLS || !named || option[6] == '\0'))
		return err_set(e, ERR_INPUT,
		    "\"%.80s\": only tls has an option: ,name=HOST as in its certificate",
		    words);
	if (option != NULL)
		*option = '\0';
	if (!peer_parse(&l->peer, address, e))
		return false;
	if (named)
		l->name = mem_strdup(option + 6);
	else
		l->name = mem_strndup(address + bracket,
		    (size_t)(strrchr(address, ':') - address) - 2 * bracket);
	return true;
}

static bool
target_parse(struct link *l, const char *target, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *rest = target + strlen(kinds[i].word);
		if (strncmp(target, kinds[i].word, strlen(kinds[i].word)) != 0)
			continue;
		l->kind = kinds[i].kind;
		return l->kind == LINK_UNIX ? unix_parse(&l->peer, rest, e)
					    : inet_parse(l, rest, e);
	}
	return err_set(e, ERR_INPUT,
	    "\"%.80s\": write udp:address:port, tcp:address:port, tls:address:port or "
	    "unix:/path",
	    target);
}

bool
link_open(struct link **out, struct event_base *base, const char *target,
    struct tls_trust *trust, const struct link_events *events, struct err *e)
{
	struct link *l = mem_alloc(sizeof(*l));

	l->base = base;
	l->events = *events;
	l->trust = trust;
	l->fd = -1;
	l->target = mem_strdup(target);
	if (!target_parse(l, target, e)) {
		link_close(l);
		return err_wrap(e, "syslog.target");
	}
	*out = l;
	return true;
}

void
link_reset(struct link *l)
{
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->writable != NULL)
		event_free(l->writable);
	tls_end(l->tls);
	l->tls = NULL;
	if (l->fd >= 0)
		(void)close(l->fd); /* what was unsent is sent again anyway */
	l->readable = l->writable = NULL;
	l->fd = -1;
	l->state = STATE_CLOSED;
	buf_clear(&l->out);
}

void
link_close(struct link *l)
{
	if (l == NULL)
		return;
	link_reset(l);
	buf_done(&l->out);
	free(l->target);
	free(l->name);
	free(l);
}

bool
link_is_stream(const struct link *l)
{
	return l->kind == LINK_TCP || l->kind == LINK_TLS;
}

static void
fail(struct link *l, const char *what, int error_number)
{
	char why[160];

	link_reset(l);
	(void)snprintf(why, sizeof(why), "%s%s%s", what, error_number != 0 ? ": " : "",
	    error_number != 0 ? strerrordesc_np(error_number) : "");
	l->events.refused(l->events.context, why);
}

/* ---- streams */

/* Bytes that were taken, 0: later, -1: it broke and that was told. */
static ssize_t
stream_write(struct link *l)
{
	struct err e = ERR_INIT;
	ssize_t n;

	if (l->tls != NULL) {
		n = tls_write(l->tls, l->out.data, l->out.length, &e);
		if (n < 0)
			fail(l, e.text, 0);
		return n;
	}
	n = send(l->fd, l->out.data, l->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	fail(l, "the connection broke", errno);
	return -1;
}

static void
pass_on(struct link *l)
{
	while (l->out.length != 0) {
		ssize_t n = stream_write(l);
		if (n < 0)
			return;
		if (n == 0) {
			if (event_add(l->writable, NULL) != 0)
				abort();
			return;
		}
		l->out.length -= (size_t)n;
		memmove(l->out.data, l->out.data + n, l->out.length + 1);
	}
}

static void
opened(struct link *l)
{
	l->state = STATE_OPEN;
	(void)event_del(l->readable); /* its deadline was that of the greeting */
	if (event_add(l->readable, NULL) != 0)
		abort();
	l->events.ready(l->events.context);
}

static void
greet(struct link *l)
{
	const struct timeval tv = { .tv_sec = CONNECT_S };
	struct err e = ERR_INIT;
	bool ok = true;

	switch (tls_greet(l->tls, &e)) {
	case TLS_DONE:
		opened(l);
		return;
	case TLS_WANTS_READ:
		ok = event_add(l->readable, &tv) == 0;
		break;
	case TLS_WANTS_WRITE:
		ok = event_add(l->writable, &tv) == 0;
		break;
	case TLS_FAILED:
	default:
		fail(l, e.text, 0);
		return;
	}
	if (!ok)
		abort();
}

static void
connected(struct link *l)
{
	struct err e = ERR_INIT;
	int why = peer_trouble(l->fd);

	if (why != 0) {
		fail(l, "it can't be connected", why);
	} else if (l->kind == LINK_TCP) {
		opened(l);
	} else if (!tls_begin(&l->tls, l->trust, l->fd, l->name, &e)) {
		fail(l, e.text, 0);
	} else {
		l->state = STATE_GREETING;
		greet(l);
	}
}

static void
stream_writable(evutil_socket_t unused_fd unused, short what, void *context)
{
	struct link *l = context;

	if (l->state == STATE_OPEN)
		pass_on(l);
	else if ((what & EV_TIMEOUT) != 0)
		fail(l, "no connection within 5 s", 0);
	else if (l->state == STATE_GREETING)
		greet(l);
	else
		connected(l);
}

/* Receivers say nothing; what comes is the end of the connection. */
static void
stream_listen(struct link *l)
{
	struct err e = ERR_INIT;
	char ignored[512];
	ssize_t n;

	if (l->tls != NULL) {
		if (!tls_drain(l->tls, &e))
			fail(l, e.text, 0);
		return;
	}
	n = recv(l->fd, ignored, sizeof(ignored), MSG_DONTWAIT);
	if (n == 0)
		fail(l, "the receiver closed the connection", 0);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail(l, "the connection broke", errno);
}

static void
stream_readable(evutil_socket_t unused_fd unused, short what, void *context)
{
	struct link *l = context;

	if (l->state == STATE_OPEN)
		stream_listen(l);
	else if ((what & EV_TIMEOUT) != 0)
		fail(l, "no TLS greeting within 5 s", 0);
	else
		greet(l);
}

static void
datagram_readable(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct link *l = context;
	int why = peer_trouble(fd);
	char ignored[512];

	if (why != 0)
		fail(l, "nobody answers at its port", why);
	else
		(void)recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT);
}

static void
options_set(const struct link *l)
{
	unsigned wait_ms = UNANSWERED_MS;
	int on = 1;

	/* Data without an answer of the other machine breaks the connection in time. */
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &wait_ms, sizeof(wait_ms));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
stream_begin(struct link *l)
{
	struct timeval tv = { .tv_sec = CONNECT_S };

	options_set(l);
	l->readable = event_new(l->base, l->fd, EV_READ | EV_PERSIST, stream_readable, l);
	l->writable = event_new(l->base, l->fd, EV_WRITE, stream_writable, l);
	if (l->readable == NULL || l->writable == NULL ||
	    event_add(l->writable, &tv) != 0)
		abort();
	l->state = STATE_CONNECTING;
	if (connect(l->fd, (const struct sockaddr *)&l->peer.address, l->peer.length) !=
		0 &&
	    errno != EINPROGRESS)
		fail(l, "it can't be connected", errno);
}

static void
datagram_begin(struct link *l)
{
	struct err e = ERR_INIT;

	if (!peer_attach(l->fd, &l->peer, &e)) {
		fail(l, e.text, 0);
		return;
	}
	l->readable = event_new(l->base, l->fd, EV_READ | EV_PERSIST, datagram_readable,
	    l);
	if (l->readable == NULL || event_add(l->readable, NULL) != 0)
		abort();
	l->state = STATE_OPEN;
}

static void
unix_begin(struct link *l)
{
	if (connect(l->fd, (const struct sockaddr *)&l->peer.address, l->peer.length) !=
	    0)
		fail(l, "it can't be connected", errno);
	else
		l->state = STATE_OPEN;
}

bool
link_ready(struct link *l)
{
	int type = link_is_stream(l) ? SOCK_STREAM : SOCK_DGRAM;

	if (l->state != STATE_CLOSED)
		return l->state == STATE_OPEN;
	l->fd = socket(l->peer.address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		fail(l, "no socket", errno);
	else if (link_is_stream(l))
		stream_begin(l);
	else if (l->kind == LINK_UDP)
		datagram_begin(l);
	else
		unix_begin(l);
	return l->state == STATE_OPEN;
}

bool
link_send(struct link *l, const char *line, size_t length, struct err *e)
{
	if (link_is_stream(l)) {
		buf_printf(&l->out, "%zu ", length);
		buf_add(&l->out, line, length);
		pass_on(l);
		return true;
	}
	if (send(l->fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length)
		return true;
	int why = errno;
	if (l->kind == LINK_UNIX && why != EAGAIN)
		link_reset(l); /* a new receiver has a new socket behind the same path */
	return err_errno(e, ERR_GONE, why, "nobody takes it");
}

bool
link_quiet(const struct link *l)
{
	int unacknowledged = 0;

	if (!link_is_stream(l))
		return true;
	return l->state == STATE_OPEN && l->out.length == 0 &&
	    ioctl(l->fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
}
