/* SPDX-License-Identifier: Apache-2.0 */
/* hv: a hypervisor as the provisioning core sees it; only hv_libvirt.c knows libvirt */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HV_UUID_MAX 37

enum hv_state { HV_STOPPED, HV_RUNNING, HV_PAUSED, HV_PAUSED_BY_FAULT };

struct hv_domain {
	char uuid[HV_UUID_MAX];
	char *name;
	int64_t id; /* of this run; -1 when it does not run */
	enum hv_state state;
	bool crashed;  /* why it is stopped */
	bool arriving; /* not yet here: its run is still the other host's */
	bool arrived;  /* its run began on another host */
	int vcpus;
	uint64_t memory_bytes;
};

struct hv_facts {
	char *capabilities; /* XML: the evidence of the socket count */
	char type[16];      /* "QEMU", "TEST", ... */
	char libvirt_version[32];
	char hv_version[32];
	uint64_t memory_bytes;
};

/*
 * One connection; the calls may come from any thread.  A connection that breaks gives
 * ERR_GONE from then on: close it and open another.
 */
struct hv;

/* What an event says beside "look at it". */
enum hv_change {
	HV_CHANGED,
	HV_STARTED,
	HV_LEFT, /* its run goes on elsewhere */
};
/* Called from libvirt's event thread: a domain started, stopped, ... at about `at`. */
typedef void (
    *hv_event)(void *context, const char *uuid, struct instant at, enum hv_change change);

/* Once per process: the thread that runs libvirt's events and keep-alive. */
must_check bool hv_init(struct err *e);
must_check bool hv_open(struct hv **out, const char *uri, hv_event event, void *context,
    struct err *e);
void hv_close(struct hv *hv); /* NULL is fine */
bool hv_alive(struct hv *hv); /* false: the connection broke */
const char *hv_uri(const struct hv *hv);

must_check bool hv_facts(struct hv *hv, struct hv_facts *out, struct err *e);
void hv_facts_done(struct hv_facts *f);

/* All domains, defined or running.  One that can't be read is left out, its trouble
 * logged. */
must_check bool hv_domains(struct hv *hv, struct hv_domain **list, size_t *count,
    struct err *e);
void hv_domains_free(struct hv_domain *list, size_t count);
must_check bool hv_domain_get(struct hv *hv, const char *uuid, struct hv_domain *out,
    struct err *e);
void hv_domain_done(struct hv_domain *d);
/* Caller frees. */
must_check bool hv_domain_xml(struct hv *hv, const char *uuid, char **xml, struct err *e);

/*
 * Asks the agent in a guest for all that it tells, where one has opened its channel and
 * the control channel is idle (*there; what was told is in out).  Each of its answers may
 * take wait_s; an agent that lets that pass is ERR_LIMIT.
 */
struct guest_facts;
must_check bool hv_agent_ask(struct hv *hv, const char *uuid, int wait_s, bool *there,
    struct guest_facts *out, struct err *e);

/*
 * The size of a disk as the guest sees it, which needs no right on the file.  ERR_AGAIN
 * while the guest's control channel is taken: what then asks would hang with it.
 */
must_check bool hv_disk_size(struct hv *hv, const char *uuid, const char *target,
    int64_t *bytes, struct err *e);

/* Makes it or replaces its definition; a running one changes at its next start. */
must_check bool hv_define(struct hv *hv, const char *xml, struct err *e);
must_check bool hv_undefine(struct hv *hv, const char *uuid, struct err *e);
must_check bool hv_start(struct hv *hv, const char *uuid, struct err *e);
must_check bool hv_shutdown(struct hv *hv, const char *uuid,
    struct err *e); /* asks the guest */
must_check bool hv_destroy(struct hv *hv, const char *uuid, struct err *e); /* at once */
/* These go through the guest's control channel: ERR_AGAIN while it is taken. */
must_check bool hv_reset(struct hv *hv, const char *uuid, struct err *e);
must_check bool hv_suspend(struct hv *hv, const char *uuid, struct err *e);
must_check bool hv_resume(struct hv *hv, const char *uuid, struct err *e);
/* Of a running domain; the definition stays as it is. */
must_check bool hv_attach(struct hv *hv, const char *uuid, const char *device_xml,
    struct err *e);
must_check bool hv_detach(struct hv *hv, const char *uuid, const char *device_xml,
    struct err *e); /* asked of the guest: look whether it is gone */
must_check bool hv_device_update(struct hv *hv, const char *uuid, const char *device_xml,
    struct err *e);
must_check bool hv_vcpus_set(struct hv *hv, const char *uuid, int64_t vcpus,
    struct err *e);
must_check bool hv_disk_resize(struct hv *hv, const char *uuid, const char *target,
    int64_t bytes, struct err *e);

/* Snapshots of a domain, in its disks. */
must_check bool hv_snapshot_make(struct hv *hv, const char *uuid, const char *xml,
    struct err *e);
must_check bool hv_snapshot_known(struct hv *hv, const char *uuid, const char *name,
    bool *known, struct err *e);
/* The domain then is as the snapshot says: running, paused or stopped. */
must_check bool hv_snapshot_revert(struct hv *hv, const char *uuid, const char *name,
    struct err *e);
must_check bool hv_snapshot_delete(struct hv *hv, const char *uuid, const char *name,
    struct err *e);
/* A copy of a running domain's disk, in the background. */
must_check bool hv_backup_begin(struct hv *hv, const char *uuid, const char *xml,
    struct err *e);
enum hv_backup { HV_BACKUP_NONE, HV_BACKUP_RUNS, HV_BACKUP_DONE, HV_BACKUP_FAILED };
must_check bool hv_backup_look(struct hv *hv, const char *uuid, enum hv_backup *state,
    struct err *e);
must_check bool hv_job_abort(struct hv *hv, const char *uuid, struct err *e);

/* hv_move.c: a running domain goes to another host. */
struct hv_move {
	struct hv *to;
	const char *uri, *disks_uri; /* how its process gets there; NULL: libvirt knows */
	const char *xml, *persistent_xml; /* what it is there */
	const char *const *disks;         /* that are copied: vda, ... */
	size_t disk_count;
};
/*
 * Returns when it is there or has failed.  It is there with its CPUs standing still, and
 * is no more here: nothing but the caller's hv_resume() lets it run, so that it never
 * runs twice.  One that failed runs on here, or is found paused after a broken
 * connection.
 */
must_check bool hv_move(struct hv *from, const char *uuid, const struct hv_move *m,
    struct err *e);
struct hv_move_look {
	bool moving;
	uint64_t disk_total, disk_left, memory_total, memory_left;
	uint64_t pass; /* over its memory: 1, 2, ... */
	uint64_t bytes_s;
};
must_check bool hv_move_look(struct hv *hv, const char *uuid, struct hv_move_look *out,
    struct err *e);
/* MiB a second, from now on and for the next move; 0: all there is. */
must_check bool hv_move_speed(struct hv *hv, const char *uuid, uint64_t mib_s,
    struct err *e);
/* Nothing at all goes over any more, until the speed is set. */
must_check bool hv_move_hold(struct hv *hv, const char *uuid, struct err *e);
/* It is not ended by the hypervisor's own choice of a moment. */
must_check bool hv_move_patient(struct hv *hv, const char *uuid, struct err *e);
/* Of all its cards and disks together, as its process counts them. */
struct hv_counters {
	int64_t received, sent, disk_read, disk_written;
};
must_check bool hv_counters(struct hv *hv, const char *uuid, struct hv_counters *out,
    struct err *e);
/* What a move takes along: all of it, secrets too; inactive: what its next start will be.
 */
must_check bool hv_move_xml(struct hv *hv, const char *uuid, bool inactive, char **xml,
    struct err *e);

/* Pools and volumes.  A path is the caller's to free. */
must_check bool hv_pool_ensure(struct hv *hv, const char *pool, const char *path,
    struct err *e);
/* By XML: defined, built where libvirt can, started. */
must_check bool hv_pool_define(struct hv *hv, const char *pool, const char *xml,
    struct err *e);
must_check bool hv_pool_undefine(struct hv *hv, const char *pool, struct err *e);
/* A key that libvirt keeps for us; type "ceph" (base64) or "iscsi". */
must_check bool hv_secret_ensure(struct hv *hv, const char *uuid, const char *type,
    const char *value, struct err *e);
struct hv_space {
	uint64_t capacity_bytes, used_bytes;
};
must_check bool hv_pool_space(struct hv *hv, const char *pool, struct hv_space *out,
    struct err *e);
must_check bool hv_volume_ensure(struct hv *hv, const char *pool, const char *xml,
    const char *name, char **path, struct err *e);
/* An empty one, whatever was there of that name. */
must_check bool hv_volume_fresh(struct hv *hv, const char *pool, const char *xml,
    const char *name, char **path, struct err *e);
/* A whole new volume with what is in from, in place of what was there of that name. */
must_check bool hv_volume_clone(struct hv *hv, const char *pool, const char *xml,
    const char *name, const char *from, char **path, struct err *e);
must_check bool hv_volume_delete(struct hv *hv, const char *pool, const char *name,
    struct err *e); /* gone already is fine */
struct hv_volume {
	uint64_t capacity_bytes, used_bytes;
	char *path;
};
/* ERR_NOT_FOUND when there is none. */
must_check bool hv_volume_get(struct hv *hv, const char *pool, const char *name,
    struct hv_volume *out, struct err *e);
must_check bool hv_volume_resize(struct hv *hv, const char *pool, const char *name,
    int64_t bytes, struct err *e);
/* take() answers how many bytes it put into the buffer, 0 at the end, -1 to give up. */
typedef int (*hv_take)(void *context, char *buffer, size_t room);
must_check bool hv_volume_write(struct hv *hv, const char *pool, const char *name,
    uint64_t bytes, hv_take take, void *context, struct err *e);
typedef bool (*hv_give)(void *context, const char *bytes, size_t count);
must_check bool hv_volume_read(struct hv *hv, const char *pool, const char *name,
    uint64_t from, uint64_t bytes, hv_give give, void *context, struct err *e);
bool hv_network_active(struct hv *hv, const char *name);
