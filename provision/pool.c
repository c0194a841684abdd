/* SPDX-License-Identifier: Apache-2.0 */
/* pool: where disks are, as rows and as libvirt's storage pools */
#include "provision/pool.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/domain_xml.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
pool_has_files(const struct pool *p)
{
	return strcmp(p->kind, "dir") == 0 || strcmp(p->kind, "fs") == 0 ||
	    strcmp(p->kind, "netfs") == 0;
}

static void
from_row(struct pool *out, const struct rows *r)
{
	memset(out, 0, sizeof(*out));
	out->id = rows_i64(r, 0, 0);
	(void)snprintf(out->name, sizeof(out->name), "%s", rows_text(r, 0, 1));
	(void)snprintf(out->kind, sizeof(out->kind), "%s", rows_text(r, 0, 2));
	out->host_id = rows_text(r, 0, 10) != NULL ? rows_i64(r, 0, 10) : 0;
}

static bool
row_find(struct job *j, int64_t host_id, const char *name, struct rows **r, struct err *e)
{
	if (!db_query(j->db, STMT_POOL_OF_HOST, DB_ARGS(DB_NUMBER(host_id), name), r, e))
		return false;
	if (rows_count(*r) > 0 || strcmp(name, POOL_OWN) != 0)
		return true;
	rows_clear(r);
	return db_run(j->db, STMT_POOL_OWN, DB_ARGS(DB_NUMBER(host_id)), NULL, e) &&
	    db_query(j->db, STMT_POOL_OF_HOST, DB_ARGS(DB_NUMBER(host_id), name), r, e);
}

bool
pool_ready(struct job *j, struct hv *hv, int64_t host_id, const char *name,
    struct pool *out, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	char path[STATE_PATH_MAX];

	if (!row_find(j, host_id, name, &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND,
		    "the host has no storage pool %.60s that is in use: see jeoul pool "
		    "list",
		    name);
	from_row(out, r);
	if (strcmp(name, POOL_OWN) == 0)
		return hv_pool_ensure(hv, name, state_path(j->conf, path, "images"), e);
	scoped_free char *xml = pool_xml(&(struct want_pool){ .name = name,
	    .kind = rows_text(r, 0, 2),
	    .target = rows_text(r, 0, 3),
	    .host = rows_text(r, 0, 4),
	    .port = rows_text(r, 0, 5),
	    .source = rows_text(r, 0, 6),
	    .user = rows_text(r, 0, 7),
	    .secret_uuid = rows_text(r, 0, 8) != NULL ? rows_text(r, 0, 9) : NULL });
	return (rows_text(r, 0, 8) == NULL ||
		   hv_secret_ensure(hv, rows_text(r, 0, 9),
		       strcmp(out->kind, "rbd") == 0 ? "ceph" : "iscsi",
		       rows_text(r, 0, 8), e)) &&
	    hv_pool_define(hv, name, xml, e);
}

bool
pool_by_id(struct db *db, int64_t id, struct pool *out, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_POOL_BY_ID, DB_ARGS(DB_NUMBER(id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "no storage pool with the number %lld",
		    (long long)id);
	from_row(out, r);
	return true;
}

bool
pool_console(struct job *j, struct hv *hv, struct err *e)
{
	char path[STATE_PATH_MAX];

	return hv_pool_ensure(hv, POOL_CONSOLE, state_path(j->conf, path, "console"), e);
}

bool
pool_disk_ensure(struct job *j, struct hv *hv, const struct pool *p,
    const struct pool_disk *want, char **path, char **format, struct err *e)
{
	const char *kind = pool_has_files(p) ? "qcow2" : "raw";
	scoped_free char *xml = volume_xml(want->file, want->bytes, kind, want->backing,
	    want->backing_format);

	job_step(j, "making the volume");
	if (want->backing != NULL && !pool_has_files(p))
		return err_set(e, ERR_INPUT,
		    "the pool %s holds no files: a disk made from an image needs one of "
		    "kind dir, fs or netfs",
		    p->name);
	if (!hv_volume_ensure(hv, p->name, xml, want->file, path, e))
		return false;
	*format = mem_strdup(kind);
	return true;
}
