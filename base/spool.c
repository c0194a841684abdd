/* SPDX-License-Identifier: Apache-2.0 */
/* spool: what must not be lost while PostgreSQL or a receiver is away (SQLite, fsynced)
 */
#include "base/spool.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 255, PAYLOAD_MAX = 1 << 20, BUSY_MS = 5000 };

struct spool {
	sqlite3 *file;
	char *path;
	sqlite3_stmt *put;
	sqlite3_stmt *drop;
	sqlite3_stmt *each;
	sqlite3_stmt *count;
};

static const char setup_sql[] =
    "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -256;"
    "create table if not exists record (key text primary key, rank integer not null,"
    "  payload text not null, seq integer not null) without rowid;"
    "create index if not exists record_seq on record (seq);";

/* A larger rank replaces, a smaller one changes nothing: the rule of the upsert. */
static const char put_sql[] =
    "insert into record (key, rank, payload, seq) values (?1, ?2, ?3,"
    "  (select coalesce(max(seq), 0) + 1 from record))"
    " on conflict (key) do update set rank = excluded.rank, payload = excluded.payload"
    " where excluded.rank > record.rank";
static const char drop_sql[] = "delete from record where key = ?1 and rank <= ?2";
static const char each_sql[] =
    "select key, rank, payload, seq from record where seq > ?2 order by seq limit ?1";
static const char count_sql[] = "select count(*) from record";

static bool
fail(struct spool *s, const char *what, struct err *e)
{
	int code = sqlite3_errcode(s->file);

	if (code == SQLITE_FULL || code == SQLITE_IOERR)
		return err_set(e, ERR_GONE,
		    "spool %s: %s: the disk is full: free some space, "
		    "the rest goes on alone",
		    s->path, what);
	return err_set(e, ERR_GONE, "spool %s: %s: %s", s->path, what,
	    sqlite3_errmsg(s->file));
}

static bool
prepare(struct spool *s, sqlite3_stmt **out, const char *sql, struct err *e)
{
	if (sqlite3_prepare_v3(s->file, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) ==
	    SQLITE_OK)
		return true;
	return fail(s, "preparing", e);
}

static bool
open_once(struct spool *s, struct err *e)
{
	if (sqlite3_open_v2(s->path, &s->file,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		return fail(s, "opening", e);
	(void)sqlite3_busy_timeout(s->file, BUSY_MS); /* fails only on misuse */
	if (sqlite3_exec(s->file, setup_sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(s, "setting up", e);
	return prepare(s, &s->put, put_sql, e) && prepare(s, &s->drop, drop_sql, e) &&
	    prepare(s, &s->each, each_sql, e) && prepare(s, &s->count, count_sql, e);
}

static void
close_file(struct spool *s)
{
	(void)sqlite3_finalize(s->put); /* repeats errors that were told already */
	(void)sqlite3_finalize(s->drop);
	(void)sqlite3_finalize(s->each);
	(void)sqlite3_finalize(s->count);
	(void)sqlite3_close(s->file);
	s->put = s->drop = s->each = s->count = NULL;
	s->file = NULL;
}

static bool
damaged(const struct spool *s)
{
	int code = sqlite3_errcode(s->file);

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR;
}

/* A page that was never written, or torn, shows only when it is read: all are looked at.
 */
static bool
is_whole(struct spool *s)
{
	sqlite3_stmt *check = NULL;
	bool whole = false;

	if (sqlite3_prepare_v2(s->file, "pragma quick_check(1)", -1, &check, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(check) == SQLITE_ROW)
		whole = strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0;
	(void)sqlite3_finalize(check); /* repeats what the step said */
	return whole;
}

/* Kept for a look by a person, out of the way of the new one. */
static bool
set_aside(struct spool *s, struct err *e)
{
	char when[CLOCK_TEXT_MAX];
	scoped_free char *aside = mem_printf("%s.damaged-%s", s->path,
	    instant_text(clock_now(), when));

	if (rename(s->path, aside) != 0)
		return err_set(e, ERR_INTERNAL,
		    "spool %s is damaged and can't be renamed", s->path);
	for (int i = 0; i < 2; i++) {
		scoped_free char *extra = mem_printf("%s-%s", s->path,
		    i == 0 ? "wal" : "shm");
		(void)remove(extra); /* mostly not there */
	}
	log_error("spool %s: damaged, set aside as %s; a new one is made", s->path,
	    aside);
	return true;
}

bool
spool_open(struct spool **out, const char *path, struct err *e)
{
	struct spool *s = mem_alloc(sizeof(*s));
	bool ok;

	s->path = mem_strdup(path);
	ok = open_once(s, e);
	if (ok ? !is_whole(s) : damaged(s)) {
		close_file(s);
		ok = set_aside(s, e) && open_once(s, e);
	}
	if (!ok) {
		spool_close(s);
		return false;
	}
	*out = s;
	return true;
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	close_file(s);
	free(s->path);
	free(s);
}

static bool
command(struct spool *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->file, sql, NULL, NULL, NULL) == SQLITE_OK ||
	    fail(s, sql, e);
}

static bool
step_with(struct spool *s, sqlite3_stmt *st, const struct spool_record *r, struct err *e)
{
	int code;

	(void)sqlite3_reset(st); /* the last error was told */
	(void)sqlite3_bind_text(st, 1, r->key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, r->order);
	if (st == s->put)
		(void)sqlite3_bind_text(st, 3, r->payload, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	(void)sqlite3_reset(st);
	return code == SQLITE_DONE || fail(s, "writing", e);
}

static bool
all_in_one(struct spool *s, sqlite3_stmt *st, const struct spool_record *list,
    size_t count, struct err *e)
{
	bool ok = command(s, "begin immediate", e);

	if (!ok)
		return false;
	for (size_t i = 0; ok && i < count; i++)
		ok = step_with(s, st, &list[i], e);
	if (ok)
		ok = command(s, "commit", e);
	if (!ok && sqlite3_get_autocommit(s->file) == 0)
		(void)sqlite3_exec(s->file, "rollback", NULL, NULL, NULL);
	return ok;
}

bool
spool_put(struct spool *s, const struct spool_record *records, size_t count,
    struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(records[i].key) > KEY_MAX ||
		    strnlen(records[i].payload, PAYLOAD_MAX + 1) > PAYLOAD_MAX)
			return err_set(e, ERR_INPUT,
			    "spool %s: record \"%.60s\" is too large", s->path,
			    records[i].key);
	return count == 0 || all_in_one(s, s->put, records, count, e);
}

bool
spool_drop(struct spool *s, const char *key, int64_t order, struct err *e)
{
	struct spool_record r = { .key = key, .order = order, .payload = "" };

	return all_in_one(s, s->drop, &r, 1, e);
}

bool
spool_drop_all(struct spool *s, const struct spool_record *records, size_t count,
    struct err *e)
{
	return count == 0 || all_in_one(s, s->drop, records, count, e);
}

bool
spool_each(struct spool *s, size_t count, spool_visit visit, void *context, struct err *e)
{
	return spool_each_after(s, INT64_MIN, count, visit, context, e);
}

bool
spool_each_after(struct spool *s, int64_t seq, size_t count, spool_visit visit,
    void *context, struct err *e)
{
	int code = SQLITE_DONE;
	bool more = true;

	(void)sqlite3_reset(s->each);
	(void)sqlite3_bind_int64(s->each, 1, (sqlite3_int64)count);
	(void)sqlite3_bind_int64(s->each, 2, seq);
	while (more && (code = sqlite3_step(s->each)) == SQLITE_ROW) {
		struct spool_record r = {
			.key = (const char *)sqlite3_column_text(s->each, 0),
			.order = sqlite3_column_int64(s->each, 1),
			.payload = (const char *)sqlite3_column_text(s->each, 2),
			.seq = sqlite3_column_int64(s->each, 3),
		};
		more = visit(&r, context);
	}
	(void)sqlite3_reset(s->each);
	return code == SQLITE_DONE || code == SQLITE_ROW || fail(s, "reading", e);
}

bool
spool_count(struct spool *s, uint64_t *count, struct err *e)
{
	bool ok;

	(void)sqlite3_reset(s->count);
	ok = sqlite3_step(s->count) == SQLITE_ROW;
	if (ok)
		*count = (uint64_t)sqlite3_column_int64(s->count, 0);
	(void)sqlite3_reset(s->count);
	return ok || fail(s, "counting", e);
}
