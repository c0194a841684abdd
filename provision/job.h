/* SPDX-License-Identifier: Apache-2.0 */
/* job: long work, claimed from the table `job` and carried out step by step */
#pragma once
#include "base/conf.h"
#include "base/db.h"
#include "base/json.h"
#include "provision/hv.h"

struct job {
	int64_t id, account_id, attempt, turn;
	char uuid[HV_UUID_MAX];
	char command[64];
	char object_uuid[HV_UUID_MAX];
	struct json *request;
	struct json *notes; /* of earlier turns */
	const struct conf *conf;
	struct db *db;
	int64_t again_ns; /* not 0: it waits, and wants its next turn after that */
	const char *again_step;
	char result_uuid[HV_UUID_MAX]; /* what the answer shows; "": the object */
	char *result;   /* an answer of its own: JSON; freed by the engine */
	bool once;      /* silence of the other side is an answer: no second try */
	bool overtaken; /* another worker has it: this one must touch nothing more */
};

/* What this worker (or, with -1, this machine's earlier life) left half done starts over.
 */
must_check bool job_reclaim(struct db *db, int worker, struct err *e);
/* Claims one job for worker 0, 1, ... and carries it out; *any false: there was none. */
must_check bool job_run_one(struct db *db, const struct conf *conf, int worker, bool *any,
    struct err *e);
/* How long until a job is due, at most most_ms; when the database is away: most_ms. */
int64_t job_next_ms(struct db *db, int64_t most_ms);
/* Notes the step that comes, before it is done. */
void job_step(struct job *j, const char *step);
/* A text of the request, or NULL. */
const char *job_text(const struct job *j, const char *key);
bool job_true(const struct job *j, const char *key);

/*
 * Waiting is a state of the job, not of a thread: `return job_again(j, "waiting for x",
 * ns)` ends this turn without an end of the job.  It is taken up again after that time,
 * or earlier when libvirt says something about its object; it then looks where it is.
 */
bool job_again(struct job *j, const char *step, int64_t after_ns);
/* Kept for later turns, also after a kill.  ERR_CONFLICT: another worker has the job. */
must_check bool job_note(struct job *j, const char *key, const char *value,
    struct err *e);
/* A note of an earlier turn, or NULL. */
const char *job_noted(const struct job *j, const char *key);
/* A noted instant; false: not noted. */
bool job_noted_at(const struct job *j, const char *key, struct instant *at);

/*
 * The other side does not answer now, but may soon: the engine lets the job come again,
 * so nothing may be undone yet.  False after a minute of that, and for all other errors.
 */
bool job_may_retry(struct job *j, const struct err *why);

/*
 * A transaction that writes nothing when another worker has taken the job over: a worker
 * that was stuck in a call for minutes must not undo what was done meanwhile.
 */
must_check bool job_transaction(struct job *j, db_work work, void *context,
    struct err *e);

/* host_job.c */
must_check bool job_host_add(struct job *j, struct err *e);
must_check bool job_host_delete(struct job *j, struct err *e);
must_check bool job_host_maintain(struct job *j, struct err *e);
must_check bool job_host_use(struct job *j, struct err *e);
/* vm_job.c: the life of a VM; each looks before it acts, and may be run again after a
 * kill. */
must_check bool job_vm_deploy(struct job *j, struct err *e);
must_check bool job_vm_start(struct job *j, struct err *e);
must_check bool job_vm_stop(struct job *j, struct err *e);
must_check bool job_vm_reboot(struct job *j, struct err *e);
must_check bool job_vm_destroy(struct job *j, struct err *e);
must_check bool job_vm_recover(struct job *j, struct err *e);
must_check bool job_vm_expunge(struct job *j, struct err *e);
/* vm_change_job.c */
must_check bool job_vm_suspend(struct job *j, struct err *e);
must_check bool job_vm_resume(struct job *j, struct err *e);
must_check bool job_vm_reset(struct job *j, struct err *e);
must_check bool job_vm_scale(struct job *j, struct err *e);
must_check bool job_console_log(struct job *j, struct err *e);
must_check bool job_iso_attach(struct job *j, struct err *e);
must_check bool job_iso_detach(struct job *j, struct err *e);
must_check bool job_vm_rescue(struct job *j, struct err *e);
must_check bool job_vm_unrescue(struct job *j, struct err *e);
/* volume_job.c */
must_check bool job_volume_create(struct job *j, struct err *e);
must_check bool job_volume_attach(struct job *j, struct err *e);
must_check bool job_volume_detach(struct job *j, struct err *e);
must_check bool job_volume_resize(struct job *j, struct err *e);
must_check bool job_volume_delete(struct job *j, struct err *e);
/* move_job.c, move_disk.c */
must_check bool job_vm_migrate(struct job *j, struct err *e);
must_check bool job_host_tidy(struct job *j, struct err *e);
/* nic_job.c */
must_check bool job_nic_add(struct job *j, struct err *e);
must_check bool job_nic_remove(struct job *j, struct err *e);
/* snapshot_job.c */
must_check bool job_snapshot_create(struct job *j, struct err *e);
must_check bool job_snapshot_revert(struct job *j, struct err *e);
must_check bool job_snapshot_delete(struct job *j, struct err *e);
must_check bool job_vm_snapshot_create(struct job *j, struct err *e);
must_check bool job_vm_snapshot_revert(struct job *j, struct err *e);
must_check bool job_vm_snapshot_delete(struct job *j, struct err *e);
/* image_job.c */
must_check bool job_template_create(struct job *j, struct err *e);
must_check bool job_template_register(struct job *j, struct err *e);
must_check bool job_template_delete(struct job *j, struct err *e);
/* vm_job.c */
must_check bool job_vm_assign(struct job *j, struct err *e);
