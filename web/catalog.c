/* SPDX-License-Identifier: Apache-2.0 */
/* catalog: service offerings and templates */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <string.h>
#include <sys/stat.h>

static bool
exists_already(const char *what, const char *name, struct err *e)
{
	if (e->kind != ERR_CONFLICT)
		return false;
	return err_set(e, ERR_CONFLICT, "there is a %s named %.120s already", what, name);
}

static bool
within(const struct call *c, const char *param, int64_t least, int64_t most,
    struct err *e)
{
	int64_t n = call_number(c, param, least);

	return (n >= least && n <= most) ||
	    err_set(e, ERR_INPUT, "%s is %lld: it must be %lld to %lld", param,
		(long long)n, (long long)least, (long long)most);
}

bool
handle_offering_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");

	if (!within(c, "cpunumber", 1, 1024, e) ||
	    !within(c, "memory", 32, 16777216, e) ||
	    !within(c, "rootdisksize", 0, 1048576, e))
		return false;
	if (!db_query(c->db, STMT_OFFERING_INSERT,
		DB_ARGS(name, call_value(c, "cpunumber"), call_value(c, "memory"),
		    call_value(c, "rootdisksize"), call_value(c, "hosttags"),
		    call_value(c, "offerha")),
		&r, e))
		return exists_already("service offering", name, e);
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return call_answer_one(c, STMT_OFFERING_ONE, c->object, e);
}

/* ---- templates */

struct image {
	const char *kind; /* "disk" or "kernel" */
	const char *format;
	const char *path;
	const char *url; /* fetched by a job; then there is no path yet */
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	int64_t size;
};

/* NULL: unknown. */
static const char *
format_of(const char *word)
{
	if (word == NULL || strcasecmp(word, "qcow2") == 0)
		return "qcow2";
	return strcasecmp(word, "raw") == 0 ? "raw" : NULL;
}

static bool
absolute(const char *what, const char *path, struct err *e)
{
	return path[0] == '/' ||
	    err_set(e, ERR_INPUT, "%s: an absolute path is wanted", what);
}

static bool
kernel_read(struct image *i, struct call *c, struct err *e)
{
	i->kind = "kernel";
	i->initrd = params_map_get(c->params, "details", "initrd");
	i->cmdline = params_map_get(c->params, "details", "cmdline");
	if (i->initrd == NULL)
		return err_set(e, ERR_INPUT,
		    "a kernel needs its initrd: details[0].initrd");
	return absolute("details[0].kernel", i->kernel, e) &&
	    absolute("details[0].initrd", i->initrd, e);
}

static bool
disk_read(struct image *i, struct call *c, struct err *e)
{
	const char *url = call_value(c, "url");
	struct stat st;

	i->kind = "disk";
	if (url == NULL)
		return err_set(e, ERR_INPUT,
		    "give url=file:///path of a disk image, or details[0].kernel and "
		    "details[0].initrd");
	i->format = format_of(call_value(c, "format"));
	if (i->format == NULL)
		return err_set(e, ERR_INPUT, "format: QCOW2 and RAW are known");
	if (!cloud_image_source(url, call_value(c, "checksum") != NULL, &i->path, e))
		return false;
	if (i->path == NULL) {
		i->url = url;
		return true;
	}
	/* The file is the hosts' and may not be readable here: then size tells. */
	if (i->size == 0 && i->format[0] == 'r' && stat(i->path, &st) == 0)
		i->size = st.st_size;
	return true;
}

static bool
image_read(struct image *i, struct call *c, struct err *e)
{
	i->size = call_number(c, "size", 0);
	if (i->size < 0)
		return err_set(e, ERR_INPUT, "size: bytes, 0 or more");
	i->kernel = params_map_get(c->params, "details", "kernel");
	return i->kernel != NULL ? kernel_read(i, c, e) : disk_read(i, c, e);
}

bool
handle_template_register(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");
	struct image i = { .kind = "disk", .format = NULL };

	if (!image_read(&i, c, e))
		return false;
	if (!db_query(c->db, STMT_TEMPLATE_INSERT,
		DB_ARGS(DB_NUMBER(c->caller.account_id), name, i.kind, i.format, i.path,
		    i.kernel, i.initrd, i.cmdline, DB_NUMBER(i.size),
		    call_value(c, "checksum"), call_value(c, "ispublic"), i.url,
		    i.url != NULL ? "Downloading" : "Ready", call_value(c, "displaytext"),
		    call_value(c, "ostypeid"), call_value(c, "passwordenabled")),
		&r, e))
		return exists_already("template", name, e);
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	if (i.url != NULL &&
	    !call_job_quiet(c, "template", c->object, c->caller.account_id, e))
		return false;
	return call_answer_one(c, STMT_TEMPLATE_ONE, c->object, e);
}
