/* SPDX-License-Identifier: Apache-2.0 */
/* volume: a disk's row, for the jobs that work on it */
#pragma once
#include "provision/job.h"
#include "provision/vm.h"

struct volume {
	int64_t account_id, id, vm_id, pool_id, host_id, size_bytes; /* 0: none */
	char uuid[HV_UUID_MAX], vm_uuid[HV_UUID_MAX];
	char name[256], target[16], kind[16], pool[64], file[128], format[16], state[24];
	char path[1024];
	char snapshot_uuid[HV_UUID_MAX];
	int64_t snapshot_pool_id;
	bool removed;
};

must_check bool volume_find(struct volume *v, struct db *db, const char *uuid,
    struct err *e);
/* Its interval: ended and begun again at the same instant, with what is true now. */
must_check bool volume_interval_turn(struct db *db, const struct volume *v,
    struct instant at, const char *reason, struct err *e);
must_check bool volume_state_set(struct db *db, const struct volume *v, const char *state,
    struct err *e);
/* A connection to a host that reaches its pool; of link_take(). */
must_check bool volume_connect(struct job *j, const struct volume *v, struct hv **hv,
    struct err *e);
