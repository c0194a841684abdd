/* SPDX-License-Identifier: Apache-2.0 */
/* volume: a disk's row, for the jobs that work on it */
#include "provision/volume.h"
#include "provision/link.h"
#include "provision/pool.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
column(const struct rows *r, const char *name)
{
	for (size_t i = 0; i < rows_columns(r); i++)
		if (strcmp(rows_column_name(r, i), name) == 0)
			return rows_text(r, 0, i);
	abort(); /* our own statement */
}

static void
text(char *out, size_t room, const struct rows *r, const char *name)
{
	const char *t = column(r, name);

	(void)snprintf(out, room, "%s", t != NULL ? t : "");
}

static int64_t
number(const struct rows *r, const char *name)
{
	const char *t = column(r, name);

	return t != NULL ? strtoll(t, NULL, 10) : 0;
}

bool
volume_find(struct volume *v, struct db *db, const char *uuid, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (uuid == NULL)
		return err_set(e, ERR_INPUT, "the volume's id is missing");
	if (!db_query(db, STMT_VOLUME_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "no volume %.36s", uuid);
	memset(v, 0, sizeof(*v));
	v->account_id = number(r, "account_id");
	v->id = number(r, "id");
	v->vm_id = number(r, "vm_id");
	v->pool_id = number(r, "pool_id");
	v->host_id = number(r, "host_id");
	v->size_bytes = number(r, "size_bytes");
	v->snapshot_pool_id = number(r, "snapshot_pool_id");
	text(v->uuid, sizeof(v->uuid), r, "uuid");
	text(v->vm_uuid, sizeof(v->vm_uuid), r, "vm_uuid");
	text(v->snapshot_uuid, sizeof(v->snapshot_uuid), r, "snapshot_uuid");
	text(v->name, sizeof(v->name), r, "name");
	text(v->target, sizeof(v->target), r, "target");
	text(v->kind, sizeof(v->kind), r, "kind");
	text(v->pool, sizeof(v->pool), r, "pool");
	text(v->file, sizeof(v->file), r, "file");
	text(v->format, sizeof(v->format), r, "format");
	text(v->state, sizeof(v->state), r, "state");
	text(v->path, sizeof(v->path), r, "path");
	v->removed = column(r, "removed") != NULL;
	return true;
}

bool
volume_interval_turn(struct db *db, const struct volume *v, struct instant at,
    const char *reason, struct err *e)
{
	const struct thing t = { .account_id = v->account_id,
		.id = v->id,
		.vm_id = v->vm_id,
		.host_id = v->host_id,
		.uuid = v->uuid,
		.name = v->name,
		.size_bytes = v->size_bytes };

	return thing_close(db, v->account_id, v->id, "volume", at, reason, e) &&
	    thing_open(db, &t, "volume", at, reason, e);
}

bool
volume_state_set(struct db *db, const struct volume *v, const char *state, struct err *e)
{
	return db_run(db, STMT_VOLUME_STATE,
	    DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), state), NULL, e);
}

bool
volume_connect(struct job *j, const struct volume *v, struct hv **hv, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct pool pool;

	if (!pool_by_id(j->db, v->pool_id, &pool, e) ||
	    !db_query(j->db, STMT_HOST_BY_ID, DB_ARGS(DB_NUMBER(pool.host_id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_GONE, "no host reaches the pool of volume %s",
		    v->name);
	return link_take(hv, rows_text(r, 0, 1), e) ||
	    err_wrap(e, "host %s", rows_text(r, 0, 2));
}
