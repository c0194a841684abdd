/* SPDX-License-Identifier: Apache-2.0 */
/* db: PostgreSQL for every role: prepared statements, transactions that retry, COPY */
#pragma once
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Statements live in sql/query/<program>.sql; the build makes of them
 * <program>_stmt.gen.h with  enum { STMT_HOST_LIST, ... }  and a table for db_open().
 *   #include "meter_stmt.gen.h"
 *   db_open(conf, "meter", &meter_statements, &db, &e)
 * All are prepared at connect, so a broken one stops the start, not the month's end.
 */
struct statement {
	const char *name; /* "host_list" */
	const char *sql;
};
struct statement_set {
	const struct statement *list;
	size_t count;
};

struct db;   /* one connection; not shared between threads */
struct rows; /* the answer of a statement */

/*
 * role: "provision", "meter", "billing", "snmp", "web", "owner".  The database role is
 * jeoul_<role> over the private cluster's socket, or the user of database.url.
 * ERR_GONE when PostgreSQL does not answer; ERR_CONFLICT when the database is newer or
 * older than this program.  A connection that is lost later is opened again by the next
 * call (after ERR_GONE went to the one that lost it).
 */
must_check bool db_open(const struct conf *conf, const char *role,
    const struct statement_set *set, struct db **out, struct err *e);
void db_close(struct db *db); /* NULL is fine */

/* Parameters are text, NULL is SQL's null; answers are text too (exact by construction).
 */
must_check bool db_query(struct db *db, unsigned stmt, size_t count,
    const char *const *values, struct rows **out, struct err *e);
/* For statements whose rows nobody needs; affected may be NULL. */
must_check bool db_run(struct db *db, unsigned stmt, size_t count,
    const char *const *values, uint64_t *affected, struct err *e);
#define DB_ARGS(...)                                                                     \
	(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)),                 \
	    (const char *const[])                                                        \
	{                                                                                \
		__VA_ARGS__                                                              \
	}
#define DB_NONE 0, NULL

/* SQL that is not prepared: SET, LISTEN, migrations.  Never text from outside. */
must_check bool db_exec(struct db *db, const char *sql, struct err *e);

size_t rows_count(const struct rows *r);
size_t rows_columns(const struct rows *r);
const char *rows_column_name(const struct rows *r, size_t column);
const char *rows_text(const struct rows *r, size_t row, size_t column); /* NULL: null */
/* Numbers of our own schema: anything else than a number there is an internal error. */
int64_t rows_i64(const struct rows *r, size_t row, size_t column);
bool rows_bool(const struct rows *r, size_t row, size_t column);
void rows_free(struct rows *r);
void rows_clear(struct rows **r); /* scoped(rows_clear) struct rows *r = NULL; */

/*
 * Runs work in one transaction and again, with a fresh start and a growing wait, when
 * PostgreSQL answers 40001 or 40P01 (also 57P01 and 08* before the commit was sent):
 * at most 8 times.  work returns false to roll back.  A connection that breaks while the
 * commit is under way gives ERR_GONE: the caller's writes must be safe to repeat.
 */
typedef bool (*db_work)(struct db *db, void *context, struct err *e);
must_check bool db_transaction(struct db *db, db_work work, void *context, struct err *e);

/*
 * Many writes in one round trip (pipeline mode): add any number, then run.  All or
 * nothing: they are one transaction.
 */
must_check bool db_pipeline_begin(struct db *db, struct err *e);
must_check bool db_pipeline_add(struct db *db, unsigned stmt, size_t count,
    const char *const *values, struct err *e);
must_check bool db_pipeline_run(struct db *db, uint64_t *affected, struct err *e);

/* Binary COPY into a table; fields in the order of the column list. */
must_check bool db_copy_begin(struct db *db, const char *table_and_columns,
    struct err *e);
void db_copy_row(struct db *db, uint16_t fields);
void db_copy_i64(struct db *db, int64_t value);
void db_copy_text(struct db *db, const char *text); /* NULL: null */
void db_copy_instant(struct db *db, struct instant t);
must_check bool db_copy_end(struct db *db, uint64_t *rows, struct err *e);

/* LISTEN; db_fd() for the loop, or -1; db_notified() eats what came, true if any. */
must_check bool db_listen(struct db *db, const char *channel, struct err *e);
int db_fd(const struct db *db);
bool db_notified(struct db *db);
/*
 * The next of what came, with its payload (cut to its room), without waiting; false:
 * none. Channel "" stands for whatever was missed while the connection was away: look.
 */
struct db_note {
	char channel[64];
	char payload[256];
};
must_check bool db_note_next(struct db *db, struct db_note *out);

/* "2026-11-21 04:17:00.123456+00" for a parameter; answers out. */
const char *db_instant(struct instant t, char out[CLOCK_TEXT_MAX]);
const char *db_number(int64_t value, char out[24]);
#define DB_INSTANT(t) db_instant((t), (char[CLOCK_TEXT_MAX]){ 0 })
#define DB_NUMBER(n) db_number((n), (char[24]){ 0 })
