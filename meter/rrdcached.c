/* SPDX-License-Identifier: Apache-2.0 */
/* rrdcached: values to a caching daemon, many files a round trip (its BATCH) */
#include "meter/rrdcached.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	COMMAND_MOST = 4000,
	ANSWER_MOST = 1 << 20,
	PENDING_MOST = 16 << 20,
	DEADLINE_S = 5
};

struct rrdcached {
	struct sockaddr_un address;
	int fd; /* -1: not connected */
	struct buf commands;
};

bool
rrdcached_new(struct rrdcached **out, const char *address, struct err *e)
{
	const char *path = strncmp(address, "unix:", 5) == 0 ? address + 5 : address;
	struct rrdcached *c;

	if (path[0] != '/' || strlen(path) >= sizeof(c->address.sun_path))
		return err_set(e, ERR_INPUT,
		    "meter.rrdcached: \"%s\" is no address: write unix:/path", address);
	c = mem_alloc(sizeof(*c));
	c->fd = -1;
	c->address.sun_family = AF_UNIX;
	(void)snprintf(c->address.sun_path, sizeof(c->address.sun_path), "%s", path);
	*out = c;
	return true;
}

static void
disconnect(struct rrdcached *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

void
rrdcached_free(struct rrdcached *c)
{
	if (c == NULL)
		return;
	disconnect(c);
	buf_done(&c->commands);
	free(c);
}

static bool
connected(struct rrdcached *c, struct err *e)
{
	const struct timeval deadline = { .tv_sec = DEADLINE_S };

	if (c->fd >= 0)
		return true;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline)) !=
		0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)) !=
		0 ||
	    connect(c->fd, (const struct sockaddr *)&c->address, sizeof(c->address)) !=
		0) {
		(void)err_errno(e, ERR_GONE, errno, "rrdcached %s", c->address.sun_path);
		disconnect(c);
		return false;
	}
	return true;
}

bool
rrdcached_add(struct rrdcached *c, const char *command, struct err *e)
{
	if (strlen(command) > COMMAND_MOST || strchr(command, '\n') != NULL)
		return err_set(e, ERR_INPUT, "rrdcached: \"%.60s...\" is too long",
		    command);
	if (c->commands.length > PENDING_MOST)
		return err_set(e, ERR_LIMIT,
		    "rrdcached %s: away for too long: values of graphs are lost",
		    c->address.sun_path);
	buf_puts(&c->commands, command);
	buf_putc(&c->commands, '\n');
	return true;
}

static bool
send_all(struct rrdcached *c, const char *text, size_t length, struct err *e)
{
	while (length > 0) {
		ssize_t n = send(c->fd, text, length, MSG_NOSIGNAL);
		if (n <= 0 && errno != EINTR)
			return err_errno(e, ERR_GONE, errno, "rrdcached %s: sending",
			    c->address.sun_path);
		text += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* One more line of an answer; what came after it stays in b. */
static bool
line_read(struct rrdcached *c, struct buf *b, size_t *at, char out[200], struct err *e)
{
	char piece[4096];
	const char *end;

	while ((end = strchr(buf_text(b) + *at, '\n')) == NULL) {
		ssize_t n = recv(c->fd, piece, sizeof(piece), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_GONE, "rrdcached %s: no answer",
			    c->address.sun_path);
		buf_add(b, piece, (size_t)n);
		if (!buf_ok(b))
			return err_set(e, ERR_GONE, "rrdcached %s: too long an answer",
			    c->address.sun_path);
	}
	(void)snprintf(out, 200, "%.*s", (int)(end - (buf_text(b) + *at)),
	    buf_text(b) + *at);
	*at = (size_t)(end - buf_text(b)) + 1;
	return true;
}

/* "0 Go ahead...", then "2 errors" and a line for each: "3 illegal attempt ..." */
static bool
answer_read(struct rrdcached *c, unsigned *failed, char words[160], struct err *e)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	char line[200] = "";
	size_t at = 0;

	b.limit = ANSWER_MOST;
	if (!line_read(c, &b, &at, line, e))
		return false;
	if (line[0] != '0')
		return err_set(e, ERR_GONE, "rrdcached %s: %.100s", c->address.sun_path,
		    line);
	if (!line_read(c, &b, &at, line, e))
		return false;
	*failed = (unsigned)strtoul(line, NULL, 10);
	for (unsigned i = 0; i < *failed; i++) {
		if (!line_read(c, &b, &at, line, e))
			return false;
		if (i == 0)
			(void)snprintf(words, 160, "%.150s", line);
	}
	return true;
}

bool
rrdcached_send(struct rrdcached *c, unsigned *failed, char words[160], struct err *e)
{
	*failed = 0;
	if (c->commands.length == 0)
		return true;
	if (!connected(c, e))
		return false;
	if (!send_all(c, "batch\n", 6, e) ||
	    !send_all(c, c->commands.data, c->commands.length, e) ||
	    !send_all(c, ".\n", 2, e) || !answer_read(c, failed, words, e)) {
		disconnect(c);
		return false;
	}
	buf_clear(&c->commands);
	return true;
}
