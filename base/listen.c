/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the web's socket, opened by the parent before anything starts */
#include "base/listen.h"
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 512, HOST_MAX = 256 };

/* The inode of the listening socket of that port, from /proc/net/tcp or tcp6; 0: none. */
static unsigned long
inode_of_port(const char *table, unsigned port)
{
	char line[512];
	unsigned long found = 0;
	FILE *f = fopen(table, "re");

	if (f == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof(line), f) != NULL) {
		unsigned local = 0;
		unsigned state = 0;
		unsigned long inode = 0;
		/* NOLINTNEXTLINE(cert-err34-c): the kernel's own table */
		if (sscanf(line,
			" %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %lu",
			&local, &state, &inode) == 3 &&
		    local == port && state == 0x0a)
			found = inode;
	}
	(void)fclose(f);
	return found;
}

static bool
process_has(const char *pid, unsigned long inode)
{
	char path[300];
	char wanted[64];
	char target[64];
	const struct dirent *d;
	bool found = false;
	DIR *fds;

	(void)snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	(void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	fds = opendir(path);
	while (fds != NULL && !found &&
	    (d = readdir(fds)) != NULL) { /* NOLINT: one thread */
		(void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.200s", pid,
		    d->d_name);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	if (fds != NULL)
		(void)closedir(fds);
	return found;
}

static void
holder_text(unsigned port, char *out, size_t room)
{
	unsigned long inode = inode_of_port("/proc/net/tcp", port);
	const struct dirent *d;
	DIR *proc = opendir("/proc");
	char name[64] = "";
	char path[300];

	(void)snprintf(out, room, "another program");
	if (inode == 0)
		inode = inode_of_port("/proc/net/tcp6", port);
	while (inode != 0 && proc != NULL &&
	    (d = readdir(proc)) != NULL) { /* NOLINT: one thread */
		FILE *f;
		if (d->d_name[0] < '0' || d->d_name[0] > '9' ||
		    !process_has(d->d_name, inode))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", d->d_name);
		f = fopen(path, "re");
		if (f != NULL && fgets(name, sizeof(name), f) == NULL)
			name[0] = '\0';
		if (f != NULL)
			(void)fclose(f);
		name[strcspn(name, "\n")] = '\0';
		(void)snprintf(out, room, "%s (pid %.20s)", name, d->d_name);
		break;
	}
	if (proc != NULL)
		(void)closedir(proc);
}

static int
fail(int fd, const char *endpoint, unsigned port, struct err *e)
{
	char holder[128];

	if (errno == EADDRINUSE) {
		holder_text(port, holder, sizeof(holder));
		(void)err_set(e, ERR_CONFLICT,
		    "web.listen %s is taken by %s: stop that, or choose another port "
		    "with "
		    "web.listen, as in JEOUL_WEB_LISTEN=127.0.0.1:%u",
		    endpoint, holder, port < 65535 ? port + 1 : 8080);
	} else
		(void)err_errno(e, ERR_INPUT, errno,
		    "web.listen %s can't be opened: choose an address of this machine "
		    "and a "
		    "port that this user may open",
		    endpoint);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static int
open_unix(const char *endpoint, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(endpoint) - 5 >= sizeof(a.sun_path)) {
		(void)err_set(e, ERR_INPUT, "web.listen %s: the path is too long",
		    endpoint);
		return -1;
	}
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", endpoint + 5);
	(void)unlink(
	    a.sun_path); /* of an earlier run; a living one is told by the lock */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, BACKLOG) != 0)
		return fail(fd, endpoint, 0, e);
	(void)chmod(a.sun_path, 0666);
	return fd;
}

static int
open_tcp(const char *endpoint, const struct addrinfo *ai, unsigned port, struct err *e)
{
	int one = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(fd, endpoint, port, e);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
		return fail(fd, endpoint, port, e);
	return fd;
}

int
listen_open(const char *endpoint, struct err *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	struct addrinfo *ai = NULL;
	char host[HOST_MAX];
	const char *colon = strrchr(endpoint, ':');
	size_t bracket = endpoint[0] == '[';
	int code;
	int fd;

	if (strncmp(endpoint, "unix:", 5) == 0)
		return open_unix(endpoint, e);
	(void)snprintf(host, sizeof(host), "%.*s",
	    (int)((size_t)(colon - endpoint) - 2 * bracket), endpoint + bracket);
	code = getaddrinfo(host, colon + 1, &hints, &ai);
	if (code != 0) {
		(void)err_set(e, ERR_INPUT, "web.listen %s: %s: write a numeric address",
		    endpoint, gai_strerror(code));
		return -1;
	}
	fd = open_tcp(endpoint, ai, (unsigned)strtoul(colon + 1, NULL, 10), e);
	freeaddrinfo(ai);
	return fd;
}
