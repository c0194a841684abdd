/* SPDX-License-Identifier: Apache-2.0 */
/* work: what the jobs on a VM share: its row, its host, its domain */
#include "provision/work.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision/link.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The collector answers in a few hundred milliseconds; one that does not live costs this
 * much. */
#define SAMPLE_WAIT_NS (2 * NS_PER_S)
#define SAMPLE_LOOK_NS (50 * NS_PER_MS)

void
work_done(struct work *w)
{
	rows_free(w->row);
	link_give(w->vm.host_id, w->hv);
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

bool
work_find(struct work *w, struct job *j, struct err *e)
{
	w->job = j;
	if (!db_query(j->db, STMT_VM_BY_UUID, DB_ARGS(j->object_uuid), &w->row, e))
		return false;
	if (rows_count(w->row) == 0)
		return err_set(e, ERR_NOT_FOUND, "no virtual machine %s", j->object_uuid);
	vm_from_row(&w->vm, w->row, 0);
	w->vm.host_id = work_column_i64(w, "host_id");
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
		return link_take(&w->hv, w->vm.host_id, rows_text(r, i, 4), e) ||
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
	    state_write(db, w, "Stopped", NULL, e);
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
