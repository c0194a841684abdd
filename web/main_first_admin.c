/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-first-admin: the first log-in of the provider, and the command line's key */
#include "base/log.h"
#include "base/proc.h"
#include "web/password.h"
#include "web/sign.h"
#include "web_stmt.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES = 64 };

struct admin {
	bool reset; /* --reset: a new one-time password */
	bool made;  /* there was none */
	char password[20];
	char api_key[TOKEN_TEXT_MAX];
	char secret_key[TOKEN_TEXT_MAX];
};

static bool
admin_insert(struct db *db, struct admin *a, struct err *e)
{
	char hash[PASSWORD_HASH_MAX];

	password_make(a->password);
	token_make(a->api_key, KEY_BYTES);
	token_make(a->secret_key, KEY_BYTES);
	a->made = true;
	return password_hash(hash, a->password, e) &&
	    db_run(db, STMT_FIRST_ADMIN_INSERT, DB_ARGS(hash, a->api_key, a->secret_key),
		NULL, e);
}

static bool
password_reset(struct db *db, struct admin *a, const char *id, struct err *e)
{
	char hash[PASSWORD_HASH_MAX];

	password_make(a->password);
	return password_hash(hash, a->password, e) &&
	    db_run(db, STMT_FIRST_ADMIN_RESET, DB_ARGS(id, hash), NULL, e) &&
	    db_run(db, STMT_FIRST_ADMIN_SESSIONS_END, DB_ARGS(id), NULL, e);
}

/* Keys as they are; new ones when there are none. */
static bool
keys_keep(struct db *db, struct admin *a, const struct rows *r, struct err *e)
{
	const char *key = rows_text(r, 0, 2);
	const char *secret = rows_text(r, 0, 3);

	if (key != NULL && secret != NULL) {
		(void)snprintf(a->api_key, sizeof(a->api_key), "%s", key);
		(void)snprintf(a->secret_key, sizeof(a->secret_key), "%s", secret);
		return true;
	}
	token_make(a->api_key, KEY_BYTES);
	token_make(a->secret_key, KEY_BYTES);
	return db_run(db, STMT_FIRST_ADMIN_KEYS,
	    DB_ARGS(rows_text(r, 0, 0), a->api_key, a->secret_key), NULL, e);
}

static bool
admin_work(struct db *db, void *context, struct err *e)
{
	struct admin *a = context;
	scoped(rows_clear) struct rows *r = NULL;

	a->made = false;
	if (!db_query(db, STMT_FIRST_ADMIN_FIND, DB_NONE, &r, e))
		return false;
	if (rows_count(r) == 0)
		return admin_insert(db, a, e);
	if (a->reset && !password_reset(db, a, rows_text(r, 0, 0), e))
		return false;
	return keys_keep(db, a, r, e);
}

/* An address that a client on this machine can call. */
static const char *
url_of(const struct conf *conf, char out[256])
{
	const char *listen = conf_text(conf, CONF_WEB_LISTEN);

	if (strncmp(listen, "unix:", 5) == 0)
		(void)snprintf(out, 256, "%s", listen);
	else if (strncmp(listen, "0.0.0.0:", 8) == 0)
		(void)snprintf(out, 256, "http://127.0.0.1:%s", listen + 8);
	else if (strncmp(listen, "[::]:", 5) == 0)
		(void)snprintf(out, 256, "http://[::1]:%s", listen + 5);
	else
		(void)snprintf(out, 256, "http://%s", listen);
	return out;
}

/* Whole or not at all: written beside, synced, then renamed. */
static bool
key_write(const struct conf *conf, const struct admin *a, struct err *e)
{
	char path[STATE_PATH_MAX];
	char fresh[STATE_PATH_MAX];
	char url[256];
	int fd;
	bool ok;

	(void)state_path(conf, path, "admin.key");
	(void)state_path(conf, fresh, "admin.key.new");
	(void)unlink(fresh); /* of an earlier try; if it stays, open says so */
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, ERR_INTERNAL, errno, "%s", fresh);
	ok = dprintf(fd, "url=%s\napikey=%s\nsecretkey=%s\n", url_of(conf, url),
		 a->api_key, a->secret_key) > 0 &&
	    fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	if (!ok || rename(fresh, path) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "%s", path);
	return true;
}

static void
tell(const struct conf *conf, const struct admin *a)
{
	char path[STATE_PATH_MAX];

	if (a->made || a->reset)
		(void)printf("Log in as admin with the one-time password %s\n",
		    a->password);
	else
		(void)printf(
		    "The first admin exists: user admin. A new one-time password: "
		    "jeoul-first-admin --reset\n");
	if (a->made)
		(void)printf("The key of the jeoul command is in %s\n",
		    state_path(conf, path, "admin.key"));
}

static bool
admin_make(struct proc *p, struct admin *a, struct err *e)
{
	struct db *db = NULL;
	bool ok;

	if (!db_open(proc_conf(p), "owner", &web_statements, &db, e))
		return false;
	ok = db_transaction(db, admin_work, a, e);
	db_close(db);
	return ok && key_write(proc_conf(p), a, e);
}

/* --reset is ours, everything else belongs to the settings. */
static bool
reset_taken(int *argc, char **argv)
{
	bool found = false;
	int kept = 0;

	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "--reset") == 0)
			found = true;
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	*argc = kept;
	return found;
}

int
main(int argc, char **argv)
{
	struct admin a = { .reset = reset_taken(&argc, argv) };
	struct proc *p = proc_start("first-admin", argc, argv);
	struct err e = ERR_INIT;

	if (!admin_make(p, &a, &e)) {
		log_error("%s", e.text);
		return 1;
	}
	tell(proc_conf(p), &a);
	return 0;
}
