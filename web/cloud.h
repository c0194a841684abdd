/* SPDX-License-Identifier: Apache-2.0 */
/* cloud: what the files cloud_*.c share */
#pragma once
#include "web/handlers.h"

/*
 * Finds the object that a job works on, in the caller's sight, by a statement that
 * answers account, uuid and kind ("*_target" of web.sql), and asks for the job.  In
 * c->owner is whose it is, in c->object its uuid.
 */
must_check bool cloud_job_on(struct call *c, unsigned stmt, const char *param,
    struct err *e);
/* In the caller's sight, or "not found"; value NULL is fine. */
must_check bool cloud_seen(struct call *c, unsigned stmt, const char *param,
    struct err *e);
/* What a job answers when it is done: an object by its uuid, or that it is done. */
must_check bool cloud_result(struct call *c, const char *response, const char *uuid,
    bool *written, struct err *e);
/* Of a VM that was just inserted: user data, keys, password, kernel words. */
must_check bool cloud_vm_seed(struct call *c, const char *uuid, struct err *e);
/* The same: its root disk, and a data disk when one is asked for; its network cards. */
must_check bool cloud_vm_disks(struct call *c, const char *uuid, struct err *e);
must_check bool cloud_vm_cards(struct call *c, const char *uuid, struct err *e);
/* After rows were written: ERR_LIMIT when the account, or a domain above it, has more of
 * one of these kinds ("{volume,cpu}") than it may. */
must_check bool cloud_limits(struct call *c, int64_t account, const char *kinds,
    struct err *e);
/* The same: its affinity groups. */
must_check bool cloud_vm_affinity(struct call *c, const char *uuid, struct err *e);
/* The same, before its job: zone, pod and cluster. */
must_check bool cloud_vm_where(struct call *c, struct err *e);
/* *path: a file of the hosts; NULL: to be fetched.  ERR_INPUT: no such URL. */
must_check bool cloud_image_source(const char *url, bool checked, const char **path,
    struct err *e);
/* size and diskofferingid of a call; *bytes 0: none is named. */
must_check bool cloud_disk_size(struct call *c, const char **offering, int64_t *bytes,
    struct err *e);
/* CloudStack's GiB; false: too many or none. */
bool cloud_gib(int64_t gib, int64_t *bytes);
