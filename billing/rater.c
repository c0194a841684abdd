/* SPDX-License-Identifier: Apache-2.0 */
/* rater: brings the running charges of all accounts up to date, one lease at a time */
#include "billing/rater.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/accrue.h"
#include "billing/calendar_db.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <unistd.h>

#define LEASE "rater"
#define LEASE_S 20
/* Usage of the last minutes of a month arrives after it: the month is kept warm. */
#define GRACE_NS (INT64_C(24) * 3600 * NS_PER_S)

struct rater {
	const struct conf *conf;
	struct db *db; /* NULL: not connected yet */
	struct calendar *calendar;
	char *holder;
	int64_t epoch;
};

/* One account of a round. */
struct account_work {
	struct rater *rater;
	int64_t account_id;
	struct instant now;
	bool lost; /* the lease is not ours any more */
};

struct rater *
rater_new(const struct conf *conf)
{
	struct rater *r = mem_alloc(sizeof(*r));
	char host[64] = "";

	(void)gethostname(host, sizeof(host) - 1); /* a name is only for people */
	r->conf = conf;
	r->holder = mem_printf("%s:%ld:%lld", host, (long)getpid(),
	    (long long)clock_mono().ns);
	return r;
}

void
rater_free(struct rater *r)
{
	if (r == NULL)
		return;
	calendar_db_free(r->calendar);
	db_close(r->db);
	free(r->holder);
	free(r);
}

static bool
connected(struct rater *r, struct err *e)
{
	if (r->db != NULL)
		return true;
	if (!db_open(r->conf, "billing", &billing_statements, &r->db, e))
		return false;
	r->calendar = calendar_db_new(r->db, true);
	return true;
}

static bool
lease_take(struct rater *r, bool *ours, struct err *e)
{
	scoped(rows_clear) struct rows *rows = NULL;

	if (!db_run(r->db, STMT_LEASE_MAKE, DB_ARGS(LEASE), NULL, e) ||
	    !db_query(r->db, STMT_LEASE_TAKE,
		DB_ARGS(LEASE, r->holder, DB_NUMBER(LEASE_S)), &rows, e))
		return false;
	*ours = rows_count(rows) == 1;
	if (*ours)
		r->epoch = rows_i64(rows, 0, 0);
	return true;
}

static bool
fence(struct account_work *w, struct err *e)
{
	scoped(rows_clear) struct rows *rows = NULL;

	if (!db_query(w->rater->db, STMT_LEASE_FENCE,
		DB_ARGS(LEASE, w->rater->holder, DB_NUMBER(w->rater->epoch)), &rows, e))
		return false;
	w->lost = rows_count(rows) == 0;
	return !w->lost ||
	    err_set(e, ERR_CONFLICT, "the lease went to another rater meanwhile");
}

static bool
period_accrue(struct account_work *w, struct instant within, struct span *period,
    struct err *e)
{
	struct bill_ask ask = { w->account_id, within, w->now };
	struct bill b;
	bool ok;

	if (!bill_make(&b, w->rater->db, w->rater->calendar, &ask, e))
		return false;
	*period = b.period;
	ok = accrue(w->rater->db, &b, w->now, e);
	bill_done(&b);
	return ok;
}

/* The open month, and for a day the one before it. */
static bool
account_accrue(struct db *db unused, void *context, struct err *e)
{
	struct account_work *w = context;
	struct span period;
	struct span before;

	if (!fence(w, e) || !period_accrue(w, w->now, &period, e))
		return false;
	if (w->now.ns - period.from.ns >= GRACE_NS)
		return true;
	return period_accrue(w, (struct instant){ period.from.ns - 1 }, &before, e);
}

/* One bad tariff must not keep the others from their bills. */
static bool
account_settle(struct account_work *w, struct rater_round *out, struct err *e)
{
	struct err now = ERR_INIT;

	if (db_transaction(w->rater->db, account_accrue, w, &now)) {
		out->accounts++;
		return true;
	}
	if (w->lost || now.kind == ERR_GONE) {
		*e = now;
		return false;
	}
	out->failed++;
	log_error("account %lld: %s; its charges stay as they are until that is mended",
	    (long long)w->account_id, now.text);
	return true;
}

static bool
accounts_settle(struct rater *r, struct instant now, struct rater_round *out,
    struct err *e)
{
	scoped(rows_clear) struct rows *rows = NULL;
	struct mono renewed = clock_mono();

	if (!db_query(r->db, STMT_BILL_ACCOUNTS, DB_NONE, &rows, e))
		return false;
	for (size_t i = 0; i < rows_count(rows); i++) {
		struct account_work w = { r, rows_i64(rows, i, 0), now, false };

		if (clock_mono().ns - renewed.ns > NS_PER_S * LEASE_S / 4) {
			if (!lease_take(r, &out->leader, e))
				return false;
			renewed = clock_mono();
		}
		if (!account_settle(&w, out, e)) {
			out->leader = !w.lost;
			return w.lost;
		}
	}
	return true;
}

bool
rater_work(struct rater *r, struct instant now, struct rater_round *out, struct err *e)
{
	*out = (struct rater_round){ false, 0, 0 };
	if (!connected(r, e) || !lease_take(r, &out->leader, e))
		return false;
	return !out->leader || accounts_settle(r, now, out, e);
}
