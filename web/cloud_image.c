/* SPDX-License-Identifier: Apache-2.0 */
/* Templates and ISO images. */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <string.h>

struct image {
	const char *kind, *format;
	const char *path; /* a file of the hosts: there already */
	const char *url;  /* fetched by a job */
	const char *source;
	const char *public;
};

/* Who says that something is for everybody answers for what is in it. */
static bool
public_fits(const struct call *c, const char *param, struct err *e)
{
	return c->caller.provider || !call_true(c, param) ||
	    err_set(e, ERR_DENIED, "%s is for the provider only", param);
}

static bool
image_insert(struct call *c, const struct image *i, const char **uuid, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");
	bool iso = strcmp(i->kind, "iso") == 0;

	if (!db_query(c->db, STMT_IMAGE_INSERT,
		DB_ARGS(DB_NUMBER(c->owner), name, call_value(c, "displaytext"), i->kind,
		    i->format, i->path, i->url, iso ? call_value(c, "checksum") : NULL,
		    i->public, iso ? call_value(c, "bootable") : NULL,
		    call_value(c, "ostypeid"),
		    i->path != NULL      ? "Ready"
			: i->url != NULL ? "Downloading"
					 : "Creating",
		    i->source, iso ? NULL : call_value(c, "passwordenabled")),
		&r, e))
		return e->kind == ERR_CONFLICT
		    ? err_set(e, ERR_CONFLICT, "there is an image named %.120s already",
			  name)
		    : false;
	*uuid = arena_strdup(c->arena, rows_text(r, 0, 0));
	return cloud_limits(c, c->owner, "{template,secondary_storage}", e);
}

bool
handle_template_create(struct call *c, struct err *e)
{
	const char *snapshot = call_value(c, "snapshotid");
	const char *volume = call_value(c, "volumeid");
	const char *uuid = NULL;
	const struct image i = { .kind = "disk",
		.format = "qcow2",
		.source = snapshot != NULL ? snapshot : volume,
		.public = call_value(c, "ispublic") };

	if ((snapshot == NULL) == (volume == NULL))
		return err_set(e, ERR_INPUT, "give snapshotid or volumeid, one of them");
	return public_fits(c, "ispublic", e) &&
	    cloud_seen(c, STMT_SNAPSHOT_TARGET, "snapshotid", e) &&
	    cloud_seen(c, STMT_VOLUME_TARGET, "volumeid", e) &&
	    image_insert(c, &i, &uuid, e) && call_job(c, "template", uuid, c->owner, e);
}

bool
handle_template_update(struct call *c, struct err *e)
{
	uint64_t done = 0;

	c->object = call_value(c, "id");
	if (!public_fits(c, "ispublic", e) || !public_fits(c, "isfeatured", e) ||
	    !db_run(c->db, STMT_IMAGE_UPDATE,
		DB_ARGS(c->object, call_value(c, "name"), call_value(c, "displaytext"),
		    call_value(c, "ispublic"), call_value(c, "isfeatured"),
		    call_value(c, "bootable"), call_value(c, "passwordenabled")),
		&done, e))
		return false;
	return done > 0 ? call_answer_one(c, STMT_TEMPLATE_ONE, c->object, e)
			: call_not_found(c, "id", c->object, e);
}

/* "file:///x" is a file of the hosts, unless it is to be checked: then it is fetched. */
bool
cloud_image_source(const char *url, bool checked, const char **path, struct err *e)
{
	*path = NULL;
	if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
		return true;
	if (strncmp(url, "file://", 7) == 0 && url[7] == '/') {
		*path = checked ? NULL : url + 7;
		return true;
	}
	if (url[0] == '/' && !checked) {
		*path = url;
		return true;
	}
	return err_set(e, ERR_INPUT, "url: http://, https:// or file:///path is wanted");
}

static bool
iso_answer(struct call *c, const char *uuid, struct err *e)
{
	return call_answer_one(c, STMT_ISO_ONE, uuid, e);
}

bool
handle_iso_register(struct call *c, struct err *e)
{
	const char *url = call_value(c, "url");
	const char *uuid = NULL;
	struct image i = { .kind = "iso",
		.format = "raw",
		.public = call_value(c, "ispublic") };

	if (!cloud_image_source(url, call_value(c, "checksum") != NULL, &i.path, e))
		return false;
	if (i.path == NULL)
		i.url = url;
	if (!image_insert(c, &i, &uuid, e))
		return false;
	c->object = uuid;
	if (i.path == NULL && !call_job_quiet(c, "template", uuid, c->owner, e))
		return false;
	return iso_answer(c, uuid, e);
}
