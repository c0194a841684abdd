/* SPDX-License-Identifier: Apache-2.0 */
/* move_disk: the disks of a VM that goes to another host */
#pragma once
#include "provision/domain_xml.h"
#include "provision/pool.h"
#include "provision/work.h"

struct side {
	int64_t id; /* of a host */
	char uuid[HV_UUID_MAX];
	char name[128];
	char uri[1024];
	char reach[256]; /* its migrate_uri; "": libvirt knows */
	bool simulated;
	struct hv *hv; /* borrowed */
};

struct move_disk {
	int64_t id, size_bytes;
	char uuid[HV_UUID_MAX];
	const char *name, *target, *file, *format, *backing;
	int64_t snapshots;
	char *path; /* there */
	struct pool pool_from, pool_to;
	bool placed; /* it is on disk at all */
	bool copied; /* the hosts do not share it */
};
struct move_disks {
	struct rows *rows; /* NULL: not planned yet */
	size_t count;
	struct move_disk list[XML_DISKS_MOST];
	bool own_shared; /* the folder that each host has */
	struct pool own_from, own_to;
};

/* Which pools both hosts reach, and which disks have to be copied: noted once. */
must_check bool move_disks_plan(struct move_disks *d, struct work *w, struct side *from,
    struct side *to, struct err *e);
/* The files there: empty ones for a running guest, whole ones for a stopped one. */
must_check bool move_disks_make(struct move_disks *d, struct work *w, struct side *from,
    struct side *to, bool whole, struct err *e);
void move_disks_done(struct move_disks *d);

/* Where they are by now; then, in the transaction that says where the VM is, their rows.
 */
must_check bool move_disks_there(struct move_disks *d, struct side *to, struct err *e);
must_check bool move_disks_write(struct db *db, struct work *w,
    const struct move_disks *d, struct instant at, struct err *e);
/* Deletes the files that this job leaves behind. */
must_check bool move_disks_tidy(struct job *j, struct side *from, struct side *to,
    struct err *e);
