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
	int code; /* of the last failure */
	sqlite3 *file;
	char *path;
	enum spool_found_damaged found;
	bool opened;
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
	s->code = sqlite3_errcode(s->file);
	if (s->code == SQLITE_FULL || s->code == SQLITE_IOERR)
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

static int
check_answer(void *context, int columns, char **values, char **unused_names unused)
{
	bool *whole = context;

	*whole = columns == 1 && values[0] != NULL && strcmp(values[0], "ok") == 0;
	return 0;
}

/* A torn page would show when it is written to, which is when the spool is needed; the
 * quick check leaves out the index. */
static bool
pages_check(struct spool *s, struct err *e)
{
	bool whole = false;

	if (sqlite3_exec(s->file, "pragma integrity_check(1)", check_answer, &whole,
		NULL) != SQLITE_OK)
		return fail(s, "checking", e);
	s->code = SQLITE_CORRUPT;
	return whole || err_set(e, ERR_INTERNAL, "spool %s: its pages are torn", s->path);
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
	if (!pages_check(s, e))
		return false;
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
	return s->code == SQLITE_CORRUPT || s->code == SQLITE_NOTADB;
}

static void
rename_part(const char *from, const char *to, const char *suffix)
{
	scoped_free char *old = mem_printf("%s%s", from, suffix);
	scoped_free char *new = mem_printf("%s%s", to, suffix);

	(void)rename(old, new); /* mostly not there */
}

/* Kept for a look by a person, out of the way of the new one; its log goes with it. */
static char *
set_aside(const struct spool *s, struct err *e)
{
	char when[CLOCK_TEXT_MAX];
	char *aside = mem_printf("%s.damaged-%s", s->path,
	    instant_text(clock_now(), when));

	if (rename(s->path, aside) != 0) {
		(void)err_set(e, ERR_INTERNAL, "spool %s is damaged and can't be renamed",
		    s->path);
		free(aside);
		return NULL;
	}
	rename_part(s->path, aside, "-wal");
	rename_part(s->path, aside, "-shm");
	return aside;
}

static bool
record_read(sqlite3_stmt *st, struct spool_record *out)
{
	*out = (struct spool_record){
		.key = (const char *)sqlite3_column_text(st, 0),
		.order = sqlite3_column_int64(st, 1),
		.payload = (const char *)sqlite3_column_text(st, 2),
		.seq = sqlite3_column_int64(st, 3),
	};
	return out->key != NULL && out->payload != NULL;
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

/* One record into the new file, at its old place. */
static bool
record_copy(sqlite3_stmt *to, const struct spool_record *r)
{
	bool ok;

	(void)sqlite3_bind_text(to, 1, r->key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(to, 2, r->order);
	(void)sqlite3_bind_text(to, 3, r->payload, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(to, 4, r->seq);
	ok = sqlite3_step(to) == SQLITE_DONE;
	(void)sqlite3_reset(to);
	return ok;
}

/* What a damaged file still tells is usage or alarms: it goes into the new one. */
static void
salvage(struct spool *s, const char *aside)
{
	sqlite3 *old = NULL;
	sqlite3_stmt *from = NULL;
	sqlite3_stmt *to = NULL;
	struct spool_record r;
	size_t kept = 0;

	(void)sqlite3_exec(s->file, "begin immediate", NULL, NULL, NULL);
	if (sqlite3_open_v2(aside, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(old, "select key, rank, payload, seq from record", -1,
		&from, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(s->file,
		"insert or ignore into record (key, rank, payload, seq)"
		" values (?1, ?2, ?3, ?4)",
		-1, &to, NULL) == SQLITE_OK)
		while (sqlite3_step(from) == SQLITE_ROW && record_read(from, &r))
			kept += record_copy(to, &r);
	(void)sqlite3_finalize(from);
	(void)sqlite3_finalize(to);
	(void)sqlite3_close(old);
	(void)sqlite3_exec(s->file, "commit", NULL, NULL, NULL);
	log_error("spool %s: damaged, set aside as %s; %zu records could still be read "
		  "and are in the new one",
	    s->path, aside, kept);
}

/* After a failure: a damaged file makes way for a new one; false: that was not why. */
static bool
mend(struct spool *s, struct err *e)
{
	scoped_free char *aside = NULL;

	if (!damaged(s))
		return false;
	close_file(s);
	aside = set_aside(s, e);
	if (aside == NULL || !open_once(s, e))
		return false;
	if (!s->opened && s->found == SPOOL_START_OVER)
		log_error("spool %s: damaged, set aside as %s; a new one is made",
		    s->path, aside);
	else
		salvage(s, aside);
	return true;
}

/* Tables that are not ours, sizes that nobody has, a format yet to come: whatever is
 * wrong with a file that could be read. */
static bool
is_the_files_fault(int code)
{
	static const int others[] = { SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN,
		SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PERM, SQLITE_PROTOCOL };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (code == others[i])
			return false;
	return true;
}

bool
spool_open(struct spool **out, const char *path, enum spool_found_damaged found,
    struct err *e)
{
	struct spool *s = mem_alloc(sizeof(*s));
	bool ok;

	s->path = mem_strdup(path);
	s->found = found;
	ok = open_once(s, e);
	if (!ok && is_the_files_fault(s->code))
		s->code = SQLITE_NOTADB;
	if (!ok && !mend(s, e)) {
		spool_close(s);
		return false;
	}
	s->opened = true;
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
all_once(struct spool *s, sqlite3_stmt *st, const struct spool_record *list, size_t count,
    struct err *e)
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

static bool
all_in_one(struct spool *s, bool put, const struct spool_record *list, size_t count,
    struct err *e)
{
	return all_once(s, put ? s->put : s->drop, list, count, e) ||
	    (mend(s, e) && all_once(s, put ? s->put : s->drop, list, count, e));
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
	return count == 0 || all_in_one(s, true, records, count, e);
}

bool
spool_drop(struct spool *s, const char *key, int64_t order, struct err *e)
{
	struct spool_record r = { .key = key, .order = order, .payload = "" };

	return all_in_one(s, false, &r, 1, e);
}

bool
spool_drop_all(struct spool *s, const struct spool_record *records, size_t count,
    struct err *e)
{
	return count == 0 || all_in_one(s, false, records, count, e);
}

/* visited counts, since no record may be shown twice in one call. */
static bool
each_once(struct spool *s, int64_t seq, size_t count, spool_visit visit, void *context,
    size_t *visited, struct err *e)
{
	struct spool_record r;
	int code = SQLITE_DONE;
	bool more = true;

	(void)sqlite3_reset(s->each);
	(void)sqlite3_bind_int64(s->each, 1, (sqlite3_int64)count);
	(void)sqlite3_bind_int64(s->each, 2, seq);
	while (more && (code = sqlite3_step(s->each)) == SQLITE_ROW) {
		if (!record_read(s->each, &r)) {
			code = s->code = SQLITE_CORRUPT; /* no column of ours is null */
			break;
		}
		more = visit(&r, context);
		(*visited)++;
	}
	(void)sqlite3_reset(s->each);
	if (code == SQLITE_CORRUPT && s->code == SQLITE_CORRUPT)
		return err_set(e, ERR_GONE, "spool %s: a record is damaged", s->path);
	return code == SQLITE_DONE || code == SQLITE_ROW || fail(s, "reading", e);
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
	size_t visited = 0;

	s->code = SQLITE_OK;
	return each_once(s, seq, count, visit, context, &visited, e) ||
	    (mend(s, e) &&
		(visited > 0 || each_once(s, seq, count, visit, context, &visited, e)));
}

static bool
count_once(struct spool *s, uint64_t *count, struct err *e)
{
	bool ok;

	(void)sqlite3_reset(s->count);
	ok = sqlite3_step(s->count) == SQLITE_ROW;
	if (ok)
		*count = (uint64_t)sqlite3_column_int64(s->count, 0);
	(void)sqlite3_reset(s->count);
	return ok || fail(s, "counting", e);
}

bool
spool_count(struct spool *s, uint64_t *count, struct err *e)
{
	return count_once(s, count, e) || (mend(s, e) && count_once(s, count, e));
}
