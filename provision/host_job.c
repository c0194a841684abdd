/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of hosts: registered, taken out, drained for maintenance. */
#include "base/log.h"
#include "provision/host.h"
#include "provision/job.h"
#include "provision/vm.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_LOOK_NS NS_PER_S
#define DRAIN_MOST_NS (900 * NS_PER_S)

bool
job_host_add(struct job *j, struct err *e)
{
	const char *uri = job_text(j, "url");
	const char *name = job_text(j, "name");
	char uuid[HV_UUID_MAX];

	if (uri == NULL)
		uri = job_text(j, "uri");
	if (uri == NULL)
		return err_set(e, ERR_INPUT, "addHost: the url is missing");
	memcpy(uuid, j->object_uuid, sizeof(uuid));
	job_step(j, "connecting");
	return host_add(j->db, j->conf,
	    &(struct host_place){ .zone_uuid = job_text(j, "zoneid"),
		.cluster_uuid = job_text(j, "clusterid"),
		.tags = job_text(j, "hosttags") },
	    uri, name != NULL && name[0] != '\0' ? name : uri, uuid, e);
}

struct found_host {
	int64_t id, account_id;
	char name[128];
	const char *state;
};

static bool
find(struct job *j, struct found_host *h, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(j->db, STMT_HOST_LIST, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		if (strcmp(rows_text(r, i, 1), j->object_uuid) != 0)
			continue;
		h->id = rows_i64(r, i, 0);
		h->account_id = rows_i64(r, i, 2);
		(void)snprintf(h->name, sizeof(h->name), "%s", rows_text(r, i, 3));
		return true;
	}
	return err_set(e, ERR_NOT_FOUND, "no host %s", j->object_uuid);
}

/* Adopted guests run on but are ours no more; our own would be lost from sight. */
static bool
vms_leave(struct db *db, const struct found_host *h, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct instant now = clock_now();

	if (!db_query(db, STMT_VM_OF_HOST, DB_ARGS(DB_NUMBER(h->id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct vm v;
		vm_from_row(&v, r, i);
		if (v.adopted &&
		    !vm_ended(db, &v, "Destroyed", now, now, true, "host removed", e))
			return false;
	}
	return true;
}

static bool
write_deleted(struct db *db, void *context, struct err *e)
{
	const struct found_host *h = context;
	uint64_t done = 0;

	if (!db_run(db, STMT_HOST_HOLD, DB_ARGS(DB_NUMBER(h->id)), NULL, e) ||
	    !vms_leave(db, h, e) ||
	    !db_run(db, STMT_HOST_REMOVE,
		DB_ARGS(DB_NUMBER(h->id), DB_INSTANT(clock_now())), &done, e))
		return false;
	if (done == 0)
		return err_set(e, ERR_CONFLICT,
		    "host %s still has virtual machines of ours, or disks and snapshots: "
		    "destroy them first",
		    h->name);
	return db_run(db, STMT_POOLS_OF_HOST_REMOVE,
		   DB_ARGS(DB_NUMBER(h->id), DB_INSTANT(clock_now())), NULL, e) &&
	    db_run(db, STMT_HOST_HISTORY_END,
		DB_ARGS(DB_NUMBER(h->id), DB_INSTANT(clock_now())), NULL, e) &&
	    db_run(db, STMT_LIFETIME_CLOSE,
		DB_ARGS(DB_NUMBER(h->account_id), DB_NUMBER(h->id), "host",
		    DB_INSTANT(clock_now()), "removed"),
		NULL, e);
}

bool
job_host_delete(struct job *j, struct err *e)
{
	struct found_host h = { .id = 0 };

	return find(j, &h, e) && job_transaction(j, write_deleted, &h, e);
}

/* ---- maintenance */

static bool
write_state(struct db *db, void *context, struct err *e)
{
	const struct found_host *h = context;

	return db_run(db, STMT_HOST_RESOURCE_STATE, DB_ARGS(DB_NUMBER(h->id), h->state),
	    NULL, e);
}

static bool
state_set(struct job *j, struct found_host *h, const char *state, struct err *e)
{
	h->state = state;
	return job_transaction(j, write_state, h, e);
}

/* Who still runs there; those that can move are asked to, once. */
static bool
drain_turn(struct job *j, struct found_host *h, size_t *left, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(j->db, STMT_HOST_HELD, DB_ARGS(DB_NUMBER(h->id)), &r, e))
		return false;
	*left = rows_count(r);
	for (size_t i = 0; i < *left; i++)
		if (rows_bool(r, i, 2) && /* nobody works on it, it was not tried yet */
		    !db_run(j->db, STMT_JOB_OWN,
			DB_ARGS(rows_text(r, i, 0), "migrateVirtualMachine", "vm",
			    rows_text(r, i, 1), "{\"reason\": \"maintenance\"}"),
			NULL, e))
			return false;
	return *left == 0 ||
	    db_run(j->db, STMT_NOTIFY, DB_ARGS("jeoul_job", ""), NULL, e);
}

static bool
drain_failed(struct job *j, struct found_host *h, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct err why = ERR_INIT;

	if (!db_query(j->db, STMT_HOST_STAYS, DB_ARGS(DB_NUMBER(h->id)), &r, e))
		return false;
	(void)err_set(&why, ERR_CONFLICT,
	    "host %s: %s machine%s could not be moved: %s: stop or move %s, then ask "
	    "again",
	    h->name, rows_text(r, 0, 0), strcmp(rows_text(r, 0, 0), "1") == 0 ? "" : "s",
	    rows_text(r, 0, 1) != NULL ? rows_text(r, 0, 1) : "",
	    strcmp(rows_text(r, 0, 0), "1") == 0 ? "it" : "them");
	if (!state_set(j, h, "ErrorInPrepareForMaintenance", e))
		return false;
	*e = why;
	return false;
}

bool
job_host_maintain(struct job *j, struct err *e)
{
	struct found_host h = { .id = 0 };
	scoped(rows_clear) struct rows *r = NULL;
	struct instant begun;
	char now[CLOCK_TEXT_MAX];
	size_t left = 0;

	if (!find(j, &h, e))
		return false;
	if (!job_noted_at(j, "begun", &begun)) {
		begun = clock_now();
		if (!job_note(j, "begun", instant_text(begun, now), e) ||
		    !state_set(j, &h, "PrepareForMaintenance", e))
			return false;
	}
	if (!drain_turn(j, &h, &left, e))
		return false;
	if (left == 0)
		return state_set(j, &h, "Maintenance", e);
	if (!db_query(j->db, STMT_HOST_MOVING, DB_ARGS(DB_NUMBER(h.id)), &r, e))
		return false;
	if (rows_i64(r, 0, 0) == 0 || clock_now().ns - begun.ns > DRAIN_MOST_NS)
		return drain_failed(j, &h, e);
	return job_again(j, "waiting for its machines to leave", DRAIN_LOOK_NS);
}

bool
job_host_use(struct job *j, struct err *e)
{
	struct found_host h = { .id = 0 };

	return find(j, &h, e) && state_set(j, &h, "Enabled", e);
}
