/* SPDX-License-Identifier: Apache-2.0 */
/* rater: running charges and statements of the accounts that are this rater's share */
#include "billing/rater.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/accrue.h"
#include "billing/budget.h"
#include "billing/calendar_db.h"
#include "billing/draw.h"
#include "billing/issue.h"
#include "billing/late.h"
#include "billing/note.h"
#include "billing/periods.h"
#include "billing/shards.h"
#include "billing/standing.h"
#include "billing/sums.h"
#include "billing_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>

/* A month of a large account takes longer than a page may. */
#define STATEMENT_TIMEOUT "database.timeout=10min\n"
#define ISSUED_AT_ONCE 50
/* Lines, sums, counts and prints of one transaction are about the same usage. */
#define SNAPSHOT "set transaction isolation level repeatable read"

struct rater {
	struct conf *conf;
	struct db *db; /* NULL: not connected yet */
	struct calendar *calendar;
	struct shards shards;
	bool anew; /* kept sums are made again, all of them */
	/* Accounts whose usage has to be read as a whole. */
	int64_t *planned;
	size_t planned_count;
	size_t planned_capacity;
};

/* One account of a round. */
struct account_work {
	struct rater *rater;
	int64_t account_id;
	struct instant now;
	struct span period; /* that is drawn up */
	char currency[4];   /* of its open period */
	enum sums_use sums;
	bool planned; /* for later: its usage has to be read as a whole */
	bool lost;    /* the lease is not ours any more */
};

struct rater *
rater_new(const struct conf *conf)
{
	struct rater *r = mem_alloc(sizeof(*r));
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	r->conf = conf_new();
	conf_dump(conf, &text);
	buf_puts(&text, STATEMENT_TIMEOUT);
	/* What was valid a moment ago is so again. */
	if (!conf_undump(r->conf, buf_text(&text), &e))
		log_warning("settings: %s", e.text);
	buf_done(&text);
	shards_init(&r->shards);
	return r;
}

void
rater_free(struct rater *r)
{
	if (r == NULL)
		return;
	shards_done(&r->shards);
	calendar_db_free(r->calendar);
	db_close(r->db);
	conf_free(r->conf);
	free(r->planned);
	free(r);
}

void
rater_anew(struct rater *r)
{
	r->anew = true;
}

static bool
connected(struct rater *r, struct err *e)
{
	if (r->db != NULL)
		return true;
	if (!db_open(r->conf, "billing", &billing_statements, &r->db, e))
		return false;
	r->calendar = calendar_db_new(r->db, true);
	r->shards.db = r->db;
	return true;
}

static bool
fence(struct account_work *w, struct err *e)
{
	return shards_fence(&w->rater->shards, w->account_id, &w->lost, e);
}

/* Columns of period_unclosed. */
enum { UNCLOSED_FROM, UNCLOSED_TO, UNCLOSED_DRAWN, UNCLOSED_DUE };

static struct span
unclosed_span(const struct rows *r, size_t row)
{
	return (struct span){ { rows_i64(r, row, UNCLOSED_FROM) * NS_PER_US },
		{ rows_i64(r, row, UNCLOSED_TO) * NS_PER_US } };
}

static bool
unclosed_read(struct account_work *w, struct rows **out, struct err *e)
{
	return db_query(w->rater->db, STMT_PERIOD_UNCLOSED,
	    DB_ARGS(DB_NUMBER(w->account_id), DB_INSTANT(w->now)), out, e);
}

/* Adds to what has been charged; the currency is that of the period that is accrued last.
 */
static bool
period_accrue(struct account_work *w, const struct span *period, struct charged *sum,
    struct err *e)
{
	struct bill_ask ask = { .account_id = w->account_id,
		.period = *period,
		.now = w->now,
		.want_hour = true,
		.sums = w->sums };
	struct bill b;
	bool open = span_holds(period, w->now);
	bool planned;

	if (!accrue(&b, w->rater->db, w->rater->calendar, &ask, e))
		return false;
	planned = b.planned;
	w->planned = w->planned || planned;
	mpq_set(open ? sum->now : sum->before, b.exact);
	(void)snprintf(w->currency, sizeof(w->currency), "%s", b.currency);
	if (open)
		sum->open = *period;
	bill_done(&b);
	return planned || !open ||
	    budgets_put(w->rater->db, w->rater->calendar, w->account_id, period, w->now,
		e);
}

/* The open period, and those before it that wait for late usage. */
static bool
unclosed_accrue(struct account_work *w, struct charged *sum, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_exact mpq_t before;

	mpq_init(before);
	if (!unclosed_read(w, &r, e))
		return false;
	for (size_t row = 0; row < rows_count(r); row++) {
		struct span period = unclosed_span(r, row);

		if (rows_bool(r, row, UNCLOSED_DRAWN))
			continue;
		if (!period_accrue(w, &period, sum, e))
			return false;
		exact_add(before, sum->before);
		mpq_set_ui(sum->before, 0, 1);
	}
	mpq_set(sum->before, before);
	return true;
}

static bool
account_accrue(struct db *db, void *context, struct err *e)
{
	struct account_work *w = context;
	struct charged sum = { .open = { INSTANT_FIRST, INSTANT_FIRST },
		.currency = w->currency };
	bool ok;

	mpq_inits(sum.before, sum.now, NULL);
	w->planned = false;
	ok = db_exec(db, SNAPSHOT, e) && fence(w, e) &&
	    periods_open(db, w->rater->calendar, w->account_id, w->now, e) &&
	    unclosed_accrue(w, &sum, e) &&
	    db_run(db, STMT_TOUCHED_DONE, DB_ARGS(DB_NUMBER(w->account_id)), NULL, e);
	if (ok && !w->planned && sum.open.from.ns != INSTANT_FIRST.ns)
		ok = standing_put(db, w->rater->calendar, w->account_id, &sum, w->now, e);
	mpq_clears(sum.before, sum.now, NULL);
	if (!ok || w->planned)
		return ok;
	return db_run(db, STMT_TROUBLE_END,
	    DB_ARGS(DB_NUMBER(w->account_id), DB_INSTANT(w->now)), NULL, e);
}

static bool
account_draw(struct db *db, void *context, struct err *e)
{
	struct account_work *w = context;

	return db_exec(db, SNAPSHOT, e) && fence(w, e) &&
	    draw_up(db, w->rater->calendar, w->account_id, &w->period, w->now, e) &&
	    db_run(db, STMT_SUMS_GONE,
		DB_ARGS(DB_NUMBER(w->account_id), DB_INSTANT(w->period.from)), NULL, e);
}

static bool
trouble_note(struct db *db, struct account_work *w, const char *text, struct err *e)
{
	return db_run(db, STMT_TROUBLE_PUT,
	    DB_ARGS(DB_NUMBER(w->account_id), text, DB_INSTANT(w->now)), NULL, e);
}

/* One bad tariff must not keep the others from their bills: it is told, and passed over.
 */
static bool
account_do(struct account_work *w, db_work work, bool *done, struct err *e)
{
	struct err now = ERR_INIT;

	*done = db_transaction(w->rater->db, work, w, &now);
	if (*done || w->lost)
		return true;
	if (now.kind == ERR_GONE) {
		*e = now;
		return false;
	}
	log_error("account %lld: %s; its charges stay as they are until that is mended",
	    (long long)w->account_id, now.text);
	return trouble_note(w->rater->db, w, now.text, e);
}

/* Every period that is due and whose predecessor is closed; mostly one. */
static bool
account_close(struct account_work *w, struct rater_round *out, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!unclosed_read(w, &r, e))
		return false;
	for (size_t row = 0; row < rows_count(r); row++) {
		bool done;

		if (rows_bool(r, row, UNCLOSED_DRAWN) || !rows_bool(r, row, UNCLOSED_DUE))
			continue;
		w->period = unclosed_span(r, row);
		if (!account_do(w, account_draw, &done, e))
			return false;
		out->drawn += done ? 1 : 0;
	}
	return true;
}

typedef bool (
    *account_duty)(struct account_work *w, struct rater_round *out, struct err *e);

static bool
account_look(struct db *db, void *context, struct err *e)
{
	struct account_work *w = context;

	return fence(w, e) && late_look(db, w->account_id, w->now, e);
}

static void
planned_add(struct rater *r, int64_t account_id)
{
	if (r->planned_count == r->planned_capacity) {
		r->planned_capacity = r->planned_capacity == 0 ? 64
							       : r->planned_capacity * 2;
		r->planned = mem_resize(r->planned, r->planned_capacity,
		    sizeof(*r->planned));
	}
	r->planned[r->planned_count++] = account_id;
}

static bool
account_settle(struct account_work *w, struct rater_round *out, struct err *e)
{
	bool done;

	if (!account_do(w, account_accrue, &done, e))
		return false;
	if (done && w->planned) {
		planned_add(w->rater, w->account_id);
		return true;
	}
	out->accounts += done ? 1 : 0;
	out->failed += !done && !w->lost ? 1 : 0;
	return !done ||
	    (account_close(w, out, e) && account_do(w, account_look, &done, e));
}

static bool
shard_walk(struct rater *r, size_t shard, struct instant now, account_duty duty,
    struct rater_round *out, struct err *e)
{
	scoped(rows_clear) struct rows *rows = NULL;

	if (!db_query(r->db, STMT_RATER_ACCOUNTS,
		DB_ARGS(DB_NUMBER(SHARDS), DB_NUMBER((int64_t)shard)), &rows, e))
		return false;
	for (size_t i = 0; i < rows_count(rows) && r->shards.held[shard].ours; i++) {
		struct account_work w = { .rater = r,
			.account_id = rows_i64(rows, i, 0),
			.now = now,
			.sums = r->anew ? SUMS_ANEW : SUMS_PLAN };

		if (!duty(&w, out, e) || !shards_keep(&r->shards, e))
			return false;
	}
	return true;
}

static bool
shards_walk(struct rater *r, struct instant now, account_duty duty,
    struct rater_round *out, struct err *e)
{
	for (size_t shard = 0; shard < SHARDS; shard++)
		if (r->shards.held[shard].ours &&
		    !shard_walk(r, shard, now, duty, out, e))
			return false;
	return true;
}

struct issue_work {
	struct rater *rater;
	struct instant now;
	size_t issued;
	bool lost;
};

static bool
some_issue(struct db *db, void *context, struct err *e)
{
	struct issue_work *w = context;
	bool any = true;

	w->issued = 0;
	if (!shards_fence_numbering(&w->rater->shards, &w->lost, e) ||
	    !db_run(db, STMT_CREDIT_EXPIRE, DB_ARGS(DB_INSTANT(w->now)), NULL, e))
		return false;
	while (any && w->issued < ISSUED_AT_ONCE) {
		if (!issue_one(db, w->now, &any, e) ||
		    (!any && !note_one(db, w->now, &any, e)))
			return false;
		w->issued += any ? 1 : 0;
	}
	return true;
}

/* Only the holder of the numbering lease issues; the others draw up for it. */
static bool
all_issue(struct rater *r, struct instant now, struct rater_round *out, struct err *e)
{
	struct issue_work w = { .rater = r, .now = now };

	do {
		struct err failed = ERR_INIT;

		if (!r->shards.numbering.ours)
			return true;
		if (!db_transaction(r->db, some_issue, &w, &failed)) {
			if (w.lost)
				return true;
			*e = failed;
			return false;
		}
		out->issued += w.issued;
		if (!shards_keep(&r->shards, e))
			return false;
	} while (w.issued > 0);
	return true;
}

/* A period is drawn up once the one before it is issued, so both take turns. */
static bool
backlog_close(struct rater *r, struct instant now, struct rater_round *out, struct err *e)
{
	size_t before;

	do {
		before = out->drawn + out->issued;
		if (!all_issue(r, now, out, e))
			return false;
		if (out->drawn + out->issued > before &&
		    !shards_walk(r, now, account_close, out, e))
			return false;
	} while (out->drawn + out->issued > before);
	return true;
}

static bool
planned_fill(struct db *db, void *context, struct err *e)
{
	struct rater *r = context;
	scoped(buf_done) struct buf ours = BUF_INIT;

	return db_exec(db, SNAPSHOT, e) && shards_lock(&r->shards, &ours, e) &&
	    sums_fill(db, SHARDS, buf_text(&ours), e) && shards_stay(&r->shards, e);
}

/* So many accounts of all that reading every row costs less than finding theirs. */
enum { MANY = 8 };

/* Makes the sums of all at once where that is cheaper; else, or if it fails, each makes
 * its own. */
static bool
planned_make(struct rater *r, struct err *e)
{
	scoped(rows_clear) struct rows *rows = NULL;
	struct err failed = ERR_INIT;

	if (!db_query(r->db, STMT_ACCOUNT_COUNT, DB_NONE, &rows, e))
		return false;
	if (r->planned_count < 2 ||
	    (int64_t)r->planned_count * MANY < rows_i64(rows, 0, 0) ||
	    db_transaction(r->db, planned_fill, r, &failed))
		return true;
	if (failed.kind == ERR_GONE) {
		*e = failed;
		return false;
	}
	log_warning("usage of %zu accounts together: %s; it is read one by one",
	    r->planned_count, failed.text);
	return true;
}

/* The second turn of those whose usage had to be read as a whole. */
static bool
planned_settle(struct rater *r, struct instant now, struct rater_round *out,
    struct err *e)
{
	bool ok = r->planned_count == 0 ||
	    (planned_make(r, e) && shards_take(&r->shards, e));

	for (size_t i = 0; ok && i < r->planned_count; i++) {
		struct account_work w = { .rater = r,
			.account_id = r->planned[i],
			.now = now,
			.sums = SUMS_KEEP };

		if (r->shards.held[w.account_id % SHARDS].ours)
			ok = account_settle(&w, out, e) && shards_keep(&r->shards, e);
	}
	r->planned_count = 0;
	return ok;
}

bool
rater_work(struct rater *r, struct instant now, struct rater_round *out, struct err *e)
{
	*out = (struct rater_round){ .shards = 0 };
	r->planned_count = 0;
	if (!connected(r, e) || !shards_take(&r->shards, e))
		return false;
	out->shards = shards_count(&r->shards);
	if (!db_run(r->db, STMT_CHAIN_TARIFFS, DB_ARGS(DB_INSTANT(now)), NULL, e))
		return false;
	if (!db_run(r->db, STMT_TOUCHED_FORGET, DB_NONE, NULL, e) ||
	    !shards_walk(r, now, account_settle, out, e))
		return false;
	r->anew = false;
	return planned_settle(r, now, out, e) && backlog_close(r, now, out, e);
}
