/* SPDX-License-Identifier: Apache-2.0 */
/* quote: what a virtual machine will cost, read from the words of a call */
#include "billing/quote.h"
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB INT64_C(1048576)
#define BYTES_PER_GB UINT64_C(1000000000)

struct asking {
	struct call *call;
	struct quote_ask ask;
};

static bool
within(const struct call *c, const char *param, int64_t least, int64_t most, int64_t *out,
    struct err *e)
{
	int64_t n = call_number(c, param, 0);

	if (call_value(c, param) == NULL)
		return true;
	if (n < least || n > most)
		return err_set(e, ERR_INPUT, "%s is %lld: it must be %lld to %lld", param,
		    (long long)n, (long long)least, (long long)most);
	*out = n;
	return true;
}

static bool
disk_add(struct quote_ask *ask, int64_t bytes, struct err *e)
{
	if (ask->disk_count == QUOTE_DISKS_MOST)
		return err_set(e, ERR_INPUT, "%d disks at most", QUOTE_DISKS_MOST);
	ask->disks[ask->disk_count++] = bytes;
	return true;
}

/* ---- size and disks, as deployVirtualMachine takes them */

static bool
size_read(struct call *c, struct quote_ask *ask, int64_t *root, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "serviceofferingid");
	int64_t mib = 0;

	if (!within(c, "cpunumber", 1, 1024, &ask->vcpus, e) ||
	    !within(c, "memory", 32, 16777216, &mib, e))
		return false;
	ask->memory_bytes = mib * MIB;
	if (id == NULL)
		return (ask->vcpus > 0) == (mib > 0) ||
		    err_set(e, ERR_INPUT, "give both, cpunumber and memory (in MiB)");
	if (ask->vcpus > 0 || mib > 0)
		return err_set(e, ERR_INPUT,
		    "give serviceofferingid, or cpunumber and memory, not both");
	if (!db_query(c->db, STMT_QUOTE_OFFERING, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "serviceofferingid", id, e);
	ask->offering = arena_strdup(c->arena, rows_text(r, 0, 0));
	ask->vcpus = rows_i64(r, 0, 1);
	ask->memory_bytes = rows_i64(r, 0, 2);
	*root = rows_i64(r, 0, 3);
	return true;
}

/* As large as was asked for, or as its offering says, at least as its image. */
static bool
root_read(struct call *c, struct quote_ask *ask, int64_t root, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "templateid");

	if (call_value(c, "rootdisksize") != NULL &&
	    !cloud_gib(call_number(c, "rootdisksize", 0), &root))
		return err_set(e, ERR_INPUT, "rootdisksize: 1 to 1048576 GiB");
	if (id != NULL && !db_query(c->db, STMT_QUOTE_IMAGE, DB_ARGS(id), &r, e))
		return false;
	if (id != NULL && rows_count(r) == 0)
		return call_not_found(c, "templateid", id, e);
	if (id != NULL && rows_i64(r, 0, 0) > root)
		root = rows_i64(r, 0, 0);
	return root == 0 || disk_add(ask, root, e);
}

static bool
data_read(struct call *c, struct quote_ask *ask, struct err *e)
{
	const char *sizes = call_value(c, "disksizes");
	const char *offering = NULL;
	int64_t bytes = 0;
	char *rest = NULL;

	if (!cloud_disk_size(c, &offering, &bytes, e))
		return false;
	if (bytes == 0 && offering != NULL)
		return err_set(e, ERR_INPUT, "how large is its data disk? give size");
	if (bytes > 0 && !disk_add(ask, bytes, e))
		return false;
	if (sizes == NULL)
		return true;
	for (char *one = strtok_r(arena_strdup(c->arena, sizes), ",", &rest); one != NULL;
	     one = strtok_r(NULL, ",", &rest)) {
		if (strlen(one) > 7 || strspn(one, "0123456789") != strlen(one) ||
		    !cloud_gib(strtoll(one, NULL, 10), &bytes))
			return err_set(e, ERR_INPUT,
			    "disksizes: \"%.20s\" is no size; write GiB of each disk, as "
			    "in 10,20 (1 to 1048576)",
			    one);
		if (!disk_add(ask, bytes, e))
			return false;
	}
	return true;
}

/* ---- the rest */

static bool
host_read(struct call *c, struct quote_ask *ask, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "dedicatedhostid");

	if (!within(c, "hostsockets", 1, 64, &ask->sockets, e) ||
	    !within(c, "hostcores", 1, 4096, &ask->cores, e))
		return false;
	if (ask->cores > 0 && ask->sockets == 0)
		return err_set(e, ERR_INPUT, "hostcores needs hostsockets too");
	if (id == NULL)
		return true;
	if (!c->caller.provider)
		return err_set(e, ERR_DENIED,
		    "dedicatedhostid is for the provider only: give hostsockets and "
		    "hostcores");
	if (!db_query(c->db, STMT_QUOTE_HOST, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "dedicatedhostid", id, e);
	if (rows_text(r, 0, 0) == NULL)
		return err_set(e, ERR_CONFLICT,
		    "that host has not answered yet: how many sockets it has is not "
		    "known");
	ask->sockets = rows_i64(r, 0, 0);
	ask->cores = rows_text(r, 0, 1) == NULL ? 0 : rows_i64(r, 0, 1);
	return true;
}

static bool
gigabytes_read(const struct call *c, const char *param, struct quote_ask *ask, mpq_t out,
    struct err *e)
{
	const char *text = call_value(c, param);
	scoped_exact mpq_t unit;

	mpq_init(unit);
	if (text == NULL)
		return true;
	if (strspn(text, "0123456789.") != strlen(text) || strlen(text) > 20 ||
	    !rat_parse(out, text, e))
		return err_set(e, ERR_INPUT, "%s is \"%.20s\"; write GB as in 250 or 0.5",
		    param, text);
	rat_set_u64(unit, BYTES_PER_GB);
	mpq_mul(out, out, unit);
	ask->traffic = true;
	return true;
}

static bool
start_read(const struct call *c, struct quote_ask *ask, struct err *e)
{
	const char *start = call_value(c, "startdate");

	ask->now = clock_now();
	ask->start = instant_floor(ask->now, NS_PER_S);
	if (start == NULL)
		return true;
	if (!instant_parse(&ask->start, start, e))
		return err_wrap(e, "startdate");
	ask->start = instant_floor(ask->start, NS_PER_S);
	return true;
}

static bool
asking_read(struct asking *a, struct err *e)
{
	struct call *c = a->call;
	struct quote_ask *ask = &a->ask;
	int64_t root = 0;

	ask->account_id = c->owner;
	if (!size_read(c, ask, &root, e) || !root_read(c, ask, root, e) ||
	    !data_read(c, ask, e) || !host_read(c, ask, e) ||
	    !within(c, "addresses", 0, QUOTE_ADDRESSES_MOST, &ask->addresses, e) ||
	    !within(c, "hours", 1, 744, &ask->hours, e) ||
	    !gigabytes_read(c, "receivegb", ask, ask->received, e) ||
	    !gigabytes_read(c, "transmitgb", ask, ask->sent, e) || !start_read(c, ask, e))
		return false;
	return ask->vcpus > 0 || ask->disk_count > 0 || ask->addresses > 0 ||
	    ask->sockets > 0 ||
	    err_set(e, ERR_INPUT,
		"what is it to be? give serviceofferingid, or cpunumber and memory; or a "
		"disk, an address, a host");
}

static bool
quote_work(struct db *db, void *context, struct err *e)
{
	struct asking *a = context;
	char sql[96];

	(void)snprintf(sql, sizeof(sql),
	    "select set_config('jeoul.account', '%lld', true)",
	    (long long)a->call->owner);
	buf_clear(&a->call->items);
	return db_exec(db, sql, e) && quote(&a->call->items, db, &a->ask, e);
}

bool
handle_cost_estimate(struct call *c, struct err *e)
{
	struct asking a = { .call = c };
	struct db *db = NULL;
	bool ok;

	mpq_inits(a.ask.received, a.ask.sent, NULL);
	ok = asking_read(&a, e) && worker_bill_db(c->worker, &db, e) &&
	    db_transaction(db, quote_work, &a, e);
	mpq_clears(a.ask.received, a.ask.sent, NULL);
	return ok;
}
