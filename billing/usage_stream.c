/* SPDX-License-Identifier: Apache-2.0 */
/* usage_stream: what an account used, read from the database resource by resource */
#include "billing/usage_stream.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define GIB (INT64_C(1) << 30)

enum { FEW_ROWS = 1000 }; /* as bill_usage_few has it */

/* Columns of bill_usage_open. */
enum {
	USED_RESOURCE,
	USED_KIND,
	USED_UUID,
	USED_NAME,
	USED_SIMULATED,
	USED_FROM,
	USED_TO,
	USED_OFFERING,
	USED_VCPUS,
	USED_MEMORY,
	USED_SIZE,
	USED_SOCKETS,
	USED_CORES,
	USED_CORES16,
	USED_VMS,
	USED_VOLUMES,
	USED_NICS,
	USED_FIRST_SUM,
	USED_SKU = USED_FIRST_SUM + 7, /* from here on: imported usage */
	USED_QUANTITY,
	USED_TAGS,
	USED_SEQ,
	USED_STATE,
	USED_RECORDS,
	USED_TOLD
};

/* What a lifetime is used of: so much per row of its column; no column: one. */
struct allocation_sku {
	const char *kind;
	const char *sku;
	int column; /* -1: the thing itself */
	int64_t divisor;
};
static const struct allocation_sku allocations[] = {
	{ "running", SKU_VM_RUNNING, -1, 1 },
	{ "running", SKU_VCPU, USED_VCPUS, 1 },
	{ "running", SKU_MEMORY, USED_MEMORY, GIB },
	{ "allocated", SKU_VM_ALLOCATED, -1, 1 },
	{ "volume", SKU_VOLUME, USED_SIZE, GIB },
	{ "snapshot", "snapshot.gib", USED_SIZE, GIB },
	{ "vm_snapshot", "vm.snapshot.gib", USED_SIZE, GIB },
	{ "template", "template.gib", USED_SIZE, GIB },
	{ "iso", "iso.gib", USED_SIZE, GIB },
	{ "network", "network", -1, 1 },
	{ "address", "address", -1, 1 },
	{ "port_forward", "port.forward", -1, 1 },
	{ "security_group", "security.group", -1, 1 },
	{ "host", SKU_HOST_SOCKET, USED_SOCKETS, 1 },
	{ "host", SKU_HOST_CORE, USED_CORES, 1 },
	{ "host", SKU_HOST_CORE16, USED_CORES16, 1 },
};

/* The sums of a stretch, in their order, and the column that counts their windows. */
struct consumption_sku {
	const char *sku;
	size_t windows;
	int64_t divisor;
};
static const struct consumption_sku consumptions[] = {
	{ SKU_CPU_TIME, USED_VMS, NS_PER_S },
	{ "disk.read.bytes", USED_VOLUMES, 1 },
	{ "disk.write.bytes", USED_VOLUMES, 1 },
	{ "disk.read.requests", USED_VOLUMES, 1 },
	{ "disk.write.requests", USED_VOLUMES, 1 },
	{ "net.rx.bytes", USED_NICS, 1 },
	{ "net.tx.bytes", USED_NICS, 1 },
};

/* "{2024-03-01T00:00:00Z,...}" and "{1,2,1}" */
bool
usage_ask_text(struct buf *starts, struct buf *sum_in, const struct usage_ask *ask,
    struct err *e)
{
	char text[CLOCK_TEXT_MAX];

	for (size_t i = 0; i < ask->count; i++) {
		buf_printf(starts, "%c%s", i == 0 ? '{' : ',',
		    instant_text(ask->starts[i], text));
		buf_printf(sum_in, "%c%zu", i == 0 ? '{' : ',', ask->sum_in[i] + 1);
	}
	buf_putc(starts, '}');
	buf_putc(sum_in, '}');
	if (!buf_ok(starts) || !buf_ok(sum_in))
		return err_set(e, ERR_INPUT, "prices change too often in this period");
	return true;
}

bool
usage_stream_open(struct usage_stream *s, struct db *db, const struct usage_ask *ask,
    struct err *e)
{
	scoped(buf_done) struct buf starts = BUF_INIT;
	scoped(buf_done) struct buf sum_in = BUF_INIT;

	*s = (struct usage_stream){ .db = db };
	usage_list_init(&s->list);
	if (!usage_ask_text(&starts, &sum_in, ask, e))
		return false;
	const char *const values[] = { DB_NUMBER(ask->account_id),
		DB_INSTANT(ask->span.from), DB_INSTANT(ask->span.to), buf_text(&starts),
		buf_text(&sum_in),
		ask->summed.ns == INSTANT_FIRST.ns ? NULL : DB_INSTANT(ask->summed) };
	if (ask->few &&
	    !db_query(db, STMT_BILL_USAGE_FEW, ARRAY_LEN(values), values, &s->rows, e))
		return false;
	if (ask->few && rows_count(s->rows) < FEW_ROWS)
		return true;
	rows_clear(&s->rows);
	s->cursor = db_run(db, STMT_BILL_USAGE_OPEN, ARRAY_LEN(values), values, NULL, e);
	return s->cursor;
}

static struct instant
us_instant(const struct usage_stream *s, size_t column, struct instant when_null)
{
	if (rows_text(s->rows, s->row, column) == NULL)
		return when_null;
	return (struct instant){ rows_i64(s->rows, s->row, column) * NS_PER_US };
}

static struct usage *
item_add(struct usage_stream *s, enum usage_kind kind, const char *sku, size_t records)
{
	struct usage *u = usage_add(&s->list, kind, sku, s->uuid);

	if (s->origins == NULL || s->list.count > s->origin_capacity) {
		s->origin_capacity = s->list.capacity;
		s->origins = mem_resize(s->origins, s->origin_capacity,
		    sizeof(*s->origins));
	}
	s->origins[s->list.count - 1] = (struct usage_origin){ records, NULL };
	return u;
}

static void
tags_of(struct tags *out, const struct usage_stream *s)
{
	const char *offering = rows_text(s->rows, s->row, USED_OFFERING);
	struct arena *a = s->list.arena;

	out->list = arena_alloc(a, 2 * sizeof(*out->list));
	if (offering != NULL)
		out->list[out->count++] = (struct tag){ "offering",
			arena_strdup(a, offering) };
	if (rows_bool(s->rows, s->row, USED_SIMULATED))
		out->list[out->count++] = (struct tag){ "simulated", "true" };
}

static void
lifetime_add(struct usage_stream *s, const struct allocation_sku *a)
{
	struct usage *u;

	if (a->column >= 0 && rows_text(s->rows, s->row, (size_t)a->column) == NULL)
		return;
	u = item_add(s, USAGE_INTERVAL, a->sku, 1);
	u->span.from = us_instant(s, USED_FROM, INSTANT_FIRST);
	u->span.to = us_instant(s, USED_TO, INSTANT_LAST);
	rat_set_i64(u->qty,
	    a->column < 0 ? 1 : rows_i64(s->rows, s->row, (size_t)a->column), a->divisor);
	tags_of(&u->tags, s);
}

/* A sum lies at the begin of its stretch: no price changes before the next one. */
static bool
sums_add(struct usage_stream *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(consumptions); i++) {
		const struct consumption_sku *c = &consumptions[i];
		int64_t windows = rows_i64(s->rows, s->row, c->windows);
		struct usage *u;

		if (windows == 0)
			continue;
		u = item_add(s, USAGE_EVENT, c->sku, (size_t)windows);
		u->span.from = us_instant(s, USED_FROM, INSTANT_FIRST);
		if (!rat_parse(u->qty, rows_text(s->rows, s->row, USED_FIRST_SUM + i), e))
			return err_wrap(e, "usage windows of %s", s->uuid);
		exact_scale(u->qty, u->qty, 1, c->divisor);
		tags_of(&u->tags, s);
	}
	return true;
}

/* The database checked it when it came in. */
static bool
told_tags(struct tags *out, const struct usage_stream *s, struct err *e)
{
	const char *text = rows_text(s->rows, s->row, USED_TAGS);
	struct json *doc = NULL;
	bool ok = json_parse(&doc, text, strlen(text), e) &&
	    tags_read(out, s->list.arena, json_root(doc), "tags", e);

	json_free(doc);
	return ok;
}

static void
aside_add(struct usage_stream *s, const char *sku, const char *state, size_t records)
{
	if (s->aside_count == s->aside_capacity) {
		s->aside_capacity = s->aside_capacity == 0 ? 16 : s->aside_capacity * 2;
		s->asides = mem_resize(s->asides, s->aside_capacity, sizeof(*s->asides));
	}
	s->asides[s->aside_count++] = (struct usage_aside){ sku,
		strcmp(state, "pending") == 0, records };
}

/* Usage that was told from outside: a level lasts, an amount is the sum of a stretch. */
static bool
told_add(struct usage_stream *s, bool level, struct err *e)
{
	const char *sku = arena_strdup(s->list.arena,
	    rows_text(s->rows, s->row, USED_SKU));
	const char *state = rows_text(s->rows, s->row, USED_STATE);
	size_t records = (size_t)rows_i64(s->rows, s->row, USED_RECORDS);
	struct usage *u;

	if (strcmp(state, "current") != 0) {
		aside_add(s, sku, state, records);
		return true;
	}
	u = item_add(s, level ? USAGE_INTERVAL : USAGE_EVENT, sku, records);
	s->origins[s->list.count - 1].told = arena_strdup(s->list.arena,
	    rows_text(s->rows, s->row, USED_TOLD));
	u->span.from = us_instant(s, USED_FROM, INSTANT_FIRST);
	if (level) {
		u->span.to = us_instant(s, USED_TO, INSTANT_LAST);
		u->seq = rows_i64(s->rows, s->row, USED_SEQ);
	}
	if (!rat_parse(u->qty, rows_text(s->rows, s->row, USED_QUANTITY), e) ||
	    !told_tags(&u->tags, s, e))
		return err_wrap(e, "imported usage of %s by %s", sku, s->name);
	return true;
}

static bool
row_add(struct usage_stream *s, struct err *e)
{
	const char *kind = rows_text(s->rows, s->row, USED_KIND);

	if (strcmp(kind, "window") == 0)
		return sums_add(s, e);
	if (strcmp(kind, "level") == 0 || strcmp(kind, "amount") == 0)
		return told_add(s, kind[0] == 'l', e);
	for (size_t i = 0; i < ARRAY_LEN(allocations); i++)
		if (strcmp(allocations[i].kind, kind) == 0)
			lifetime_add(s, &allocations[i]);
	return true;
}

/*
 * What is told of a metered sku without tags has those of what was metered, so that it
 * has the same price.
 */
static void
told_settle(struct usage_stream *s)
{
	for (size_t i = 0; i < s->list.count; i++) {
		struct usage *u = &s->list.items[i];

		if (s->origins[i].told == NULL || u->tags.count > 0)
			continue;
		for (size_t k = 0; k < s->list.count; k++)
			if (s->origins[k].told == NULL &&
			    strcmp(s->list.items[k].sku, u->sku) == 0)
				u->tags = s->list.items[k].tags;
	}
}

/* Simulated things say so wherever they appear. */
static void
resource_begin(struct usage_stream *s)
{
	struct arena *a;

	usage_list_reset(&s->list);
	s->aside_count = 0;
	a = s->list.arena;
	s->uuid = arena_strdup(a, rows_text(s->rows, s->row, USED_UUID));
	s->name = arena_printf(a, "%s%s", rows_text(s->rows, s->row, USED_NAME),
	    rows_bool(s->rows, s->row, USED_SIMULATED) ? " (simulated)" : "");
}

void
usage_stream_resource(struct usage_stream *s, const char *uuid, const char *name)
{
	usage_list_reset(&s->list);
	s->aside_count = 0;
	s->uuid = arena_strdup(s->list.arena, uuid);
	s->name = arena_strdup(s->list.arena, name);
}

struct usage *
usage_stream_item(struct usage_stream *s, enum usage_kind kind, const char *sku)
{
	return item_add(s, kind, sku, 1);
}

/* Rows at hand, or fetched; *any false: the cursor is at its end. */
static bool
row_ready(struct usage_stream *s, bool *any, struct err *e)
{
	*any = true;
	if (s->rows != NULL && s->row < rows_count(s->rows))
		return true;
	if (!s->cursor) {
		*any = false;
		return true;
	}
	rows_clear(&s->rows);
	s->row = 0;
	if (!db_query(s->db, STMT_BILL_USAGE_NEXT, DB_NONE, &s->rows, e))
		return false;
	*any = rows_count(s->rows) > 0;
	return true;
}

/*
 * A resource ends where the next one begins, so its last row may need another fetch:
 * the row that ended it stays for the next call.
 */
bool
usage_stream_next(struct usage_stream *s, bool *more, struct err *e)
{
	int64_t id;
	bool any;

	if (!row_ready(s, &any, e))
		return false;
	*more = any;
	if (!any)
		return true;
	id = rows_i64(s->rows, s->row, USED_RESOURCE);
	resource_begin(s);
	while (any && rows_i64(s->rows, s->row, USED_RESOURCE) == id) {
		if (!row_add(s, e))
			return false;
		s->row++;
		if (!row_ready(s, &any, e))
			return false;
	}
	told_settle(s);
	return true;
}

bool
usage_stream_close(struct usage_stream *s, struct err *e)
{
	if (!s->cursor)
		return true;
	s->cursor = false;
	return db_run(s->db, STMT_BILL_USAGE_CLOSE, DB_NONE, NULL, e);
}

void
usage_stream_done(struct usage_stream *s)
{
	rows_clear(&s->rows);
	usage_list_done(&s->list);
	free(s->origins);
	free(s->asides);
	*s = (struct usage_stream){ .db = NULL };
}
