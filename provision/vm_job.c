/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of a VM's life: each looks before it acts, and may be run again after a kill.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/domain_xml.h"
#include "provision/place.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL "jeoul"
#define STOP_LOOK_NS NS_PER_S

/* ---- deploy */

struct deploy {
	struct work w;
	char mac[18];
	char *volume_path;
	char *volume_name;
	int64_t volume_bytes;
	bool network;
};

static bool
deploy_place(struct deploy *d, struct err *e)
{
	const char *strategy = job_text(d->w.job, "placement");

	if (d->w.vm.host_id != 0)
		return true; /* chosen before a kill */
	if (!place_choose(d->w.job->db, strategy, d->w.vm.memory_bytes, &d->w.vm.host_id,
		e))
		return false;
	return db_run(d->w.job->db, STMT_VM_PLACE,
	    DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id),
		DB_NUMBER(d->w.vm.host_id)),
	    NULL, e);
}

static bool
deploy_volume(struct deploy *d, struct err *e)
{
	char path[STATE_PATH_MAX];
	const char *kind = work_column(&d->w, "kind");
	bool overlay = kind != NULL && strcmp(kind, "disk") == 0;
	int64_t least = overlay ? work_column_i64(&d->w, "size_bytes") : 0;

	d->volume_bytes = work_column_i64(&d->w, "disk_bytes");
	if (d->volume_bytes < least)
		d->volume_bytes = least;
	if (d->volume_bytes == 0)
		return true;
	job_step(d->w.job, "making the volume");
	d->volume_name = mem_printf("%s-root", d->w.vm.uuid);
	scoped_free char *xml = volume_xml(d->volume_name, d->volume_bytes,
	    overlay ? "qcow2" : "raw", overlay ? work_column(&d->w, "path") : NULL,
	    work_column(&d->w, "format"));
	return hv_pool_ensure(d->w.hv, POOL, state_path(d->w.job->conf, path, "images"),
		   e) &&
	    hv_volume_ensure(d->w.hv, POOL, xml, d->volume_name, &d->volume_path, e);
}

/* The same VM always gets the same address: 52:54:00 and three bytes of its uuid. */
static void
mac_make(struct deploy *d)
{
	(void)snprintf(d->mac, sizeof(d->mac), "52:54:00:%.2s:%.2s:%.2s", d->w.vm.uuid,
	    d->w.vm.uuid + 2, d->w.vm.uuid + 4);
}

static bool
deploy_define(struct deploy *d, struct err *e)
{
	char console[STATE_PATH_MAX];
	char control[STATE_PATH_MAX];
	char below[80];
	bool kernel = work_column(&d->w, "kernel") != NULL;

	(void)snprintf(below, sizeof(below), "console/%s.log", d->w.vm.uuid);
	(void)state_path(d->w.job->conf, console, below);
	(void)snprintf(below, sizeof(below), "console/%.8s.ctl", d->w.vm.uuid);
	(void)state_path(d->w.job->conf, control, below);
	d->network = hv_network_active(d->w.hv, "default");
	mac_make(d);
	struct domain_want want = { .uuid = d->w.vm.uuid,
		.name = work_column(&d->w, "instance_name"),
		.title = d->w.vm.name,
		.domain_type = d->w.domain_type,
		.vcpus = d->w.vm.vcpus,
		.memory_bytes = d->w.vm.memory_bytes,
		.kernel = work_column(&d->w, "kernel"),
		.initrd = work_column(&d->w, "initrd"),
		.cmdline = work_column(&d->w, "cmdline"),
		.disk_path = d->volume_path,
		.disk_format = kernel ? "raw" : "qcow2",
		.network = d->network ? "default" : NULL,
		.mac = d->mac,
		.control_path = kernel && strlen(control) < 107 ? control : NULL,
		.console_path = console,
		.account_uuid = work_column(&d->w, "account_uuid"),
		.offering_uuid = work_column(&d->w, "offering_uuid") };
	scoped_free char *xml = domain_xml(&want);
	job_step(d->w.job, "defining");
	return hv_define(d->w.hv, xml, e);
}

/* Everything that deploy made is told at once, so that no half of it is ever billed. */
static bool
deploy_write(struct db *db, void *context, struct err *e)
{
	struct deploy *d = context;
	scoped(rows_clear) struct rows *volumes = NULL;
	struct volume_want vw = { .name = d->volume_name,
		.target = "vda",
		.kind = "root",
		.pool = POOL,
		.path = d->volume_path,
		.size_bytes = d->volume_bytes,
		.format = work_column(&d->w, "kernel") != NULL ? "raw" : "qcow2" };

	if (!db_query(db, STMT_VOLUME_OF_VM,
		DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id)), &volumes,
		e))
		return false;
	if (!vm_allocated_open(db, &d->w.vm, d->w.at, "created", e))
		return false;
	if (rows_count(volumes) != 0)
		return true; /* done before a kill */
	if (d->network && !vm_nic_add(db, &d->w.vm, d->mac, "default", d->w.at, e))
		return false;
	return d->volume_path == NULL ||
	    vm_volume_add(db, &d->w.vm, &vw, d->w.at, "created", e);
}

static bool
write_undone(struct db *db, void *context, struct err *e)
{
	struct deploy *d = context;

	return vm_ended(db, &d->w.vm, "Error", d->w.at, d->w.at, "could not be made", e);
}

/* Nothing half made is left: the domain, its volume and its intervals go again. */
static void
deploy_undo(struct deploy *d)
{
	struct err ignored = ERR_INIT;

	d->w.at = clock_now();
	if (d->w.hv != NULL) {
		(void)!hv_destroy(d->w.hv, d->w.vm.uuid, &ignored);
		(void)!hv_undefine(d->w.hv, d->w.vm.uuid, &ignored);
		if (d->volume_name != NULL)
			(void)!hv_volume_delete(d->w.hv, POOL, d->volume_name, &ignored);
	}
	if (!job_transaction(d->w.job, write_undone, d, &ignored))
		log_warning("vm %s: %s: reconciled later", d->w.vm.uuid, ignored.text);
}

static bool
deploy_all(struct deploy *d, struct err *e)
{
	struct work *w = &d->w;

	if (!deploy_place(d, e) || !work_connect(w, e) || !deploy_volume(d, e) ||
	    !deploy_define(d, e))
		return false;
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
		if (!ok && !j->overtaken && strncmp(e->text, "database", 8) != 0)
			deploy_undo(&d);
	}
	free(d.volume_path);
	free(d.volume_name);
	work_done(&d.w);
	return ok;
}

/* ---- the rest of its life */

bool
job_vm_start(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find(&w, j, e) && work_connect(&w, e) &&
	    work_start(&w, "started", e);

	work_done(&w);
	return ok;
}

/* Libvirt's word on when, if it came after we asked; else now. */
static struct instant
end_of_run(const struct job *j)
{
	struct instant now = clock_now();
	struct instant asked;
	struct instant event;

	if (job_noted_at(j, "asked", &asked) && job_noted_at(j, "event", &event) &&
	    event.ns > asked.ns && event.ns < now.ns)
		return event;
	return now;
}

static bool
power_cut(struct work *w, bool *ended, struct err *e)
{
	job_step(w->job, "cutting its power");
	if (!hv_destroy(w->hv, w->vm.uuid, e)) {
		if (e->kind != ERR_CONFLICT)
			return false;
		err_clear(e); /* it stopped by itself just now */
	}
	w->at = clock_now();
	*ended = true;
	return true;
}

/* Asks the guest once, then waits for it in turns; *patience false: it had its time. */
static bool
guest_ask(struct work *w, bool *patience, struct err *e)
{
	int64_t grace = conf_span_ns(w->job->conf, CONF_PROVISION_STOP_GRACE);
	struct err ignored = ERR_INIT;
	struct instant asked;
	char now[CLOCK_TEXT_MAX];
	int64_t left;

	*patience = false;
	if (job_noted_at(w->job, "asked", &asked)) {
		left = asked.ns + grace - clock_now().ns;
		if (left <= 0)
			return true;
	} else {
		if (!job_note(w->job, "asked", instant_text(clock_now(), now), e))
			return false;
		if (!hv_shutdown(w->hv, w->vm.uuid, &ignored))
			return true; /* it can't be asked */
		left = grace;
	}
	*patience = true;
	return job_again(w->job, "stopping", left < STOP_LOOK_NS ? left : STOP_LOOK_NS);
}

/* A turn of stopping: *ended with w->at, or the job has been told to come again. */
static bool
stop_turn(struct work *w, bool forced, bool *ended, struct err *e)
{
	bool ready = false;
	bool patience = false;

	*ended = false;
	if (!work_stopped(w, ended, e))
		return false;
	w->at = end_of_run(w->job);
	if (*ended)
		return true;
	if (!work_sampled(w, "sample", &ready, e) || !ready)
		return e->kind == ERR_NONE;
	if (!forced && (!guest_ask(w, &patience, e) || patience))
		return e->kind == ERR_NONE;
	if (!forced && (!work_sampled(w, "last sample", &ready, e) || !ready))
		return e->kind == ERR_NONE;
	return power_cut(w, ended, e);
}

bool
job_vm_stop(struct job *j, struct err *e)
{
	struct work w = { .job = j, .reason = "stopped" };
	bool ended = false;
	bool ok = work_find(&w, j, e) && work_connect(&w, e) &&
	    stop_turn(&w, job_true(j, "forced"), &ended, e) &&
	    (!ended || work_transaction(&w, write_stopped, e));

	work_done(&w);
	return ok;
}

/* A stop and a start, so that old and new run never share a counter. */
bool
job_vm_reboot(struct job *j, struct err *e)
{
	struct work w = { .job = j, .reason = "rebooted" };
	bool ended = false;
	bool ok = work_find(&w, j, e) && work_connect(&w, e) &&
	    stop_turn(&w, job_true(j, "forced"), &ended, e) &&
	    (!ended ||
		(work_transaction(&w, write_stopped, e) && work_start(&w, "started", e)));

	work_done(&w);
	return ok;
}

static bool
write_destroyed(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_ended(db, &w->vm, "Destroyed", w->at, w->at, "destroyed", e);
}

static bool
volumes_delete(struct work *w, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(w->job->db, STMT_VOLUME_OF_VM,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		const char *pool = rows_text(r, i, 3);
		if (pool != NULL && !hv_volume_delete(w->hv, pool, rows_text(r, i, 2), e))
			return false;
	}
	return true;
}

static bool
destroy_all(struct work *w, struct err *e)
{
	bool ended = false;

	if (!stop_turn(w, true, &ended, e)) {
		if (e->kind != ERR_NOT_FOUND)
			return false;
		err_clear(e);
		w->at = clock_now();
		return volumes_delete(w, e) && work_transaction(w, write_destroyed, e);
	}
	return !ended ||
	    (hv_undefine(w->hv, w->vm.uuid, e) && volumes_delete(w, e) &&
		work_transaction(w, write_destroyed, e));
}

bool
job_vm_destroy(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find(&w, j, e);

	if (ok && w.vm.adopted)
		ok = err_set(e, ERR_DENIED,
		    "%s was adopted, not made by Jeoul: remove it with virsh, its "
		    "intervals end then",
		    w.vm.name);
	ok = ok && work_connect(&w, e) && destroy_all(&w, e);
	work_done(&w);
	return ok;
}

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
	    db_run(db, STMT_ASSIGN_NICS, 3, three, NULL, e);
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
