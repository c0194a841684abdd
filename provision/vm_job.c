/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of a VM's life: each looks before it acts, and may be run again after a kill.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/define.h"
#include "provision/image.h"
#include "provision/place.h"
#include "provision/pool.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- deploy */

struct deploy {
	struct work w;
	struct pool pool;
	struct image image;
};

static int64_t
request_id(const struct job *j, const char *key)
{
	const char *text = job_text(j, key);

	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static bool
deploy_place(struct deploy *d, struct err *e)
{
	struct work *w = &d->w;
	const char *asked = job_text(w->job, "deploymentplanner");
	struct place_vm p = { .account_id = w->vm.account_id,
		.vm_id = w->vm.id,
		.strategy = asked != NULL
		    ? asked
		    : conf_text(w->job->conf, CONF_PROVISION_PLACEMENT),
		.want = { .memory_bytes = w->vm.memory_bytes,
		    .vcpus = w->vm.vcpus,
		    .host_id = w->vm.host_id,
		    .zone_id = request_id(w->job, "zone"),
		    .pod_id = request_id(w->job, "pod"),
		    .cluster_id = request_id(w->job, "cluster") } };

	if (w->vm.holds)
		return true; /* chosen before a kill */
	(void)snprintf(p.want.tags, sizeof(p.want.tags), "%s",
	    work_column(w, "host_tags"));
	job_step(w->job, "choosing a host");
	return place_choose(w->job->db, &p, &w->vm.host_id, e);
}

/* A card on the network for everybody is a comfort: a host without that network makes a
 * VM without it. */
static bool
cards_check(struct db *db, void *context, struct err *e)
{
	struct deploy *d = context;
	struct work *w = &d->w;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_VM_NICS,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		const char *network = rows_text(r, i, 3);
		if (network != NULL && strcmp(network, "default") == 0 &&
		    !hv_network_active(w->hv, network) &&
		    !db_run(db, STMT_NIC_REMOVE_ONE,
			DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(rows_i64(r, i, 0)),
			    DB_INSTANT(clock_now())),
			NULL, e))
			return false;
	}
	return true;
}

/* The rows came before the things, so that a kill leaves nothing that nobody knows. */
static bool
disk_make(struct deploy *d, const struct rows *r, size_t i, struct err *e)
{
	struct work *w = &d->w;
	bool root = strcmp(rows_text(r, i, 5), "root") == 0;
	const char *kind = work_column(w, "kind");
	bool overlay = root && kind != NULL && strcmp(kind, "disk") == 0;
	const char *file = rows_text(r, i, 8);
	const struct pool_disk want = { .file = file != NULL ? file : rows_text(r, i, 1),
		.bytes = rows_i64(r, i, 4),
		.backing = overlay ? d->image.path : NULL,
		.backing_format = d->image.format };
	scoped_free char *path = NULL;
	scoped_free char *format = NULL;
	char account[24];
	char id[24];
	char pool[24];

	(void)db_number(w->vm.account_id, account);
	(void)db_number(rows_i64(r, i, 0), id);
	(void)db_number(d->pool.id, pool);
	/* Known before it is made. */
	return db_run(w->job->db, STMT_VOLUME_PLACED,
		   DB_ARGS(account, id, d->pool.name, pool, want.file, NULL, NULL,
		       want.backing),
		   NULL, e) &&
	    pool_disk_ensure(w->job, w->hv, &d->pool, &want, &path, &format, e) &&
	    db_run(w->job->db, STMT_VOLUME_PLACED,
		DB_ARGS(account, id, d->pool.name, pool, want.file, format, path,
		    want.backing),
		NULL, e);
}

static bool
disks_make(struct deploy *d, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(d->w.job->db, STMT_VOLUME_OF_VM,
		DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (rows_text(r, i, 6) == NULL && !disk_make(d, r, i, e))
			return false;
	return job_transaction(d->w.job, cards_check, d, e);
}

/* Everything that deploy made is told at once, so that no half of it is ever billed. */
static bool
deploy_write(struct db *db, void *context, struct err *e)
{
	struct deploy *d = context;
	struct work *w = &d->w;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_VOLUME_OF_VM,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &r, e) ||
	    !vm_allocated_open(db, &w->vm, w->at, "created", e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		const struct thing t = { .account_id = w->vm.account_id,
			.id = rows_i64(r, i, 0),
			.vm_id = w->vm.id,
			.host_id = w->vm.host_id,
			.uuid = rows_text(r, i, 1),
			.name = rows_text(r, i, 2),
			.size_bytes = rows_i64(r, i, 4),
			.simulated = w->vm.simulated };
		if (!thing_open(db, &t, "volume", w->at, "created", e) ||
		    !db_run(db, STMT_VOLUME_STATE,
			DB_ARGS(DB_NUMBER(t.account_id), DB_NUMBER(t.id), "Ready"), NULL,
			e))
			return false;
	}
	return true;
}

static bool
write_undone(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_ended(db, &w->vm, "Error", w->at, w->at, false, "could not be made", e);
}

/* It lies in the bin as an error; what it left on the host is taken away from there, now
 * or when the host answers again. */
static void
deploy_undo(struct work *w)
{
	struct err ignored = ERR_INIT;

	w->at = clock_now();
	if (!work_transaction(w, write_undone, &ignored))
		log_warning("vm %s: %s: reconciled later", w->vm.uuid, ignored.text);
}

static bool
deploy_begin(struct deploy *d, bool *ready, struct err *e)
{
	struct work *w = &d->w;
	const char *kind = work_column(w, "kind");

	*ready = true;
	if (!deploy_place(d, e) || !work_connect(w, e) ||
	    !pool_ready(w->job, w->hv, w->vm.host_id, POOL_OWN, &d->pool, e))
		return false;
	return kind == NULL || strcmp(kind, "disk") != 0 ||
	    image_ready(w->job, w->hv, w->vm.host_id, w->vm.template_id, &d->image, ready,
		e);
}

static bool
deploy_all(struct deploy *d, struct err *e)
{
	struct work *w = &d->w;
	bool ready = false;

	if (!deploy_begin(d, &ready, e))
		return false;
	if (!ready)
		return true;
	if (!disks_make(d, e) || !define_vm(w, &ready, e))
		return false;
	if (!ready)
		return true;
	w->at = clock_now();
	if (!job_transaction(w->job, deploy_write, d, e))
		return false;
	if (strcmp(w->vm.desired, "Running") == 0)
		return work_start(w, "created", e);
	w->reason = "created";
	return work_transaction(w, write_stopped, e);
}

bool
job_vm_deploy(struct job *j, struct err *e)
{
	struct deploy d = { .w = { .job = j } };
	bool ok = work_find(&d.w, j, e);

	if (ok) {
		ok = deploy_all(&d, e);
		if (!ok && !j->overtaken && !job_may_retry(j, e))
			deploy_undo(&d.w);
	}
	image_done(&d.image);
	work_done(&d.w);
	return ok;
}

/* ---- the rest of its life */

bool
job_vm_start(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find(&w, j, e) && work_connect(&w, e) &&
	    work_start_anew(&w, "started", e);

	work_done(&w);
	return ok;
}

bool
job_vm_stop(struct job *j, struct err *e)
{
	struct work w = { .job = j, .reason = "stopped" };
	bool ended = false;
	bool ok = work_find(&w, j, e) && work_connect(&w, e) &&
	    work_stop_turn(&w, job_true(j, "forced"), &ended, e) &&
	    (!ended || work_transaction(&w, write_stopped, e));

	work_done(&w);
	return ok;
}

/* A stop and a start, so that old and new run never share a counter. */
bool
job_vm_reboot(struct job *j, struct err *e)
{
	struct work w = { .job = j, .reason = "rebooted" };
	bool ended = job_noted(j, "stopped") != NULL;
	bool ok = work_find(&w, j, e) && work_connect(&w, e);

	/* Taken up after a kill it must not stop what it has just started. */
	if (ok && !ended)
		ok = work_stop_turn(&w, job_true(j, "forced"), &ended, e) &&
		    (!ended ||
			(work_transaction(&w, write_stopped, e) &&
			    job_note(j, "stopped", "yes", e)));
	ok = ok && (!ended || work_start_anew(&w, "started", e));

	work_done(&w);
	return ok;
}

/* ---- the bin */

static bool
write_destroyed(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_ended(db, &w->vm, "Destroyed", w->at, w->at, false, "destroyed", e);
}

static bool
write_expunged(struct db *db, void *context, struct err *e)
{
	struct work *w = context;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_VOLUME_IN_BIN,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (!db_run(db, STMT_VOLUME_EXPUNGED,
			DB_ARGS(DB_NUMBER(w->vm.account_id),
			    DB_NUMBER(rows_i64(r, i, 0))),
			NULL, e))
			return false;
	return db_run(db, STMT_VM_EXPUNGED,
	    DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), NULL, e);
}

/* What is gone already is as good as deleted. */
static bool
files_delete(struct work *w, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_free char *seed = mem_printf("seed-%s", w->vm.uuid);
	scoped_free char *console = mem_printf("%s.log", w->vm.uuid);
	scoped_free char *control = mem_printf("%.8s.ctl", w->vm.uuid);
	scoped_free char *moved = mem_printf("%.8s-%.8s.ctl", w->vm.uuid, w->host_uuid);

	if (!db_query(w->job->db, STMT_VOLUME_IN_BIN,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		const char *pool = rows_text(r, i, 3);
		const char *file = rows_text(r, i, 5);
		if (pool != NULL && file != NULL &&
		    !hv_volume_delete(w->hv, pool, file, e))
			return false;
	}
	return hv_volume_delete(w->hv, POOL_OWN, seed, e) &&
	    pool_console(w->job, w->hv, e) &&
	    hv_volume_delete(w->hv, POOL_CONSOLE, console, e) &&
	    hv_volume_delete(w->hv, POOL_CONSOLE, control, e) &&
	    hv_volume_delete(w->hv, POOL_CONSOLE, moved, e);
}

/* Nothing of it is left on the host after this, whatever state it was in. */
static bool
remains_delete(struct work *w, struct err *e)
{
	struct err why = ERR_INIT;

	job_step(w->job, "deleting its disks");
	if (!hv_destroy(w->hv, w->vm.uuid, &why) && why.kind != ERR_CONFLICT &&
	    why.kind != ERR_NOT_FOUND) {
		*e = why;
		return false;
	}
	err_clear(&why);
	if (!hv_undefine(w->hv, w->vm.uuid, &why) && why.kind != ERR_NOT_FOUND) {
		*e = why;
		return false;
	}
	return files_delete(w, e);
}

/* Into the bin, from where recover brings it back; "expunge" empties it at once. */
static bool
destroy_all(struct work *w, struct err *e)
{
	bool ended = false;

	if (!work_stop_turn(w, true, &ended, e)) {
		if (e->kind != ERR_NOT_FOUND)
			return false;
		err_clear(e); /* no domain: nothing runs */
		w->at = clock_now();
		ended = true;
	}
	if (!ended)
		return true;
	if (!work_transaction(w, write_destroyed, e))
		return false;
	return !job_true(w->job, "expunge") ||
	    (remains_delete(w, e) && work_transaction(w, write_expunged, e));
}

static bool
ours_only(const struct work *w, struct err *e)
{
	return !w->vm.adopted ||
	    err_set(e, ERR_DENIED,
		"%s was adopted, not made by Jeoul: remove it with virsh, its "
		"intervals end then",
		w->vm.name);
}

bool
job_vm_destroy(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find_any(&w, j, e) && ours_only(&w, e);

	/* Taken up after a kill: it lies in the bin already. */
	if (ok && w.removed)
		ok = !job_true(j, "expunge") ||
		    (work_connect(&w, e) && remains_delete(&w, e) &&
			work_transaction(&w, write_expunged, e));
	else
		ok = ok && work_connect(&w, e) && destroy_all(&w, e);
	work_done(&w);
	return ok;
}

bool
job_vm_expunge(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find_any(&w, j, e) && ours_only(&w, e);

	if (ok && !w.removed)
		ok = err_set(e, ERR_CONFLICT,
		    "%s is not destroyed: destroy it first, or with expunge=true",
		    w.vm.name);
	/* One that could not be placed never was on a host. */
	if (ok && w.vm.host_id != 0)
		ok = work_connect(&w, e) && remains_delete(&w, e);
	ok = ok && work_transaction(&w, write_expunged, e);
	work_done(&w);
	return ok;
}

static bool
write_recovered(struct db *db, void *context, struct err *e)
{
	struct work *w = context;
	scoped(rows_clear) struct rows *r = NULL;
	const char *removed = work_column(w, "removed");
	char account[24];
	char id[24];

	(void)db_number(w->vm.account_id, account);
	(void)db_number(w->vm.id, id);
	if (!db_query(db, STMT_VOLUME_RECOVER, DB_ARGS(account, id, removed), &r, e) ||
	    !db_run(db, STMT_NIC_RECOVER, DB_ARGS(account, id, removed), NULL, e) ||
	    !db_run(db, STMT_VM_RECOVER, DB_ARGS(account, id, DB_INSTANT(w->at)), NULL,
		e) ||
	    !vm_allocated_open(db, &w->vm, w->at, "recovered", e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		const struct thing t = { .account_id = w->vm.account_id,
			.id = rows_i64(r, i, 0),
			.vm_id = w->vm.id,
			.host_id = w->vm.host_id,
			.uuid = rows_text(r, i, 1),
			.name = rows_text(r, i, 2),
			.size_bytes = rows_i64(r, i, 3),
			.simulated = w->vm.simulated };
		if (!thing_open(db, &t, "volume", w->at, "recovered", e))
			return false;
	}
	return db_run(db, STMT_LIMITS_KEEP,
	    DB_ARGS(account, "{user_vm,cpu,memory,volume,primary_storage}"), NULL, e);
}

bool
job_vm_recover(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find_any(&w, j, e);

	if (ok && !w.removed) {
		work_done(&w); /* done before a kill, or never destroyed */
		return true;
	}
	if (ok && strcmp(w.vm.state, "Destroyed") != 0)
		ok = err_set(e, ERR_CONFLICT, "%s could not be made: make it again",
		    w.vm.name);
	w.at = clock_now();
	ok = ok && work_transaction(&w, write_recovered, e);
	work_done(&w);
	return ok;
}

/* ---- a new owner */

struct assignment {
	const struct work *w;
	int64_t account_id;
	struct instant at;
};

static bool
write_assigned(struct db *db, void *context, struct err *e)
{
	struct assignment *a = context;
	const struct vm *v = &a->w->vm;
	char from[24];
	char id[24];
	char to[24];
	const char *const three[] = { db_number(v->account_id, from),
		db_number(v->id, id), db_number(a->account_id, to) };

	return db_run(db, STMT_ASSIGN_REOPEN,
		   DB_ARGS(three[0], three[1], three[2], DB_INSTANT(a->at)), NULL, e) &&
	    db_run(db, STMT_ASSIGN_VM, 3, three, NULL, e) &&
	    db_run(db, STMT_ASSIGN_VOLUMES, 3, three, NULL, e) &&
	    db_run(db, STMT_ASSIGN_NICS, 3, three, NULL, e) &&
	    db_run(db, STMT_LIMITS_KEEP,
		DB_ARGS(three[2], "{user_vm,cpu,memory,volume,primary_storage}"), NULL,
		e);
}

bool
job_vm_assign(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	scoped(rows_clear) struct rows *r = NULL;
	const char *account = job_text(j, "accountid");
	struct assignment a = { .w = &w };
	bool ready = false;
	bool ok = work_find(&w, j, e);

	if (ok && account == NULL)
		ok = err_set(e, ERR_INPUT, "assignVirtualMachine: accountid is missing");
	ok = ok && db_query(j->db, STMT_ACCOUNT_BY_UUID, DB_ARGS(account), &r, e);
	if (ok && rows_count(r) == 0)
		ok = err_set(e, ERR_NOT_FOUND, "no account %s", account);
	ok = ok && work_sampled(&w, "sample", &ready, e);
	if (ok && ready) {
		a.account_id = rows_i64(r, 0, 0);
		a.at = clock_now();
		ok = a.account_id == w.vm.account_id ||
		    job_transaction(j, write_assigned, &a, e);
	}
	work_done(&w);
	return ok;
}
