/* SPDX-License-Identifier: Apache-2.0 */
/* pool: where disks are, as rows and as libvirt's storage pools */
#pragma once
#include "provision/job.h"

#define POOL_OWN "jeoul"             /* the folder images/ that each host has */
#define POOL_CONSOLE "jeoul-console" /* the folder of console logs */

struct pool {
	int64_t id, host_id;
	char name[64]; /* libvirt's */
	char kind[16];
};

/* Overlays over images and growing files are possible there. */
bool pool_has_files(const struct pool *p);

/*
 * The pool of that name as the host knows it, defined and started there; by id, where it
 * is known already (host_id of the answer is a host that reaches it).
 */
must_check bool pool_ready(struct job *j, struct hv *hv, int64_t host_id,
    const char *name, struct pool *out, struct err *e);
must_check bool pool_by_id(struct db *db, int64_t id, struct pool *out, struct err *e);
must_check bool pool_console(struct job *j, struct hv *hv, struct err *e);

/*
 * A disk in a pool: empty, or over the image at backing (path, format "qcow2" or "raw").
 * Looks first, so that it may be called again.  *path and *format: the caller frees.
 */
struct pool_disk {
	const char *file; /* its name there */
	int64_t bytes;
	const char *backing, *backing_format;
};
must_check bool pool_disk_ensure(struct job *j, struct hv *hv, const struct pool *p,
    const struct pool_disk *want, char **path, char **format, struct err *e);
