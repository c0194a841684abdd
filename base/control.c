/* SPDX-License-Identifier: Apache-2.0 */
/* control: jeould's own socket in the state folder, for status and stop */
#include "base/control.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct control_calls calls_of;

static bool
address_of(const struct conf *conf, struct sockaddr_un *a, struct err *e)
{
	char path[STATE_PATH_MAX];

	(void)state_path(conf, path, "jeould.sock");
	if (strlen(path) >= sizeof(a->sun_path))
		return err_set(e, ERR_INPUT,
		    "state %s: the path is too long for a socket",
		    conf_text(conf, CONF_STATE));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, strlen(path) + 1);
	return true;
}

/* A client's one word; "stop" keeps the connection, which ends with us. */
static void
client_spoke(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct event **own = context;
	struct buf answer = BUF_INIT;
	char word[32] = "";
	ssize_t n = recv(fd, word, sizeof(word) - 1, MSG_DONTWAIT);
	bool keep = false;

	if (n > 0 && strcmp(word, "status") == 0)
		calls_of.status(calls_of.context, &answer);
	if (n > 0 && strcmp(word, "stop") == 0) {
		calls_of.stop(calls_of.context);
		keep = true;
	}
	if (answer.length != 0)
		(void)send(fd, answer.data, answer.length,
		    MSG_NOSIGNAL); /* small, local */
	buf_done(&answer);
	event_free(*own);
	free(own);
	if (!keep)
		(void)close(fd);
}

static void
client_came(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct event_base *base = context;
	struct event **own;
	struct timeval patience = { .tv_sec = 2, .tv_usec = 0 };
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	own = mem_alloc(sizeof(*own)); /* the event frees itself through it */
	*own = event_new(base, client, EV_READ | EV_TIMEOUT, client_spoke, own);
	if (*own == NULL || event_add(*own, &patience) != 0)
		abort();
}

bool
control_open(struct event_base *base, const struct conf *conf,
    const struct control_calls *calls, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct event *ev;
	int fd;

	if (!address_of(conf, &a, e))
		return false;
	(void)unlink(a.sun_path); /* ours by the lock, so the old one is dead */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 ||
	    chmod(a.sun_path, 0600) != 0 || listen(fd, 8) != 0)
		return err_errno(e, ERR_INPUT, errno, "%s", a.sun_path);
	calls_of = *calls;
	ev = event_new(base, fd, EV_READ | EV_PERSIST, client_came, base);
	if (ev == NULL || event_add(ev, NULL) != 0)
		abort();
	return true;
}

static bool
read_answer(int fd, int deadline_s, struct buf *answer, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN, .revents = 0 };
	struct mono until = { clock_mono().ns + deadline_s * NS_PER_S };
	char piece[4096];
	ssize_t n = 1;

	while (n > 0) {
		int64_t left = (until.ns - clock_mono().ns) / NS_PER_MS;
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return err_set(e, ERR_GONE, "jeould does not answer within %d s",
			    deadline_s);
		n = read(fd, piece, sizeof(piece));
		if (n > 0)
			buf_add(answer, piece, (size_t)n);
	}
	return true;
}

bool
control_ask(const struct conf *conf, const char *word, int deadline_s, struct buf *answer,
    struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	bool ok;
	int fd;

	if (!address_of(conf, &a, e))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		int reason = errno;
		if (fd >= 0)
			(void)close(fd);
		if (reason == EACCES)
			return err_set(e, ERR_DENIED, "%s: only root may ask jeould",
			    a.sun_path);
		return err_set(e, ERR_GONE,
		    "no jeould runs in %s: start it with `make run` or "
		    "`systemctl start jeould`",
		    conf_text(conf, CONF_STATE));
	}
	ok = send(fd, word, strlen(word), MSG_NOSIGNAL) > 0 &&
	    read_answer(fd, deadline_s, answer, e);
	(void)close(fd);
	if (ok && answer->length == 0 && strcmp(word, "stop") != 0)
		return err_set(e, ERR_GONE, "jeould is ending just now: try again");
	return ok;
}
