/* SPDX-License-Identifier: Apache-2.0 */
/* shards: which accounts this rater works on, so that several can work side by side */
#include "billing/shards.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBERING "numbering"

void
shards_init(struct shards *s)
{
	char host[64] = "";

	(void)gethostname(host, sizeof(host) - 1); /* a name is only for people */
	*s = (struct shards){ .db = NULL };
	s->holder = mem_printf("%s:%ld:%lld", host, (long)getpid(),
	    (long long)clock_mono().ns);
}

void
shards_done(struct shards *s)
{
	struct err e = ERR_INIT;

	if (s->db != NULL &&
	    !db_run(s->db, STMT_LEASE_GIVE, DB_ARGS(s->holder), NULL, &e))
		log_debug("leases run out by themselves: %s", e.text);
	free(s->holder);
}

size_t
shards_count(const struct shards *s)
{
	size_t count = 0;

	for (size_t i = 0; i < SHARDS; i++)
		count += s->held[i].ours ? 1 : 0;
	return count;
}

/* Rows of a shard's number and epoch are ours from now on. */
static void
shards_note(struct shards *s, const struct rows *r)
{
	for (size_t row = 0; row < rows_count(r); row++) {
		int64_t shard = rows_i64(r, row, 0);

		if (shard >= 0 && shard < SHARDS)
			s->held[shard] = (struct held){ true, rows_i64(r, row, 1) };
	}
}

/* What each rater that lives should hold, so that all shards are held. */
static bool
fair_share(struct shards *s, size_t *share, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	int64_t alive;

	if (!db_run(s->db, STMT_RATER_ALIVE, DB_ARGS(s->holder, DB_NUMBER(LEASE_S)), NULL,
		e) ||
	    !db_run(s->db, STMT_RATER_FORGET, DB_NONE, NULL, e) ||
	    !db_query(s->db, STMT_RATER_COUNT, DB_NONE, &r, e))
		return false;
	alive = rows_i64(r, 0, 0);
	*share = alive < 2 ? SHARDS : (size_t)((SHARDS + alive - 1) / alive);
	return true;
}

static bool
shard_release(struct shards *s, size_t i, struct err *e)
{
	s->held[i].ours = false;
	return db_run(s->db, STMT_SHARD_RELEASE,
	    DB_ARGS(s->holder, DB_NUMBER((int64_t)i), DB_NUMBER(s->held[i].epoch)), NULL,
	    e);
}

static bool
shards_settle(struct shards *s, size_t share, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	size_t count = shards_count(s);

	for (size_t i = SHARDS; i > 0 && count > share; i--) {
		if (!s->held[i - 1].ours)
			continue;
		if (!shard_release(s, i - 1, e))
			return false;
		count--;
	}
	if (count >= share)
		return true;
	if (!db_query(s->db, STMT_SHARD_TAKE,
		DB_ARGS(s->holder, DB_NUMBER(LEASE_S),
		    DB_NUMBER((int64_t)(share - count))),
		&r, e))
		return false;
	shards_note(s, r);
	return true;
}

static bool
numbering_take(struct shards *s, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_run(s->db, STMT_LEASE_MAKE, DB_ARGS(NUMBERING), NULL, e) ||
	    !db_query(s->db, STMT_LEASE_TAKE,
		DB_ARGS(NUMBERING, s->holder, DB_NUMBER(LEASE_S)), &r, e))
		return false;
	s->numbering.ours = rows_count(r) == 1;
	if (s->numbering.ours)
		s->numbering.epoch = rows_i64(r, 0, 0);
	return true;
}

bool
shards_take(struct shards *s, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	size_t share = 0;

	memset(s->held, 0, sizeof(s->held));
	s->renewed = clock_mono();
	if (!db_run(s->db, STMT_SHARD_MAKE, DB_ARGS(DB_NUMBER(SHARDS)), NULL, e) ||
	    !fair_share(s, &share, e) ||
	    !db_query(s->db, STMT_SHARD_RENEW, DB_ARGS(s->holder, DB_NUMBER(LEASE_S)), &r,
		e))
		return false;
	shards_note(s, r);
	return shards_settle(s, share, e) && numbering_take(s, e);
}

bool
shards_keep(struct shards *s, struct err *e)
{
	if (clock_mono().ns - s->renewed.ns <= NS_PER_S * LEASE_S / 4)
		return true;
	return shards_take(s, e);
}

static bool
fence(struct shards *s, const char *lease, struct held *held, bool *lost, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	*lost = !held->ours;
	if (held->ours) {
		if (!db_query(s->db, STMT_LEASE_FENCE,
			DB_ARGS(lease, s->holder, DB_NUMBER(held->epoch)), &r, e))
			return false;
		*lost = rows_count(r) == 0;
	}
	held->ours = !*lost;
	return !*lost ||
	    err_set(e, ERR_CONFLICT, "lease %s went to another rater meanwhile", lease);
}

bool
shards_fence(struct shards *s, int64_t account_id, bool *lost, struct err *e)
{
	size_t shard = (size_t)(account_id % SHARDS);
	scoped_free char *lease = mem_printf("rater:%zu", shard);

	return fence(s, lease, &s->held[shard], lost, e);
}

bool
shards_fence_numbering(struct shards *s, bool *lost, struct err *e)
{
	return fence(s, NUMBERING, &s->numbering, lost, e);
}

bool
shards_lock(struct shards *s, struct buf *ours, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(s->db, STMT_SHARDS_LOCK, DB_ARGS(s->holder), &r, e))
		return false;
	buf_clear(ours);
	buf_putc(ours, '{');
	for (size_t i = 0; i < rows_count(r); i++)
		buf_printf(ours, "%s%s", i == 0 ? "" : ",", rows_text(r, i, 0));
	buf_putc(ours, '}');
	return true;
}

bool
shards_stay(struct shards *s, struct err *e)
{
	return db_run(s->db, STMT_SHARDS_STAY, DB_ARGS(s->holder, DB_NUMBER(LEASE_S)),
	    NULL, e);
}
