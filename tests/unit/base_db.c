/* SPDX-License-Identifier: Apache-2.0 */
/* Statements, transactions and their failures against a PostgreSQL of our own. */
#include "base/cluster.h"
#include "base/db.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/state.h"
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { START_S = 60, TIMEOUT_S = 2 };

enum {
	READ,
	ADD,
	PUT,
	PID,
	SLEEP,
	REFUSE,
	TELL,
	COUNT,
	TERMINATE,
};
static const struct statement list[] = {
	{ "read", "select n from thing where id = $1::bigint" },
	{ "add", "update thing set n = n + $2::bigint where id = $1::bigint" },
	{ "put", "insert into thing (id, n) values ($1::bigint, $2::bigint)" },
	{ "pid", "select pg_backend_pid()" },
	{ "sleep", "select pg_sleep(60)" },
	{ "refuse", "select refuse($1)" },
	{ "tell", "select pg_notify('things', '')" },
	{ "count", "select count(*) from thing" },
	{ "terminate", "select pg_terminate_backend($1::integer)" },
};
static const struct statement_set set = { list, ARRAY_LEN(list) };

static char folder[] = "/tmp/jeoul-db-XXXXXX";
static struct conf *conf;
static pid_t server;

static const char setup_sql[] =
    "create table thing (id bigint primary key, n bigint not null check (n < 1000));"
    "create table wide (n bigint, t text, at timestamptz);"
    "create function refuse(why text) returns void language plpgsql as "
    "$$ begin raise exception '%', why using errcode = 'JELIM'; end $$;"
    "insert into thing values (1, 0), (2, 0)";

static bool
answers(struct db **db, struct err *e)
{
	struct mono until = { clock_mono().ns + START_S * NS_PER_S };

	while (!db_open(conf, "owner", NULL, db, e)) {
		if (e->kind != ERR_GONE || clock_mono().ns > until.ns)
			return false;
		(void)poll(NULL, 0, 50);
	}
	return true;
}

static int
server_start(void **unused_state unused)
{
	struct err e = ERR_INIT;
	struct spawn sp;
	struct db *db = NULL;
	bool ok;

	if (mkdtemp(folder) == NULL)
		return -1;
	scoped_free char *state = mem_printf("state=%s", folder);
	scoped_free char *timeout = mem_printf("database.timeout=%ds", TIMEOUT_S);
	const char *flags[] = { state, timeout };
	conf = conf_new();
	ok = chmod(folder, 0755) == 0 &&
	    conf_load(conf, "/dev/null", flags, ARRAY_LEN(flags), &e) &&
	    state_prepare(conf, &e) && cluster_prepare(conf, &e);
	if (ok) {
		cluster_spawn(conf, -1, &sp);
		ok = spawn_start(&sp, &server, &e) && answers(&db, &e) &&
		    db_exec(db, "create schema jeoul", &e) && db_exec(db, setup_sql, &e);
	}
	db_close(db);
	if (!ok)
		(void)fprintf(stderr, "%s\n", e.text);
	return ok ? 0 : -1;
}

static int
server_end(void **unused_state unused)
{
	scoped_free char *command = mem_printf("rm -rf %s", folder);

	if (server > 0) {
		(void)kill(server, SIGINT);
		(void)waitpid(server, NULL, 0);
	}
	conf_free(conf);
	return system(command);
}

static struct db *
opened(void)
{
	struct db *db = NULL;
	struct err e = ERR_INIT;

	if (!db_open(conf, "owner", &set, &db, &e))
		fail_msg("%s", e.text);
	return db;
}

/* The one number that a statement answers. */
static int64_t
number(struct db *db, unsigned stmt, int64_t id)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct err e = ERR_INIT;
	const char *values[] = { DB_NUMBER(id) };

	if (!db_query(db, stmt, stmt == READ, values, &r, &e))
		fail_msg("%s", e.text);
	assert_int_equal(rows_count(r), 1);
	return rows_i64(r, 0, 0);
}

static bool
add(struct db *db, int64_t id, int64_t n, struct err *e)
{
	return db_run(db, ADD, DB_ARGS(DB_NUMBER(id), DB_NUMBER(n)), NULL, e);
}

/* ---- tests */

static void
a_broken_statement_stops_the_start_by_its_name(void **unused_state unused)
{
	static const struct statement broken[] = { { "fine", "select 1" },
		{ "crooked", "select nothing from nowhere" } };
	static const struct statement_set two = { broken, 2 };
	struct db *db = NULL;
	struct err e = ERR_INIT;

	assert_false(db_open(conf, "owner", &two, &db, &e));
	assert_null(db);
	assert_non_null(strstr(e.text, "crooked"));
}

struct contest {
	struct db *other;
	int attempts;
	bool give_up;
};

/* Reads, is overtaken by the other the first time, and then writes. */
static bool
read_then_write(struct db *db, void *context, struct err *e)
{
	struct contest *c = context;

	if (!db_exec(db, "set transaction isolation level repeatable read", e))
		return false;
	(void)number(db, READ, 1);
	if (c->attempts++ == 0 && !add(c->other, 1, 10, e))
		return false;
	if (!add(db, 1, 1, e))
		return false;
	return !c->give_up || err_set(e, ERR_LIMIT, "changed its mind");
}

static void
a_transaction_that_was_overtaken_runs_again(void **unused_state unused)
{
	struct contest c = { .other = opened() };
	struct db *db = opened();
	struct err e = ERR_INIT;
	int64_t before = number(db, READ, 1);

	assert_true(db_transaction(db, read_then_write, &c, &e));
	assert_int_equal(c.attempts, 2);
	assert_int_equal(number(db, READ, 1), before + 11);
	db_close(db);
	db_close(c.other);
}

static void
work_that_says_no_leaves_nothing_behind(void **unused_state unused)
{
	struct contest c = { .other = opened(), .give_up = true };
	struct db *db = opened();
	struct err e = ERR_INIT;
	int64_t before = number(db, READ, 1);

	assert_false(db_transaction(db, read_then_write, &c, &e));
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(number(db, READ, 1), before + 10); /* the other's only */
	db_close(db);
	db_close(c.other);
}

static void
a_lost_connection_is_told_once_at_most_and_opened_again(void **unused_state unused)
{
	struct db *db = opened();
	struct db *other = opened();
	struct err e = ERR_INIT;

	assert_true(db_listen(db, "things", &e));
	(void)db_notified(db);
	assert_true(
	    db_run(other, TERMINATE, DB_ARGS(DB_NUMBER(number(db, PID, 0))), NULL, &e));
	/* Told by the call that was under way; none is where the end was seen before. */
	if (!add(db, 2, 1, &e)) {
		assert_int_equal(e.kind, ERR_GONE);
		assert_true(add(db, 2, 1, &e)); /* prepared anew */
	}
	assert_true(db_notified(db)); /* what was missed is not known: look */
	assert_true(db_run(other, TELL, DB_NONE, NULL, &e));
	assert_true(add(db, 2, 1, &e));
	assert_true(db_notified(db)); /* it listens again */
	assert_false(db_notified(db));
	db_close(db);
	db_close(other);
}

/* Inside a transaction a new connection would be outside of it. */
static bool
lose_and_write(struct db *db, void *context, struct err *e)
{
	struct contest *c = context;
	struct err ignored = ERR_INIT;

	if (c->attempts++ > 0)
		return err_set(e, ERR_LIMIT, "enough");
	if (!db_run(c->other, TERMINATE, DB_ARGS(DB_NUMBER(number(db, PID, 0))), NULL, e))
		return false;
	assert_false(add(db, 2, 1, &ignored));
	assert_false(add(db, 2, 1, e)); /* also the second time */
	return false;
}

static void
a_connection_lost_inside_a_transaction_stays_lost_in_it(void **unused_state unused)
{
	struct contest c = { .other = opened() };
	struct db *db = opened();
	struct err e = ERR_INIT;
	int64_t before = number(c.other, READ, 2);

	assert_false(db_transaction(db, lose_and_write, &c, &e));
	assert_int_equal(c.attempts, 2); /* begun anew, as a whole */
	assert_int_equal(number(c.other, READ, 2), before);
	db_close(db);
	db_close(c.other);
}

/* As one does who only logs what went wrong. */
static bool
go_on_after_a_failure(struct db *db, void *context unused, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (!add(db, 2, 1, e))
		return false;
	assert_false(db_run(db, PUT, DB_ARGS("1", "1"), NULL, &ignored));
	return true;
}

static void
a_failure_that_nobody_minded_is_no_success(void **unused_state unused)
{
	struct db *db = opened();
	struct err e = ERR_INIT;
	int64_t before = number(db, READ, 2);

	assert_false(db_transaction(db, go_on_after_a_failure, NULL, &e));
	assert_non_null(strstr(e.text, "23505"));
	assert_int_equal(number(db, READ, 2), before);
	db_close(db);
}

static void
every_statement_has_a_deadline(void **unused_state unused)
{
	struct db *db = opened();
	struct err e = ERR_INIT;
	struct mono begun = clock_mono();
	pid_t backend;

	assert_false(db_run(db, SLEEP, DB_NONE, NULL, &e)); /* the server's own */
	assert_int_equal(e.kind, ERR_GONE);
	assert_true(clock_mono().ns - begun.ns < (TIMEOUT_S + 1) * NS_PER_S);
	backend = (pid_t)number(db, PID, 0);
	assert_int_equal(kill(backend, SIGSTOP), 0); /* ours, when the server hangs */
	begun = clock_mono();
	assert_false(add(db, 2, 1, &e));
	assert_int_equal(e.kind, ERR_GONE);
	assert_true(clock_mono().ns - begun.ns < (TIMEOUT_S + 3) * NS_PER_S);
	assert_int_equal(kill(backend, SIGCONT), 0);
	assert_true(number(db, PID, 0) != backend); /* its late answer hits nobody */
	db_close(db);
}

static void
a_pipeline_is_all_or_nothing(void **unused_state unused)
{
	struct db *db = opened();
	struct err e = ERR_INIT;
	int64_t before = number(db, COUNT, 0);
	uint64_t affected = 0;

	assert_true(db_pipeline_begin(db, &e));
	for (int i = 100; i < 300; i++)
		assert_true(db_pipeline_add(db, PUT, DB_ARGS(DB_NUMBER(i), "1"), &e));
	assert_true(db_pipeline_add(db, PUT, DB_ARGS("150", "1"), &e)); /* twice */
	assert_false(db_pipeline_run(db, &affected, &e));
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_int_equal(number(db, COUNT, 0), before);
	assert_true(db_pipeline_begin(db, &e));
	for (int i = 100; i < 300; i++)
		assert_true(db_pipeline_add(db, PUT, DB_ARGS(DB_NUMBER(i), "1"), &e));
	assert_true(db_pipeline_run(db, &affected, &e));
	assert_int_equal(affected, 200);
	assert_int_equal(number(db, COUNT, 0), before + 200);
	db_close(db);
}

static void
refusals_have_their_kind(void **unused_state unused)
{
	struct db *db = opened();
	struct err e = ERR_INIT;

	assert_false(db_run(db, PUT, DB_ARGS("1", "1"), NULL, &e));
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_false(db_run(db, PUT, DB_ARGS("7", "1000"), NULL, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	assert_false(db_run(db, PUT, DB_ARGS("seven", "1"), NULL, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	assert_false(
	    db_run(db, REFUSE, DB_ARGS("only three VMs, says your plan"), NULL, &e));
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_string_equal(e.text, "only three VMs, says your plan");
	db_close(db);
}

static void
a_copy_brings_every_value_as_it_is(void **unused_state unused)
{
	static const struct statement back[] = { { "back",
	    "select n, t, at from wide order by n" } };
	static const struct statement_set one = { back, 1 };
	static const char *const texts[] = { "a\tb\\N\n\"'", "", "저울" };
	struct db *db = NULL;
	scoped(rows_clear) struct rows *r = NULL;
	struct instant at = { INT64_C(1700000000123456000) };
	struct instant got = { 0 };
	struct err e = ERR_INIT;
	uint64_t rows = 0;

	assert_true(db_open(conf, "owner", &one, &db, &e));
	assert_true(db_copy_begin(db, "wide (n, t, at)", &e));
	for (int64_t i = 0; i < 5000; i++) {
		db_copy_row(db, 3);
		db_copy_i64(db, i == 0 ? INT64_MIN : i == 4999 ? INT64_MAX : i);
		db_copy_text(db, i % 4 == 3 ? NULL : texts[i % 4]);
		db_copy_instant(db, at);
	}
	assert_true(db_copy_end(db, &rows, &e));
	assert_int_equal(rows, 5000);
	assert_true(db_query(db, 0, DB_NONE, &r, &e));
	assert_int_equal(rows_count(r), 5000);
	assert_true(rows_i64(r, 0, 0) == INT64_MIN && rows_i64(r, 4999, 0) == INT64_MAX);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(rows_text(r, i, 1), texts[i]);
	assert_null(rows_text(r, 3, 1));
	assert_true(instant_parse(&got, rows_text(r, 1, 2), &e));
	assert_true(got.ns == at.ns);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_statement_stops_the_start_by_its_name),
		cmocka_unit_test(a_transaction_that_was_overtaken_runs_again),
		cmocka_unit_test(work_that_says_no_leaves_nothing_behind),
		cmocka_unit_test(a_lost_connection_is_told_once_at_most_and_opened_again),
		cmocka_unit_test(a_connection_lost_inside_a_transaction_stays_lost_in_it),
		cmocka_unit_test(a_failure_that_nobody_minded_is_no_success),
		cmocka_unit_test(every_statement_has_a_deadline),
		cmocka_unit_test(a_pipeline_is_all_or_nothing),
		cmocka_unit_test(refusals_have_their_kind),
		cmocka_unit_test(a_copy_brings_every_value_as_it_is),
	};

	log_open("base_db", LOG_TO_STDERR, LOG_LVL_ERROR);
	/* PostgreSQL refuses root: it runs as a user that setup/users makes. */
	if (geteuid() == 0 && getpwnam(CLUSTER_USER) == NULL) {
		(void)printf("[  SKIPPED ] base_db\n");
		return 0;
	}
	return cmocka_run_group_tests_name("base_db", tests, server_start, server_end);
}
