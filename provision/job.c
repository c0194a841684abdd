/* SPDX-License-Identifier: Apache-2.0 */
/* job: long work, claimed from the table `job` and carried out step by step */
#include "provision/job.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision/vm.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *
holder_name(int worker, char out[128])
{
	char name[65] = "localhost";

	if (gethostname(name, sizeof(name) - 1) != 0)
		name[0] = '\0';
	(void)snprintf(out, 128, "provision@%s/", name);
	if (worker >= 0)
		(void)snprintf(out + strlen(out), 128 - strlen(out), "%d", worker);
	return out;
}

const char *
job_text(const struct job *j, const char *key)
{
	return json_text(json_get(json_root(j->request), key));
}

bool
job_true(const struct job *j, const char *key)
{
	const char *text = job_text(j, key);

	return json_bool(json_get(json_root(j->request), key), false) ||
	    (text != NULL && strcasecmp(text, "true") == 0);
}

void
job_step(struct job *j, const char *step)
{
	struct err e = ERR_INIT;

	/* The step is for people and for the lease; the work itself looks before it acts.
	 */
	if (!db_run(j->db, STMT_JOB_STEP,
		DB_ARGS(DB_NUMBER(j->id), DB_NUMBER(j->turn), step), NULL, &e))
		log_warning("job %s: %s", j->uuid, e.text);
}

bool
job_again(struct job *j, const char *step, int64_t after_ns)
{
	j->again_ns = after_ns;
	j->again_step = step;
	return true;
}

static bool
overtaken(struct job *j, struct err *e)
{
	j->overtaken = true;
	return err_set(e, ERR_CONFLICT, "job %s was taken over by another worker",
	    j->uuid);
}

bool
job_note(struct job *j, const char *key, const char *value, struct err *e)
{
	uint64_t done = 0;

	return db_run(j->db, STMT_JOB_NOTE,
		   DB_ARGS(DB_NUMBER(j->id), DB_NUMBER(j->turn), key, value), &done, e) &&
	    (done == 1 || overtaken(j, e));
}

const char *
job_noted(const struct job *j, const char *key)
{
	return json_text(json_get(json_root(j->notes), key));
}

bool
job_noted_at(const struct job *j, const char *key, struct instant *at)
{
	const char *text = job_noted(j, key);
	struct err ignored = ERR_INIT;

	return text != NULL && instant_parse(at, text, &ignored);
}

/* A libvirtd that was restarted answers again after two seconds; a guest that is busy
 * with a migration or a snapshot after some more. */
#define RETRY_MOST_NS (60 * NS_PER_S)
#define RETRY_EVERY_NS (NS_PER_S)

bool
job_may_retry(struct job *j, const struct err *why)
{
	struct instant since;

	if (j->once || j->overtaken || (why->kind != ERR_GONE && why->kind != ERR_AGAIN))
		return false;
	return !job_noted_at(j, "silent", &since) ||
	    clock_now().ns - since.ns < RETRY_MOST_NS;
}

static bool
retry_later(struct job *j, const struct err *why, struct err *e)
{
	char now[CLOCK_TEXT_MAX];

	log_info("job %s (%s): %s: trying again", j->uuid, j->command, why->text);
	if (job_noted(j, "silent") == NULL &&
	    !job_note(j, "silent", instant_text(clock_now(), now), e))
		return false;
	return job_again(j, "waiting for an answer", RETRY_EVERY_NS);
}

struct fenced {
	struct job *job;
	db_work work;
	void *context;
};

static bool
fenced_work(struct db *db, void *context, struct err *e)
{
	struct fenced *f = context;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_JOB_FENCE,
		DB_ARGS(DB_NUMBER(f->job->id), DB_NUMBER(f->job->turn)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return overtaken(f->job, e);
	return f->work(db, f->context, e);
}

bool
job_transaction(struct job *j, db_work work, void *context, struct err *e)
{
	struct fenced f = { .job = j, .work = work, .context = context };

	return db_transaction(j->db, fenced_work, &f, e);
}

struct job_kind {
	const char *command;
	bool (*run)(struct job *j, struct err *e);
	const char *event;
	const char *result; /* what the answer shows; NULL: only that it is done */
	bool once; /* somebody waits for the answer: a silent other side is one */
};

static const struct job_kind kinds[] = {
	{ "addHost", job_host_add, "HOST.ADD", "host", true },
	{ "deleteHost", job_host_delete, "HOST.DELETE", NULL, false },
	{ "prepareHostForMaintenance", job_host_maintain, "MAINT.PREPARE", "host",
	    false },
	{ "cancelHostMaintenance", job_host_use, "MAINT.CANCEL", "host", false },
	{ "deployVirtualMachine", job_vm_deploy, "VM.CREATE", "virtualmachine", false },
	{ "startVirtualMachine", job_vm_start, "VM.START", "virtualmachine", false },
	{ "stopVirtualMachine", job_vm_stop, "VM.STOP", "virtualmachine", false },
	{ "rebootVirtualMachine", job_vm_reboot, "VM.REBOOT", "virtualmachine", false },
	{ "suspendVirtualMachine", job_vm_suspend, "VM.SUSPEND", "virtualmachine",
	    false },
	{ "resumeVirtualMachine", job_vm_resume, "VM.RESUME", "virtualmachine", false },
	{ "resetVirtualMachine", job_vm_reset, "VM.RESET", "virtualmachine", false },
	{ "destroyVirtualMachine", job_vm_destroy, "VM.DESTROY", "virtualmachine",
	    false },
	{ "recoverVirtualMachine", job_vm_recover, "VM.RECOVER", "virtualmachine",
	    false },
	{ "expungeVirtualMachine", job_vm_expunge, "VM.EXPUNGE", NULL, false },
	{ "scaleVirtualMachine", job_vm_scale, "VM.UPGRADE", "virtualmachine", false },
	{ "changeServiceForVirtualMachine", job_vm_scale, "VM.UPGRADE", "virtualmachine",
	    false },
	{ "migrateVirtualMachine", job_vm_migrate, "VM.MIGRATE", "virtualmachine",
	    false },
	{ "tidyHost", job_host_tidy, "HOST.TIDY", NULL, false },
	{ "getConsoleLog", job_console_log, "VM.CONSOLE", NULL, false },
	{ "rescueVirtualMachine", job_vm_rescue, "VM.RESCUE", "virtualmachine", false },
	{ "unrescueVirtualMachine", job_vm_unrescue, "VM.UNRESCUE", "virtualmachine",
	    false },
	{ "attachIso", job_iso_attach, "ISO.ATTACH", "virtualmachine", false },
	{ "detachIso", job_iso_detach, "ISO.DETACH", "virtualmachine", false },
	{ "addNicToVirtualMachine", job_nic_add, "NIC.CREATE", "virtualmachine", false },
	{ "removeNicFromVirtualMachine", job_nic_remove, "NIC.DELETE", "virtualmachine",
	    false },
	{ "createVolume", job_volume_create, "VOLUME.CREATE", "volume", false },
	{ "attachVolume", job_volume_attach, "VOLUME.ATTACH", "volume", false },
	{ "detachVolume", job_volume_detach, "VOLUME.DETACH", "volume", false },
	{ "resizeVolume", job_volume_resize, "VOLUME.RESIZE", "volume", false },
	{ "deleteVolume", job_volume_delete, "VOLUME.DELETE", NULL, false },
	{ "destroyVolume", job_volume_delete, "VOLUME.DELETE", NULL, false },
	{ "createSnapshot", job_snapshot_create, "SNAPSHOT.CREATE", "snapshot", false },
	{ "revertSnapshot", job_snapshot_revert, "SNAPSHOT.REVERT", "snapshot", false },
	{ "deleteSnapshot", job_snapshot_delete, "SNAPSHOT.DELETE", NULL, false },
	{ "createVMSnapshot", job_vm_snapshot_create, "VMSNAPSHOT.CREATE", "vmsnapshot",
	    false },
	{ "revertToVMSnapshot", job_vm_snapshot_revert, "VMSNAPSHOT.REVERTTO",
	    "virtualmachine", false },
	{ "deleteVMSnapshot", job_vm_snapshot_delete, "VMSNAPSHOT.DELETE", NULL, false },
	{ "createTemplate", job_template_create, "TEMPLATE.CREATE", "template", false },
	{ "registerTemplate", job_template_register, "TEMPLATE.CREATE", "template",
	    false },
	{ "deleteTemplate", job_template_delete, "TEMPLATE.DELETE", NULL, false },
	{ "registerIso", job_template_register, "ISO.CREATE", "iso", false },
	{ "deleteIso", job_template_delete, "ISO.DELETE", NULL, false },
	{ "assignVirtualMachine", job_vm_assign, "VM.MOVE", "virtualmachine", false },
};

static const struct job_kind *
kind_of(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].command, command) == 0)
			return &kinds[i];
	return NULL;
}

/* CloudStack's numbers (cloudstack.md 1.6), so that every client understands them. */
static int
error_code(enum err_kind kind)
{
	switch (kind) {
	case ERR_INPUT:
	case ERR_NOT_FOUND:
		return 431;
	case ERR_DENIED:
		return 531;
	case ERR_LIMIT:
		return 533;
	case ERR_CONFLICT:
		return 536;
	case ERR_GONE:
	case ERR_AGAIN:
	case ERR_INTERNAL:
	case ERR_NONE:
	default:
		return 530;
	}
}

static bool
job_end(struct job *j, const struct job_kind *k, bool ok, const struct err *why,
    struct err *e)
{
	scoped_free char *result = k == NULL || k->result == NULL
	    ? mem_strdup("{}")
	    : mem_printf("{\"%s\":{\"id\":\"%s\"}}", k->result,
		  j->result_uuid[0] != '\0' ? j->result_uuid : j->object_uuid);
	char id[24];
	char turn[24];
	uint64_t done = 0;

	(void)db_number(j->id, id);
	(void)db_number(j->turn, turn);
	if (ok && j->again_ns != 0)
		return db_run(j->db, STMT_JOB_AGAIN,
		    DB_ARGS(id, turn, j->again_step, DB_NUMBER(j->again_ns / 1000)), NULL,
		    e);
	if (ok)
		return db_run(j->db, STMT_JOB_DONE,
		    DB_ARGS(id, turn, j->result != NULL ? j->result : result), NULL, e);
	if (!db_run(j->db, STMT_JOB_FAIL,
		DB_ARGS(id, turn, DB_NUMBER(error_code(why->kind)), why->text), &done, e))
		return false;
	if (done == 1)
		event_note(j->db, j->account_id, k != NULL ? k->event : "JOB",
		    j->object_uuid, "failed: %s", why->text);
	return true;
}

static bool
job_from_row(struct job *j, const struct rows *r, struct err *e)
{
	const char *request = rows_text(r, 0, 4);
	const char *notes = rows_text(r, 0, 8);

	j->id = rows_i64(r, 0, 0);
	(void)snprintf(j->uuid, sizeof(j->uuid), "%s", rows_text(r, 0, 1));
	(void)snprintf(j->command, sizeof(j->command), "%.60s", rows_text(r, 0, 2));
	(void)snprintf(j->object_uuid, sizeof(j->object_uuid), "%s", rows_text(r, 0, 3));
	j->attempt = rows_i64(r, 0, 5);
	j->account_id = rows_i64(r, 0, 6);
	j->turn = rows_i64(r, 0, 7);
	return json_parse(&j->request, request, strlen(request), e) &&
	    json_parse(&j->notes, notes, strlen(notes), e);
}

bool
job_reclaim(struct db *db, int worker, struct err *e)
{
	char holder[128];

	return db_run(db, STMT_JOB_RECLAIM, DB_ARGS(holder_name(worker, holder)), NULL,
	    e);
}

int64_t
job_next_ms(struct db *db, int64_t most_ms)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct err ignored = ERR_INIT;
	const char *text;
	int64_t ms;

	if (!db_query(db, STMT_JOB_NEXT, DB_NONE, &r, &ignored))
		return most_ms;
	text = rows_text(r, 0, 0);
	ms = text != NULL ? rows_i64(r, 0, 0) : most_ms;
	return ms < most_ms ? ms : most_ms;
}

bool
job_run_one(struct db *db, const struct conf *conf, int worker, bool *any, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct job j = { .db = db, .conf = conf };
	struct err why = ERR_INIT;
	const struct job_kind *k;
	char holder[128];
	bool ok;

	*any = false;
	if (!db_query(db, STMT_JOB_CLAIM, DB_ARGS(holder_name(worker, holder)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return true;
	*any = true;
	ok = job_from_row(&j, r, &why);
	k = kind_of(j.command);
	if (ok && k == NULL)
		ok = err_set(&why, ERR_INPUT, "nobody here knows how to do %s",
		    j.command);
	j.once = k != NULL && k->once;
	ok = ok && k != NULL && k->run(&j, &why);
	if (!ok && strncmp(why.text, "database", 8) != 0 && job_may_retry(&j, &why))
		ok = retry_later(&j, &why, e);
	json_free(j.request);
	json_free(j.notes);
	/* The database went away in the middle: the job stays ours and is taken up again.
	 */
	if (!ok && strncmp(why.text, "database", 8) == 0 && why.kind == ERR_GONE) {
		free(j.result);
		*e = why;
		return false;
	}
	ok = job_end(&j, k, ok, &why, e);
	free(j.result);
	return ok;
}
