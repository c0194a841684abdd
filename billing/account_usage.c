/* SPDX-License-Identifier: Apache-2.0 */
/* account_usage: lifetimes and usage windows of an account as usage to be rated */
#include "billing/account_usage.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

#define GIB (INT64_C(1) << 30)

/* Columns of bill_lifetimes and bill_windows. */
enum {
	LIFE_KIND,
	LIFE_UUID,
	LIFE_NAME,
	LIFE_FROM,
	LIFE_TO,
	LIFE_VCPUS,
	LIFE_MEMORY,
	LIFE_SIZE,
	LIFE_SOCKETS,
	LIFE_CORES,
	LIFE_SIMULATED,
	LIFE_OFFERING
};
enum { WINDOW_UUID, WINDOW_NAME, WINDOW_FROM, WINDOW_SIMULATED, WINDOW_FIRST_SUM };

/* What a lifetime is used of: so much per row of its column; no column: one. */
struct allocation_sku {
	const char *kind;
	const char *sku;
	int column; /* -1: the thing itself */
	int64_t divisor;
};
static const struct allocation_sku allocations[] = {
	{ "running", SKU_VM_RUNNING, -1, 1 },
	{ "running", SKU_VCPU, LIFE_VCPUS, 1 },
	{ "running", SKU_MEMORY, LIFE_MEMORY, GIB },
	{ "volume", SKU_VOLUME, LIFE_SIZE, GIB },
	{ "host", SKU_HOST_SOCKET, LIFE_SOCKETS, 1 },
};

/* The sums of bill_windows, in its order. */
struct consumption_sku {
	const char *sku;
	int64_t divisor;
};
static const struct consumption_sku consumptions[] = {
	{ SKU_CPU_TIME, NS_PER_S },
	{ "disk.read.bytes", 1 },
	{ "disk.write.bytes", 1 },
	{ "disk.read.requests", 1 },
	{ "disk.write.requests", 1 },
	{ "net.rx.bytes", 1 },
	{ "net.tx.bytes", 1 },
};

void
account_usage_init(struct account_usage *u)
{
	*u = (struct account_usage){ .names = NULL };
	usage_list_init(&u->list);
}

void
account_usage_done(struct account_usage *u)
{
	usage_list_done(&u->list);
	free(u->names);
}

static int
by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct resource_name *)a)->uuid,
	    ((const struct resource_name *)b)->uuid);
}

const char *
account_usage_name(const struct account_usage *u, const char *uuid)
{
	struct resource_name wanted = { uuid, NULL };
	const struct resource_name *found = NULL;

	if (u->name_count > 0 && uuid != NULL)
		found = bsearch(&wanted, u->names, u->name_count, sizeof(*u->names),
		    by_uuid);
	return found == NULL ? NULL : found->name;
}

/* Simulated things say so wherever they appear. */
static const char *
name_add(struct account_usage *u, const char *uuid, const char *name, bool simulated)
{
	struct arena *a = u->list.arena;
	struct resource_name *n;

	if (u->name_count > 0 && strcmp(u->names[u->name_count - 1].uuid, uuid) == 0)
		return u->names[u->name_count - 1].uuid;
	if (u->names == NULL || u->name_count == u->name_capacity) {
		u->name_capacity = u->name_capacity == 0 ? 64 : u->name_capacity * 2;
		u->names = mem_resize(u->names, u->name_capacity, sizeof(*u->names));
	}
	n = &u->names[u->name_count++];
	n->uuid = arena_strdup(a, uuid);
	n->name = arena_printf(a, "%s%s", name, simulated ? " (simulated)" : "");
	return n->uuid;
}

static struct instant
us_instant(const struct rows *r, size_t row, size_t column, struct instant when_null)
{
	if (rows_text(r, row, column) == NULL)
		return when_null;
	return (struct instant){ rows_i64(r, row, column) * NS_PER_US };
}

static void
tags_of(struct tags *out, struct arena *a, const struct rows *r, size_t row)
{
	const char *offering = rows_text(r, row, LIFE_OFFERING);

	out->list = arena_alloc(a, 2 * sizeof(*out->list));
	if (offering != NULL)
		out->list[out->count++] = (struct tag){ "offering",
			arena_strdup(a, offering) };
	if (rows_bool(r, row, LIFE_SIMULATED))
		out->list[out->count++] = (struct tag){ "simulated", "true" };
}

static void
lifetime_add(struct usage_list *l, const struct rows *r, size_t row,
    const struct allocation_sku *s, const char *uuid)
{
	struct usage *u;

	if (s->column >= 0 && rows_text(r, row, (size_t)s->column) == NULL)
		return;
	u = usage_add(l, USAGE_INTERVAL, s->sku, uuid);
	u->span.from = us_instant(r, row, LIFE_FROM, INSTANT_FIRST);
	u->span.to = us_instant(r, row, LIFE_TO, INSTANT_LAST);
	rat_set_i64(u->qty, s->column < 0 ? 1 : rows_i64(r, row, (size_t)s->column),
	    s->divisor);
	tags_of(&u->tags, l->arena, r, row);
}

static void
lifetimes_add(struct account_usage *u, const struct rows *r)
{
	for (size_t row = 0; row < rows_count(r); row++) {
		const char *kind = rows_text(r, row, LIFE_KIND);
		const char *uuid = name_add(u, rows_text(r, row, LIFE_UUID),
		    rows_text(r, row, LIFE_NAME), rows_bool(r, row, LIFE_SIMULATED));

		for (size_t i = 0; i < ARRAY_LEN(allocations); i++)
			if (strcmp(allocations[i].kind, kind) == 0)
				lifetime_add(&u->list, r, row, &allocations[i], uuid);
	}
}

/* A window's sum lies at its begin: windows are cut where any price changes. */
static bool
window_add(struct usage_list *l, const struct rows *r, size_t row, const char *uuid,
    struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(consumptions); i++) {
		const char *sum = rows_text(r, row, WINDOW_FIRST_SUM + i);
		struct usage *u;

		if (sum == NULL)
			continue;
		u = usage_add(l, USAGE_EVENT, consumptions[i].sku, uuid);
		u->span.from = us_instant(r, row, WINDOW_FROM, INSTANT_FIRST);
		if (!rat_parse(u->qty, sum, e))
			return err_wrap(e, "usage window of %s", uuid);
		exact_scale(u->qty, u->qty, 1, consumptions[i].divisor);
	}
	return true;
}

static bool
windows_add(struct account_usage *u, const struct rows *r, struct err *e)
{
	for (size_t row = 0; row < rows_count(r); row++)
		if (!window_add(&u->list, r, row,
			name_add(u, rows_text(r, row, WINDOW_UUID),
			    rows_text(r, row, WINDOW_NAME),
			    rows_bool(r, row, WINDOW_SIMULATED)),
			e))
			return false;
	return true;
}

bool
account_usage_read(struct account_usage *u, struct db *db, int64_t account_id,
    const struct span *span, bool by_window, struct err *e)
{
	scoped(rows_clear) struct rows *lifetimes = NULL;
	scoped(rows_clear) struct rows *windows = NULL;

	if (!db_query(db, STMT_BILL_LIFETIMES,
		DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(span->from),
		    DB_INSTANT(span->to)),
		&lifetimes, e) ||
	    !db_query(db, STMT_BILL_WINDOWS,
		DB_ARGS(DB_NUMBER(account_id), DB_INSTANT(span->from),
		    DB_INSTANT(span->to), by_window ? "true" : "false"),
		&windows, e))
		return false;
	lifetimes_add(u, lifetimes);
	if (!windows_add(u, windows, e))
		return false;
	if (u->name_count > 1)
		qsort(u->names, u->name_count, sizeof(*u->names), by_uuid);
	return true;
}
