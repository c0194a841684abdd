/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of snapshots: of one disk (a copy of its own) and of a whole VM (in its
 * disks). */
#include "base/log.h"
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

#define BACKUP_LOOK_NS (NS_PER_S / 4)

struct snapshot_job {
	struct work w; /* the disk's VM, if there is one */
	struct volume v;
	struct pool pool;
	struct hv *hv; /* reaches the pool */
	struct rows *row;
	int64_t id, account_id, size_bytes, physical_bytes;
	char uuid[HV_UUID_MAX], name[256], state[16];
	char *file, *path;
	bool removed;
	struct instant at;
	const char *error;
};

/* What the answer shows is the snapshot, whatever the job works on. */
static void
done(struct snapshot_job *s)
{
	memcpy(s->w.job->result_uuid, s->uuid, sizeof(s->w.job->result_uuid));
	rows_free(s->row);
	link_give(s->hv);
	free(s->file);
	free(s->path);
	work_done(&s->w);
}

static bool
find(struct snapshot_job *s, const char *uuid, struct err *e)
{
	struct db *db = s->w.job->db;

	if (uuid == NULL)
		return err_set(e, ERR_INPUT, "the snapshot's id is missing");
	if (!db_query(db, STMT_SNAPSHOT_BY_UUID, DB_ARGS(uuid), &s->row, e))
		return false;
	if (rows_count(s->row) == 0)
		return err_set(e, ERR_NOT_FOUND, "no snapshot %.36s", uuid);
	s->account_id = rows_i64(s->row, 0, 0);
	s->id = rows_i64(s->row, 0, 1);
	(void)snprintf(s->uuid, sizeof(s->uuid), "%s", rows_text(s->row, 0, 2));
	(void)snprintf(s->name, sizeof(s->name), "%s", rows_text(s->row, 0, 3));
	(void)snprintf(s->state, sizeof(s->state), "%s", rows_text(s->row, 0, 9));
	s->size_bytes = rows_i64(s->row, 0, 8);
	s->removed = rows_text(s->row, 0, 10) != NULL;
	s->file = mem_printf("snap-%s", s->uuid);
	return true;
}

static bool
find_volume(struct snapshot_job *s, struct err *e)
{
	return volume_find(&s->v, s->w.job->db, rows_text(s->row, 0, 5), e) &&
	    (s->v.vm_id == 0 || work_find_uuid(&s->w, s->w.job, s->v.vm_uuid, e));
}

/* The pool of the disk, in which its snapshots lie too. */
static bool
reach(struct snapshot_job *s, struct err *e)
{
	if (s->v.pool_id == 0)
		return err_set(e, ERR_CONFLICT,
		    "the volume %s was never attached: there is nothing in it yet",
		    s->v.name);
	return pool_by_id(s->w.job->db, s->v.pool_id, &s->pool, e) &&
	    (pool_has_files(&s->pool) ||
		err_set(e, ERR_INPUT,
		    "snapshots of disks in pools of kind %s are not made here",
		    s->pool.kind)) &&
	    volume_connect(s->w.job, &s->v, &s->hv, e);
}

/* ---- create */

static bool
write_begun(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;

	return volume_state_set(db, &s->v, "Snapshotting", e);
}

static bool
write_made(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;
	const struct thing t = { .account_id = s->account_id,
		.id = s->id,
		.uuid = s->uuid,
		.name = s->name,
		.size_bytes = s->physical_bytes };

	return db_run(db, STMT_SNAPSHOT_MADE,
		   DB_ARGS(DB_NUMBER(s->account_id), DB_NUMBER(s->id),
		       DB_NUMBER(s->pool.id), s->path, DB_NUMBER(s->physical_bytes),
		       DB_NUMBER(s->size_bytes)),
		   NULL, e) &&
	    thing_open(db, &t, "snapshot", s->at, "created", e) &&
	    volume_state_set(db, &s->v, "Ready", e);
}

static bool
write_failed(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;

	return (s->v.id == 0 || strcmp(s->v.state, "Allocated") == 0 ||
		   volume_state_set(db, &s->v, "Ready", e)) &&
	    db_run(db, STMT_SNAPSHOT_STATE,
		DB_ARGS(DB_NUMBER(s->account_id), DB_NUMBER(s->id), "Error", s->error,
		    "t"),
		NULL, e);
}

/* A running guest's disk, as it is at this instant, copied in the background. */
static bool
copy_live(struct snapshot_job *s, bool *whole, struct err *e)
{
	struct work *w = &s->w;
	enum hv_backup state = HV_BACKUP_NONE;
	struct hv_volume have = { .path = NULL };
	struct err why = ERR_INIT;
	const char *slash = strrchr(s->v.path, '/');
	scoped_free char *path = mem_printf("%.*s/%s",
	    slash != NULL ? (int)(slash - s->v.path) : 0, s->v.path, s->file);

	*whole = false;
	if (job_noted(w->job, "begun") != NULL) {
		if (!hv_backup_look(w->hv, w->vm.uuid, &state, e))
			return false;
		if (state == HV_BACKUP_RUNS)
			return job_again(w->job, "copying the disk", BACKUP_LOOK_NS);
		*whole = state == HV_BACKUP_DONE &&
		    hv_volume_get(s->hv, s->pool.name, s->file, &have, &why);
		free(have.path);
		if (*whole)
			return true;
		if (state == HV_BACKUP_FAILED || job_noted(w->job, "begun")[0] == '2')
			return err_set(e, ERR_INTERNAL,
			    "the copy of disk %s was cut off: is the pool %s full?",
			    s->v.target, s->pool.name);
	}
	scoped_free char *xml = work_backup_xml(w, s->v.target, path, e);
	if (xml == NULL || !hv_volume_delete(s->hv, s->pool.name, s->file, e) ||
	    !job_note(w->job, "begun", job_noted(w->job, "begun") != NULL ? "2" : "1",
		e) ||
	    !hv_backup_begin(w->hv, w->vm.uuid, xml, e))
		return false;
	return job_again(w->job, "copying the disk", BACKUP_LOOK_NS);
}

static bool
copy_still(struct snapshot_job *s, struct err *e)
{
	struct job *j = s->w.job;
	scoped_free char *xml = volume_xml(s->file, s->v.size_bytes, "qcow2", NULL, NULL);
	char *path = NULL;
	bool ok;

	if (job_noted(j, "copied") != NULL)
		return true;
	job_step(j, "copying the disk");
	ok = hv_volume_clone(s->hv, s->pool.name, xml, s->file, s->v.file, &path, e) &&
	    job_note(j, "copied", "yes", e);
	free(path);
	return ok;
}

static bool
create_turn(struct snapshot_job *s, bool *whole, struct err *e)
{
	struct work *w = &s->w;
	struct hv_volume have = { .path = NULL };
	bool stopped = true;

	*whole = false;
	if (s->v.vm_id != 0 && (!work_connect(w, e) || !work_stopped(w, &stopped, e)))
		return false;
	if (!reach(s, e) || !job_transaction(w->job, write_begun, s, e))
		return false;
	*whole = stopped;
	if (stopped ? !copy_still(s, e) : !copy_live(s, whole, e))
		return false;
	if (!*whole)
		return true;
	if (!hv_volume_get(s->hv, s->pool.name, s->file, &have, e))
		return false;
	s->path = have.path;
	s->physical_bytes = (int64_t)have.used_bytes;
	s->size_bytes = s->v.size_bytes;
	s->at = clock_now();
	return job_transaction(w->job, write_made, s, e);
}

bool
job_snapshot_create(struct job *j, struct err *e)
{
	struct snapshot_job s = { .w = { .job = j } };
	struct err ignored = ERR_INIT;
	bool whole = false;
	bool found = find(&s, job_text(j, "snapshotid"), e);
	bool ok;

	if (found && strcmp(s.state, "Creating") != 0) {
		done(&s);
		return true; /* done before a kill */
	}
	ok = found && find_volume(&s, e) && create_turn(&s, &whole, e);
	if (!ok && found && !j->overtaken && !job_may_retry(j, e)) {
		s.error = e->text;
		if (s.hv != NULL &&
		    !hv_volume_delete(s.hv, s.pool.name, s.file, &ignored))
			log_warning("snapshot %s: %s", s.uuid, ignored.text);
		if (!job_transaction(j, write_failed, &s, &ignored))
			log_warning("snapshot %s: %s", s.uuid, ignored.text);
	}
	done(&s);
	return ok;
}

/* ---- revert */

static bool
write_reverting(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;

	return volume_state_set(db, &s->v, "Reverting", e);
}

static bool
write_reverted(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;
	bool resized = s->size_bytes != s->v.size_bytes;

	s->v.size_bytes = s->size_bytes;
	return db_run(db, STMT_VOLUME_PLACED,
		   DB_ARGS(DB_NUMBER(s->v.account_id), DB_NUMBER(s->v.id), s->pool.name,
		       DB_NUMBER(s->pool.id), s->file, "qcow2", s->path, NULL),
		   NULL, e) &&
	    db_run(db, STMT_VOLUME_SIZE,
		DB_ARGS(DB_NUMBER(s->v.account_id), DB_NUMBER(s->v.id),
		    DB_NUMBER(s->size_bytes)),
		NULL, e) &&
	    (!resized || volume_interval_turn(db, &s->v, s->at, "reverted", e)) &&
	    volume_state_set(db, &s->v, "Ready", e);
}

static bool
write_not_reverted(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;

	return volume_state_set(db, &s->v, "Ready", e);
}

/* The new disk is a file of its own: the old one goes when the new one is in place. */
static bool
revert_files(struct snapshot_job *s, struct err *e)
{
	struct job *j = s->w.job;
	scoped_free char *source = s->file;
	scoped_free char *old = mem_strdup(
	    job_noted(j, "old") != NULL ? job_noted(j, "old") : s->v.file);

	s->file = mem_printf("%s-%.8s", s->v.uuid, j->uuid);
	scoped_free char *xml = volume_xml(s->file, s->size_bytes, "qcow2", NULL, NULL);
	if (strcmp(s->v.file, s->file) != 0) {
		job_step(j, "copying the snapshot");
		if (!job_note(j, "old", s->v.file, e) ||
		    !hv_volume_clone(s->hv, s->pool.name, xml, s->file, source, &s->path,
			e))
			return false;
		s->at = clock_now();
		if (!job_transaction(j, write_reverted, s, e))
			return false;
	}
	return hv_volume_delete(s->hv, s->pool.name, old, e);
}

static bool
revert_all(struct snapshot_job *s, struct err *e)
{
	struct work *w = &s->w;
	struct err ignored = ERR_INIT;
	bool stopped = true;
	bool ready = true;

	if (s->v.vm_id != 0 && (!work_connect(w, e) || !work_stopped(w, &stopped, e)))
		return false;
	if (!stopped)
		return err_set(e, ERR_CONFLICT, "%s runs: stop it first", w->vm.name);
	if (!work_no_snapshots(w, e) || !reach(s, e) ||
	    !job_transaction(w->job, write_reverting, s, e))
		return false;
	if (!revert_files(s, e)) {
		if (!w->job->overtaken && !job_may_retry(w->job, e) &&
		    !job_transaction(w->job, write_not_reverted, s, &ignored))
			log_warning("volume %s: %s", s->v.uuid, ignored.text);
		return false;
	}
	return s->v.vm_id == 0 || w->vm.adopted || define_vm(w, &ready, e);
}

bool
job_snapshot_revert(struct job *j, struct err *e)
{
	struct snapshot_job s = { .w = { .job = j } };
	bool ok = find(&s, job_text(j, "id"), e) && find_volume(&s, e);

	if (ok && strcmp(s.state, "BackedUp") != 0)
		ok = err_set(e, ERR_CONFLICT, "the snapshot %s is %s", s.name, s.state);
	ok = ok && revert_all(&s, e);
	done(&s);
	return ok;
}

/* ---- delete */

static bool
write_deleting(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;

	return thing_close(db, s->account_id, s->id, "snapshot", s->at, "deleted", e) &&
	    db_run(db, STMT_SNAPSHOT_STATE,
		DB_ARGS(DB_NUMBER(s->account_id), DB_NUMBER(s->id), "Destroyed", NULL,
		    "f"),
		NULL, e);
}

static bool
write_deleted(struct db *db, void *context, struct err *e)
{
	struct snapshot_job *s = context;

	return db_run(db, STMT_SNAPSHOT_STATE,
	    DB_ARGS(DB_NUMBER(s->account_id), DB_NUMBER(s->id), "Destroyed", NULL, "t"),
	    NULL, e);
}

bool
job_snapshot_delete(struct job *j, struct err *e)
{
	struct snapshot_job s = { .w = { .job = j } };
	bool ok = find(&s, j->object_uuid, e);

	s.at = clock_now();
	ok = ok && job_transaction(j, write_deleting, &s, e);
	if (ok && rows_text(s.row, 0, 6) != NULL) {
		s.v.pool_id = rows_i64(s.row, 0, 6);
		ok = reach(&s, e) && hv_volume_delete(s.hv, s.pool.name, s.file, e);
	}
	ok = ok && job_transaction(j, write_deleted, &s, e);
	done(&s);
	return ok;
}

/* ---- of whole VMs */

struct vm_snapshot_job {
	struct work w;
	int64_t id, size_bytes;
	char uuid[HV_UUID_MAX], name[256], state[16];
	bool memory, removed;
	const char *error;
};

static bool
vm_snapshot_find(struct vm_snapshot_job *s, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct job *j = s->w.job;
	const char *uuid = job_text(j, "vmsnapshotid");

	if (uuid == NULL)
		return err_set(e, ERR_INPUT, "vmsnapshotid is missing");
	if (!work_find(&s->w, j, e) ||
	    !db_query(j->db, STMT_VM_SNAPSHOT_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0 || rows_i64(r, 0, 4) != s->w.vm.id)
		return err_set(e, ERR_NOT_FOUND, "no snapshot %.36s of %s", uuid,
		    s->w.vm.name);
	s->id = rows_i64(r, 0, 1);
	s->size_bytes = rows_i64(r, 0, 6);
	s->memory = rows_bool(r, 0, 5);
	s->removed = rows_text(r, 0, 8) != NULL;
	(void)snprintf(s->uuid, sizeof(s->uuid), "%s", rows_text(r, 0, 2));
	(void)snprintf(s->name, sizeof(s->name), "%s", rows_text(r, 0, 3));
	(void)snprintf(s->state, sizeof(s->state), "%s", rows_text(r, 0, 7));
	return work_connect(&s->w, e);
}

static bool
write_vm_made(struct db *db, void *context, struct err *e)
{
	struct vm_snapshot_job *s = context;
	const struct vm *v = &s->w.vm;
	scoped(rows_clear) struct rows *r = NULL;
	struct thing t = { .account_id = v->account_id,
		.id = s->id,
		.vm_id = v->id,
		.host_id = v->host_id,
		.uuid = s->uuid,
		.name = s->name,
		.simulated = v->simulated };

	if (!db_query(db, STMT_VM_SNAPSHOT_SIZES,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id)), &r, e))
		return false;
	t.size_bytes = rows_i64(r, 0, 0) + (s->memory ? v->memory_bytes : 0);
	return db_run(db, STMT_VM_SNAPSHOT_MADE,
		   DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(s->id), DB_NUMBER(v->id),
		       DB_NUMBER(t.size_bytes)),
		   NULL, e) &&
	    thing_open(db, &t, "vm_snapshot", s->w.at, "created", e);
}

static bool
write_vm_failed(struct db *db, void *context, struct err *e)
{
	struct vm_snapshot_job *s = context;

	return db_run(db, STMT_VM_SNAPSHOT_STATE,
	    DB_ARGS(DB_NUMBER(s->w.vm.account_id), DB_NUMBER(s->id), "Error", s->error,
		"t"),
	    NULL, e);
}

/* Libvirt starts QEMU with the vCPUs of its definition and plugs the others in after the
 * memory was loaded, which then does not fit. */
static bool
memory_fits(struct work *w, struct err *e)
{
	struct domain_found found;
	char *xml = NULL;
	bool ok = hv_domain_xml(w->hv, w->vm.uuid, &xml, e) &&
	    domain_read(&found, xml, e);

	free(xml);
	return ok &&
	    (found.plugged_vcpus == 0 ||
		err_set(e, ERR_CONFLICT,
		    "%s was given virtual CPUs while it ran: a snapshot of its memory "
		    "could not be loaded: reboot it first",
		    w->vm.name));
}

static bool
vm_snapshot_make(struct vm_snapshot_job *s, struct err *e)
{
	struct work *w = &s->w;
	bool stopped = false;
	bool known = false;

	if (!work_stopped(w, &stopped, e) ||
	    !hv_snapshot_known(w->hv, w->vm.uuid, s->uuid, &known, e))
		return false;
	if (stopped && s->memory)
		return err_set(e, ERR_CONFLICT,
		    "%s does not run: it has no memory to keep", w->vm.name);
	if (!stopped && !s->memory)
		return err_set(e, ERR_INPUT,
		    "%s runs: a snapshot of it keeps its memory too "
		    "(snapshotmemory=true), or stop it first",
		    w->vm.name);
	if (s->memory && !memory_fits(w, e))
		return false;
	scoped_free char *xml = snapshot_xml(s->uuid, s->memory);
	job_step(w->job, "taking the snapshot");
	if (!known && !hv_snapshot_make(w->hv, w->vm.uuid, xml, e))
		return false;
	w->at = clock_now();
	return job_transaction(w->job, write_vm_made, s, e);
}

bool
job_vm_snapshot_create(struct job *j, struct err *e)
{
	struct vm_snapshot_job s = { .w = { .job = j } };
	struct err ignored = ERR_INIT;
	bool ok = vm_snapshot_find(&s, e);

	if (ok && strcmp(s.state, "Creating") == 0)
		ok = vm_snapshot_make(&s, e);
	memcpy(j->result_uuid, s.uuid, sizeof(j->result_uuid));
	if (!ok && s.id != 0 && !j->overtaken && !job_may_retry(j, e)) {
		s.error = e->text;
		if (!job_transaction(j, write_vm_failed, &s, &ignored))
			log_warning("snapshot %s: %s", s.uuid, ignored.text);
	}
	work_done(&s.w);
	return ok;
}

static bool
write_vm_reverted(struct db *db, void *context, struct err *e)
{
	struct vm_snapshot_job *s = context;
	struct work *w = &s->w;
	bool runs = w->epoch[0] != '\0';
	bool same_run = runs && strcmp(w->epoch, w->vm.epoch) == 0;

	if (!db_run(db, STMT_VM_SNAPSHOT_CURRENT,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id),
		    DB_NUMBER(s->id)),
		NULL, e))
		return false;
	w->reason = "reverted";
	if (!same_run && !vm_running_close(db, &w->vm, w->at, "reverted", e))
		return false;
	return runs ? write_started(db, w, e) : write_stopped(db, w, e);
}

bool
job_vm_snapshot_revert(struct job *j, struct err *e)
{
	struct vm_snapshot_job s = { .w = { .job = j } };
	struct hv_domain d = { .name = NULL };
	bool ready = false;
	bool ok = vm_snapshot_find(&s, e);

	if (ok && strcmp(s.state, "Ready") != 0)
		ok = err_set(e, ERR_CONFLICT, "the snapshot %s is %s", s.name, s.state);
	ok = ok && work_sampled(&s.w, "sample", &ready, e);
	if (ok && ready) {
		job_step(j, "reverting");
		ok = hv_snapshot_revert(s.w.hv, s.w.vm.uuid, s.uuid, e) &&
		    work_domain(&s.w, &d, e);
		hv_domain_done(&d);
		s.w.at = clock_now();
		ok = ok && job_transaction(j, write_vm_reverted, &s, e);
	}
	work_done(&s.w);
	return ok;
}

static bool
write_vm_deleted(struct db *db, void *context, struct err *e)
{
	struct vm_snapshot_job *s = context;

	return thing_close(db, s->w.vm.account_id, s->id, "vm_snapshot", s->w.at,
		   "deleted", e) &&
	    db_run(db, STMT_VM_SNAPSHOT_STATE,
		DB_ARGS(DB_NUMBER(s->w.vm.account_id), DB_NUMBER(s->id), "Removed", NULL,
		    "t"),
		NULL, e);
}

bool
job_vm_snapshot_delete(struct job *j, struct err *e)
{
	struct vm_snapshot_job s = { .w = { .job = j } };
	bool known = false;
	bool ok = vm_snapshot_find(&s, e) &&
	    hv_snapshot_known(s.w.hv, s.w.vm.uuid, s.uuid, &known, e);

	job_step(j, "deleting the snapshot");
	ok = ok && (!known || hv_snapshot_delete(s.w.hv, s.w.vm.uuid, s.uuid, e));
	s.w.at = clock_now();
	ok = ok && job_transaction(j, write_vm_deleted, &s, e);
	work_done(&s.w);
	return ok;
}
