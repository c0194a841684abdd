/* SPDX-License-Identifier: Apache-2.0 */
/* db: PostgreSQL for every role: prepared statements, transactions that retry, COPY */
#include "base/db.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/migrations.h"
#include "base/proc.h"
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TRIES_MOST = 8,
	CHANNELS_MOST = 8,
	WAIT_FIRST_MS = 20,
	COPY_CHUNK = 1 << 16,
};

struct db {
	PGconn *link; /* NULL: not connected */
	char *target; /* a URL, or the name in the private cluster */
	char *host;   /* NULL with a URL */
	char *user;
	char *options;
	char *application;
	char *role;
	const struct statement_set *set;
	int64_t deadline_ns;
	bool in_transaction;
	bool committing;
	size_t piped;
	char state[6]; /* SQLSTATE of the last failure */
	char *channels[CHANNELS_MOST];
	size_t channel_count;
	bool notified;
	struct buf copy;
};

struct rows {
	PGresult *result;
};

/* Every wait ends: readable, writable, or the deadline. */
static bool
wait_for(struct db *db, short events, struct mono until, struct err *e)
{
	struct pollfd p = { .fd = PQsocket(db->link), .events = events, .revents = 0 };
	int64_t left;
	int n;

	for (;;) {
		left = (until.ns - clock_mono().ns) / NS_PER_MS;
		n = left > 0 ? poll(&p, 1, (int)(left < 60000 ? left : 60000)) : 0;
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return err_errno(e, ERR_INTERNAL, errno, "database: poll");
		if (clock_mono().ns >= until.ns)
			return err_set(e, ERR_GONE, "database: no answer within %d ms",
			    (int)(db->deadline_ns / NS_PER_MS));
	}
}

static struct mono
deadline_of(const struct db *db)
{
	/* The server's own time-out comes first; ours is for a server that hangs. */
	return (struct mono){ clock_mono().ns + db->deadline_ns + NS_PER_S };
}

static void
disconnect(struct db *db)
{
	PQfinish(db->link);
	db->link = NULL; /* a transaction stays lost until its end: see link_usable() */
	db->piped = 0;
}

struct state_kind {
	const char *prefix;
	enum err_kind kind;
};

/* SQLSTATE -> what the caller does; the first prefix that fits wins. */
static const struct state_kind state_kinds[] = { { "40001", ERR_AGAIN },
	{ "40P01", ERR_AGAIN }, { "55P03", ERR_AGAIN }, { "57P", ERR_GONE },
	{ "57014", ERR_GONE }, { "08", ERR_GONE }, { "53", ERR_GONE },
	{ "23505", ERR_CONFLICT }, { "23P01", ERR_CONFLICT }, { "23", ERR_INPUT },
	{ "22", ERR_INPUT }, { "42501", ERR_DENIED }, { "P0002", ERR_NOT_FOUND },
	{ "JEINP", ERR_INPUT }, { "JENOT", ERR_NOT_FOUND }, { "JECON", ERR_CONFLICT },
	{ "JEDEN", ERR_DENIED }, { "JELIM", ERR_LIMIT } };

static enum err_kind
kind_of(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(state_kinds); i++)
		if (strncmp(state, state_kinds[i].prefix,
			strlen(state_kinds[i].prefix)) == 0)
			return state_kinds[i].kind;
	return ERR_INTERNAL;
}

static void
cut_newline(char *text)
{
	text[strcspn(text, "\n")] = '\0';
}

/* A message that our own SQL raised ("JE...") is for people and stays as it is. */
static bool
fail_result(struct db *db, const PGresult *result, const char *what, struct err *e)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	(void)snprintf(db->state, sizeof(db->state), "%s",
	    state != NULL ? state : "08006");
	if (primary == NULL)
		primary = "the connection was lost";
	if (strncmp(db->state, "JE", 2) == 0)
		return err_set(e, kind_of(db->state), "%s", primary);
	return err_set(e, kind_of(db->state), "database: %s: %s (%s)", what, primary,
	    db->state);
}

static bool
fail_link(struct db *db, const char *what, struct err *e)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s", PQerrorMessage(db->link));
	cut_newline(text);
	(void)snprintf(db->state, sizeof(db->state), "08006");
	disconnect(db);
	return err_set(e, ERR_GONE, "database: %s: %s", what, text);
}

static bool
flush_out(struct db *db, struct mono until, struct err *e)
{
	int rest;

	while ((rest = PQflush(db->link)) == 1) {
		if (!wait_for(db, POLLIN | POLLOUT, until, e))
			return false;
		if (PQconsumeInput(db->link) == 0)
			return fail_link(db, "sending", e);
	}
	return rest == 0 || fail_link(db, "sending", e);
}

/* The next result, NULL at the end of the statement; false when the link is no more. */
static bool
next_result(struct db *db, struct mono until, PGresult **out, struct err *e)
{
	if (!flush_out(db, until, e))
		return false;
	while (PQisBusy(db->link) == 1) {
		if (!wait_for(db, POLLIN, until, e)) {
			disconnect(
			    db); /* the answer may still come: it must hit nobody */
			return false;
		}
		if (PQconsumeInput(db->link) == 0)
			return fail_link(db, "receiving", e);
	}
	*out = PQgetResult(db->link);
	return true;
}

static bool
result_ok(const PGresult *result)
{
	ExecStatusType s = PQresultStatus(result);

	return s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK || s == PGRES_SINGLE_TUPLE ||
	    s == PGRES_COPY_IN || s == PGRES_PIPELINE_SYNC;
}

/* Reads a statement's results to the end; keeps the last good one for the caller. */
static bool
collect(struct db *db, const char *what, PGresult **out, struct err *e)
{
	struct mono until = deadline_of(db);
	PGresult *kept = NULL;
	PGresult *result = NULL;
	bool ok = true;

	while (next_result(db, until, &result, e)) {
		if (result == NULL) {
			*out = ok ? kept : NULL;
			if (!ok)
				PQclear(kept);
			if (!ok && db->link != NULL &&
			    PQstatus(db->link) == CONNECTION_BAD)
				disconnect(db);
			return ok;
		}
		if (ok && !result_ok(result))
			ok = fail_result(db, result, what, e);
		PQclear(kept);
		kept = result;
		if (PQresultStatus(result) == PGRES_COPY_IN) {
			*out = kept;
			return ok;
		}
	}
	PQclear(kept);
	return false;
}

static bool
run_text(struct db *db, const char *sql, struct err *e)
{
	PGresult *result = NULL;

	if (PQsendQuery(db->link, sql) == 0)
		return fail_link(db, "sending", e);
	if (!collect(db, "command", &result, e))
		return false;
	PQclear(result);
	return true;
}

static bool
connect_poll(struct db *db, struct err *e)
{
	struct mono until = deadline_of(db);
	PostgresPollingStatusType s = PGRES_POLLING_WRITING;

	while (s != PGRES_POLLING_OK && s != PGRES_POLLING_FAILED) {
		if (!wait_for(db, s == PGRES_POLLING_READING ? POLLIN : POLLOUT, until,
			e)) {
			disconnect(db);
			return false;
		}
		s = PQconnectPoll(db->link);
	}
	if (s == PGRES_POLLING_FAILED)
		return fail_link(db, "connecting", e);
	(void)PQsetnonblocking(db->link, 1); /* fails only without memory or link */
	return true;
}

/* All statements in one round trip; the first broken one is named. */
static bool
prepare_all(struct db *db, struct err *e)
{
	PGresult *result = NULL;
	struct mono until = deadline_of(db);
	bool ok = true;

	if (PQenterPipelineMode(db->link) == 0)
		return fail_link(db, "pipeline", e);
	for (size_t i = 0; i < db->set->count; i++)
		if (PQsendPrepare(db->link, db->set->list[i].name, db->set->list[i].sql,
			0, NULL) == 0)
			return fail_link(db, "preparing", e);
	if (PQpipelineSync(db->link) == 0)
		return fail_link(db, "preparing", e);
	for (size_t i = 0; i < db->set->count; i++) {
		for (;;) {
			if (!next_result(db, until, &result, e))
				return false;
			if (result == NULL)
				break;
			if (ok && !result_ok(result) &&
			    PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
				ok = fail_result(db, result, db->set->list[i].name, e);
			PQclear(result);
		}
	}
	if (!next_result(db, until, &result, e))
		return false;
	PQclear(result);                    /* the sync itself */
	(void)PQexitPipelineMode(db->link); /* cannot fail: all results are read */
	return ok;
}

static bool
schema_check(struct db *db, struct err *e)
{
	PGresult *result = NULL;
	int version;

	if (strcmp(db->role, "owner") == 0)
		return true;
	if (PQsendQuery(db->link, "select max(version) from schema_migration") == 0)
		return fail_link(db, "sending", e);
	if (!collect(db, "schema version", &result, e))
		return false;
	version = PQntuples(result) == 1 ? (int)strtol(PQgetvalue(result, 0, 0), NULL, 10)
					 : 0;
	PQclear(result);
	if (version == migrations_latest)
		return true;
	return err_set(e, ERR_CONFLICT,
	    "database: its schema has version %d and this program needs %d: %s", version,
	    migrations_latest,
	    version > migrations_latest
		? "install the newer Jeoul that this database belongs to"
		: "restart jeould, which brings the database up to date");
}

static bool
listen_again(struct db *db, struct err *e)
{
	for (size_t i = 0; i < db->channel_count; i++) {
		char sql[128];
		(void)snprintf(sql, sizeof(sql), "listen \"%s\"", db->channels[i]);
		if (!run_text(db, sql, e))
			return false;
	}
	/* What was notified while nobody listened is not known: look. */
	db->notified = db->channel_count != 0;
	return true;
}

/*
 * The server may have said goodbye since the last call (a restart): seen here, the call
 * goes over a new connection; seen later, nobody knows what became of it.  What else
 * waits to be read are notifications, which stay.
 */
static bool
link_alive(struct db *db)
{
	enum { LOOKS = 4 };
	struct pollfd p = { .fd = -1, .events = POLLIN, .revents = 0 };

	if (db->link == NULL || PQstatus(db->link) != CONNECTION_OK)
		return false;
	p.fd = PQsocket(db->link);
	for (int i = 0; i < LOOKS && poll(&p, 1, 0) > 0; i++)
		if (PQconsumeInput(db->link) == 0 || PQstatus(db->link) != CONNECTION_OK)
			return false;
	return true;
}

static bool
ensure_connected(struct db *db, struct err *e)
{
	if (link_alive(db))
		return true;
	disconnect(db);
	/* A URL as "dbname" is expanded by libpq; NULL values count as not given. */
	const char *const names[] = { "dbname", "host", "user", "options",
		"application_name", "client_encoding", NULL };
	const char *const values[] = { db->target, db->host, db->user, db->options,
		db->application, "UTF8", NULL };
	db->link = PQconnectStartParams(names, values, 1);
	if (db->link == NULL)
		return err_set(e, ERR_INTERNAL, "database: out of memory");
	if (PQstatus(db->link) == CONNECTION_BAD)
		return fail_link(db, "connecting", e);
	if (!connect_poll(db, e))
		return false;
	if (!schema_check(db, e) || !prepare_all(db, e) || !listen_again(db, e)) {
		disconnect(db);
		return false;
	}
	return true;
}

static void
notice_quietly(void *unused_context unused, const char *message)
{
	log_debug("database: %s", message);
}

static void
target_set(struct db *db, const struct conf *conf)
{
	const char *url = conf_text(conf, CONF_DATABASE_URL);
	char path[STATE_PATH_MAX];

	db->application = mem_printf("jeoul-%s", db->role);
	db->options =
	    mem_printf("-c search_path=jeoul,public -c TimeZone=UTC -c DateStyle=ISO "
		       "-c statement_timeout=%lld",
		(long long)(db->deadline_ns / NS_PER_MS));
	db->target = mem_strdup(url[0] != '\0' ? url : "jeoul");
	if (url[0] != '\0')
		return;
	db->host = mem_strdup(state_path(conf, path, "pg"));
	db->user = mem_printf("jeoul_%s", db->role);
}

bool
db_open(const struct conf *conf, const char *role, const struct statement_set *set,
    struct db **out, struct err *e)
{
	static const struct statement_set none = { NULL, 0 };
	struct db *db = mem_alloc(sizeof(*db));

	db->role = mem_strdup(role);
	db->set = set != NULL ? set : &none;
	db->deadline_ns = conf_span_ns(conf, CONF_DATABASE_TIMEOUT);
	target_set(db, conf);
	if (!ensure_connected(db, e)) {
		db_close(db);
		return false;
	}
	(void)PQsetNoticeProcessor(db->link, notice_quietly, NULL);
	*out = db;
	return true;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	for (size_t i = 0; i < db->channel_count; i++)
		free(db->channels[i]);
	buf_done(&db->copy);
	free(db->target);
	free(db->host);
	free(db->user);
	free(db->options);
	free(db->application);
	free(db->role);
	free(db);
}

static const struct statement *
statement_at(const struct db *db, unsigned stmt)
{
	if (stmt >= db->set->count) {
		log_error("statement %u is not of this program", stmt);
		abort(); /* our own mistake: the enum of another program */
	}
	return &db->set->list[stmt];
}

/* Inside a transaction a new link would silently be outside of it. */
static bool
link_usable(struct db *db, struct err *e)
{
	if (!db->in_transaction)
		return ensure_connected(db, e);
	if (db->link != NULL && PQstatus(db->link) == CONNECTION_OK)
		return true;
	return err_set(e, ERR_GONE,
	    "database: the connection was lost inside a transaction");
}

bool
db_query(struct db *db, unsigned stmt, size_t count, const char *const *values,
    struct rows **out, struct err *e)
{
	const struct statement *s = statement_at(db, stmt);
	PGresult *result = NULL;
	struct rows *r;

	if (!link_usable(db, e))
		return false;
	if (PQsendQueryPrepared(db->link, s->name, (int)count, values, NULL, NULL, 0) ==
	    0)
		return fail_link(db, s->name, e);
	if (!collect(db, s->name, &result, e))
		return false;
	r = mem_alloc(sizeof(*r));
	r->result = result;
	*out = r;
	return true;
}

static uint64_t
affected_of(PGresult *result)
{
	const char *text = PQcmdTuples(result);

	return text[0] != '\0' ? strtoull(text, NULL, 10) : 0;
}

bool
db_run(struct db *db, unsigned stmt, size_t count, const char *const *values,
    uint64_t *affected, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, stmt, count, values, &r, e))
		return false;
	if (affected != NULL && r != NULL)
		*affected = affected_of(r->result);
	return true;
}

bool
db_exec(struct db *db, const char *sql, struct err *e)
{
	return link_usable(db, e) && run_text(db, sql, e);
}

size_t
rows_count(const struct rows *r)
{
	return (size_t)PQntuples(r->result);
}

size_t
rows_columns(const struct rows *r)
{
	return (size_t)PQnfields(r->result);
}

const char *
rows_column_name(const struct rows *r, size_t column)
{
	return PQfname(r->result, (int)column);
}

const char *
rows_text(const struct rows *r, size_t row, size_t column)
{
	if (PQgetisnull(r->result, (int)row, (int)column) == 1)
		return NULL;
	return PQgetvalue(r->result, (int)row, (int)column);
}

int64_t
rows_i64(const struct rows *r, size_t row, size_t column)
{
	const char *text = rows_text(r, row, column);
	char *end = NULL;
	long long n;

	if (text == NULL)
		return 0;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0') {
		log_error("database: column %s holds \"%.40s\" where a number must be",
		    rows_column_name(r, column), text);
		abort();
	}
	return n;
}

bool
rows_bool(const struct rows *r, size_t row, size_t column)
{
	const char *text = rows_text(r, row, column);

	return text != NULL && text[0] == 't';
}

void
rows_free(struct rows *r)
{
	if (r == NULL)
		return;
	PQclear(r->result);
	free(r);
}

void
rows_clear(struct rows **r)
{
	rows_free(*r);
	*r = NULL;
}

static void
pause_before(unsigned attempt)
{
	struct timespec ts;
	int64_t ms = (int64_t)WAIT_FIRST_MS << (attempt < 6 ? attempt : 6);

	/* Two that met once must not meet again: half of the wait is the clock's lowest
	 * digits. */
	ms = ms / 2 + clock_mono().ns / NS_PER_US % (ms / 2 + 1);
	ts.tv_sec = (time_t)(ms / 1000);
	ts.tv_nsec = (long)(ms % 1000 * NS_PER_MS);
	(void)nanosleep(&ts, NULL); /* woken early is fine */
}

/* PostgreSQL answers "commit" with success even where a statement had failed and it rolls
 * back: whoever went on after such a failure must hear of it. */
static bool
may_commit(struct db *db, struct err *e)
{
	if (!link_usable(db, e))
		return false;
	return PQtransactionStatus(db->link) != PQTRANS_INERROR ||
	    err_set(e, ERR_INTERNAL,
		"database: a statement of a transaction failed (%s) and the others went "
		"on: nothing of it was written",
		db->state);
}

static bool
transaction_once(struct db *db, db_work work, void *context, struct err *e)
{
	struct err ignored = ERR_INIT;
	bool ok;

	db->committing = false;
	if (!ensure_connected(db, e) || !run_text(db, "begin", e))
		return false;
	db->in_transaction = true;
	ok = work(db, context, e) && may_commit(db, e);
	db->in_transaction = false;
	if (!ok) {
		if (db->link != NULL && !run_text(db, "rollback", &ignored))
			disconnect(db);
		return false;
	}
	db->committing = true;
	return run_text(db, "commit", e);
}

bool
db_transaction(struct db *db, db_work work, void *context, struct err *e)
{
	for (unsigned attempt = 0;; attempt++) {
		struct err now = ERR_INIT;
		db->state[0] = '\0';
		if (transaction_once(db, work, context, &now))
			return true;
		bool again = now.kind == ERR_AGAIN ||
		    (now.kind == ERR_GONE && !db->committing && attempt < 2);
		if (!again || attempt + 1 >= TRIES_MOST) {
			*e = now;
			return false;
		}
		pause_before(attempt);
	}
}

bool
db_pipeline_begin(struct db *db, struct err *e)
{
	if (!link_usable(db, e))
		return false;
	if (PQenterPipelineMode(db->link) == 0)
		return fail_link(db, "pipeline", e);
	db->piped = 0;
	return true;
}

bool
db_pipeline_add(struct db *db, unsigned stmt, size_t count, const char *const *values,
    struct err *e)
{
	const struct statement *s = statement_at(db, stmt);

	if (db->link == NULL)
		return err_set(e, ERR_GONE, "database: the connection was lost");
	if (PQsendQueryPrepared(db->link, s->name, (int)count, values, NULL, NULL, 0) ==
	    0)
		return fail_link(db, s->name, e);
	db->piped++;
	/* Answers are taken in on the way, else both sides could wait for each other. */
	return db->piped % 64 != 0 || flush_out(db, deadline_of(db), e);
}

bool
db_pipeline_run(struct db *db, uint64_t *affected, struct err *e)
{
	struct mono until = deadline_of(db);
	PGresult *result = NULL;
	uint64_t sum = 0;
	bool ok = true;

	if (db->link == NULL)
		return err_set(e, ERR_GONE, "database: the connection was lost");
	if (PQpipelineSync(db->link) == 0)
		return fail_link(db, "pipeline", e);
	for (bool synced = false; !synced;) {
		if (!next_result(db, until, &result, e))
			return false;
		if (result == NULL)
			continue;
		synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		if (ok && !result_ok(result) &&
		    PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
			ok = fail_result(db, result, "pipeline", e);
		if (!synced)
			sum += affected_of(result);
		PQclear(result);
	}
	(void)PQexitPipelineMode(db->link); /* cannot fail: all results are read */
	if (ok && affected != NULL)
		*affected = sum;
	return ok;
}

static void
put_u16(struct buf *b, uint16_t v)
{
	unsigned char bytes[2] = { (unsigned char)(v >> 8), (unsigned char)v };

	buf_add(b, bytes, sizeof(bytes));
}

static void
put_u32(struct buf *b, uint32_t v)
{
	put_u16(b, (uint16_t)(v >> 16));
	put_u16(b, (uint16_t)v);
}

static void
put_u64(struct buf *b, uint64_t v)
{
	put_u32(b, (uint32_t)(v >> 32));
	put_u32(b, (uint32_t)v);
}

bool
db_copy_begin(struct db *db, const char *table_and_columns, struct err *e)
{
	scoped_free char *sql = mem_printf("copy %s from stdin (format binary)",
	    table_and_columns);
	PGresult *result = NULL;

	if (!link_usable(db, e))
		return false;
	if (PQsendQuery(db->link, sql) == 0)
		return fail_link(db, "copy", e);
	if (!collect(db, "copy", &result, e))
		return false;
	PQclear(result);
	buf_clear(&db->copy);
	buf_add(&db->copy, "PGCOPY\n\377\r\n\0", 11);
	put_u32(&db->copy, 0);
	put_u32(&db->copy, 0);
	return true;
}

void
db_copy_row(struct db *db, uint16_t fields)
{
	/* A full chunk goes out between rows; a lost link shows at db_copy_end(). */
	if (db->copy.length >= COPY_CHUNK && db->link != NULL) {
		struct err ignored = ERR_INIT;
		if (PQputCopyData(db->link, db->copy.data, (int)db->copy.length) == 1 &&
		    flush_out(db, deadline_of(db), &ignored))
			buf_clear(&db->copy);
		else
			disconnect(db);
	}
	put_u16(&db->copy, fields);
}

void
db_copy_i64(struct db *db, int64_t value)
{
	put_u32(&db->copy, 8);
	put_u64(&db->copy, (uint64_t)value);
}

void
db_copy_text(struct db *db, const char *text)
{
	if (text == NULL) {
		put_u32(&db->copy, UINT32_MAX);
		return;
	}
	put_u32(&db->copy, (uint32_t)strlen(text));
	buf_puts(&db->copy, text);
}

void
db_copy_instant(struct db *db, struct instant t)
{
	/* PostgreSQL counts microseconds from 2000-01-01. */
	db_copy_i64(db, t.ns / NS_PER_US - INT64_C(946684800000000));
}

bool
db_copy_end(struct db *db, uint64_t *rows, struct err *e)
{
	PGresult *result = NULL;

	if (db->link == NULL)
		return err_set(e, ERR_GONE,
		    "database: the connection was lost while copying");
	put_u16(&db->copy, UINT16_MAX);
	if (!buf_ok(&db->copy) ||
	    PQputCopyData(db->link, db->copy.data, (int)db->copy.length) != 1 ||
	    PQputCopyEnd(db->link, NULL) != 1)
		return fail_link(db, "copy", e);
	buf_clear(&db->copy);
	if (!collect(db, "copy", &result, e))
		return false;
	if (rows != NULL)
		*rows = affected_of(result);
	PQclear(result);
	return true;
}

bool
db_listen(struct db *db, const char *channel, struct err *e)
{
	if (db->channel_count == CHANNELS_MOST)
		return err_set(e, ERR_INTERNAL, "database: more than %d channels",
		    CHANNELS_MOST);
	db->channels[db->channel_count++] = mem_strdup(channel);
	if (db->link == NULL)
		return ensure_connected(db, e);
	return listen_again(db, e);
}

int
db_fd(const struct db *db)
{
	return db->link != NULL ? PQsocket(db->link) : -1;
}

bool
db_notified(struct db *db)
{
	PGnotify *n;
	bool any = db->notified;

	db->notified = false;
	if (db->link == NULL)
		return any;
	if (PQconsumeInput(db->link) == 0) {
		disconnect(db); /* the next statement tells, and connects again */
		return true;
	}
	while ((n = PQnotifies(db->link)) != NULL) {
		any = true;
		PQfreemem(n);
	}
	return any;
}

bool
db_note_next(struct db *db, struct db_note *out)
{
	PGnotify *n;

	memset(out, 0, sizeof(*out));
	if (db->link != NULL && PQconsumeInput(db->link) == 0) {
		disconnect(db); /* the next statement tells, and connects again */
		db->notified = false;
		return true;
	}
	if (db->notified) {
		db->notified = false;
		return true;
	}
	n = db->link != NULL ? PQnotifies(db->link) : NULL;
	if (n == NULL)
		return false;
	(void)snprintf(out->channel, sizeof(out->channel), "%s", n->relname);
	(void)snprintf(out->payload, sizeof(out->payload), "%s", n->extra);
	PQfreemem(n);
	return true;
}

const char *
db_instant(struct instant t, char out[CLOCK_TEXT_MAX])
{
	return instant_text(t, out);
}

const char *
db_number(int64_t value, char out[24])
{
	(void)snprintf(out, 24, "%lld", (long long)value);
	return out;
}
