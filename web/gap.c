/* SPDX-License-Identifier: Apache-2.0 */
/* gap: saying what was used in a gap in metering, or that nothing of it is billed */
#include "billing/sku.h"
#include "web/handlers.h"
#include "web/usage_import.h"
#include "web_stmt.gen.h"
#include <string.h>

/* Columns of gap_find. */
enum {
	FIND_ACCOUNT,
	FIND_RESOURCE,
	FIND_FROM,
	FIND_TO,
	FIND_FROM_US,
	FIND_TO_US,
	FIND_ACCOUNT_UUID,
	FIND_VOLUME,
	FIND_VM,
	FIND_VM_UUID,
	FIND_VM_NAME,
	FIND_ACTS,
	FIND_NOTHING,
	FIND_SAID,
	FIND_SAID_BY,
	FIND_SAID_AT,
	FIND_SAID_WHY,
	FIND_SAID_RECORD,
	FIND_SAID_QUANTITY,
	FIND_SAID_UNIT,
	FIND_SAID_USED_US
};
/* Columns of gap_room. */
enum {
	ROOM_INSIDE,
	ROOM_OUTSIDE,
	ROOM_COUNTED,
	ROOM_TOLD,
	ROOM_SINCE,
	ROOM_UNTIL,
	ROOM_FITS,
	ROOM_FITS_OUTSIDE
};

struct correction {
	struct call *call;
	const struct rows *gap;
	const char *id;
	const char *sku; /* NULL: nothing was used */
	const char *reason;
	struct usage_record record;
};

static const char *
gap_text(const struct correction *k, size_t column)
{
	return rows_text(k->gap, 0, column);
}

/* "2026-...Z to 2026-...Z" */
static const char *
gap_span(const struct correction *k)
{
	return arena_printf(k->call->arena, "%s to %s",
	    call_date(k->call, gap_text(k, FIND_FROM)),
	    call_date(k->call, gap_text(k, FIND_TO)));
}

/* ---- whether it is right */

/* Consumption only: what lasts is known from lifetimes, which go on through a gap. */
static bool
sku_check(const struct correction *k, struct err *e)
{
	bool volume = rows_bool(k->gap, 0, FIND_VOLUME);
	bool disk = strncmp(k->sku, "disk.", 5) == 0;

	if (sku_own_unit(k->sku) == NULL || !sku_own_amount(k->sku))
		return err_set(e, ERR_INPUT,
		    "sku: \"%.64s\" does not come from samples, so nothing of it is "
		    "missing in a gap: give cpu.time, net.rx.bytes, net.tx.bytes or one "
		    "of disk.*; anything else is told by jeoul usage import",
		    k->sku);
	if (disk == volume)
		return true;
	return err_set(e, ERR_INPUT, "sku: in this gap a %s was not measured: give %s",
	    volume ? "disk" : "virtual machine",
	    volume ? "disk.read.bytes, disk.write.bytes, disk.read.requests or "
		     "disk.write.requests"
		   : "cpu.time, net.rx.bytes or net.tx.bytes");
}

static bool
time_check(const struct correction *k, struct err *e)
{
	int64_t us = k->record.from.ns / NS_PER_US;

	if (us >= rows_i64(k->gap, 0, FIND_FROM_US) &&
	    us < rows_i64(k->gap, 0, FIND_TO_US))
		return true;
	return err_set(e, ERR_INPUT, "at: %s lies outside of the gap, which is from %s",
	    k->record.values[USAGE_at], gap_span(k));
}

/*
 * A VM can't have worked longer than its virtual CPUs had time: in the gap, and between
 * the readings around it, where the counters' share is known.  How fast a card or disk
 * can be is not known here.
 */
static bool
room_check(const struct correction *k, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *quantity = k->record.values[USAGE_quantity];

	if (strcmp(k->sku, SKU_CPU_TIME) != 0)
		return true;
	if (!db_query(k->call->db, STMT_GAP_ROOM,
		DB_ARGS(gap_text(k, FIND_ACCOUNT), gap_text(k, FIND_VM),
		    gap_text(k, FIND_FROM), gap_text(k, FIND_TO),
		    gap_text(k, FIND_VM_UUID), quantity),
		&r, e))
		return false;
	if (!rows_bool(r, 0, ROOM_FITS))
		return err_set(e, ERR_INPUT,
		    "quantity: %s vCPU-seconds are more than the %s that its virtual "
		    "CPUs had from %s",
		    quantity, rows_text(r, 0, ROOM_INSIDE), gap_span(k));
	if (!rows_bool(r, 0, ROOM_FITS_OUTSIDE))
		return err_set(e, ERR_INPUT,
		    "quantity: %s vCPU-seconds are too many: of the %s that its virtual "
		    "CPUs had until %s %s were counted and %s told already",
		    quantity, rows_text(r, 0, ROOM_OUTSIDE),
		    call_date(k->call, rows_text(r, 0, ROOM_UNTIL)),
		    rows_text(r, 0, ROOM_COUNTED), rows_text(r, 0, ROOM_TOLD));
	return true;
}

/* ---- the record that carries it to the bill */

static bool
record_fill(struct correction *k, struct err *e)
{
	struct call *c = k->call;
	struct instant last = { rows_i64(k->gap, 0, FIND_TO_US) * NS_PER_US - NS_PER_US };
	const char *at = call_value(c, "at");
	struct usage_record *r = &k->record;
	char text[CLOCK_TEXT_MAX];

	*r = (struct usage_record){ .place = "correction" };
	r->values[USAGE_source] = USAGE_SOURCE_GAP;
	r->values[USAGE_id] = arena_printf(c->arena, "%s/%s", k->id, k->sku);
	r->values[USAGE_account] = gap_text(k, FIND_ACCOUNT_UUID);
	r->values[USAGE_sku] = k->sku;
	r->values[USAGE_unit] = sku_own_unit(k->sku);
	r->values[USAGE_quantity] = call_value(c, "quantity");
	r->values[USAGE_at] = at != NULL
	    ? at
	    : arena_strdup(c->arena, instant_text(last, text));
	r->values[USAGE_resource] = gap_text(k, FIND_VM_UUID);
	r->values[USAGE_resource_name] = gap_text(k, FIND_VM_NAME);
	return usage_record_check(r, e);
}

/* ---- what was said before */

/* The quantity's digits may be written in several ways: PostgreSQL compares. */
static bool
quantity_same(const struct correction *k, bool *same, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(k->call->db, STMT_GAP_SAME,
		DB_ARGS(gap_text(k, FIND_SAID_QUANTITY),
		    k->record.values[USAGE_quantity]),
		&r, e))
		return false;
	*same = rows_bool(r, 0, 0) &&
	    rows_i64(k->gap, 0, FIND_SAID_USED_US) == k->record.from.ns / NS_PER_US;
	return true;
}

/* The same again changes nothing; anything else would change what was said. */
static bool
said_again(const struct correction *k, struct err *e)
{
	bool same = true;

	if (k->sku != NULL && !quantity_same(k, &same, e))
		return false;
	if (same && strcmp(gap_text(k, FIND_SAID_WHY), k->reason) == 0)
		return call_answer_one(k->call, STMT_GAP_ONE, k->id, e);
	if (k->sku == NULL)
		return err_set(e, ERR_CONFLICT,
		    "%s said on %s already that nothing of this gap is billed: %s",
		    gap_text(k, FIND_SAID_BY),
		    call_date(k->call, gap_text(k, FIND_SAID_AT)),
		    gap_text(k, FIND_SAID_WHY));
	return err_set(e, ERR_CONFLICT,
	    "%s said on %s already that %s %s of %s were used in this gap (%s): to set "
	    "that "
	    "right, tell a record that names \"%s\" of source %s in corrects (jeoul "
	    "usage "
	    "import)",
	    gap_text(k, FIND_SAID_BY), call_date(k->call, gap_text(k, FIND_SAID_AT)),
	    gap_text(k, FIND_SAID_QUANTITY), gap_text(k, FIND_SAID_UNIT), k->sku,
	    gap_text(k, FIND_SAID_WHY), gap_text(k, FIND_SAID_RECORD), USAGE_SOURCE_GAP);
}

static bool
verdict_check(const struct correction *k, struct err *e)
{
	if (rows_bool(k->gap, 0, FIND_NOTHING))
		return err_set(e, ERR_CONFLICT,
		    "it was said already that nothing of this gap is billed; usage of it "
		    "can still be told under a source of one's own (jeoul usage import)");
	if (k->sku == NULL && rows_i64(k->gap, 0, FIND_ACTS) > 0)
		return err_set(e, ERR_CONFLICT,
		    "it was said already that something was used in this gap: take that "
		    "back by a record of quantity 0 that corrects it (jeoul usage "
		    "import)");
	return true;
}

/* ---- the act */

static bool
act_write(const struct correction *k, struct err *e)
{
	struct call *c = k->call;
	uint64_t written = 0;

	if (!db_run(c->db, STMT_GAP_ACT,
		DB_ARGS(gap_text(k, FIND_ACCOUNT), gap_text(k, FIND_RESOURCE),
		    gap_text(k, FIND_FROM), DB_NUMBER(rows_i64(k->gap, 0, FIND_ACTS) + 1),
		    k->sku, k->sku != NULL ? k->record.values[USAGE_id] : NULL, k->reason,
		    DB_NUMBER(c->caller.user_id), c->caller.user_name),
		&written, e))
		return false;
	/* Somebody else said something of this gap since we looked: decided again. */
	return written == 1 ||
	    err_set(e, ERR_CONFLICT,
		"somebody else said something of this gap just now: look at it (jeoul "
		"gap "
		"list --id %s) and try again",
		k->id);
}

static bool
event_write(const struct correction *k, struct err *e)
{
	struct call *c = k->call;
	const char *what = k->sku == NULL
	    ? "nothing is billed"
	    : arena_printf(c->arena, "%s %s of %s were used, as record %s/%s",
		  k->record.values[USAGE_quantity], k->record.values[USAGE_unit], k->sku,
		  USAGE_SOURCE_GAP, k->record.values[USAGE_id]);

	return db_run(c->db, STMT_EVENT_WRITE,
	    DB_ARGS(gap_text(k, FIND_ACCOUNT), DB_NUMBER(c->caller.user_id),
		c->request->source, "GAP.CORRECT", k->id,
		arena_printf(c->arena,
		    "correctMeterGap by %s: of the gap of %s from %s %s: %s",
		    c->caller.user_name, gap_text(k, FIND_VM_NAME), gap_span(k), what,
		    k->reason)),
	    NULL, e);
}

static bool
used_check(struct correction *k, struct err *e)
{
	return sku_check(k, e) && record_fill(k, e) && time_check(k, e);
}

static bool
correct(struct correction *k, struct err *e)
{
	struct call *c = k->call;

	if (k->sku != NULL && !used_check(k, e))
		return false;
	if (rows_bool(k->gap, 0, FIND_SAID))
		return said_again(k, e);
	if (!verdict_check(k, e))
		return false;
	if (k->sku != NULL && (!room_check(k, e) || !usage_import_act(c, &k->record, e)))
		return false;
	if (c->late != NULL)
		return true;
	return act_write(k, e) && event_write(k, e) &&
	    call_answer_one(c, STMT_GAP_ONE, k->id, e);
}

static bool
words_check(const struct call *c, struct err *e)
{
	bool nothing = call_true(c, "nothing");
	const char *sku = call_value(c, "sku");
	const char *quantity = call_value(c, "quantity");

	if (nothing && sku == NULL && quantity == NULL && call_value(c, "at") == NULL)
		return true;
	if (!nothing && sku != NULL && quantity != NULL)
		return true;
	return err_set(e, ERR_INPUT,
	    "say what was used and how much (sku, quantity), or that nothing was "
	    "(nothing=true), one of both");
}

bool
handle_gap_correct(struct call *c, struct err *e)
{
	struct correction k = { .call = c,
		.id = call_value(c, "id"),
		.sku = call_value(c, "sku"),
		.reason = call_value(c, "reason") };
	scoped(rows_clear) struct rows *r = NULL;

	c->late = NULL; /* a transaction that is tried again */
	if (!words_check(c, e) ||
	    !db_query(c->db, STMT_GAP_FIND, DB_ARGS(k.id, k.sku), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", k.id, e);
	if (rows_text(r, 0, FIND_VM_UUID) == NULL)
		return err_set(e, ERR_CONFLICT,
		    "nothing is known of what was not measured in this gap: usage is "
		    "told "
		    "by jeoul usage import");
	k.gap = r;
	k.id = arena_strdup(c->arena, k.id);
	c->object = k.id;
	return correct(&k, e);
}
