/* SPDX-License-Identifier: Apache-2.0 */
/* image: what VMs are made from and boot from, where a host can reach it */
#include "provision/image.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/domain_xml.h"
#include "provision/link.h"
#include "provision/pool.h"
#include "provision_stmt.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QCOW2_HEADER = 80, QCOW2_INCOMPATIBLE_DATA_FILE = 4 };
#define LOOK_AGAIN_NS (NS_PER_S / 2)

void
image_done(struct image *i)
{
	free(i->path);
	free(i->format);
}

/* ---- looking at files */

static uint64_t
big_endian(const unsigned char *p, int bytes)
{
	uint64_t n = 0;

	for (int i = 0; i < bytes; i++)
		n = n << 8 | p[i];
	return n;
}

static bool
qcow2_look(const unsigned char *h, struct image_facts *out, struct err *e)
{
	uint64_t version = big_endian(h + 4, 4);
	uint64_t bytes = big_endian(h + 24, 8);

	if (version < 2 || version > 3 || bytes > INT64_MAX)
		return err_set(e, ERR_INPUT, "its qcow2 header is broken");
	if (big_endian(h + 8, 8) != 0)
		return err_set(e, ERR_INPUT,
		    "it is an overlay over another file, which it names: flatten it with "
		    "qemu-img convert");
	if (big_endian(h + 32, 4) != 0)
		return err_set(e, ERR_INPUT, "it is encrypted");
	if (version == 3 && (big_endian(h + 72, 8) & QCOW2_INCOMPATIBLE_DATA_FILE) != 0)
		return err_set(e, ERR_INPUT, "its data are in another file");
	out->format = "qcow2";
	out->virtual_bytes = (int64_t)bytes;
	return true;
}

bool
image_look(const char *path, struct image_facts *out, struct err *e)
{
	unsigned char header[QCOW2_HEADER] = { 0 };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)err_errno(e, ERR_INPUT, errno, "the image %s", path);
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	n = pread(fd, header, sizeof(header), 0);
	(void)close(fd);
	out->file_bytes = st.st_size;
	if (n >= 72 && memcmp(header, "QFI\xfb", 4) == 0)
		return qcow2_look(header, out, e) || err_wrap(e, "the image");
	out->format = "raw";
	out->virtual_bytes = st.st_size;
	return st.st_size > 0 || err_set(e, ERR_INPUT, "the image is an empty file");
}

/* ---- copies in pools */

struct copy {
	struct job *job;
	struct hv *hv;
	struct pool pool;
	const struct rows *row; /* template_by_id */
	char *file;             /* its name in the pool */
	int fd;
};

static int
file_take(void *context, char *buffer, size_t room)
{
	const struct copy *c = context;

	return (int)read(c->fd, buffer, room < 1 << 20 ? room : 1 << 20);
}

static bool
file_give(void *context, const char *bytes, size_t count)
{
	const struct copy *c = context;

	while (count > 0) {
		ssize_t n = write(c->fd, bytes, count);
		if (n < 0)
			return false;
		bytes += n;
		count -= (size_t)n;
	}
	return true;
}

/* No file in our own store: it was made in a pool, and is fetched from there. */
static bool
store_fill(struct copy *c, const char *path, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *host = NULL;
	scoped_free char *part = mem_printf("%s.part", path);
	struct hv_volume v = { .path = NULL };
	struct hv *hv = NULL;
	int64_t id;
	bool ok;

	if (!db_query(c->job->db, STMT_COPY_SOURCE,
		DB_ARGS(rows_text(c->row, 0, 0), DB_NUMBER(c->pool.id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "the file of the image %s is nowhere",
		    rows_text(c->row, 0, 2));
	id = rows_i64(r, 0, 2);
	if (!db_query(c->job->db, STMT_HOST_BY_ID, DB_ARGS(DB_NUMBER(id)), &host, e))
		return false;
	if (rows_count(host) == 0)
		return err_set(e, ERR_NOT_FOUND, "the host of the image is gone");
	c->fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c->fd < 0)
		return err_errno(e, ERR_LIMIT, errno, "%s", part);
	ok = link_take(&hv, rows_text(host, 0, 1), e) &&
	    hv_volume_get(hv, rows_text(r, 0, 1), c->file, &v, e) &&
	    hv_volume_read(hv, rows_text(r, 0, 1), c->file, 0, 0, file_give, c, e);
	free(v.path);
	link_give(hv);
	if (close(c->fd) != 0 && ok)
		ok = err_errno(e, ERR_LIMIT, errno, "%s", part);
	if (ok && rename(part, path) != 0)
		ok = err_errno(e, ERR_LIMIT, errno, "%s", path);
	if (!ok)
		(void)unlink(part);
	return ok;
}

static bool
copy_write(struct copy *c, const char *path, char **there, struct err *e)
{
	struct stat st;
	bool ok;

	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st) != 0) {
		(void)err_errno(e, ERR_INTERNAL, errno, "the image %s", path);
		if (c->fd >= 0)
			(void)close(c->fd);
		return false;
	}
	scoped_free char *xml = volume_xml(c->file, st.st_size, "raw", NULL, NULL);
	/* What an earlier try left is of unknown length: it is written anew. */
	ok = hv_volume_fresh(c->hv, c->pool.name, xml, c->file, there, e) &&
	    hv_volume_write(c->hv, c->pool.name, c->file, (uint64_t)st.st_size, file_take,
		c, e);
	(void)close(c->fd);
	return ok;
}

static bool
copy_make(struct copy *c, struct image *out, struct err *e)
{
	char path[STATE_PATH_MAX];
	char below[64];

	job_step(c->job, "copying the image to the host");
	(void)snprintf(below, sizeof(below), "templates/%.36s", out->uuid);
	(void)state_path(c->job->conf, path, below);
	if (access(path, R_OK) != 0 && !store_fill(c, path, e))
		return false;
	return copy_write(c, path, &out->path, e) &&
	    db_run(c->job->db, STMT_COPY_READY,
		DB_ARGS(rows_text(c->row, 0, 0), DB_NUMBER(c->pool.id), out->path), NULL,
		e);
}

static bool
copy_ready(struct copy *c, struct image *out, bool *ready, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *mine = NULL;
	const char *id = rows_text(c->row, 0, 0);

	if (!db_query(c->job->db, STMT_COPY_FIND, DB_ARGS(id, DB_NUMBER(c->pool.id)), &r,
		e))
		return false;
	if (rows_count(r) == 1 && strcmp(rows_text(r, 0, 0), "Ready") == 0) {
		out->path = mem_strdup(rows_text(r, 0, 1));
		return true;
	}
	if (!db_query(c->job->db, STMT_COPY_CLAIM,
		DB_ARGS(id, DB_NUMBER(c->pool.id), DB_NUMBER(c->job->id)), &mine, e))
		return false;
	if (rows_count(mine) == 0) {
		*ready = false;
		return job_again(c->job, "waiting for a copy of the image",
		    LOOK_AGAIN_NS);
	}
	return copy_make(c, out, e);
}

bool
image_ready(struct job *j, struct hv *hv, int64_t host_id, int64_t template_id,
    struct image *out, bool *ready, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct copy c = { .job = j, .hv = hv };
	bool ok;

	*ready = true;
	memset(out, 0, sizeof(*out));
	if (!db_query(j->db, STMT_TEMPLATE_BY_ID, DB_ARGS(DB_NUMBER(template_id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "the image is gone");
	if (strcmp(rows_text(r, 0, 7), "Ready") != 0)
		return err_set(e, ERR_CONFLICT, "the image %s is not ready: it is %s",
		    rows_text(r, 0, 2), rows_text(r, 0, 7));
	(void)snprintf(out->uuid, sizeof(out->uuid), "%s", rows_text(r, 0, 1));
	out->format = mem_strdup(rows_text(r, 0, 4) != NULL ? rows_text(r, 0, 4) : "raw");
	out->bytes = rows_i64(r, 0, 8);
	if (rows_text(r, 0, 5) != NULL) {
		out->path = mem_strdup(rows_text(r, 0, 5));
		return true;
	}
	c.row = r;
	c.file = mem_printf("tmpl-%s", out->uuid);
	ok = pool_ready(j, hv, host_id, POOL_OWN, &c.pool, e) &&
	    copy_ready(&c, out, ready, e);
	free(c.file);
	if (!ok) {
		image_done(out);
		memset(out, 0, sizeof(*out));
	}
	return ok;
}
