/* SPDX-License-Identifier: Apache-2.0 */
/* job: long work, claimed from the table `job` and carried out step by step */
#pragma once
#include "base/conf.h"
#include "base/db.h"
#include "base/json.h"
#include "provision/hv.h"

struct job {
	int64_t id, account_id, attempt;
	char uuid[HV_UUID_MAX];
	char command[64];
	char object_uuid[HV_UUID_MAX];
	struct json *request;
	const struct conf *conf;
	struct db *db;
};

/* What this worker (or, with -1, this machine's earlier life) left half done starts over.
 */
must_check bool job_reclaim(struct db *db, int worker, struct err *e);
/* Claims one job for worker 0, 1, ... and carries it out; *any false: there was none. */
must_check bool job_run_one(struct db *db, const struct conf *conf, int worker, bool *any,
    struct err *e);
/* Notes the step that comes, before it is done. */
void job_step(struct job *j, const char *step);
/* A text of the request, or NULL. */
const char *job_text(const struct job *j, const char *key);

/* vm_job.c: the life of a VM; each looks before it acts, and may be run again after a
 * kill. */
must_check bool job_vm_deploy(struct job *j, struct err *e);
must_check bool job_vm_start(struct job *j, struct err *e);
must_check bool job_vm_stop(struct job *j, struct err *e);
must_check bool job_vm_reboot(struct job *j, struct err *e);
must_check bool job_vm_destroy(struct job *j, struct err *e);
must_check bool job_vm_assign(struct job *j, struct err *e);
