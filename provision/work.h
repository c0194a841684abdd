/* SPDX-License-Identifier: Apache-2.0 */
/* work: what the jobs on a VM share: its row, its host, its domain */
#pragma once
#include "provision/hv.h"
#include "provision/job.h"
#include "provision/vm.h"

struct work {
	struct job *job;
	struct vm vm;
	struct rows *row; /* of the statement vm_by_uuid */
	struct hv *hv;    /* borrowed */
	char host_uuid[HV_UUID_MAX];
	char host_name[128];
	char domain_type[8];
	bool removed;       /* lies in the bin */
	const char *reason; /* of the intervals that are opened or closed */
	struct instant at;  /* when that was */
	char epoch[96];     /* of the run that domain_now() saw; "": none */
};

must_check bool work_find(struct work *w, struct job *j, struct err *e);
/* Also one in the bin. */
must_check bool work_find_any(struct work *w, struct job *j, struct err *e);
/* By another uuid than the job's own object. */
must_check bool work_find_uuid(struct work *w, struct job *j, const char *uuid,
    struct err *e);
/* Borrows a connection to its host; ERR_CONFLICT when it is on none. */
must_check bool work_connect(struct work *w, struct err *e);
/* To be called in any case, also after a failure. */
void work_done(struct work *w);
/* Of the row: NULL is SQL's null. */
const char *work_column(const struct work *w, const char *name);
int64_t work_column_i64(const struct work *w, const char *name);

must_check bool work_domain(struct work *w, struct hv_domain *d, struct err *e);
must_check bool work_stopped(struct work *w, bool *stopped, struct err *e);
must_check bool work_transaction(struct work *w, db_work work, struct err *e);

/*
 * Asks the collector for a last look: what is not sampled before a run ends is lost.
 * *ready false: return at once, the job has been told to wait for the answer.  key: a
 * name for this look, as a job may want more than one.
 */
must_check bool work_sampled(struct work *w, const char *key, bool *ready, struct err *e);

/* For db_transaction: the end and the begin of a run, with its state and desired state.
 */
must_check bool write_stopped(struct db *db, void *work, struct err *e);
must_check bool write_started(struct db *db, void *work, struct err *e);
/* Running after this, by us or already; the instant is libvirt's success. */
must_check bool work_start(struct work *w, const char *reason, struct err *e);
/* The same, first defined anew and with the size that waits for it, if it does not run;
 * may tell the job to come again. */
must_check bool work_start_anew(struct work *w, const char *reason, struct err *e);
/* Reads the row again after it was changed. */
must_check bool work_reload(struct work *w, struct err *e);
/*
 * A turn of stopping: asks the guest, waits for it in turns, cuts its power when its time
 * is over, or with forced at once.  *ended with w->at, or the job has been told to come
 * again.
 */
must_check bool work_stop_turn(struct work *w, bool forced, bool *ended, struct err *e);
/* ERR_CONFLICT while there are snapshots of the whole VM, which hold on to its disks. */
must_check bool work_no_snapshots(struct work *w, struct err *e);
/* For a copy of one disk of the running domain; NULL with an error.  Caller frees. */
char *work_backup_xml(struct work *w, const char *target, const char *path,
    struct err *e) must_check;
