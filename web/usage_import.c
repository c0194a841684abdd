/* SPDX-License-Identifier: Apache-2.0 */
/* usage_import: usage that others tell is taken in once, whole or not at all */
#include "web/usage_import.h"
#include "billing/late.h"
#include "billing/sku.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <string.h>

/* Clocks of senders may run ahead a little. */
#define AHEAD_NS (300 * NS_PER_S)

/* Columns of usage_import_check. */
enum {
	KNOWN_FIT,
	KNOWN_ACCOUNT,
	KNOWN_BEGINS,
	KNOWN_BEFORE,
	KNOWN_REMOVED,
	KNOWN_CLOSED,
	KNOWN_UNIT,
	KNOWN_KIND,
	KNOWN_RECORD,
	KNOWN_THING
};
/* Columns of usage_import_differ. */
enum {
	DIFFER_N,
	DIFFER_FIRST,
	DIFFER_ELSEWHERE,
	DIFFER_RECEIVED,
	DIFFER_OTHER,
	DIFFER_WHAT,
	DIFFER_NOT_ABOVE,
	DIFFER_SEQ_BEFORE,
	DIFFER_NOT_BELOW,
	DIFFER_LATER
};

struct taking {
	struct call *call;
	struct usage_batch batch;
	struct buf text; /* the batch as JSON */
	bool act;        /* told by a correction of a gap */
};

/* ---- who may */

static bool
allowed(const struct rows *sources, const char *source)
{
	for (size_t i = 0; i < rows_count(sources); i++)
		if (strcmp(rows_text(sources, i, 0), source) == 0)
			return true;
	return false;
}

/* The provider may; others for the sources that it gave them, and then for any account.
 */
static bool
right_check(struct taking *t, struct err *e)
{
	struct call *c = t->call;
	scoped(rows_clear) struct rows *r = NULL;

	if (c->caller.provider)
		return true;
	if (!db_query(c->db, STMT_USAGE_RIGHT_LIST, DB_ARGS(DB_NUMBER(c->caller.user_id)),
		&r, e))
		return false;
	for (size_t i = 0; i < t->batch.count; i++) {
		const char *source = t->batch.list[i].values[USAGE_source];

		if (!allowed(r, source))
			return err_set(e, ERR_DENIED,
			    "%s: user %s may not tell usage of source \"%s\": the "
			    "provider can allow it (allowUsageSource)",
			    t->batch.list[i].place, c->caller.user_name, source);
	}
	return call_scope_set(c, SCOPE_ALL, e);
}

/* ---- what the records name */

static bool
account_check(struct usage_record *r, const struct rows *known, size_t row, struct err *e)
{
	int64_t fit = rows_i64(known, row, KNOWN_FIT);
	const char *name = r->values[USAGE_account];

	if (fit == 0)
		return usage_refuse(e, r, USAGE_account,
		    "there is no account \"%.120s\": give its name or id as jeoul "
		    "account "
		    "list shows it",
		    name);
	if (fit > 1)
		return usage_refuse(e, r, USAGE_account,
		    "several accounts are called \"%.120s\": give the id instead", name);
	r->account_id = rows_i64(known, row, KNOWN_ACCOUNT);
	return true;
}

/*
 * What our own meters missed or got wrong is told by the provider, of a thing that the
 * account has here.  A level goes before what was metered in its time, by its seq.
 */
static bool
own_check(const struct taking *t, struct usage_record *r, bool thing, struct err *e)
{
	const char *sku = r->values[USAGE_sku];

	if (!t->call->caller.provider)
		return usage_refuse(e, r, USAGE_sku,
		    "%s is counted by Jeoul itself: only the provider may add to it",
		    sku);
	if (!thing)
		return usage_refuse(e, r, USAGE_resource,
		    "%s is counted by Jeoul itself: give the id of the virtual machine, "
		    "disk or host of account %s that it is about",
		    sku, r->values[USAGE_account]);
	if (r->lasts && strcmp(r->values[USAGE_seq], "0") == 0)
		r->values[USAGE_seq] = "1";
	return true;
}

static bool
meter_check(const struct taking *t, struct usage_record *r, const struct rows *known,
    size_t row, struct err *e)
{
	const char *sku = r->values[USAGE_sku];
	const char *own = sku_own_unit(sku);
	const char *unit = own != NULL ? own : rows_text(known, row, KNOWN_UNIT);
	bool level;

	if (own != NULL && !own_check(t, r, rows_bool(known, row, KNOWN_THING), e))
		return false;
	if (unit == NULL)
		return usage_refuse(e, r, USAGE_sku,
		    "there is no meter \"%s\": jeoul meter list shows them, jeoul meter "
		    "create makes one",
		    sku);
	if (strcmp(unit, r->values[USAGE_unit]) != 0)
		return usage_refuse(e, r, USAGE_unit,
		    "\"%s\" is not what %s counts in: convert the quantity to %s and say "
		    "so",
		    r->values[USAGE_unit], sku, unit);
	level = own != NULL ? !sku_own_amount(sku)
			    : strcmp(rows_text(known, row, KNOWN_KIND), "level") == 0;
	if (level == r->lasts)
		return true;
	return usage_refuse(e, r, r->lasts ? USAGE_from : USAGE_at,
	    level ? "%s counts what lasts: give from and to instead of at"
		  : "%s counts amounts: give at instead of from and to",
	    sku);
}

/* A record that came before stays what it is, however long ago that was. */
static bool
time_check(const struct usage_record *r, const struct rows *known, size_t row,
    struct err *e)
{
	enum usage_field f = r->lasts ? USAGE_from : USAGE_at;
	const char *account = r->values[USAGE_account];

	if (rows_bool(known, row, KNOWN_RECORD))
		return true;
	if (r->from.ns > clock_now().ns + AHEAD_NS)
		return usage_refuse(e, r, f,
		    "%s is in the future: send it when it has come about", r->values[f]);
	if (rows_bool(known, row, KNOWN_BEFORE))
		return usage_refuse(e, r, f,
		    "account %s is billed from %s on: what was used before can't be",
		    account, rows_text(known, row, KNOWN_BEGINS));
	if (rows_bool(known, row, KNOWN_REMOVED))
		return usage_refuse(e, r, f,
		    "account %s was removed before %s: what was used after can't be "
		    "billed to it",
		    account, r->values[f]);
	if (rows_bool(known, row, KNOWN_CLOSED))
		return usage_refuse(e, r, f,
		    "the statement of account %s over %s has been closed for too long: "
		    "differences are billed until %d days after a period; settle it by a "
		    "credit or a credit note",
		    account, r->values[f], (int)(LATE_NS / NS_PER_S / 86400));
	return true;
}

/* What stands under this source was held against its gap; only later records set it
 * right. */
static bool
source_check(const struct taking *t, const struct usage_record *r, struct err *e)
{
	if (t->act || r->values[USAGE_corrects] != NULL ||
	    strcmp(r->values[USAGE_source], USAGE_SOURCE_GAP) != 0)
		return true;
	return usage_refuse(e, r, USAGE_source,
	    "%s is Jeoul's own: say what was used in a gap by correctMeterGap (jeoul gap "
	    "correct)",
	    USAGE_SOURCE_GAP);
}

static bool
things_check(struct taking *t, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(t->call->db, STMT_USAGE_IMPORT_CHECK,
		DB_ARGS(buf_text(&t->text), DB_NUMBER(LATE_NS / NS_PER_US)), &r, e))
		return false;
	for (size_t i = 0; i < t->batch.count; i++) {
		struct usage_record *u = &t->batch.list[i];

		if (!source_check(t, u, e) || !account_check(u, r, i, e) ||
		    !meter_check(t, u, r, i, e) || !time_check(u, r, i, e))
			return false;
	}
	return true;
}

/* ---- conflicts */

static const char *
conflict_text(struct taking *t, const struct rows *r)
{
	struct arena *a = t->call->arena;
	const struct usage_record *u = &t->batch.list[rows_i64(r, 0, DIFFER_N)];
	const struct usage_record *first = &t->batch.list[rows_i64(r, 0, DIFFER_FIRST)];
	const char *key = arena_printf(a, "%s: record \"%s\" of source \"%s\"", u->place,
	    u->values[USAGE_id], u->values[USAGE_source]);
	const char *corrects = u->values[USAGE_corrects];

	if (rows_bool(r, 0, DIFFER_ELSEWHERE))
		return arena_printf(a,
		    "%s came before for another account, and the first stands: to move "
		    "it, send a correction of quantity 0 there and a record with an id "
		    "of "
		    "its own here",
		    key);
	if (rows_text(r, 0, DIFFER_OTHER) != NULL)
		return arena_printf(a,
		    "%s corrects \"%s\", which \"%s\" corrects already, and the first "
		    "stands: name that one in corrects instead",
		    key, corrects, rows_text(r, 0, DIFFER_OTHER));
	if (rows_text(r, 0, DIFFER_WHAT)[0] != '\0' && u != first)
		return arena_printf(a,
		    "%s stands in %s too, with other content (%s): give each an id of "
		    "its "
		    "own",
		    key, first->place, rows_text(r, 0, DIFFER_WHAT));
	if (rows_text(r, 0, DIFFER_WHAT)[0] != '\0')
		return arena_printf(a,
		    "%s came on %s with other content (%s), and the first stands: to set "
		    "it right, send a record with an id of its own that names this one "
		    "in "
		    "corrects",
		    key, call_date(t->call, rows_text(r, 0, DIFFER_RECEIVED)),
		    rows_text(r, 0, DIFFER_WHAT));
	if (rows_bool(r, 0, DIFFER_NOT_ABOVE))
		return arena_printf(a,
		    "%s has seq %s, and \"%s\", which it corrects, has %s: a correction "
		    "has a higher one",
		    key, u->values[USAGE_seq], corrects,
		    rows_text(r, 0, DIFFER_SEQ_BEFORE));
	return arena_printf(a,
	    "%s has seq %s, and \"%s\", which corrects it and came first, has no higher "
	    "one: give this one a lower seq",
	    key, u->values[USAGE_seq], rows_text(r, 0, DIFFER_LATER));
}

static bool
event(struct call *c, const char *kind, const char *text, struct err *e)
{
	return db_run(c->db, STMT_EVENT_WRITE,
	    DB_ARGS(DB_NUMBER(c->caller.account_id), DB_NUMBER(c->caller.user_id),
		c->request->source, kind, NULL, text),
	    NULL, e);
}

/* After the commit of the event: nothing of the batch was stored. */
static bool
conflict_answer(struct call *c, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "%s", c->object);
}

/* ---- taking in */

static void
answer(struct taking *t, uint64_t stored)
{
	struct jout *j = &t->call->out;

	jout_open(j, NULL, '{');
	jout_number(j, "records", (int64_t)t->batch.count);
	jout_number(j, "stored", (int64_t)stored);
	jout_number(j, "known", (int64_t)(t->batch.count - stored));
	jout_bool(j, "dryrun", call_true(t->call, "dryrun"));
	jout_close(j, '}');
	t->call->total = 1;
}

/*
 * All is put, then compared with what stands: whoever came first, now or at the same
 * time, has the key.  What differs undoes the whole batch and leaves a note.
 */
static bool
batch_put(struct taking *t, bool dry, uint64_t *stored, struct err *e)
{
	struct call *c = t->call;
	const char *text = buf_text(&t->text);
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_exec(c->db, "savepoint batch", e) ||
	    !db_run(c->db, STMT_USAGE_IMPORT_KEYS, DB_ARGS(text), NULL, e) ||
	    !db_run(c->db, STMT_USAGE_IMPORT_PUT,
		DB_ARGS(text, DB_NUMBER(c->caller.user_id)), stored, e) ||
	    !db_query(c->db, STMT_USAGE_IMPORT_DIFFER, DB_ARGS(text), &r, e))
		return false;
	if ((dry || rows_count(r) > 0) &&
	    !db_exec(c->db, "rollback to savepoint batch", e))
		return false;
	if (rows_count(r) == 0)
		return true;
	c->object = conflict_text(t, r);
	c->late = conflict_answer;
	return event(c, "USAGE.CONFLICT", c->object, e);
}

static bool
batch_take(struct taking *t, bool dry, uint64_t *stored, struct err *e)
{
	t->call->late = NULL; /* a transaction that is tried again */
	usage_batch_write(&t->text, &t->batch);
	if (!things_check(t, e))
		return false;
	buf_clear(&t->text); /* once more, with the accounts */
	usage_batch_write(&t->text, &t->batch);
	return batch_put(t, dry, stored, e);
}

bool
usage_import_act(struct call *c, struct usage_record *r, struct err *e)
{
	struct taking t = { .call = c,
		.batch = { .arena = c->arena, .list = r, .count = 1 },
		.text = BUF_INIT,
		.act = true };
	uint64_t stored = 0;
	bool ok = batch_take(&t, false, &stored, e);

	buf_done(&t.text);
	return ok;
}

static bool
batch_read(struct taking *t, struct err *e)
{
	struct call *c = t->call;
	const char *records = call_value(c, "records");
	const char *csv = call_value(c, "csv");
	const char *source = call_value(c, "source");
	int64_t first = call_number(c, "first", -1);

	if ((records == NULL) == (csv == NULL))
		return err_set(e, ERR_INPUT,
		    "give the records as records (JSON) or as csv, one of both");
	return csv != NULL
	    ? usage_batch_csv(&t->batch, c->arena, csv, source, first, e)
	    : usage_batch_json(&t->batch, c->arena, records, source, first, e);
}

static bool
import_run(struct taking *t, struct err *e)
{
	struct call *c = t->call;
	bool dry = call_true(c, "dryrun");
	uint64_t stored = 0;

	if (!batch_read(t, e) || !right_check(t, e) || !batch_take(t, dry, &stored, e))
		return false;
	if (c->late != NULL)
		return true;
	answer(t, stored);
	if (dry || stored == 0)
		return true;
	return event(c, "USAGE.IMPORT",
	    arena_printf(c->arena, "importUsage by %s: %zu records, %llu of them new",
		c->caller.user_name, t->batch.count, (unsigned long long)stored),
	    e);
}

bool
handle_usage_import(struct call *c, struct err *e)
{
	struct taking t = { .call = c, .text = BUF_INIT };
	bool ok = import_run(&t, e);

	buf_done(&t.text);
	return ok;
}
