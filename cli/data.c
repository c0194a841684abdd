/* SPDX-License-Identifier: Apache-2.0 */
/* data: whether usage and charges fit together, asked of the database by jeoul-check */
#include "base/mem.h"
#include "base/spawn.h"
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MOST = 4 << 20, STATUS_BREACH = 1 };

bool
program_find(char out[PATH_MAX], const char *name, struct err *e)
{
	static const char *const places[] = { ".", "../libexec/jeoul" };
	char own[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash == NULL)
		return err_set(e, ERR_INTERNAL, "/proc is not mounted");
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		(void)snprintf(out, PATH_MAX, "%s/%s/%.40s", own, places[i], name);
		if (access(out, X_OK) == 0)
			return true;
	}
	return err_set(e, ERR_NOT_FOUND, "%s is missing beside %s: install it", name,
	    own);
}

static char *
answer_read(int fd)
{
	struct buf b = BUF_INIT;
	char piece[4096];
	ssize_t n;

	b.limit = ANSWER_MOST;
	(void)lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(&b, piece, (size_t)n);
	return buf_take(&b);
}

/* Its output, standard error too; false when it could not even be started. */
static bool
program_run(const struct cli *c, int output, int *status, struct err *e)
{
	char path[PATH_MAX];
	const char *argv[2 * CLI_FLAGS_MOST + 8] = { "jeoul-check", "--json" };
	struct spawn s = { .program_fd = -1,
		.path = path,
		.argv = argv,
		.parent_fd = -1,
		.conf_fd = -1,
		.listen_fd = -1,
		.death_signal = SIGTERM,
		.output_fd = output };
	size_t n = 2;
	pid_t pid = 0;

	if (c->conf_file != NULL) {
		argv[n++] = "--config";
		argv[n++] = c->conf_file;
	}
	for (size_t i = 0; i < c->flag_count; i++) {
		argv[n++] = "--set";
		argv[n++] = c->flags[i];
	}
	if (!program_find(path, "jeoul-check", e) || !spawn_start(&s, &pid, e))
		return false;
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, ERR_INTERNAL, errno, "jeoul-check");
	return true;
}

bool
data_check(const struct cli *c, struct json **out, struct err *e)
{
	int output = memfd_create("jeoul-check", MFD_CLOEXEC);
	int status = 0;
	bool ok = output >= 0 ? program_run(c, output, &status, e)
			      : err_errno(e, ERR_INTERNAL, errno, "jeoul-check");
	scoped_free char *text = answer_read(output);
	const char *list = strchr(text, '[');

	(void)close(output);
	if (!ok)
		return false;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= STATUS_BREACH && list != NULL)
		return json_parse(out, list, strlen(list), e);
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, ERR_GONE, "it could not be asked: %.600s", text);
}
