/* SPDX-License-Identifier: Apache-2.0 */
/* spawn: starting a program with just the rights and descriptors that it needs */
#include "base/spawn.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_RIGHTS = 126, EXIT_EXEC = 127 };

/* Between fork and exec only calls that are safe there. */
static void no_return
child_fail(const char *what, const char *path, int status)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "<3>jeould: %s %s: errno %d\n", what, path,
	    errno);

	if (n > 0)
		(void)!write(STDERR_FILENO, text, (size_t)n);
	_exit(status);
}

/* 3, 4, 5 may be taken by each other, or by the output: first all go out of the way, then
 * into place. */
static void
descriptors_place(const struct spawn *s)
{
	int from[3] = { s->parent_fd, s->conf_fd, s->listen_fd };

	if (s->output_fd >= 0) {
		(void)dup2(s->output_fd, STDOUT_FILENO);
		(void)dup2(s->output_fd, STDERR_FILENO);
	}
	for (int i = 0; i < 3; i++)
		if (from[i] >= 0)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 20);
	for (int i = 0; i < 3; i++) {
		if (from[i] >= 0)
			(void)dup2(from[i], 3 + i);
		else
			(void)close(3 + i);
	}
}

static void
rights_drop(const struct spawn *s, const struct passwd *pw)
{
	if (pw != NULL &&
	    (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
		setuid(pw->pw_uid) != 0))
		child_fail("cannot become the user of", s->path, EXIT_RIGHTS);
	if (!s->keep_rights && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		child_fail("cannot give up rights of", s->path, EXIT_RIGHTS);
}

static void no_return
child_run(const struct spawn *s, const struct passwd *pw, int program_fd, pid_t parent)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(027);
	descriptors_place(s);
	rights_drop(s, pw);
	if (s->death_signal != 0 && prctl(PR_SET_PDEATHSIG, s->death_signal) != 0)
		child_fail("cannot follow the parent", s->path, EXIT_RIGHTS);
	if (getppid() != parent)
		_exit(0); /* it died before we could follow it */
	if (program_fd >= 0)
		(void)fexecve(program_fd, (char *const *)(uintptr_t)s->argv, environ);
	else
		(void)execv(s->path, (char *const *)(uintptr_t)s->argv);
	child_fail("cannot run", s->path, EXIT_EXEC);
}

/* High enough not to be overwritten by 3, 4 and 5. */
static int
program_high(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 30);
}

bool
spawn_start(const struct spawn *s, pid_t *pid, struct err *e)
{
	pid_t parent = getpid();
	const struct passwd *pw = NULL;
	int program_fd;

	if (s->user != NULL && geteuid() == 0) {
		pw = getpwnam(s->user); /* NOLINT(concurrency-mt-unsafe): one thread */
		if (pw == NULL)
			return err_set(e, ERR_INPUT,
			    "the system user %s is missing: run setup/users as root, or "
			    "install the package, which makes it",
			    s->user);
	}
	program_fd = program_high(s->program_fd);
	*pid = fork();
	if (*pid == 0)
		child_run(s, pw, program_fd, parent);
	if (program_fd >= 0)
		(void)close(program_fd);
	if (*pid < 0)
		return err_errno(e, ERR_INTERNAL, errno, "starting %s", s->path);
	return true;
}

static char *
last_line(int fd)
{
	char text[2048];
	ssize_t n;
	off_t end = lseek(fd, 0, SEEK_END);
	char *newline;

	(void)lseek(fd, end > 2000 ? end - 2000 : 0, SEEK_SET);
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	newline = strrchr(text, '\n');
	return mem_strdup(newline != NULL ? newline + 1 : text);
}

bool
spawn_wait(const struct spawn *s, struct err *e)
{
	struct spawn quiet = *s;
	int status = 0;
	pid_t pid = 0;
	int output = memfd_create("output", MFD_CLOEXEC);
	bool ok;

	quiet.output_fd = output;
	ok = spawn_start(&quiet, &pid, e);
	if (ok) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
		scoped_free char *words = last_line(output);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			ok = err_set(e, ERR_INTERNAL, "%s failed: %s", s->path, words);
	}
	(void)close(output);
	return ok;
}
