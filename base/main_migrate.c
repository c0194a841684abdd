/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-migrate: brings the database to this program's schema, once, then ends */
#include "base/db.h"
#include "base/log.h"
#include "base/migrations.h"
#include "base/proc.h"
#include "migrate_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_WAIT_S = 60, EXIT_REFUSED = 3 };

__asm__(".section .rodata\nroles_sql:\n.incbin \"sql/roles.sql\"\n.byte 0\n.previous\n");
extern const char roles_sql[];

/* PostgreSQL may be starting up: that is no failure for a while. */
static bool
open_patiently(struct proc *p, const struct statement_set *set, struct db **db,
    struct err *e)
{
	for (int i = 0; i < ANSWER_WAIT_S * 10; i++) {
		struct timespec tenth = { .tv_sec = 0, .tv_nsec = 100000000 };
		if (db_open(proc_conf(p), "owner", set, db, e))
			return true;
		if (e->kind != ERR_GONE)
			return false;
		(void)nanosleep(&tenth, NULL);
	}
	return false;
}

/* 1: in already, 0: not yet, -1: refused. */
static int
already_in(struct db *db, const struct migration *m, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_MIGRATION_DONE, DB_ARGS(DB_NUMBER(m->version), m->sql), &r,
		e))
		return -1;
	if (rows_count(r) == 0)
		return 0;
	if (rows_bool(r, 0, 2))
		return 1;
	(void)err_set(e, ERR_CONFLICT,
	    "migration %s: the database was made with another text of it: this program "
	    "and this "
	    "database do not belong together",
	    m->name);
	return -1;
}

static bool
migrate_one(struct db *db, void *context, struct err *e)
{
	const struct migration *m = context;
	int in;

	if (!db_run(db, STMT_MIGRATION_LOCK, DB_NONE, NULL, e))
		return false;
	in = already_in(db, m, e);
	if (in != 0)
		return in > 0;
	log_info("migration %s", m->name);
	if (!db_exec(db, m->sql, e))
		return err_wrap(e, "migration %s", m->name);
	return db_run(db, STMT_MIGRATION_NOTE,
	    DB_ARGS(DB_NUMBER(m->version), m->name, m->sql), NULL, e);
}

static bool
refuse_newer(struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	int64_t version;

	if (!db_query(db, STMT_MIGRATION_LATEST, DB_NONE, &r, e))
		return false;
	version = rows_i64(r, 0, 0);
	if (version <= migrations_latest)
		return true;
	return err_set(e, ERR_CONFLICT,
	    "the database has schema version %lld and this program knows %d: it was used "
	    "by a newer "
	    "Jeoul; install that version again",
	    (long long)version, migrations_latest);
}

static bool
migrate_all(struct db *db, struct err *e)
{
	if (!refuse_newer(db, e))
		return false;
	for (size_t i = 0; i < migrations_count; i++) {
		struct migration m = migrations[i];
		if (!db_transaction(db, migrate_one, &m, e))
			return false;
	}
	return true;
}

static bool
bring_up(struct proc *p, struct err *e)
{
	struct db *db = NULL;
	bool ok;

	if (!open_patiently(p, NULL, &db, e))
		return false;
	ok = db_exec(db, roles_sql, e);
	db_close(db);
	if (!ok || !db_open(proc_conf(p), "owner", &migrate_statements, &db, e))
		return false;
	ok = migrate_all(db, e);
	db_close(db);
	return ok;
}

int
main(int argc, char **argv)
{
	struct proc *p = proc_start("migrate", argc, argv);
	struct err e = ERR_INIT;

	if (bring_up(p, &e))
		return EXIT_SUCCESS;
	log_error("%s", e.text);
	proc_status(p, "%s", e.text); /* what jeould tells whoever started it */
	return e.kind == ERR_CONFLICT ? EXIT_REFUSED : EXIT_FAILURE;
}
