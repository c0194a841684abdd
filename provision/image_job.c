/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of images: fetched from a URL, made from a snapshot or a disk, deleted. */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/domain_xml.h"
#include "provision/fetch.h"
#include "provision/image.h"
#include "provision/link.h"
#include "provision/pool.h"
#include "provision/volume.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MOST (INT64_C(1) << 41)

struct image_job {
	struct work w;
	struct volume v;
	struct pool pool;
	struct hv *hv;
	struct rows *row; /* template_by_uuid */
	char file[64];    /* in pools */
	char *path;
	char store[STATE_PATH_MAX]; /* our own file */
	char sha256[65];
	struct image_facts facts;
	struct instant at, told;
};

static void
done(struct image_job *i)
{
	rows_free(i->row);
	link_give(i->hv);
	free(i->path);
	work_done(&i->w);
}

static const char *
id_of(const struct image_job *i)
{
	return rows_text(i->row, 0, 0);
}

static bool
find(struct image_job *i, struct err *e)
{
	struct job *j = i->w.job;
	char below[64];

	if (!db_query(j->db, STMT_TEMPLATE_BY_UUID, DB_ARGS(j->object_uuid), &i->row, e))
		return false;
	if (rows_count(i->row) == 0)
		return err_set(e, ERR_NOT_FOUND, "no image %s", j->object_uuid);
	(void)snprintf(i->file, sizeof(i->file), "tmpl-%.36s", rows_text(i->row, 0, 1));
	(void)snprintf(below, sizeof(below), "templates/%.36s", rows_text(i->row, 0, 1));
	(void)state_path(j->conf, i->store, below);
	return true;
}

/* Its interval is of its own number: templates and resources count apart. */
static bool
write_ready(struct db *db, void *context, struct err *e)
{
	struct image_job *i = context;
	bool iso = strcmp(rows_text(i->row, 0, 3), "iso") == 0;
	const struct thing t = { .account_id = rows_i64(i->row, 0, 9),
		.id = rows_i64(i->row, 0, 10),
		.uuid = rows_text(i->row, 0, 1),
		.name = rows_text(i->row, 0, 2),
		.size_bytes = i->facts.file_bytes };

	if (i->pool.id != 0 &&
	    !db_run(db, STMT_COPY_PUT, DB_ARGS(id_of(i), DB_NUMBER(i->pool.id), i->path),
		NULL, e))
		return false;
	return db_run(db, STMT_TEMPLATE_MADE,
		   DB_ARGS(id_of(i), i->facts.format, DB_NUMBER(i->facts.virtual_bytes),
		       DB_NUMBER(i->facts.file_bytes),
		       i->sha256[0] != '\0' ? i->sha256 : NULL),
		   NULL, e) &&
	    thing_open(db, &t, iso ? "iso" : "template", i->at, "created", e) &&
	    /* How large a file is shows when it is there. */
	    db_run(db, STMT_LIMITS_KEEP,
		DB_ARGS(DB_NUMBER(t.account_id), "{secondary_storage}"), NULL, e);
}

static void
fail_note(struct image_job *i, const struct err *why)
{
	struct job *j = i->w.job;
	struct err ignored = ERR_INIT;

	if (i->row == NULL || rows_count(i->row) == 0 || j->overtaken ||
	    job_may_retry(j, why))
		return;
	if (!db_run(j->db, STMT_TEMPLATE_STATE, DB_ARGS(id_of(i), "Error", why->text),
		NULL, &ignored))
		log_warning("image %s: %s", j->object_uuid, ignored.text);
}

/* ---- from a URL */

/* Keeps the job's lease while it lasts; gives up when somebody else has it. */
static bool
progress(void *context, int64_t bytes)
{
	struct image_job *i = context;
	struct instant now = clock_now();
	char text[64];

	if (now.ns - i->told.ns < 2 * NS_PER_S)
		return true;
	i->told = now;
	(void)snprintf(text, sizeof(text), "fetching, %lld MiB so far",
	    (long long)(bytes >> 20));
	job_step(i->w.job, text);
	return true;
}

static bool
fetch_all(struct image_job *i, struct err *e)
{
	const char *url = rows_text(i->row, 0, 6);
	const char *kind = rows_text(i->row, 0, 3);

	if (url == NULL)
		return err_set(e, ERR_INPUT, "the image has no URL");
	job_step(i->w.job, "fetching");
	/* What an earlier try fetched whole is checked again and kept. */
	if (access(i->store, R_OK) != 0 &&
	    !fetch_url(url, i->store, FILE_MOST, progress, i, e))
		return false;
	job_step(i->w.job, "checking");
	if (fetch_check(i->store, rows_text(i->row, 0, 11), i->sha256, e) &&
	    image_look(i->store, &i->facts, e)) {
		const char *wanted = rows_text(i->row, 0, 4);
		if (wanted == NULL || strcmp(wanted, i->facts.format) == 0 ||
		    strcmp(kind, "iso") == 0)
			return true;
		(void)err_set(e, ERR_INPUT, "the file is %s, not %s", i->facts.format,
		    wanted);
	}
	(void)unlink(i->store);
	return false;
}

/* Whichever way its file comes; a template that is there already is not made again. */
static bool
template_make(struct job *j, bool (*bring)(struct image_job *i, struct err *e),
    struct err *e)
{
	struct image_job i = { .w = { .job = j } };
	bool ok = find(&i, e);

	if (ok && strcmp(rows_text(i.row, 0, 7), "Ready") != 0) {
		ok = bring(&i, e);
		i.at = clock_now();
		ok = ok && job_transaction(j, write_ready, &i, e);
		if (!ok)
			fail_note(&i, e);
	}
	done(&i);
	return ok;
}

bool
job_template_register(struct job *j, struct err *e)
{
	return template_make(j, fetch_all, e);
}

/* ---- from a snapshot or a disk */

/* The file in the pool that it is a copy of. */
static bool
source_find(struct image_job *i, char **file, struct err *e)
{
	struct job *j = i->w.job;
	scoped(rows_clear) struct rows *r = NULL;
	const char *snapshot = job_text(j, "snapshotid");
	const char *volume = job_text(j, "volumeid");
	bool stopped = true;

	if (snapshot != NULL) {
		if (!db_query(j->db, STMT_SNAPSHOT_BY_UUID, DB_ARGS(snapshot), &r, e))
			return false;
		if (rows_count(r) == 0 || strcmp(rows_text(r, 0, 9), "BackedUp") != 0)
			return err_set(e, ERR_NOT_FOUND,
			    "no snapshot %.36s that is whole", snapshot);
		i->v.pool_id = rows_i64(r, 0, 6);
		i->facts.virtual_bytes = rows_i64(r, 0, 8);
		*file = mem_printf("snap-%s", snapshot);
		return true;
	}
	if (!volume_find(&i->v, j->db, volume, e))
		return false;
	if (i->v.vm_id != 0 &&
	    (!work_find_uuid(&i->w, j, i->v.vm_uuid, e) || !work_connect(&i->w, e) ||
		!work_stopped(&i->w, &stopped, e)))
		return false;
	if (!stopped)
		return err_set(e, ERR_CONFLICT,
		    "%s runs: stop it, or make a template from a snapshot of the volume",
		    i->w.vm.name);
	if (i->v.pool_id == 0)
		return err_set(e, ERR_CONFLICT,
		    "the volume %s was never attached: there is nothing in it",
		    i->v.name);
	i->facts.virtual_bytes = i->v.size_bytes;
	*file = mem_strdup(i->v.file);
	return true;
}

static bool
copy_all(struct image_job *i, struct err *e)
{
	struct job *j = i->w.job;
	scoped_free char *source = NULL;
	struct hv_volume have = { .path = NULL };

	if (!source_find(i, &source, e) ||
	    !pool_by_id(j->db, i->v.pool_id, &i->pool, e) ||
	    !volume_connect(j, &i->v, &i->hv, e))
		return false;
	scoped_free char *xml = volume_xml(i->file, i->facts.virtual_bytes, "qcow2", NULL,
	    NULL);
	if (job_noted(j, "copied") == NULL) {
		job_step(j, "copying");
		if (!hv_volume_clone(i->hv, i->pool.name, xml, i->file, source, &i->path,
			e) ||
		    !job_note(j, "copied", "yes", e))
			return false;
	}
	if (!hv_volume_get(i->hv, i->pool.name, i->file, &have, e))
		return false;
	free(i->path);
	i->path = have.path;
	i->facts.format = "qcow2";
	i->facts.file_bytes = (int64_t)have.used_bytes;
	return true;
}

bool
job_template_create(struct job *j, struct err *e)
{
	return template_make(j, copy_all, e);
}

/* ---- deleted */

static bool
write_removed(struct db *db, void *context, struct err *e)
{
	struct image_job *i = context;
	bool iso = strcmp(rows_text(i->row, 0, 3), "iso") == 0;

	return thing_close(db, rows_i64(i->row, 0, 9), rows_i64(i->row, 0, 10),
		   iso ? "iso" : "template", i->at, "deleted", e) &&
	    db_run(db, STMT_TEMPLATE_REMOVED, DB_ARGS(id_of(i)), NULL, e);
}

static bool
copy_remove(struct image_job *i, const struct rows *copies, size_t n, struct err *e)
{
	struct job *j = i->w.job;
	scoped(rows_clear) struct rows *host = NULL;
	struct hv *hv = NULL;
	bool ok;

	if (!db_query(j->db, STMT_HOST_BY_ID, DB_ARGS(rows_text(copies, n, 2)), &host, e))
		return false;
	if (rows_count(host) == 0)
		return db_run(j->db, STMT_COPY_DELETE,
		    DB_ARGS(id_of(i), rows_text(copies, n, 0)), NULL, e);
	ok = link_take(&hv, rows_text(host, 0, 1), e) &&
	    hv_volume_delete(hv, rows_text(copies, n, 1), i->file, e) &&
	    db_run(j->db, STMT_COPY_DELETE, DB_ARGS(id_of(i), rows_text(copies, n, 0)),
		NULL, e);
	link_give(hv);
	return ok;
}

/* Copies that disks stand on stay until the last of these is gone. */
bool
job_template_delete(struct job *j, struct err *e)
{
	struct image_job i = { .w = { .job = j } };
	scoped(rows_clear) struct rows *r = NULL;
	bool ok = find(&i, e);

	i.at = clock_now();
	ok = ok && job_transaction(j, write_removed, &i, e) &&
	    db_query(j->db, STMT_COPIES_IDLE, DB_ARGS(id_of(&i)), &r, e);
	for (size_t n = 0; ok && n < rows_count(r); n++)
		ok = copy_remove(&i, r, n, e);
	if (ok && rows_text(i.row, 0, 6) != NULL && unlink(i.store) != 0 &&
	    errno != ENOENT)
		log_warning("image %s: %s stays", j->object_uuid, i.store);
	done(&i);
	return ok;
}
