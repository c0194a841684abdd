/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of a VM's life: each looks before it acts, and may be run again after a kill.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/domain_xml.h"
#include "provision/host.h"
#include "provision/job.h"
#include "provision/place.h"
#include "provision/vm.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POOL "jeoul"
enum { STOP_GRACE_S = 20, SAMPLE_WAIT_MS = 700, POLL_MS = 100 };

struct work {
	struct job *job;
	struct vm vm;
	struct rows *row; /* of vm_by_uuid */
	struct hv *hv;
	char host_uuid[HV_UUID_MAX];
	char domain_type[8];
	char volume_uuid[HV_UUID_MAX];
	char mac[18];
	char *volume_path;
	char *volume_name;
	int64_t volume_bytes;
	bool network;
	const char *state, *reason;
	struct instant at;
	char epoch[96];
};

static void
work_done(struct work *w)
{
	rows_free(w->row);
	hv_close(w->hv);
	free(w->volume_path);
	free(w->volume_name);
}

static void
pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL); /* woken early is fine */
}

static const char *
column(const struct work *w, const char *name)
{
	for (size_t i = 0; i < rows_columns(w->row); i++)
		if (strcmp(rows_column_name(w->row, i), name) == 0)
			return rows_text(w->row, 0, i);
	abort(); /* our own statement */
}

static int64_t
column_i64(const struct work *w, const char *name)
{
	const char *text = column(w, name);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static bool
work_find(struct work *w, struct job *j, struct err *e)
{
	w->job = j;
	if (!db_query(j->db, STMT_VM_BY_UUID, DB_ARGS(j->object_uuid), &w->row, e))
		return false;
	if (rows_count(w->row) == 0)
		return err_set(e, ERR_NOT_FOUND, "no virtual machine %s", j->object_uuid);
	vm_from_row(&w->vm, w->row, 0);
	w->vm.host_id = column_i64(w, "host_id");
	return true;
}

static bool
work_connect(struct work *w, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(w->job->db, STMT_HOST_LIST, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		if (rows_i64(r, i, 0) != w->vm.host_id)
			continue;
		(void)snprintf(w->host_uuid, sizeof(w->host_uuid), "%s",
		    rows_text(r, i, 1));
		(void)snprintf(w->domain_type, sizeof(w->domain_type), "%.7s",
		    rows_text(r, i, 7));
		w->vm.simulated = rows_bool(r, i, 5);
		if (hv_open(&w->hv, rows_text(r, i, 4), NULL, NULL, e))
			return true;
		return err_wrap(e, "host %s", rows_text(r, i, 3));
	}
	return err_set(e, ERR_CONFLICT,
	    "%s is on no host: start it again, so that one is chosen", w->vm.name);
}

static bool
domain_now(struct work *w, struct hv_domain *d, struct err *e)
{
	bool ok = hv_domain_get(w->hv, w->vm.uuid, d, e);

	w->epoch[0] = '\0';
	if (ok && d->id >= 0)
		(void)snprintf(w->epoch, sizeof(w->epoch), "%s/%lld", w->host_uuid,
		    (long long)d->id);
	return ok;
}

/* Asks the collector for a last sample: what is not sampled before a stop is lost. */
static void
sample_last(struct work *w)
{
	struct err e = ERR_INIT;

	if (db_run(w->job->db, STMT_NOTIFY, DB_ARGS("jeoul_sample", w->vm.uuid), NULL,
		&e))
		pause_ms(SAMPLE_WAIT_MS);
}

static bool
write_started(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_running_open(db, &w->vm, w->at, w->reason, e) &&
	    db_run(db, STMT_VM_DESIRE,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id), "Running"),
		NULL, e) &&
	    vm_state_set(db, &w->vm, "Running", w->at, w->epoch, NULL, e);
}

static bool
write_stopped(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_running_close(db, &w->vm, w->at, w->reason, e) &&
	    db_run(db, STMT_VM_DESIRE,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id), "Stopped"),
		NULL, e) &&
	    vm_state_set(db, &w->vm, "Stopped", w->at, NULL, NULL, e);
}

/* Running after this, by us or already; the instant is libvirt's success. */
static bool
start_domain(struct work *w, const char *reason, struct err *e)
{
	struct hv_domain d = { .name = NULL };

	job_step(w->job, "starting");
	if (!domain_now(w, &d, e))
		return false;
	if (d.state == HV_STOPPED) {
		hv_domain_done(&d);
		if (!hv_start(w->hv, w->vm.uuid, e) || !domain_now(w, &d, e))
			return false;
	}
	hv_domain_done(&d);
	w->at = clock_now();
	w->reason = reason;
	return db_transaction(w->job->db, write_started, w, e);
}

static bool
is_stopped(struct work *w, bool *stopped, struct err *e)
{
	struct hv_domain d = { .name = NULL };

	if (!domain_now(w, &d, e))
		return false;
	*stopped = d.state == HV_STOPPED;
	hv_domain_done(&d);
	return true;
}

/* Asks the guest, waits, then pulls the plug; forced pulls it at once. */
static bool
stop_domain(struct work *w, bool forced, struct err *e)
{
	struct err ignored = ERR_INIT;
	bool stopped = false;

	if (!is_stopped(w, &stopped, e) || stopped)
		return stopped;
	sample_last(w);
	job_step(w->job, "stopping");
	if (!forced && hv_shutdown(w->hv, w->vm.uuid, &ignored))
		for (int i = 0; i < STOP_GRACE_S * 1000 / POLL_MS && !stopped; i++) {
			pause_ms(POLL_MS);
			if (!is_stopped(w, &stopped, e))
				return false;
		}
	if (!stopped && !hv_destroy(w->hv, w->vm.uuid, e))
		return e->kind == ERR_CONFLICT; /* it stopped by itself just now */
	return true;
}

static bool
is_forced(const struct job *j)
{
	const char *text = job_text(j, "forced");

	return json_bool(json_get(json_root(j->request), "forced"), false) ||
	    (text != NULL && strcasecmp(text, "true") == 0);
}

/* ---- deploy */

static bool
deploy_place(struct work *w, struct err *e)
{
	const char *strategy = job_text(w->job, "placement");

	if (w->vm.host_id != 0)
		return true; /* chosen before a kill */
	if (!place_choose(w->job->db, strategy, w->vm.memory_bytes, &w->vm.host_id, e))
		return false;
	return db_run(w->job->db, STMT_VM_PLACE,
	    DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id),
		DB_NUMBER(w->vm.host_id)),
	    NULL, e);
}

static bool
deploy_volume(struct work *w, struct err *e)
{
	char path[STATE_PATH_MAX];
	const char *kind = column(w, "kind");
	bool overlay = kind != NULL && strcmp(kind, "disk") == 0;
	int64_t least = overlay ? column_i64(w, "size_bytes") : 0;

	w->volume_bytes = column_i64(w, "disk_bytes");
	if (w->volume_bytes < least)
		w->volume_bytes = least;
	if (w->volume_bytes == 0)
		return true;
	job_step(w->job, "making the volume");
	w->volume_name = mem_printf("%s-root", w->vm.uuid);
	scoped_free char *xml = volume_xml(w->volume_name, w->volume_bytes,
	    overlay ? "qcow2" : "raw", overlay ? column(w, "path") : NULL,
	    column(w, "format"));
	return hv_pool_ensure(w->hv, POOL, state_path(w->job->conf, path, "images"), e) &&
	    hv_volume_ensure(w->hv, POOL, xml, w->volume_name, &w->volume_path, e);
}

/* The same VM always gets the same address: 52:54:00 and three bytes of its uuid. */
static void
mac_make(struct work *w)
{
	(void)snprintf(w->mac, sizeof(w->mac), "52:54:00:%.2s:%.2s:%.2s", w->vm.uuid,
	    w->vm.uuid + 2, w->vm.uuid + 4);
}

static bool
deploy_define(struct work *w, struct err *e)
{
	char console[STATE_PATH_MAX];
	char control[STATE_PATH_MAX];
	char below[80];
	bool kernel = column(w, "kernel") != NULL;

	(void)snprintf(below, sizeof(below), "console/%s.log", w->vm.uuid);
	(void)state_path(w->job->conf, console, below);
	(void)snprintf(below, sizeof(below), "console/%.8s.ctl", w->vm.uuid);
	(void)state_path(w->job->conf, control, below);
	w->network = hv_network_active(w->hv, "default");
	mac_make(w);
	struct domain_want want = { .uuid = w->vm.uuid,
		.name = column(w, "instance_name"),
		.title = w->vm.name,
		.domain_type = w->domain_type,
		.vcpus = w->vm.vcpus,
		.memory_bytes = w->vm.memory_bytes,
		.kernel = column(w, "kernel"),
		.initrd = column(w, "initrd"),
		.cmdline = column(w, "cmdline"),
		.disk_path = w->volume_path,
		.disk_format = kernel ? "raw" : "qcow2",
		.network = w->network ? "default" : NULL,
		.mac = w->mac,
		.control_path = kernel && strlen(control) < 107 ? control : NULL,
		.console_path = console,
		.account_uuid = column(w, "account_uuid"),
		.offering_uuid = column(w, "offering_uuid") };
	scoped_free char *xml = domain_xml(&want);
	job_step(w->job, "defining");
	return hv_define(w->hv, xml, e);
}

/* Everything that deploy made is told at once, so that no half of it is ever billed. */
static bool
deploy_write(struct db *db, void *context, struct err *e)
{
	struct work *w = context;
	scoped(rows_clear) struct rows *volumes = NULL;
	struct volume_want vw = { .name = w->volume_name,
		.target = "vda",
		.kind = "root",
		.pool = POOL,
		.path = w->volume_path,
		.size_bytes = w->volume_bytes,
		.format = column(w, "kernel") != NULL ? "raw" : "qcow2" };

	if (!db_query(db, STMT_VOLUME_OF_VM,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &volumes, e))
		return false;
	if (!vm_allocated_open(db, &w->vm, w->at, "created", e))
		return false;
	if (rows_count(volumes) != 0)
		return true; /* done before a kill */
	if (w->network && !vm_nic_add(db, &w->vm, w->mac, "default", w->at, e))
		return false;
	return w->volume_path == NULL ||
	    vm_volume_add(db, &w->vm, &vw, w->at, "created", e);
}

static bool
write_undone(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_ended(db, &w->vm, "Error", w->at, w->at, "could not be made", e);
}

/* Nothing half made is left: the domain, its volume and its intervals go again. */
static void
deploy_undo(struct work *w)
{
	struct err ignored = ERR_INIT;

	w->at = clock_now();
	if (w->hv != NULL) {
		(void)!hv_destroy(w->hv, w->vm.uuid, &ignored);
		(void)!hv_undefine(w->hv, w->vm.uuid, &ignored);
		if (w->volume_name != NULL)
			(void)!hv_volume_delete(w->hv, POOL, w->volume_name, &ignored);
	}
	if (!db_transaction(w->job->db, write_undone, w, &ignored))
		log_warning("vm %s: %s: reconciled later", w->vm.uuid, ignored.text);
}

static bool
deploy_all(struct work *w, struct err *e)
{
	if (!deploy_place(w, e) || !work_connect(w, e) || !deploy_volume(w, e) ||
	    !deploy_define(w, e))
		return false;
	w->at = clock_now();
	if (!db_transaction(w->job->db, deploy_write, w, e))
		return false;
	if (strcmp(w->vm.desired, "Running") == 0)
		return start_domain(w, "created", e);
	w->reason = "created";
	return db_transaction(w->job->db, write_stopped, w, e);
}

bool
job_vm_deploy(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find(&w, j, e);

	if (ok) {
		ok = deploy_all(&w, e);
		if (!ok && strncmp(e->text, "database", 8) != 0)
			deploy_undo(&w);
	}
	work_done(&w);
	return ok;
}

/* ---- the rest of its life */

bool
job_vm_start(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	bool ok = work_find(&w, j, e) && work_connect(&w, e) &&
	    start_domain(&w, "started", e);

	work_done(&w);
	return ok;
}

static bool
stop_and_write(struct work *w, const char *reason, struct err *e)
{
	if (!stop_domain(w, is_forced(w->job), e))
		return e->kind == ERR_NONE &&
		    db_transaction(w->job->db, write_stopped, w, e);
	w->at = clock_now();
	w->reason = reason;
	return db_transaction(w->job->db, write_stopped, w, e);
}

bool
job_vm_stop(struct job *j, struct err *e)
{
	struct work w = { .job = j, .reason = "stopped" };
	bool ok = work_find(&w, j, e) && work_connect(&w, e);

	w.at = clock_now();
	ok = ok && stop_and_write(&w, "stopped", e);
	work_done(&w);
	return ok;
}

/* A stop and a start, so that old and new run never share a counter. */
bool
job_vm_reboot(struct job *j, struct err *e)
{
	struct work w = { .job = j, .reason = "rebooted" };
	bool ok = work_find(&w, j, e) && work_connect(&w, e);

	w.at = clock_now();
	ok = ok && stop_and_write(&w, "rebooted", e) && start_domain(&w, "started", e);
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
	bool stopped = false;

	if (!is_stopped(w, &stopped, e)) {
		if (e->kind != ERR_NOT_FOUND)
			return false;
		err_clear(e);
		w->at = clock_now();
		return volumes_delete(w, e) &&
		    db_transaction(w->job->db, write_destroyed, w, e);
	}
	if (!stopped) {
		sample_last(w);
		job_step(w->job, "destroying");
		if (!hv_destroy(w->hv, w->vm.uuid, e) && e->kind != ERR_CONFLICT)
			return false;
	}
	w->at = clock_now();
	return hv_undefine(w->hv, w->vm.uuid, e) && volumes_delete(w, e) &&
	    db_transaction(w->job->db, write_destroyed, w, e);
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
	bool ok = work_find(&w, j, e);

	if (ok && account == NULL)
		ok = err_set(e, ERR_INPUT, "assignVirtualMachine: accountid is missing");
	ok = ok && db_query(j->db, STMT_ACCOUNT_BY_UUID, DB_ARGS(account), &r, e);
	if (ok && rows_count(r) == 0)
		ok = err_set(e, ERR_NOT_FOUND, "no account %s", account);
	if (ok) {
		a.account_id = rows_i64(r, 0, 0);
		sample_last(&w);
		a.at = clock_now();
		ok = a.account_id == w.vm.account_id ||
		    db_transaction(j->db, write_assigned, &a, e);
	}
	work_done(&w);
	return ok;
}
