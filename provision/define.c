/* SPDX-License-Identifier: Apache-2.0 */
/* define: a VM's domain as its rows say */
#include "provision/define.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/image.h"
#include "provision/pool.h"
#include "provision/seed.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far a guest can grow without a restart. */
enum { VCPUS_GROW = 4, VCPUS_MOST = 64, MEMORY_GROW = 4, SOCKET_PATH_MOST = 107 };
#define MEMORY_GROW_LEAST (INT64_C(1) << 30)
/* On the SCSI bus, so that the guest's vda, vdb, ... stay those of the volumes. */
#define SEED_TARGET "sdb"

struct definition {
	struct work *w;
	struct rows *disks, *nics;
	struct image iso;
	char *seed_path;
	char console[STATE_PATH_MAX], control[STATE_PATH_MAX];
	struct domain_want want;
};

static const char *
named(const struct rows *r, size_t row, const char *name)
{
	for (size_t i = 0; i < rows_columns(r); i++)
		if (strcmp(rows_column_name(r, i), name) == 0)
			return rows_text(r, row, i);
	abort(); /* our own statement */
}

void
define_disk(struct want_disk *out, const struct rows *r, size_t row)
{
	const char *kind = named(r, row, "pool_kind");
	bool locked = strcmp(named(r, row, "locked"), "t") == 0;

	memset(out, 0, sizeof(*out));
	out->target = named(r, row, "target");
	out->path = named(r, row, "path");
	out->format = named(r, row, "format");
	out->serial = named(r, row, "uuid");
	if (kind == NULL)
		return;
	out->block = strcmp(kind, "logical") == 0;
	if (strcmp(kind, "rbd") != 0 && strcmp(kind, "iscsi-direct") != 0)
		return;
	out->protocol = strcmp(kind, "rbd") == 0 ? "rbd" : "iscsi";
	out->host = named(r, row, "source_host");
	out->port = named(r, row, "source_port");
	out->user = locked ? named(r, row, "source_user") : NULL;
	out->secret_uuid = locked ? named(r, row, "secret_uuid") : NULL;
}

void
define_nic(struct want_nic *out, const struct rows *r, size_t row)
{
	memset(out, 0, sizeof(*out));
	out->mac = named(r, row, "mac");
	out->network = named(r, row, "network");
	out->tap = named(r, row, "target");
}

void
define_drive(struct want_disk *out, const struct work *w, const char *path)
{
	const char *os = work_column(w, "os_type");

	memset(out, 0, sizeof(*out));
	out->cdrom = true;
	out->target = "sda";
	out->path = path;
	out->format = "raw";
	/* Windows brings no driver for virtio at its installation, small Linux kernels
	 * none for SATA. */
	out->sata = os != NULL && strstr(os, "Windows") != NULL;
}

static const char *
below(const struct work *w, char path[STATE_PATH_MAX], const char *format)
{
	char name[80];

	(void)snprintf(name, sizeof(name),
	    strcmp(format, "log") == 0 ? "console/%.36s.log" : "console/%.8s.ctl",
	    w->vm.uuid);
	return state_path(w->job->conf, path, name);
}

/* ---- the seed */

struct source {
	const struct buf *b;
	size_t at;
};

static int
source_take(void *context, char *buffer, size_t room)
{
	struct source *s = context;
	size_t left = s->b->length - s->at;
	size_t n = left < room ? left : room;

	memcpy(buffer, s->b->data + s->at, n);
	s->at += n;
	return (int)n;
}

static bool
seed_wanted(const struct work *w)
{
	const char *kind = work_column(w, "kind");

	return (kind != NULL && strcmp(kind, "disk") == 0) ||
	    work_column(w, "user_data") != NULL ||
	    work_column(w, "password_hash") != NULL ||
	    work_column(w, "public_keys")[0] != '\0';
}

static bool
seed_write(struct definition *d, struct err *e)
{
	struct work *w = d->w;
	struct pool pool;
	scoped(buf_done) struct buf image = BUF_INIT;
	struct source s = { &image, 0 };
	scoped_free char *file = mem_printf("seed-%s", w->vm.uuid);
	scoped_free char *id = mem_printf("%s-%s", w->vm.uuid, work_column(w, "seed"));
	char host[64];

	seed_host_name(host, w->vm.name);
	if (!seed_make(&image,
		&(struct seed){ .instance_id = id,
		    .host_name = host,
		    .user_data = work_column(w, "user_data"),
		    .public_keys = work_column(w, "public_keys"),
		    .password_hash = work_column(w, "password_hash") },
		e))
		return false;
	scoped_free char *xml = volume_xml(file, (int64_t)image.length, "raw", NULL,
	    NULL);
	return pool_ready(w->job, w->hv, w->vm.host_id, POOL_OWN, &pool, e) &&
	    hv_volume_fresh(w->hv, pool.name, xml, file, &d->seed_path, e) &&
	    hv_volume_write(w->hv, pool.name, file, image.length, source_take, &s, e);
}

/* ---- all of it */

static bool
rows_read(struct definition *d, struct err *e)
{
	const struct vm *v = &d->w->vm;

	return db_query(d->w->job->db, STMT_VM_DISKS,
		   DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), "f"), &d->disks,
		   e) &&
	    db_query(d->w->job->db, STMT_VM_NICS,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id)), &d->nics, e);
}

static bool
drive_read(struct definition *d, bool *ready, struct err *e)
{
	struct work *w = d->w;
	int64_t id = work_column_i64(w, "rescue_id");

	*ready = true;
	if (id == 0)
		id = work_column_i64(w, "iso_id");
	return id == 0 ||
	    image_ready(w->job, w->hv, w->vm.host_id, id, &d->iso, ready, e);
}

static int64_t
vcpus_most(int64_t now)
{
	int64_t most = now * VCPUS_GROW;

	return most > VCPUS_MOST ? now > VCPUS_MOST ? now : VCPUS_MOST : most;
}

static int64_t
memory_most(int64_t now)
{
	return now * MEMORY_GROW > now + MEMORY_GROW_LEAST ? now * MEMORY_GROW
							   : now + MEMORY_GROW_LEAST;
}

static void
want_fill(struct definition *d)
{
	struct work *w = d->w;
	bool rescue = work_column_i64(w, "rescue_id") != 0;
	bool kernel = !rescue && work_column(w, "kernel") != NULL;
	struct domain_want *want = &d->want;

	want->uuid = w->vm.uuid;
	want->name = work_column(w, "instance_name");
	want->title = w->vm.name;
	want->domain_type = w->domain_type;
	want->vcpus = w->vm.vcpus;
	want->vcpus_most = vcpus_most(w->vm.vcpus);
	want->memory_bytes = w->vm.memory_bytes;
	want->memory_most_bytes = memory_most(w->vm.memory_bytes);
	want->account_uuid = work_column(w, "account_uuid");
	want->offering_uuid = work_column(w, "offering_uuid");
	want->console_path = below(w, d->console, "log");
	if (kernel) {
		want->kernel = work_column(w, "kernel");
		want->initrd = work_column(w, "initrd");
		want->cmdline = work_column(w, "cmdline");
	}
	(void)below(w, d->control, "ctl");
	if (kernel && strlen(d->control) < SOCKET_PATH_MOST)
		want->control_path = d->control;
}

static void
devices_fill(struct definition *d)
{
	struct domain_want *want = &d->want;
	bool rescue = work_column_i64(d->w, "rescue_id") != 0;

	for (size_t i = 0; i < rows_count(d->disks) && i < WANT_DISKS_MOST - 2; i++)
		define_disk(&want->disks[want->disk_count++], d->disks, i);
	if (rescue && want->disk_count > 0)
		want->disks[0].boot = 2;
	define_drive(&want->disks[want->disk_count], d->w, d->iso.path);
	want->disks[want->disk_count++].boot = rescue ? 1 : 0;
	if (d->seed_path != NULL)
		want->disks[want->disk_count++] =
		    (struct want_disk){ .target = SEED_TARGET,
			    .path = d->seed_path,
			    .format = "raw",
			    .scsi = true,
			    .readonly = true };
	for (size_t i = 0; i < rows_count(d->nics) && i < WANT_NICS_MOST; i++)
		define_nic(&want->nics[want->nic_count++], d->nics, i);
}

static void
definition_done(struct definition *d)
{
	rows_free(d->disks);
	rows_free(d->nics);
	image_done(&d->iso);
	free(d->seed_path);
	free(d);
}

bool
define_vm(struct work *w, bool *ready, struct err *e)
{
	struct definition *d = mem_alloc(sizeof(*d));
	bool ok;

	d->w = w;
	*ready = true;
	ok = rows_read(d, e) && drive_read(d, ready, e);
	if (ok && *ready && seed_wanted(w))
		ok = seed_write(d, e);
	if (ok && *ready) {
		want_fill(d);
		devices_fill(d);
		scoped_free char *xml = domain_xml(&d->want);
		job_step(w->job, "defining");
		ok = hv_define(w->hv, xml, e);
	}
	definition_done(d);
	return ok;
}
