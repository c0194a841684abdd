/* SPDX-License-Identifier: Apache-2.0 */
/* child: a program run for one answer, with a deadline */
#include "web/child.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 400 };

struct child {
	pid_t pid;
	int out;
	int words; /* its standard error */
};

/* POSIX promises not to write to them, though its type does not say so. */
static char *const *
words_of(const char *const *words)
{
	union {
		const char *const *given;
		char *const *taken;
	} u = { .given = words };

	return u.taken;
}

static bool
spawn_program(struct child *c, const struct child_ask *ask, int out_end, int words_end)
{
	static const char *const environment[] = { "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin",
		NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	bool ok;

	(void)sigemptyset(&none);
	ok = posix_spawn_file_actions_init(&actions) == 0 &&
	    posix_spawnattr_init(&attributes) == 0;
	/* The threads of the server block all signals; a child should not. */
	ok = ok && posix_spawnattr_setsigmask(&attributes, &none) == 0 &&
	    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK) == 0 &&
	    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) ==
		0 &&
	    posix_spawn_file_actions_adddup2(&actions, out_end, 1) == 0 &&
	    posix_spawn_file_actions_adddup2(&actions, words_end, 2) == 0 &&
	    posix_spawn(&c->pid, ask->program, &actions, &attributes, words_of(ask->argv),
		words_of(environment)) == 0;
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return ok;
}

static bool
child_start(struct child *c, const struct child_ask *ask, struct err *e)
{
	int out[2];
	int words[2];
	bool ok;

	if (access(ask->program, X_OK) != 0)
		return err_errno(e, ERR_NOT_FOUND, errno, "%s", ask->program);
	if (pipe2(out, O_CLOEXEC) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "pipe");
	if (pipe2(words, O_CLOEXEC) != 0) {
		(void)close(out[0]);
		(void)close(out[1]);
		return err_errno(e, ERR_INTERNAL, errno, "pipe");
	}
	ok = spawn_program(c, ask, out[1], words[1]);
	(void)close(out[1]);
	(void)close(words[1]);
	c->out = out[0];
	c->words = words[0];
	if (ok)
		return true;
	(void)close(c->out);
	(void)close(c->words);
	return err_errno(e, ERR_INTERNAL, errno, "%s", ask->program);
}

/* Reads what is there; false at the end of the stream. */
static bool
drain(int fd, struct buf *to)
{
	char piece[16384];
	ssize_t n = read(fd, piece, sizeof(piece));

	if (n > 0)
		buf_add(to, piece, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Until both streams end; false when the time is over. */
static bool
child_read(const struct child *c, struct mono until, struct buf *out, struct buf *words)
{
	struct pollfd fds[2] = { { .fd = c->out, .events = POLLIN },
		{ .fd = c->words, .events = POLLIN } };

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int64_t left = (until.ns - clock_mono().ns) / NS_PER_MS;
		if (left <= 0)
			return false;
		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			return false;
		if (fds[0].fd >= 0 && fds[0].revents != 0 && !drain(fds[0].fd, out))
			fds[0].fd = -1;
		if (fds[1].fd >= 0 && fds[1].revents != 0 && !drain(fds[1].fd, words))
			fds[1].fd = -1;
	}
	return true;
}

/* Its exit status, or -1. */
static int
status_of(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool
child_run(const struct child_ask *ask, int *status, struct buf *out, struct err *e)
{
	struct mono until = { clock_mono().ns + ask->deadline_ms * NS_PER_MS };
	scoped(buf_done) struct buf words = BUF_INIT;
	struct child c = { .pid = -1, .out = -1, .words = -1 };
	bool in_time;

	words.limit = WORDS_MAX;
	if (!child_start(&c, ask, e))
		return false;
	in_time = child_read(&c, until, out, &words);
	if (!in_time)
		(void)kill(c.pid, SIGKILL);
	*status = status_of(c.pid);
	(void)close(c.out);
	(void)close(c.words);
	if (!in_time)
		return err_set(e, ERR_GONE, "%s: no answer within %d ms", ask->program,
		    ask->deadline_ms);
	if (*status != 0 && *status != ask->allowed)
		return err_set(e, ERR_INTERNAL, "%s: %.*s", ask->program,
		    (int)strcspn(buf_text(&words), "\n"), buf_text(&words));
	return buf_ok(out) ||
	    err_set(e, ERR_INTERNAL, "%s: too much output", ask->program);
}
