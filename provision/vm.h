/* SPDX-License-Identifier: Apache-2.0 */
/* vm: a virtual machine's rows, and the lifetimes that change with them */
#pragma once
#include "base/clock.h"
#include "base/db.h"
#include "base/err.h"
#include "provision/domain_xml.h"
#include "provision/hv.h"

struct vm {
	int64_t account_id, id, host_id, offering_id, template_id; /* 0: none */
	char uuid[HV_UUID_MAX];
	char name[128];
	char state[16];
	char desired[16];
	char epoch[96];
	bool adopted, busy, simulated;
	bool holds; /* room on its host */
	int64_t vcpus, memory_bytes;
};

/* A row of the statements vm_of_host and vm_by_uuid. */
void vm_from_row(struct vm *v, const struct rows *r, size_t row);

/* All of these are to be called inside a transaction. */
must_check bool vm_running_open(struct db *db, const struct vm *v, struct instant at,
    const char *reason, struct err *e);
/*
 * Room on its host: held by force (it runs there, whatever was promised) or given back.
 * vm_running_open() holds, vm_ended() gives back, a resize of what is held holds anew.
 */
must_check bool vm_hold(struct db *db, const struct vm *v, struct err *e);
must_check bool vm_release(struct db *db, const struct vm *v, struct err *e);
must_check bool vm_running_close(struct db *db, const struct vm *v, struct instant at,
    const char *reason, struct err *e);
must_check bool vm_allocated_open(struct db *db, const struct vm *v, struct instant at,
    const char *reason, struct err *e);
/* A resize seen: ends and begins both intervals at the same instant. */
must_check bool vm_resized(struct db *db, struct vm *v, int64_t vcpus,
    int64_t memory_bytes, struct instant at, struct err *e);
/*
 * Its intervals, cards and disks end; the row says state (Destroyed or Error).  expunged:
 * nothing is left of it on a host; else it lies in the bin, from where it can come back.
 */
must_check bool vm_ended(struct db *db, const struct vm *v, const char *state,
    struct instant at, struct instant running_until, bool expunged, const char *reason,
    struct err *e);
must_check bool vm_state_set(struct db *db, const struct vm *v, const char *state,
    struct instant at, const char *epoch, const char *error, struct err *e);

struct volume_want {
	const char *uuid; /* NULL: one is made */
	const char *name, *target, *kind, *pool, *path, *format, *file, *state;
	int64_t pool_id;    /* 0: none of ours */
	int64_t size_bytes; /* 0: not known yet, no interval is opened */
};
/* With its interval, unless its state is "Creating". */
must_check bool vm_volume_add(struct db *db, const struct vm *v,
    const struct volume_want *w, struct instant at, const char *reason, struct err *e);
/* A size that was not known at first: billed from the instant `since` on. */
must_check bool vm_volume_sized(struct db *db, const struct vm *v, int64_t volume_id,
    const struct volume_want *w, struct instant since, struct err *e);
/* network_id 0: the one of that libvirt name, if we know it. */
must_check bool vm_nic_add(struct db *db, const struct vm *v, const char *mac,
    const char *network, int64_t network_id, const char *tap, struct instant at,
    struct err *e);

/*
 * The interval of something that is not a VM: a volume, a snapshot, an image.  vm_id and
 * host_id 0: of none.
 */
struct thing {
	int64_t account_id, id, vm_id, host_id;
	const char *uuid, *name;
	int64_t size_bytes;
	bool simulated;
};
must_check bool thing_open(struct db *db, const struct thing *t, const char *kind,
    struct instant at, const char *reason, struct err *e);
must_check bool thing_close(struct db *db, int64_t account_id, int64_t id,
    const char *kind, struct instant at, const char *reason, struct err *e);

/* The last instant at which it is known to have run, for one that ended unseen. */
must_check bool vm_last_proof(struct db *db, const struct vm *v, struct instant *at,
    struct err *e);

void event_note(struct db *db, int64_t account_id, const char *kind, const char *uuid,
    const char *fmt, ...) printf_like(5, 6);

/* A random (version 4) uuid. */
void uuid_make(char out[HV_UUID_MAX]);
