/* SPDX-License-Identifier: Apache-2.0 */
/* standing: what an account may still use, when that ends, and what follows from it */
#include "billing/standing.h"
#include "base/json.h"
#include "billing_stmt.gen.h"
#include <string.h>

#define NEAR_PERCENT 80
#define OVER_PERCENT 100

enum { TERMS_PREPAID, TERMS_LIMIT, TERMS_POLICY, TERMS_FUNDS };

/* How one account stands. */
struct standing {
	bool prepaid;
	bool limited;
	const char *policy;
	mpq_t balance;
	mpq_t limit;
	mpq_t charged;
	mpq_t percent;
	const char *level;
	const char *action;
	struct instant lock_at; /* INSTANT_LAST: not in this period */
};

/* A point of the running charge: so much after so many seconds. */
struct point {
	int64_t seconds;
	mpq_t charged;
};

struct search {
	struct db *db;
	const struct calendar *calendar;
	const struct bill_ask *ask;
};

static bool
charge_at(const struct search *s, struct point *p, struct err *e)
{
	struct bill_ask ask = *s->ask;
	struct bill b;

	ask.now.ns = ask.period.from.ns + p->seconds * NS_PER_S;
	if (!bill_make(&b, s->db, s->calendar, &ask, NULL, e))
		return false;
	mpq_set(p->charged, b.exact);
	bill_done(&b);
	return true;
}

/* Between two points the charge mostly grows evenly: a good guess, held inside. */
static int64_t
second_guess(const struct point *low, const struct point *high, const mpq_t funds)
{
	scoped_exact mpq_t share;
	scoped_exact mpq_t rise;
	mpz_t whole;
	int64_t guess;

	mpq_inits(share, rise, NULL);
	mpq_sub(rise, high->charged, low->charged);
	mpq_sub(share, funds, low->charged);
	mpq_div(share, share, rise);
	exact_scale(share, share, high->seconds - low->seconds, 1);
	mpz_init(whole);
	mpz_cdiv_q(whole, mpq_numref(share), mpq_denref(share));
	guess = low->seconds + mpz_get_si(whole);
	mpz_clear(whole);
	if (guess >= high->seconds)
		guess = high->seconds - 1;
	return guess > low->seconds ? guess : low->seconds + 1;
}

/*
 * low has not reached the funds, high has.  A guess and the second before it mostly
 * settle it; every third step halves, so that it ends.
 */
static bool
points_close(const struct search *s, struct point *low, struct point *high,
    const mpq_t funds, struct err *e)
{
	struct point middle;
	bool ok = true;

	mpq_init(middle.charged);
	for (unsigned step = 0; ok && high->seconds - low->seconds > 1; step++) {
		middle.seconds = step % 3 == 2
		    ? low->seconds + (high->seconds - low->seconds) / 2
		    : second_guess(low, high, funds);
		/* After a hit the second before it is asked next. */
		if (step % 3 == 1 && high->seconds - 1 > low->seconds)
			middle.seconds = high->seconds - 1;
		ok = charge_at(s, &middle, e);
		if (!ok)
			break;
		if (mpq_cmp(middle.charged, funds) >= 0) {
			high->seconds = middle.seconds;
			mpq_swap(high->charged, middle.charged);
		} else {
			low->seconds = middle.seconds;
			mpq_swap(low->charged, middle.charged);
		}
	}
	mpq_clear(middle.charged);
	return ok;
}

bool
lock_find(struct instant *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, const mpq_t funds, struct err *e)
{
	struct search s = { db, c, ask };
	struct point low = { .seconds = 0 };
	struct point high = { .seconds = (ask->period.to.ns - ask->period.from.ns) /
		    NS_PER_S };
	bool ok;

	*out = ask->period.from;
	if (mpq_sgn(funds) <= 0)
		return true;
	mpq_inits(low.charged, high.charged, NULL);
	ok = charge_at(&s, &high, e);
	if (ok && mpq_cmp(high.charged, funds) < 0) {
		*out = INSTANT_LAST;
	} else if (ok) {
		ok = points_close(&s, &low, &high, funds, e);
		out->ns += high.seconds * NS_PER_S;
	}
	mpq_clears(low.charged, high.charged, NULL);
	return ok;
}

static void
level_settle(struct standing *s)
{
	scoped_exact mpq_t funds;
	scoped_exact mpq_t hundred;

	mpq_inits(funds, hundred, NULL);
	s->level = "ok";
	s->action = "none";
	mpq_add(funds, s->balance, s->limit);
	mpq_set_ui(hundred, OVER_PERCENT, 1);
	mpq_set(s->percent, hundred);
	if (!s->limited)
		return;
	if (mpq_sgn(funds) > 0) {
		mpq_div(s->percent, s->charged, funds);
		mpq_mul(s->percent, s->percent, hundred);
	}
	if (mpq_cmp(s->percent, hundred) >= 0) {
		s->level = "over";
		s->action = s->policy;
	} else if (mpq_cmp_ui(s->percent, NEAR_PERCENT, 1) >= 0) {
		s->level = "near";
		s->action = "warn";
	}
}

static bool
terms_read(struct standing *s, const struct rows *r, struct err *e)
{
	const char *limit = rows_text(r, 0, TERMS_LIMIT);

	s->prepaid = rows_bool(r, 0, TERMS_PREPAID);
	s->limited = s->prepaid || limit != NULL;
	s->policy = rows_text(r, 0, TERMS_POLICY);
	return rat_parse(s->balance, rows_text(r, 0, TERMS_FUNDS), e) &&
	    (limit == NULL || rat_parse(s->limit, limit, e));
}

/* What earlier periods have used is gone before the open one begins. */
static bool
lock_predict(struct standing *s, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, const struct charged *charged, struct err *e)
{
	scoped_exact mpq_t funds;

	mpq_init(funds);
	mpq_add(funds, s->balance, s->limit);
	mpq_sub(funds, funds, charged->before);
	return !s->limited || lock_find(&s->lock_at, db, c, ask, funds, e);
}

static bool
standing_write(const struct standing *s, struct db *db, int64_t account_id,
    const struct charged *charged, struct instant now, struct err *e)
{
	unsigned places = 0;
	scoped_free char *balance = rat_text(s->balance);
	scoped_free char *limit = rat_text(s->limit);
	scoped_free char *percent = rat_decimal(s->percent, 2);
	scoped_free char *sum = NULL;

	if (!currency_places(&places, charged->currency, e))
		return false;
	sum = rat_decimal(s->charged, places);
	return db_run(db, STMT_STANDING_PUT,
	    DB_ARGS(DB_NUMBER(account_id), charged->currency,
		s->prepaid ? "true" : "false", balance, s->limited ? limit : NULL, sum,
		s->limited ? percent : NULL, s->level, s->action,
		s->lock_at.ns == INSTANT_LAST.ns ? NULL : DB_INSTANT(s->lock_at),
		DB_INSTANT(now), DB_NUMBER(now.ns / NS_PER_US)),
	    NULL, e);
}

bool
standing_put(struct db *db, const struct calendar *c, int64_t account_id,
    const struct charged *charged, struct instant now, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct bill_ask ask = { .account_id = account_id,
		.period = charged->open,
		.sums = SUMS_LOOK };
	struct standing s = { .lock_at = INSTANT_LAST };
	bool ok;

	if (!db_query(db, STMT_STANDING_TERMS,
		DB_ARGS(DB_NUMBER(account_id), charged->currency,
		    DB_INSTANT(charged->open.to)),
		&r, e))
		return false;
	mpq_inits(s.balance, s.limit, s.charged, s.percent, NULL);
	mpq_add(s.charged, charged->before, charged->now);
	ok = rows_count(r) == 1 && terms_read(&s, r, e);
	if (ok)
		level_settle(&s);
	ok = ok && lock_predict(&s, db, c, &ask, charged, e) &&
	    standing_write(&s, db, account_id, charged, now, e);
	mpq_clears(s.balance, s.limit, s.charged, s.percent, NULL);
	return ok;
}
