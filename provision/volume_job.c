/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of a disk's life.  Those of an attached disk work on its VM, so that no two
 * jobs change one domain at a time. */
#include "base/mem.h"
#include "provision/define.h"
#include "provision/link.h"
#include "provision/pool.h"
#include "provision/volume.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETACH_LOOK_NS (NS_PER_S / 2)
#define DETACH_MOST_NS (30 * NS_PER_S)

struct volume_job {
	struct work w; /* its VM, if there is one */
	struct volume v;
	struct pool pool;
	char *path, *format;
	int64_t size_bytes; /* wanted */
	struct instant at;
};

/* What the answer shows is the disk, whatever the job works on. */
static void
volume_job_done(struct volume_job *d)
{
	memcpy(d->w.job->result_uuid, d->v.uuid, sizeof(d->w.job->result_uuid));
	free(d->path);
	free(d->format);
	work_done(&d->w);
}

/* ---- create */

static bool
write_created(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;
	const struct thing t = { .account_id = d->v.account_id,
		.id = d->v.id,
		.uuid = d->v.uuid,
		.name = d->v.name,
		.size_bytes = d->v.size_bytes };

	return thing_open(db, &t, "volume", d->at, "created", e) &&
	    volume_state_set(db, &d->v, d->v.pool_id != 0 ? "Ready" : "Allocated", e);
}

static bool
write_create_failed(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	return db_run(db, STMT_VOLUME_EXPUNGED,
	    DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id)), NULL, e);
}

/* A copy is whole only when it was noted: what is there without a note is thrown away. */
static bool
clone_snapshot(struct volume_job *d, struct hv *hv, struct err *e)
{
	struct job *j = d->w.job;
	scoped_free char *source = mem_printf("snap-%s", d->v.snapshot_uuid);
	scoped_free char *xml = volume_xml(d->v.uuid, d->v.size_bytes, "qcow2", NULL,
	    NULL);
	struct hv_volume have = { .path = NULL };

	if (job_noted(j, "copied") != NULL) {
		if (!hv_volume_get(hv, d->pool.name, d->v.uuid, &have, e))
			return false;
		d->path = have.path;
		return true;
	}
	job_step(j, "copying the snapshot");
	return hv_volume_clone(hv, d->pool.name, xml, d->v.uuid, source, &d->path, e) &&
	    job_note(j, "copied", "yes", e);
}

static bool
create_from_snapshot(struct volume_job *d, struct err *e)
{
	struct job *j = d->w.job;
	struct hv *hv = NULL;
	bool ok;

	d->v.pool_id = d->v.snapshot_pool_id;
	if (!pool_by_id(j->db, d->v.pool_id, &d->pool, e) ||
	    !db_run(j->db, STMT_VOLUME_PLACED,
		DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id), d->pool.name,
		    DB_NUMBER(d->pool.id), d->v.uuid, "qcow2", NULL, NULL),
		NULL, e) ||
	    !volume_connect(j, &d->v, &hv, e))
		return false;
	ok = clone_snapshot(d, hv, e) &&
	    db_run(j->db, STMT_VOLUME_PLACED,
		DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id), d->pool.name,
		    DB_NUMBER(d->pool.id), d->v.uuid, "qcow2", d->path, NULL),
		NULL, e);
	link_give(hv);
	return ok;
}

bool
job_volume_create(struct job *j, struct err *e)
{
	struct volume_job d = { .w = { .job = j } };
	struct err ignored = ERR_INIT;
	bool ok = volume_find(&d.v, j->db, j->object_uuid, e);
	bool found = ok;

	if (ok && d.v.snapshot_uuid[0] != '\0')
		ok = create_from_snapshot(&d, e);
	d.at = clock_now();
	ok = ok && job_transaction(j, write_created, &d, e);
	if (!ok && found && !j->overtaken && !job_may_retry(j, e) &&
	    !job_transaction(j, write_create_failed, &d, &ignored))
		(void)err_wrap(e, "and its row stays: %s", ignored.text);
	volume_job_done(&d);
	return ok;
}

/* ---- attach */

static bool
target_free(struct db *db, struct volume_job *d, const char *wish, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	long from = wish != NULL ? strtol(wish, NULL, 10) : 1;

	if (from < 1 || from > 25)
		return err_set(e, ERR_INPUT, "deviceid: 1 to 25, as vdb to vdz");
	if (!db_query(db, STMT_VOLUME_PLACES,
		DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id)), &r, e))
		return false;
	for (long place = from; place < 25; place++) {
		char name[16];
		bool taken = false;
		(void)snprintf(name, sizeof(name), "vd%c", (char)('a' + place));
		for (size_t i = 0; i < rows_count(r); i++)
			taken = taken || strcmp(rows_text(r, i, 0), name) == 0;
		if (taken && wish != NULL)
			return err_set(e, ERR_CONFLICT, "device %s of %s is taken", name,
			    d->w.vm.name);
		if (!taken) {
			(void)snprintf(d->v.target, sizeof(d->v.target), "%s", name);
			return true;
		}
	}
	return err_set(e, ERR_LIMIT, "%s has as many disks as it can", d->w.vm.name);
}

/* From now on it belongs to that VM: no other attachment and no deletion takes it. */
static bool
write_taken(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;
	uint64_t done = 0;

	if (d->v.vm_id == 0 && !target_free(db, d, job_text(d->w.job, "deviceid"), e))
		return false;
	if (!db_run(db, STMT_VOLUME_TAKE,
		DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id),
		    DB_NUMBER(d->w.vm.id), d->v.target),
		&done, e))
		return false;
	return done == 1 ||
	    err_set(e, ERR_CONFLICT, "the volume %s is not free: it is %s%s", d->v.name,
		d->v.state, d->v.vm_id != 0 ? " and attached" : "");
}

static bool
write_attached(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	d->v.vm_id = d->w.vm.id;
	d->v.host_id = d->w.vm.host_id;
	return volume_interval_turn(db, &d->v, d->at, "attached", e) &&
	    volume_state_set(db, &d->v, "Ready", e);
}

static bool
write_loose(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	d->v.vm_id = 0;
	d->v.host_id = 0;
	return volume_interval_turn(db, &d->v, d->at, "detached", e) &&
	    db_run(db, STMT_VOLUME_FREE,
		DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id)), NULL, e);
}

/* In the pool that it is in, or, when it was never attached, in the host's own folder. */
static bool
volume_there(struct volume_job *d, struct err *e)
{
	struct work *w = &d->w;
	const struct pool_disk want = { .file = d->v.uuid, .bytes = d->v.size_bytes };

	if (d->v.path[0] != '\0')
		return d->v.host_id == 0 || d->v.host_id == w->vm.host_id ||
		    err_set(e, ERR_CONFLICT,
			"the volume %s is on a disk of another host than %s: move one "
			"of them first (migrateVolume, migrateVirtualMachine)",
			d->v.name, w->vm.name);
	return pool_ready(w->job, w->hv, w->vm.host_id,
		   d->v.pool[0] != '\0' ? d->v.pool : POOL_OWN, &d->pool, e) &&
	    pool_disk_ensure(w->job, w->hv, &d->pool, &want, &d->path, &d->format, e) &&
	    db_run(w->job->db, STMT_VOLUME_PLACED,
		DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id), d->pool.name,
		    DB_NUMBER(d->pool.id), d->v.uuid, d->format, d->path, NULL),
		NULL, e);
}

static bool
domain_has(struct work *w, const char *target, bool *has, struct err *e)
{
	struct domain_found found;
	char *xml = NULL;
	bool ok = hv_domain_xml(w->hv, w->vm.uuid, &xml, e) &&
	    domain_read(&found, xml, e);

	free(xml);
	*has = false;
	for (size_t i = 0; ok && i < found.disk_count; i++)
		*has = *has || strcmp(found.disks[i].target, target) == 0;
	return ok;
}

/* As the rows say it now; caller frees. */
static bool
disk_xml_now(struct volume_job *d, char **xml, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct want_disk disk;

	if (!db_query(d->w.job->db, STMT_VM_DISKS,
		DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id), "f"), &r,
		e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (rows_i64(r, i, 0) == d->v.id) {
			define_disk(&disk, r, i);
			*xml = disk_xml(&disk);
			return true;
		}
	return err_set(e, ERR_INTERNAL, "the volume %s is not on %s any more", d->v.name,
	    d->w.vm.name);
}

static bool
attach_to_domain(struct volume_job *d, struct err *e)
{
	struct work *w = &d->w;
	scoped_free char *xml = NULL;
	bool stopped = false;
	bool has = false;
	bool ready = true;

	if (!work_stopped(w, &stopped, e) || !disk_xml_now(d, &xml, e))
		return false;
	job_step(w->job, "attaching");
	if (!stopped &&
	    (!domain_has(w, d->v.target, &has, e) ||
		(!has && !hv_attach(w->hv, w->vm.uuid, xml, e))))
		return false;
	if (w->vm.adopted)
		return !stopped ||
		    err_set(e, ERR_DENIED,
			"%s was adopted: attach disks while it runs, or with virsh",
			w->vm.name);
	return define_vm(w, &ready, e);
}

static bool
attach_all(struct volume_job *d, struct err *e)
{
	struct work *w = &d->w;

	if (!work_no_snapshots(w, e) || !work_connect(w, e) ||
	    !job_transaction(w->job, write_taken, d, e))
		return false;
	if (!volume_there(d, e) || !attach_to_domain(d, e)) {
		struct err ignored = ERR_INIT;
		d->at = clock_now();
		if (!job_may_retry(w->job, e) && e->kind != ERR_GONE &&
		    !w->job->overtaken &&
		    !job_transaction(w->job, write_loose, d, &ignored))
			(void)err_wrap(e, "and it stays attached: %s", ignored.text);
		return false;
	}
	d->at = clock_now();
	return job_transaction(w->job, write_attached, d, e);
}

bool
job_volume_attach(struct job *j, struct err *e)
{
	struct volume_job d = { .w = { .job = j } };
	bool ok = volume_find(&d.v, j->db, job_text(j, "id"), e) && work_find(&d.w, j, e);

	if (ok && d.v.account_id != d.w.vm.account_id)
		ok = err_set(e, ERR_DENIED, "the volume and the VM have other owners");
	if (ok && d.v.vm_id == d.w.vm.id && strcmp(d.v.state, "Ready") == 0)
		ok = true; /* done before a kill */
	else
		ok = ok && attach_all(&d, e);
	volume_job_done(&d);
	return ok;
}

/* ---- detach */

/* The guest has to let it go; it is asked once and waited for in turns. */
static bool
detach_turn(struct volume_job *d, bool *gone, struct err *e)
{
	struct work *w = &d->w;
	scoped_free char *xml = NULL;
	struct instant asked;
	char now[CLOCK_TEXT_MAX];
	bool has = true;

	*gone = false;
	if (!domain_has(w, d->v.target, &has, e))
		return false;
	*gone = !has;
	if (*gone)
		return true;
	if (job_noted_at(w->job, "asked", &asked)) {
		if (clock_now().ns - asked.ns < DETACH_MOST_NS)
			return job_again(w->job, "waiting for the guest to let it go",
			    DETACH_LOOK_NS);
		return err_set(e, ERR_CONFLICT,
		    "the guest of %s does not let go of disk %s: unmount it there, or "
		    "stop the VM first",
		    w->vm.name, d->v.target);
	}
	if (!disk_xml_now(d, &xml, e) ||
	    !job_note(w->job, "asked", instant_text(clock_now(), now), e) ||
	    !hv_detach(w->hv, w->vm.uuid, xml, e))
		return false;
	return job_again(w->job, "waiting for the guest to let it go", 1);
}

static bool
write_detaching(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	return volume_state_set(db, &d->v, "Detaching", e);
}

static bool
write_still_attached(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	return volume_state_set(db, &d->v, "Ready", e);
}

static bool
detach_all(struct volume_job *d, struct err *e)
{
	struct work *w = &d->w;
	struct err ignored = ERR_INIT;
	bool stopped = false;
	bool ready = true;
	bool gone = false;

	if (!work_no_snapshots(w, e) || !work_connect(w, e) ||
	    !work_stopped(w, &stopped, e))
		return false;
	/* What it read and wrote since the last sample would be lost with it. */
	if (!stopped && (!work_sampled(w, "sample", &ready, e) || !ready))
		return e->kind == ERR_NONE;
	if (!job_transaction(w->job, write_detaching, d, e))
		return false;
	if (!stopped && !detach_turn(d, &gone, e)) {
		if (!w->job->overtaken && !job_may_retry(w->job, e) &&
		    !job_transaction(w->job, write_still_attached, d, &ignored))
			(void)err_wrap(e, "%s", ignored.text);
		return false;
	}
	if (!stopped && !gone)
		return true;
	d->at = clock_now();
	return job_transaction(w->job, write_loose, d, e) && work_reload(w, e) &&
	    (w->vm.adopted || define_vm(w, &ready, e));
}

bool
job_volume_detach(struct job *j, struct err *e)
{
	struct volume_job d = { .w = { .job = j } };
	bool ok = volume_find(&d.v, j->db, job_text(j, "id"), e) && work_find(&d.w, j, e);

	if (ok && strcmp(d.v.kind, "data") != 0)
		ok = err_set(e, ERR_INPUT,
		    "the volume %s belongs to %s: only data volumes are detached",
		    d.v.name, d.w.vm.name);
	if (ok && d.v.vm_id == d.w.vm.id)
		ok = detach_all(&d, e); /* else done before a kill */
	volume_job_done(&d);
	return ok;
}

/* ---- resize */

static bool
write_resizing(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	return volume_state_set(db, &d->v, "Resizing", e);
}

static bool
write_resized(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	d->v.size_bytes = d->size_bytes;
	return db_run(db, STMT_VOLUME_SIZE,
		   DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id),
		       DB_NUMBER(d->size_bytes)),
		   NULL, e) &&
	    volume_interval_turn(db, &d->v, d->at, "resized", e) &&
	    volume_state_set(db, &d->v, d->v.path[0] != '\0' ? "Ready" : "Allocated", e);
}

static bool
write_not_resized(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	return db_run(db, STMT_VOLUME_UNWANT,
		   DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id)), NULL, e) &&
	    volume_state_set(db, &d->v, d->v.path[0] != '\0' ? "Ready" : "Allocated", e);
}

/* On disk, by the running guest's process when there is one; larger already is done. */
static bool
resize_on_disk(struct volume_job *d, struct err *e)
{
	struct work *w = &d->w;
	struct hv_volume have = { .path = NULL };
	struct hv *hv = NULL;
	bool stopped = true;
	bool ok;

	if (d->v.vm_id != 0) {
		if (!work_connect(w, e) || !work_stopped(w, &stopped, e))
			return false;
		if (!stopped)
			return hv_disk_resize(w->hv, w->vm.uuid, d->v.target,
			    d->size_bytes, e);
	}
	if (!volume_connect(w->job, &d->v, &hv, e))
		return false;
	ok = hv_volume_get(hv, d->v.pool, d->v.file, &have, e) &&
	    ((int64_t)have.capacity_bytes >= d->size_bytes ||
		hv_volume_resize(hv, d->v.pool, d->v.file, d->size_bytes, e));
	free(have.path);
	link_give(hv);
	return ok;
}

static bool
resize_try(struct volume_job *d, struct err *e)
{
	struct job *j = d->w.job;
	const char *text = job_text(j, "bytes");

	d->size_bytes = text != NULL ? strtoll(text, NULL, 10) : 0;
	if (d->size_bytes < d->v.size_bytes)
		return err_set(e, ERR_INPUT,
		    "the volume %s has %lld bytes: a disk can only grow", d->v.name,
		    (long long)d->v.size_bytes);
	if (!work_no_snapshots(&d->w, e) || !job_transaction(j, write_resizing, d, e))
		return false;
	job_step(j, "resizing");
	if (d->v.path[0] != '\0' && !resize_on_disk(d, e))
		return false;
	d->at = clock_now();
	return job_transaction(j, write_resized, d, e);
}

static bool
resize_all(struct volume_job *d, struct err *e)
{
	struct job *j = d->w.job;
	struct err ignored = ERR_INIT;

	if (resize_try(d, e))
		return true;
	if (!j->overtaken && !job_may_retry(j, e) &&
	    !job_transaction(j, write_not_resized, d, &ignored))
		(void)err_wrap(e, "%s", ignored.text);
	return false;
}

bool
job_volume_resize(struct job *j, struct err *e)
{
	struct volume_job d = { .w = { .job = j } };
	bool ok = volume_find(&d.v, j->db, job_text(j, "id"), e) &&
	    (d.v.vm_id == 0 || work_find_uuid(&d.w, j, d.v.vm_uuid, e)) &&
	    resize_all(&d, e);

	volume_job_done(&d);
	return ok;
}

/* ---- delete */

static bool
write_deleting(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	if (d->v.vm_id != 0)
		return err_set(e, ERR_CONFLICT,
		    "the volume %s is attached: detach it first", d->v.name);
	return thing_close(db, d->v.account_id, d->v.id, "volume", d->at, "deleted", e) &&
	    db_run(db, STMT_VOLUME_REMOVE,
		DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id),
		    DB_INSTANT(d->at)),
		NULL, e);
}

static bool
write_deleted(struct db *db, void *context, struct err *e)
{
	struct volume_job *d = context;

	return db_run(db, STMT_VOLUME_EXPUNGED,
	    DB_ARGS(DB_NUMBER(d->v.account_id), DB_NUMBER(d->v.id)), NULL, e);
}

static bool
delete_all(struct volume_job *d, struct err *e)
{
	struct job *j = d->w.job;
	struct hv *hv = NULL;
	bool ok;

	d->at = clock_now();
	if (!job_transaction(j, write_deleting, d, e))
		return false;
	if (d->v.pool_id == 0 || d->v.file[0] == '\0')
		return job_transaction(j, write_deleted, d, e);
	job_step(j, "deleting");
	ok = volume_connect(j, &d->v, &hv, e) &&
	    hv_volume_delete(hv, d->v.pool, d->v.file, e) &&
	    job_transaction(j, write_deleted, d, e);
	link_give(hv);
	return ok;
}

bool
job_volume_delete(struct job *j, struct err *e)
{
	struct volume_job d = { .w = { .job = j } };
	bool ok = volume_find(&d.v, j->db, j->object_uuid, e) && delete_all(&d, e);

	volume_job_done(&d);
	return ok;
}
