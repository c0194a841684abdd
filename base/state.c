/* SPDX-License-Identifier: Apache-2.0 */
/* state: the folder of everything that Jeoul keeps */
#include "base/state.h"
#include "base/mem.h"
#include "base/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct part {
	const char *name;
	const char *user; /* NULL: ours */
	mode_t mode;
};

static const struct part parts[] = { { "log", NULL, 0755 }, { "pg", "jeoul-db", 0755 },
	{ "rrd", "jeoul-meter", 0755 }, { "spool", NULL, 0755 },
	{ "spool/meter", "jeoul-meter", 0700 }, { "spool/snmp", "jeoul-snmp", 0700 },
	{ "images", "jeoul-provision", 0711 }, { "console", "jeoul-provision", 0711 },
	{ "templates", "jeoul-provision", 0700 }, { "libvirt", NULL, 0755 },
	{ "guest", NULL, 0755 } };

static bool
owner_set(const char *path, const char *user, struct err *e)
{
	const struct passwd *pw;

	if (user == NULL || geteuid() != 0)
		return true;
	pw = getpwnam(user); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (pw == NULL)
		return err_set(e, ERR_INPUT,
		    "the system user %s is missing: run setup/users as root, or install "
		    "the "
		    "package, which makes it",
		    user);
	if (chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "owner of %s", path);
	return true;
}

static bool
folder_make(const char *path, mode_t mode, const char *user, bool *made, struct err *e)
{
	*made = mkdir(path, mode) == 0;
	if (!*made && errno != EEXIST)
		return err_errno(e, ERR_INPUT, errno,
		    "the folder %s can't be made: choose another state folder (setting "
		    "state) or mend its rights",
		    path);
	if (!*made)
		return true;
	if (chmod(path, mode) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "rights of %s", path);
	return owner_set(path, user, e);
}

static bool
room_check(const char *path, struct err *e)
{
	struct statvfs vfs;
	uint64_t bytes;

	if (statvfs(path, &vfs) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "%s", path);
	bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (bytes >= STATE_FREE_LEAST)
		return true;
	return err_set(e, ERR_LIMIT,
	    "the disk of the state folder %s is full: %llu MiB are free and %llu MiB are "
	    "the least "
	    "to start with: free some space, or set state to a folder on another disk",
	    path, (unsigned long long)(bytes >> 20),
	    (unsigned long long)(STATE_FREE_LEAST >> 20));
}

static bool
parts_make(const char *top, bool *made, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		scoped_free char *path = mem_printf("%s/%s", top, parts[i].name);
		if (!folder_make(path, parts[i].mode, parts[i].user, &made[i], e))
			return false;
	}
	return true;
}

bool
state_prepare(const struct conf *conf, struct err *e)
{
	const char *top = conf_text(conf, CONF_STATE);
	bool made[ARRAY_LEN(parts)] = { false };
	bool made_top = false;

	if (folder_make(top, 0755, NULL, &made_top, e) && room_check(top, e) &&
	    parts_make(top, made, e))
		return true;
	for (size_t i = ARRAY_LEN(parts); i-- > 0;) {
		scoped_free char *path = mem_printf("%s/%s", top, parts[i].name);
		if (made[i])
			(void)rmdir(path); /* empty, since just made */
	}
	if (made_top)
		(void)rmdir(top);
	return false;
}

int
state_lock(const struct conf *conf, struct err *e)
{
	char path[STATE_PATH_MAX];
	char holder[32] = "";
	int fd = open(state_path(conf, path, "jeould.lock"), O_RDWR | O_CREAT | O_CLOEXEC,
	    0644);

	if (fd < 0) {
		(void)err_errno(e, ERR_INPUT, errno, "%s", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (read(fd, holder, sizeof(holder) - 1) < 0)
			holder[0] = '\0';
		holder[strcspn(holder, "\n")] = '\0';
		(void)err_set(e, ERR_CONFLICT,
		    "a jeould (pid %s) works in %s already: see `jeoul status`, or stop "
		    "it with "
		    "`jeould --stop`",
		    holder, conf_text(conf, CONF_STATE));
		(void)close(fd);
		return -1;
	}
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		(void)err_errno(e, ERR_LIMIT, errno, "%s", path);
		(void)close(fd);
		return -1;
	}
	return fd;
}
