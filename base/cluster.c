/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: the private PostgreSQL under the state folder, unix socket only */
#include "base/cluster.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SOCKET_PATH_MAX = 107, OLD_SERVER_WAIT_MS = 8000, VERSION_LEAST = 15 };

static const char *const roles[] = { "provision", "meter", "billing", "snmp", "web" };

static bool
file_write(const char *path, const char *text, struct err *e)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return err_errno(e, ERR_INTERNAL, errno, "%s", path);
	if (fputs(text, f) < 0 || fflush(f) != 0 || fsync(fileno(f)) != 0) {
		(void)err_errno(e, ERR_INTERNAL, errno, "%s", path);
		(void)fclose(f);
		return false;
	}
	if (fclose(f) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "%s", path);
	return true;
}

static bool
line_read(const char *path, char *line, int room)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (f == NULL)
		return false;
	ok = fgets(line, room, f) != NULL;
	(void)fclose(f);
	line[ok ? strcspn(line, "\n") : 0] = '\0';
	return ok;
}

/* Peer authentication: the system user of a role may be that database role only. */
static char *
ident_text(void)
{
	struct buf b = BUF_INIT;
	uid_t me = geteuid();
	const struct passwd *pw = getpwuid(
	    me); /* NOLINT(concurrency-mt-unsafe): one thread */

	buf_puts(&b, "# written by jeould at each start\n");
	buf_puts(&b, "jeoul " CLUSTER_USER " jeoul_owner\njeoul root jeoul_owner\n");
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		buf_printf(&b, "jeoul jeoul-%s jeoul_%s\njeoul root jeoul_%s\n", roles[i],
		    roles[i], roles[i]);
		if (me != 0 && pw != NULL)
			buf_printf(&b, "jeoul %s jeoul_%s\n", pw->pw_name, roles[i]);
	}
	if (me != 0 && pw != NULL)
		buf_printf(&b, "jeoul %s jeoul_owner\n", pw->pw_name);
	return buf_take(&b);
}

static bool
owner_fix(const char *path, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return true;
	pw = getpwnam(CLUSTER_USER); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (pw == NULL)
		return err_set(e, ERR_INPUT,
		    "the system user %s is missing: run setup/users as root",
		    CLUSTER_USER);
	if (chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "%s", path);
	return true;
}

static bool
access_write(const char *data, struct err *e)
{
	scoped_free char *ident = mem_printf("%s/pg_ident.conf", data);
	scoped_free char *hba = mem_printf("%s/pg_hba.conf", data);
	scoped_free char *text = ident_text();

	return file_write(ident, text, e) && owner_fix(ident, e) &&
	    file_write(hba,
		"# written by jeould at each start\nlocal all all peer map=jeoul\n", e) &&
	    owner_fix(hba, e);
}

static bool
run_as_owner(const char *program, const char *const *argv, struct err *e)
{
	struct spawn s = { .program_fd = -1,
		.path = program,
		.argv = argv,
		.user = CLUSTER_USER,
		.parent_fd = -1,
		.conf_fd = -1,
		.listen_fd = -1,
		.output_fd = -1 };

	return spawn_wait(&s, e);
}

static bool
make_new(const struct conf *conf, const char *data, struct err *e)
{
	const char *bin = conf_text(conf, CONF_DATABASE_BIN);
	scoped_free char *initdb = mem_printf("%s/initdb", bin);
	scoped_free char *fresh = mem_printf("%s.new", data);
	scoped_free char *create = mem_printf(
	    "echo 'create database jeoul' | %s/postgres --single -D %s postgres", bin,
	    fresh);
	const char *const remove_argv[] = { "rm", "-rf", fresh, NULL };
	const char *const init_argv[] = { initdb, "-D", fresh, "-U", "jeoul_owner", "-A",
		"peer", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums",
		"--no-instructions", NULL };
	const char *const create_argv[] = { "sh", "-c", create, NULL };

	log_info("database: making a private PostgreSQL cluster in %s", data);
	if (!run_as_owner("/bin/rm", remove_argv, e) ||
	    !run_as_owner(initdb, init_argv, e) ||
	    !run_as_owner("/bin/sh", create_argv, e)) {
		struct err ignored = ERR_INIT;
		(void)!run_as_owner("/bin/rm", remove_argv, &ignored);
		return err_wrap(e, "database: no private cluster could be made in %s",
		    data);
	}
	if (rename(fresh, data) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "rename %s", fresh);
	return true;
}

/* "postgres (PostgreSQL) 15.18" */
static bool
program_version(const struct conf *conf, int *major, struct err *e)
{
	const char *bin = conf_text(conf, CONF_DATABASE_BIN);
	scoped_free char *command = mem_printf("%s/postgres --version 2>/dev/null", bin);
	char line[128] = "";
	FILE *f = popen(command,
	    "re"); /* NOLINT(cert-env33-c): a path of our own settings */

	if (f != NULL) {
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = '\0';
		(void)pclose(f);
	}
	*major = line[0] != '\0' && strchr(line, ')') != NULL
	    ? (int)strtol(strchr(line, ')') + 1, NULL, 10)
	    : 0;
	if (*major == 0)
		return err_set(e, ERR_INPUT,
		    "database.bin %s holds no PostgreSQL: install the package "
		    "postgresql-15, or "
		    "set database.bin to the folder of the program postgres",
		    bin);
	if (*major < VERSION_LEAST)
		return err_set(e, ERR_INPUT,
		    "database.bin %s is PostgreSQL %d and Jeoul needs %d or newer: "
		    "install "
		    "postgresql-15 and set database.bin to /usr/lib/postgresql/15/bin",
		    bin, *major, VERSION_LEAST);
	return true;
}

static bool
versions_match(const struct conf *conf, const char *data, struct err *e)
{
	scoped_free char *path = mem_printf("%s/PG_VERSION", data);
	char line[32] = "";
	int program = 0;
	int cluster;

	if (!program_version(conf, &program, e))
		return false;
	if (!line_read(path, line, sizeof(line)))
		return true; /* no cluster yet */
	cluster = (int)strtol(line, NULL, 10);
	if (cluster == program)
		return true;
	return err_set(e, ERR_CONFLICT,
	    "the database in %s was made by PostgreSQL %d, but database.bin is "
	    "PostgreSQL %d: set "
	    "database.bin to the folder of version %d, or move the data with pg_upgrade",
	    data, cluster, program, cluster);
}

/* A zombie (nobody reaps it) or another program holds no lock on our folder. */
static bool
server_alive(pid_t pid)
{
	char path[64];
	char line[512] = "";
	const char *close_paren;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!line_read(path, line, sizeof(line)))
		return false;
	close_paren = strrchr(line, ')');
	return strstr(line, "(postgres)") != NULL && close_paren != NULL &&
	    close_paren[1] != '\0' && close_paren[2] != 'Z';
}

static void
sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* The server of a jeould that was killed is on its way down: wait, then help. */
static void
old_server_end(const char *data)
{
	scoped_free char *path = mem_printf("%s/postmaster.pid", data);
	char line[64] = "";
	pid_t pid;

	if (!line_read(path, line, sizeof(line)))
		return;
	pid = (pid_t)strtol(line, NULL, 10);
	for (int waited = 0; pid > 1 && server_alive(pid); waited += 50) {
		if (waited == 0 || waited == OLD_SERVER_WAIT_MS / 2)
			(void)kill(pid, SIGQUIT);
		if (waited >= OLD_SERVER_WAIT_MS)
			(void)kill(pid, SIGKILL);
		sleep_ms(50);
	}
	(void)unlink(path); /* nobody of ours holds it any more */
}

bool
cluster_prepare(const struct conf *conf, struct err *e)
{
	char folder[STATE_PATH_MAX];
	scoped_free char *data = mem_printf("%s/data", state_path(conf, folder, "pg"));
	scoped_free char *marker = mem_printf("%s/PG_VERSION", data);

	if (strlen(folder) + sizeof("/.s.PGSQL.5432.lock") > SOCKET_PATH_MAX)
		return err_set(e, ERR_INPUT,
		    "state %s: the path is too long for the database's socket: choose "
		    "one of at "
		    "most %d bytes",
		    conf_text(conf, CONF_STATE), SOCKET_PATH_MAX - 24);
	if (!versions_match(conf, data, e))
		return false;
	if (access(marker, F_OK) != 0 && !make_new(conf, data, e))
		return false;
	old_server_end(data);
	return access_write(data, e);
}

void
cluster_spawn(const struct conf *conf, int output_fd, struct spawn *out)
{
	static char program[STATE_PATH_MAX];
	static char data[STATE_PATH_MAX];
	static char sockets[STATE_PATH_MAX];
	static const char *const argv[] = { program, "-D", data, "-k", sockets, "-c",
		"listen_addresses=", "-c", "unix_socket_permissions=0777", "-c",
		"shared_buffers=32MB", "-c", "max_connections=60", "-c", "jit=off", "-c",
		"logging_collector=off", "-c", "log_destination=stderr", "-c",
		"max_wal_size=256MB", "-c", "log_min_messages=warning", "-c",
		"log_min_error_statement=panic", "-c", "cluster_name=jeoul", NULL };

	(void)snprintf(program, sizeof(program), "%.4000s/postgres",
	    conf_text(conf, CONF_DATABASE_BIN));
	(void)state_path(conf, data, "pg/data");
	(void)state_path(conf, sockets, "pg");
	*out = (struct spawn){ .program_fd = -1,
		.path = program,
		.argv = argv,
		.user = CLUSTER_USER,
		.parent_fd = -1,
		.conf_fd = -1,
		.listen_fd = -1,
		.death_signal = SIGQUIT,
		.output_fd = output_fd };
}

/* postmaster.pid: the process on the first line, its state on the eighth. */
bool
cluster_ready(const struct conf *conf, pid_t pid)
{
	enum { STATE_LINE = 8 };
	char path[STATE_PATH_MAX];
	char line[256] = "";
	FILE *f = fopen(state_path(conf, path, "pg/data/postmaster.pid"), "re");
	bool ready = f != NULL;

	for (int n = 1; ready && n <= STATE_LINE; n++) {
		ready = fgets(line, sizeof(line), f) != NULL;
		if (n == 1 && strtol(line, NULL, 10) != pid)
			ready = false;
	}
	if (f != NULL)
		(void)fclose(f);
	return ready && strncmp(line, "ready", 5) == 0;
}
