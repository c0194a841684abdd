/* SPDX-License-Identifier: Apache-2.0 */
/* work: what the jobs on a VM share: its row, its host, its domain */
#include "provision/work.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision/define.h"
#include "provision/link.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The collector answers in a few hundred milliseconds; one that does not live costs this
 * much. */
#define SAMPLE_WAIT_NS (2 * NS_PER_S)
#define SAMPLE_LOOK_NS (50 * NS_PER_MS)
#define STOP_LOOK_NS NS_PER_S

void
work_done(struct work *w)
{
	rows_free(w->row);
	link_give(w->hv);
	w->row = NULL;
	w->hv = NULL;
}

const char *
work_column(const struct work *w, const char *name)
{
	for (size_t i = 0; i < rows_columns(w->row); i++)
		if (strcmp(rows_column_name(w->row, i), name) == 0)
			return rows_text(w->row, 0, i);
	abort(); /* our own statement */
}

int64_t
work_column_i64(const struct work *w, const char *name)
{
	const char *text = work_column(w, name);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static bool
row_read(struct work *w, const char *uuid, struct err *e)
{
	struct rows *r = NULL;

	if (!db_query(w->job->db, STMT_VM_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0) {
		rows_free(r);
		return err_set(e, ERR_NOT_FOUND, "no virtual machine %s", uuid);
	}
	rows_free(w->row);
	w->row = r;
	vm_from_row(&w->vm, r, 0);
	w->vm.host_id = work_column_i64(w, "host_id");
	w->removed = work_column(w, "removed") != NULL;
	return true;
}

bool
work_find_any(struct work *w, struct job *j, struct err *e)
{
	w->job = j;
	return row_read(w, j->object_uuid, e);
}

bool
work_find_uuid(struct work *w, struct job *j, const char *uuid, struct err *e)
{
	w->job = j;
	if (!row_read(w, uuid, e))
		return false;
	return !w->removed ||
	    err_set(e, ERR_NOT_FOUND, "the virtual machine %s is destroyed", w->vm.name);
}

bool
work_find(struct work *w, struct job *j, struct err *e)
{
	return work_find_uuid(w, j, j->object_uuid, e);
}

bool
work_reload(struct work *w, struct err *e)
{
	bool simulated = w->vm.simulated;

	if (!row_read(w, w->vm.uuid, e))
		return false;
	w->vm.simulated = simulated;
	return true;
}

bool
work_connect(struct work *w, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (w->hv != NULL)
		return true;
	if (!db_query(w->job->db, STMT_HOST_LIST, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		if (rows_i64(r, i, 0) != w->vm.host_id)
			continue;
		(void)snprintf(w->host_uuid, sizeof(w->host_uuid), "%s",
		    rows_text(r, i, 1));
		(void)snprintf(w->host_name, sizeof(w->host_name), "%s",
		    rows_text(r, i, 3));
		(void)snprintf(w->domain_type, sizeof(w->domain_type), "%.7s",
		    rows_text(r, i, 7));
		w->vm.simulated = rows_bool(r, i, 5);
		return link_take(&w->hv, rows_text(r, i, 4), e) ||
		    err_wrap(e, "host %s", w->host_name);
	}
	return err_set(e, ERR_CONFLICT,
	    "%s is on no host: start it again, so that one is chosen", w->vm.name);
}

bool
work_domain(struct work *w, struct hv_domain *d, struct err *e)
{
	bool ok = hv_domain_get(w->hv, w->vm.uuid, d, e);

	w->epoch[0] = '\0';
	if (ok && d->id >= 0)
		(void)snprintf(w->epoch, sizeof(w->epoch), "%s/%lld", w->host_uuid,
		    (long long)d->id);
	return ok;
}

bool
work_stopped(struct work *w, bool *stopped, struct err *e)
{
	struct hv_domain d = { .name = NULL };

	if (!work_domain(w, &d, e))
		return false;
	*stopped = d.state == HV_STOPPED;
	hv_domain_done(&d);
	return true;
}

bool
work_transaction(struct work *w, db_work work, struct err *e)
{
	return job_transaction(w->job, work, w, e);
}

static bool
sample_ask(struct work *w, const char *key, struct err *e)
{
	char now[CLOCK_TEXT_MAX];

	return job_note(w->job, key, instant_text(clock_now(), now), e) &&
	    db_run(w->job->db, STMT_NOTIFY, DB_ARGS("jeoul_sample", w->vm.uuid), NULL, e);
}

bool
work_sampled(struct work *w, const char *key, bool *ready, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct instant asked;

	*ready = false;
	if (!job_noted_at(w->job, key, &asked))
		return sample_ask(w, key, e) &&
		    job_again(w->job, "waiting for a last sample", SAMPLE_LOOK_NS);
	if (!db_query(w->job->db, STMT_VM_SAMPLED,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id),
		    DB_INSTANT(asked)),
		&r, e))
		return false;
	*ready = rows_bool(r, 0, 0) || clock_now().ns - asked.ns > SAMPLE_WAIT_NS;
	return *ready || job_again(w->job, "waiting for a last sample", SAMPLE_LOOK_NS);
}

static bool
state_write(struct db *db, const struct work *w, const char *state, const char *epoch,
    struct err *e)
{
	return db_run(db, STMT_VM_DESIRE,
		   DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id), state), NULL,
		   e) &&
	    vm_state_set(db, &w->vm, state, w->at, epoch, NULL, e);
}

bool
write_started(struct db *db, void *work, struct err *e)
{
	struct work *w = work;

	return vm_running_open(db, &w->vm, w->at, w->reason, e) &&
	    state_write(db, w, "Running", w->epoch, e);
}

bool
write_stopped(struct db *db, void *work, struct err *e)
{
	struct work *w = work;

	return vm_running_close(db, &w->vm, w->at, w->reason, e) &&
	    vm_release(db, &w->vm, e) && state_write(db, w, "Stopped", NULL, e);
}

bool
work_start(struct work *w, const char *reason, struct err *e)
{
	struct hv_domain d = { .name = NULL };

	job_step(w->job, "starting");
	if (!work_domain(w, &d, e))
		return false;
	if (d.state == HV_STOPPED) {
		hv_domain_done(&d);
		if (!hv_start(w->hv, w->vm.uuid, e) || !work_domain(w, &d, e))
			return false;
	}
	hv_domain_done(&d);
	w->at = clock_now();
	w->reason = reason;
	return work_transaction(w, write_started, e);
}

static bool
write_grown(struct db *db, void *work, struct err *e)
{
	struct work *w = work;
	int64_t vcpus = work_column_i64(w, "next_vcpus");
	int64_t memory = work_column_i64(w, "next_memory_bytes");

	return vm_resized(db, &w->vm, vcpus != 0 ? vcpus : w->vm.vcpus,
		   memory != 0 ? memory : w->vm.memory_bytes, w->at, e) &&
	    db_run(db, STMT_VM_SIZE_TAKEN,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), NULL, e);
}

/* What stopped gave its room back: others may have it now. */
static bool
room_take(struct work *w, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(w->job->db, STMT_VM_HOLD,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id),
		    DB_NUMBER(w->vm.host_id), DB_NUMBER(w->vm.vcpus),
		    DB_NUMBER(w->vm.memory_bytes), "f"),
		&r, e))
		return false;
	return rows_count(r) > 0 ||
	    err_set(e, ERR_LIMIT,
		"host %s, which has the disks of %s, has no room for %lld virtual CPUs "
		"and %lld MiB, or is in maintenance: stop or move other machines",
		w->host_name, w->vm.name, (long long)w->vm.vcpus,
		(long long)(w->vm.memory_bytes >> 20));
}

bool
work_start_anew(struct work *w, const char *reason, struct err *e)
{
	struct err why = ERR_INIT;
	bool stopped = true;
	bool ready = true;

	if (w->vm.adopted)
		return work_start(w, reason, e); /* it ran there before it was ours */
	if (!work_stopped(w, &stopped, &why) && why.kind != ERR_NOT_FOUND) {
		*e = why;
		return false;
	}
	w->at = clock_now();
	if (stopped &&
	    (work_column(w, "next_vcpus") != NULL ||
		work_column(w, "next_memory_bytes") != NULL) &&
	    (!work_transaction(w, write_grown, e) || !work_reload(w, e)))
		return false;
	if (stopped && (!room_take(w, e) || !define_vm(w, &ready, e)))
		return false;
	return !ready || work_start(w, reason, e);
}

/* ---- stopping */

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

bool
work_stop_turn(struct work *w, bool forced, bool *ended, struct err *e)
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
work_no_snapshots(struct work *w, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (w->row == NULL)
		return true;
	if (!db_query(w->job->db, STMT_VM_SNAPSHOTS_COUNT,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &r, e))
		return false;
	return rows_i64(r, 0, 0) == 0 ||
	    err_set(e, ERR_CONFLICT,
		"there are snapshots of %s, which hold on to its disks: delete them "
		"first",
		w->vm.name);
}

char *
work_backup_xml(struct work *w, const char *target, const char *path, struct err *e)
{
	struct domain_found found;
	const char *others[XML_DISKS_MOST];
	size_t count = 0;
	char *xml = NULL;
	bool ok = hv_domain_xml(w->hv, w->vm.uuid, &xml, e) &&
	    domain_read(&found, xml, e);

	free(xml);
	if (!ok)
		return NULL;
	for (size_t i = 0; i < found.disk_count; i++)
		if (strcmp(found.disks[i].target, target) != 0)
			others[count++] = found.disks[i].target;
	return backup_xml(target, path, others, count);
}
