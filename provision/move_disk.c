/* SPDX-License-Identifier: Apache-2.0 */
/* move_disk: the disks of a VM that goes to another host */
#include "provision/move_disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/link.h"
#include "provision_stmt.gen.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_MAX = 1024, MARKER_BYTES = 512 };

void
move_disks_done(struct move_disks *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->list[i].path);
	rows_free(d->rows);
	d->rows = NULL;
	d->count = 0;
}

/* ---- files that have an owner */

static bool
left_put(struct job *j, const struct pool *p, const char *file, struct err *e)
{
	return db_run(j->db, STMT_DISK_LEFT_PUT,
	    DB_ARGS(DB_NUMBER(p->id), file, DB_NUMBER(j->id)), NULL, e);
}

static bool
left_gone(struct db *db, int64_t pool_id, const char *file, struct err *e)
{
	return db_run(db, STMT_DISK_LEFT_GONE, DB_ARGS(DB_NUMBER(pool_id), file), NULL,
	    e);
}

/* ---- who reaches what */

/*
 * Two pools of one name are one folder when what one host writes the other one sees: a
 * path says nothing, each host has its own /var/lib.
 */
static bool
same_files(struct job *j, struct side *from, struct side *to, const struct pool *p,
    bool *same, struct err *e)
{
	scoped_free char *name = mem_printf("move-%s", j->uuid);
	scoped_free char *xml = volume_xml(name, MARKER_BYTES, "raw", NULL, NULL);
	scoped_free char *path = NULL;
	struct hv_volume found = { .path = NULL };
	struct err why = ERR_INIT;

	if (!left_put(j, p, name, e) ||
	    !hv_volume_fresh(from->hv, p->name, xml, name, &path, e))
		return false;
	*same = hv_volume_get(to->hv, p->name, name, &found, &why);
	free(found.path);
	if (!*same && why.kind != ERR_NOT_FOUND) {
		*e = why;
		return false;
	}
	return hv_volume_delete(from->hv, p->name, name, e) &&
	    left_gone(j->db, p->id, name, e);
}

static const char *
named(const struct rows *r, size_t row, const char *name)
{
	for (size_t i = 0; i < rows_columns(r); i++)
		if (strcmp(rows_column_name(r, i), name) == 0)
			return rows_text(r, row, i);
	abort(); /* our own statement */
}

static int64_t
number(const struct rows *r, size_t row, const char *name)
{
	const char *text = named(r, row, name);

	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static void
disk_read(struct move_disk *d, const struct rows *r, size_t i)
{
	memset(d, 0, sizeof(*d));
	d->id = number(r, i, "id");
	d->size_bytes = number(r, i, "size_bytes");
	d->snapshots = number(r, i, "snapshots");
	(void)snprintf(d->uuid, sizeof(d->uuid), "%s", named(r, i, "uuid"));
	d->name = named(r, i, "name");
	d->target = named(r, i, "target");
	d->file = named(r, i, "file");
	d->format = named(r, i, "format");
	d->backing = named(r, i, "backing");
	d->placed = named(r, i, "path") != NULL && d->file != NULL &&
	    number(r, i, "pool_id") != 0;
}

/* ",12,15,": those that are copied, as it was found out first. */
static bool
noted_copied(const char *note, int64_t id)
{
	char one[32];

	(void)snprintf(one, sizeof(one), ",%lld,", (long long)id);
	return strstr(note, one) != NULL;
}

static bool
disk_plan(struct move_disks *d, struct move_disk *k, const char *note, struct work *w,
    struct side *sides[2], struct err *e)
{
	struct job *j = w->job;
	struct side *from = sides[0];
	struct side *to = sides[1];
	bool same = true;

	if (!pool_ready(j, to->hv, to->id, k->pool_from.name, &k->pool_to, e))
		return err_wrap(e,
		    "the disk %s is in the pool %s of host %s, and host %s", k->name,
		    k->pool_from.name, from->name, to->name);
	if (k->pool_to.id == k->pool_from.id)
		return true;
	if (note != NULL)
		same = !noted_copied(note, k->id);
	else if (strcmp(k->pool_from.name, POOL_OWN) == 0)
		same = d->own_shared;
	else if (pool_has_files(&k->pool_from) && pool_has_files(&k->pool_to) &&
	    !same_files(j, from, to, &k->pool_from, &same, e))
		return false;
	k->copied = !same;
	if (k->copied && !(pool_has_files(&k->pool_from) && pool_has_files(&k->pool_to)))
		return err_set(e, ERR_CONFLICT,
		    "the disk %s is in the pool %s, of a kind whose disks are not copied "
		    "to another host: only those of pools of kind dir, fs and netfs are",
		    k->name, k->pool_from.name);
	return !k->copied || k->snapshots == 0 ||
	    err_set(e, ERR_CONFLICT,
		"the disk %s has %lld snapshots in a pool that host %s does not reach: "
		"delete them first, or make templates of them",
		k->name, (long long)k->snapshots, to->name);
}

static bool
plan_note(struct move_disks *d, struct job *j, struct err *e)
{
	char note[NOTE_MAX] = ",";
	size_t used = 1;

	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].copied && used < sizeof(note) - 32)
			used += (size_t)snprintf(note + used, sizeof(note) - used,
			    "%lld,", (long long)d->list[i].id);
	return job_note(j, "own", d->own_shared ? "shared" : "apart", e) &&
	    job_note(j, "copied", note, e);
}

bool
move_disks_plan(struct move_disks *d, struct work *w, struct side *from, struct side *to,
    struct err *e)
{
	struct job *j = w->job;
	const char *note = job_noted(j, "copied");
	const char *own = job_noted(j, "own");
	struct side *sides[2] = { from, to };

	job_step(j, "looking at its disks");
	if (!pool_ready(j, from->hv, from->id, POOL_OWN, &d->own_from, e) ||
	    !pool_ready(j, to->hv, to->id, POOL_OWN, &d->own_to, e) ||
	    !db_query(j->db, STMT_VOLUMES_TO_MOVE,
		DB_ARGS(DB_NUMBER(w->vm.account_id), DB_NUMBER(w->vm.id)), &d->rows, e))
		return false;
	if (own != NULL)
		d->own_shared = strcmp(own, "shared") == 0;
	else if (!same_files(j, from, to, &d->own_from, &d->own_shared, e))
		return false;
	for (size_t i = 0; i < rows_count(d->rows) && i < XML_DISKS_MOST; i++) {
		struct move_disk *k = &d->list[d->count++];
		disk_read(k, d->rows, i);
		if (k->placed &&
		    (!pool_by_id(j->db, number(d->rows, i, "pool_id"), &k->pool_from,
			 e) ||
			!disk_plan(d, k, note, w, sides, e)))
			return false;
	}
	return note != NULL || plan_note(d, j, e);
}

/* ---- from one host to the other */

struct pipe_source {
	struct side *from;
	const char *pool, *file;
	int fd;
	struct err why;
	bool ok;
};

static bool
pipe_give(void *context, const char *bytes, size_t count)
{
	const struct pipe_source *s = context;

	while (count > 0) {
		ssize_t n = write(s->fd, bytes, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		count -= (size_t)n;
	}
	return true;
}

static void *
pipe_fill(void *context)
{
	struct pipe_source *s = context;

	s->ok = hv_volume_read(s->from->hv, s->pool, s->file, 0, 0, pipe_give, s,
	    &s->why);
	(void)close(s->fd);
	return NULL;
}

static int
pipe_take(void *context, char *buffer, size_t room)
{
	const int *fd = context;

	return (int)read(*fd, buffer, room < 1 << 20 ? room : 1 << 20);
}

struct file_way {
	struct side *from, *to;
	const struct pool *pool_from, *pool_to;
	const char *file, *as;
};

/* A file as it is, through this program: hosts need not know each other. */
static bool
file_copy(const struct file_way *w, char **path, struct err *e)
{
	struct pipe_source s = { .from = w->from,
		.pool = w->pool_from->name,
		.file = w->file,
		.why = ERR_INIT };
	scoped_free char *xml = volume_xml(w->as, MARKER_BYTES, "raw", NULL, NULL);
	pthread_t thread;
	int fds[2];
	bool ok;

	if (!hv_volume_fresh(w->to->hv, w->pool_to->name, xml, w->as, path, e))
		return false;
	if (pipe(fds) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "a pipe");
	s.fd = fds[1];
	if (pthread_create(&thread, NULL, pipe_fill, &s) != 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return err_set(e, ERR_INTERNAL, "no thread can be started");
	}
	ok = hv_volume_write(w->to->hv, w->pool_to->name, w->as, 0, pipe_take, &fds[0],
	    e);
	(void)close(fds[0]);
	(void)pthread_join(thread, NULL);
	if (ok && !s.ok) {
		*e = s.why;
		ok = false;
	}
	return ok;
}

/* What stands on an image is made whole first: the copy stands on nothing. */
static bool
whole_copy(struct move_disk *k, struct job *j, struct side *from, struct side *to,
    struct err *e)
{
	scoped_free char *flat = mem_printf("flat-%s", k->uuid);
	scoped_free char *xml = volume_xml(flat, k->size_bytes, "qcow2", NULL, NULL);
	scoped_free char *path = NULL;
	bool stands = k->backing != NULL;

	job_step(j, "copying its disks");
	if (stands &&
	    (!left_put(j, &k->pool_from, flat, e) ||
		!hv_volume_clone(from->hv, k->pool_from.name, xml, flat, k->file, &path,
		    e)))
		return false;
	const struct file_way way = { .from = from,
		.to = to,
		.pool_from = &k->pool_from,
		.pool_to = &k->pool_to,
		.file = stands ? flat : k->file,
		.as = k->file };
	if (!file_copy(&way, &k->path, e))
		return false;
	return !stands ||
	    (hv_volume_delete(from->hv, k->pool_from.name, flat, e) &&
		left_gone(j->db, k->pool_from.id, flat, e));
}

static bool
empty_copy(struct move_disk *k, struct work *w, struct side *from, struct side *to,
    struct err *e)
{
	int64_t bytes = 0;

	if (!hv_disk_size(from->hv, w->vm.uuid, k->target, &bytes, e))
		return false;
	scoped_free char *xml = volume_xml(k->file, bytes,
	    k->format != NULL ? k->format : "qcow2", NULL, NULL);
	return hv_volume_fresh(to->hv, k->pool_to.name, xml, k->file, &k->path, e);
}

/* What cloud-init reads is in each host's own folder; there may be none. */
static bool
seed_copy(struct move_disks *d, struct work *w, struct side *from, struct side *to,
    struct err *e)
{
	scoped_free char *file = mem_printf("seed-%s", w->vm.uuid);
	scoped_free char *path = NULL;
	struct hv_volume have = { .path = NULL };
	struct err why = ERR_INIT;

	if (d->own_shared)
		return true;
	if (!hv_volume_get(from->hv, POOL_OWN, file, &have, &why)) {
		if (why.kind == ERR_NOT_FOUND)
			return true;
		*e = why;
		return false;
	}
	free(have.path);
	const struct file_way way = { .from = from,
		.to = to,
		.pool_from = &d->own_from,
		.pool_to = &d->own_to,
		.file = file,
		.as = file };
	return left_put(w->job, &d->own_to, file, e) && file_copy(&way, &path, e);
}

bool
move_disks_make(struct move_disks *d, struct work *w, struct side *from, struct side *to,
    bool whole, struct err *e)
{
	for (size_t i = 0; i < d->count; i++) {
		struct move_disk *k = &d->list[i];
		if (!k->placed || !k->copied)
			continue;
		if (!left_put(w->job, &k->pool_to, k->file, e) ||
		    !(whole ? whole_copy(k, w->job, from, to, e)
			    : empty_copy(k, w, from, to, e)))
			return false;
	}
	/* A stopped one gets it anew with its definition. */
	return whole || seed_copy(d, w, from, to, e);
}

/* ---- rows */

static bool
disk_write(struct db *db, struct work *w, const struct move_disk *k, struct instant at,
    struct err *e)
{
	const struct vm *v = &w->vm;
	const struct thing t = { .account_id = v->account_id,
		.id = k->id,
		.vm_id = v->id,
		.host_id = v->host_id,
		.uuid = k->uuid,
		.name = k->name,
		.size_bytes = k->size_bytes,
		.simulated = v->simulated };

	if (k->placed && k->pool_to.id != k->pool_from.id &&
	    !db_run(db, STMT_VOLUME_PLACED,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(k->id), k->pool_to.name,
		    DB_NUMBER(k->pool_to.id), k->file, k->format, k->path,
		    k->copied ? NULL : k->backing),
		NULL, e))
		return false;
	if (k->copied &&
	    (!left_gone(db, k->pool_to.id, k->file, e) ||
		!left_put(w->job, &k->pool_from, k->file, e)))
		return false;
	return thing_close(db, v->account_id, k->id, "volume", at, "migrated", e) &&
	    thing_open(db, &t, "volume", at, "migrated", e);
}

bool
move_disks_there(struct move_disks *d, struct side *to, struct err *e)
{
	for (size_t i = 0; i < d->count; i++) {
		struct move_disk *k = &d->list[i];
		struct hv_volume have = { .path = NULL };
		if (!k->placed || k->pool_to.id == k->pool_from.id || k->path != NULL)
			continue;
		if (!hv_volume_get(to->hv, k->pool_to.name, k->file, &have, e))
			return false;
		k->path = have.path;
	}
	return true;
}

bool
move_disks_write(struct db *db, struct work *w, const struct move_disks *d,
    struct instant at, struct err *e)
{
	scoped_free char *seed = mem_printf("seed-%s", w->vm.uuid);
	bool ok = true;

	for (size_t i = 0; ok && i < d->count; i++)
		ok = disk_write(db, w, &d->list[i], at, e);
	return ok &&
	    (d->own_shared ||
		(left_gone(db, d->own_to.id, seed, e) &&
		    left_put(w->job, &d->own_from, seed, e)));
}

/* ---- what is left */

static bool
left_delete(struct db *db, struct hv *hv, const struct rows *r, size_t i, struct err *e)
{
	return hv_volume_delete(hv, rows_text(r, i, 2), rows_text(r, i, 1), e) &&
	    left_gone(db, rows_i64(r, i, 0), rows_text(r, i, 1), e);
}

bool
move_disks_tidy(struct job *j, struct side *from, struct side *to, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(j->db, STMT_DISK_LEFT_OF_JOB, DB_ARGS(DB_NUMBER(j->id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		int64_t host = rows_i64(r, i, 3);
		struct side *s = host == from->id ? from : host == to->id ? to : NULL;
		if (s != NULL && s->hv != NULL && !left_delete(j->db, s->hv, r, i, e))
			return false;
	}
	return true;
}

bool
job_host_tidy(struct job *j, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *host = NULL;
	struct hv *hv = NULL;
	bool ok = true;

	if (!db_query(j->db, STMT_DISK_LEFT_OF_HOST, DB_ARGS(j->object_uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return true;
	if (!db_query(j->db, STMT_HOST_BY_ID, DB_ARGS(DB_NUMBER(rows_i64(r, 0, 3))),
		&host, e))
		return false;
	if (rows_count(host) == 0)
		return err_set(e, ERR_NOT_FOUND, "the host is no more");
	if (!link_take(&hv, rows_text(host, 0, 1), e))
		return false;
	for (size_t i = 0; ok && i < rows_count(r); i++)
		ok = left_delete(j->db, hv, r, i, e);
	link_give(hv);
	return ok;
}
