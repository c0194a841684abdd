/* SPDX-License-Identifier: Apache-2.0 */
/* Disks and their snapshots. */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <string.h>

bool
cloud_disk_size(struct call *c, const char **offering, int64_t *bytes, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, "diskofferingid");
	bool has_size = call_value(c, "size") != NULL;

	*offering = NULL;
	*bytes = 0;
	if (uuid != NULL) {
		if (!db_query(c->db, STMT_DISK_OFFERING_FIND, DB_ARGS(uuid), &r, e))
			return false;
		if (rows_count(r) == 0)
			return call_not_found(c, "diskofferingid", uuid, e);
		*offering = arena_strdup(c->arena, rows_text(r, 0, 0));
		if (rows_text(r, 0, 1) != NULL) {
			*bytes = rows_i64(r, 0, 1);
			return !has_size ||
			    err_set(e, ERR_INPUT,
				"that disk offering has a size of its own: leave size "
				"out");
		}
	}
	if (!has_size)
		return true;
	return cloud_gib(call_number(c, "size", 0), bytes) ||
	    err_set(e, ERR_INPUT, "size: 1 to 1048576 GiB");
}

static bool
snapshot_read(struct call *c, const char **id, int64_t *bytes, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, "snapshotid");

	*id = NULL;
	if (uuid == NULL)
		return true;
	if (!db_query(c->db, STMT_SNAPSHOT_FIND, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "snapshotid", uuid, e);
	if (strcmp(rows_text(r, 0, 2), "BackedUp") != 0)
		return err_set(e, ERR_CONFLICT, "that snapshot is %s",
		    rows_text(r, 0, 2));
	*id = arena_strdup(c->arena, rows_text(r, 0, 0));
	*bytes = rows_i64(r, 0, 1);
	return true;
}

bool
handle_volume_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *offering = NULL;
	const char *snapshot = NULL;
	int64_t bytes = 0;

	if (!cloud_disk_size(c, &offering, &bytes, e) ||
	    !snapshot_read(c, &snapshot, &bytes, e))
		return false;
	if (bytes == 0)
		return err_set(e, ERR_INPUT,
		    "how large? give size, a diskofferingid with a size, or a "
		    "snapshotid");
	if (!db_query(c->db, STMT_VOLUME_INSERT,
		DB_ARGS(DB_NUMBER(c->owner), call_value(c, "name"), offering,
		    DB_NUMBER(bytes), snapshot),
		&r, e))
		return false;
	return cloud_limits(c, c->owner, "{volume,primary_storage}", e) &&
	    call_job(c, "volume", rows_text(r, 0, 0), c->owner, e);
}

bool
handle_volume_attach(struct call *c, struct err *e)
{
	return cloud_seen(c, STMT_VOLUME_TARGET, "id", e) &&
	    cloud_job_on(c, STMT_VM_TARGET, "virtualmachineid", e);
}

bool
handle_volume_resize(struct call *c, struct err *e)
{
	const char *offering = NULL;
	int64_t bytes = 0;

	if (!cloud_disk_size(c, &offering, &bytes, e))
		return false;
	if (bytes == 0)
		return err_set(e, ERR_INPUT,
		    "how large? give size, or a diskofferingid with a size");
	call_job_says(c, "bytes", arena_printf(c->arena, "%lld", (long long)bytes));
	return cloud_job_on(c, STMT_VOLUME_TARGET, "id", e) &&
	    db_run(c->db, STMT_VOLUME_WANT,
		DB_ARGS(call_value(c, "id"), DB_NUMBER(bytes)), NULL, e) &&
	    cloud_limits(c, c->owner, "{primary_storage}", e);
}

static bool
volume_answer(struct call *c, struct err *e)
{
	return call_answer_one(c, STMT_VOLUME_ONE, c->object, e);
}

bool
handle_volume_update(struct call *c, struct err *e)
{
	uint64_t done = 0;

	c->object = call_value(c, "id");
	if (!db_run(c->db, STMT_VOLUME_RENAME, DB_ARGS(c->object, call_value(c, "name")),
		&done, e))
		return false;
	return done > 0 ? volume_answer(c, e) : call_not_found(c, "id", c->object, e);
}

static bool
done_answer(struct call *unused_c unused, struct err *unused_e unused)
{
	return true;
}

/* A job on the volume itself: one that is attached says no. */
bool
handle_volume_delete(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_VOLUME_TARGET, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	if (strcmp(rows_text(r, 0, 2), "vm") == 0)
		return err_set(e, ERR_CONFLICT,
		    "that volume is attached: detach it first");
	if (c->op->mode == OP_SYNC)
		c->after = done_answer;
	c->owner = rows_i64(r, 0, 0);
	return call_job(c, "volume", id, c->owner, e);
}

bool
handle_disk_offering_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *size = call_value(c, "disksize");
	int64_t bytes;

	if (size != NULL && !cloud_gib(call_number(c, "disksize", 0), &bytes))
		return err_set(e, ERR_INPUT, "disksize: 1 to 1048576 GiB");
	if (!db_query(c->db, STMT_DISK_OFFERING_INSERT,
		DB_ARGS(call_value(c, "name"), size), &r, e))
		return e->kind == ERR_CONFLICT
		    ? err_set(e, ERR_CONFLICT, "there is a disk offering %.120s already",
			  call_value(c, "name"))
		    : false;
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return call_answer_one(c, STMT_DISK_OFFERING_ONE, c->object, e);
}

bool
handle_disk_offering_delete(struct call *c, struct err *e)
{
	uint64_t done = 0;

	c->object = call_value(c, "id");
	return db_run(c->db, STMT_DISK_OFFERING_REMOVE, DB_ARGS(c->object), &done, e) &&
	    (done > 0 || call_not_found(c, "id", c->object, e));
}

bool
handle_snapshot_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *volume = call_value(c, "volumeid");

	if (!db_query(c->db, STMT_SNAPSHOT_INSERT, DB_ARGS(volume, call_value(c, "name")),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "volumeid", volume, e);
	call_job_says(c, "snapshotid", rows_text(r, 0, 0));
	return cloud_job_on(c, STMT_VOLUME_TARGET, "volumeid", e) &&
	    cloud_limits(c, c->owner, "{snapshot,secondary_storage}", e);
}
