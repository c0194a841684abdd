/* SPDX-License-Identifier: Apache-2.0 */
/* catalog: service offerings, templates and price lists */
#include "billing/tariff.h"
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

/* ---- price lists */

/* A further version, unless the latest is the very same text. */
static bool
version_insert(struct call *c, const struct rows *tariff, const char *document,
    struct err *e)
{
	int64_t next = rows_i64(tariff, 0, 2) + 1;

	if (rows_bool(tariff, 0, 3))
		return true;
	return db_run(c->db, STMT_TARIFF_VERSION_INSERT,
	    DB_ARGS(rows_text(tariff, 0, 0), DB_NUMBER(next), document,
		DB_NUMBER(c->caller.user_id)),
	    NULL, e);
}

/* A level without "per" could never be billed, an amount has no time to count. */
static bool
meters_fit(struct call *c, const struct tariff *t, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, STMT_USAGE_METER_LEVELS, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < t->price_count; i++)
		for (size_t k = 0; k < rows_count(r); k++) {
			const struct price *p = &t->prices[i];
			bool level = rows_bool(r, k, 1);

			if (strcmp(rows_text(r, k, 0), p->sku) != 0 ||
			    level == (p->per != PER_NONE))
				continue;
			return err_set(e, ERR_INPUT,
			    level
				? "prices[%zu]: %s lasts for a time: its price needs "
				  "\"per\", such as \"per\":\"month\""
				: "prices[%zu]: %s is counted at instants: its price has "
				  "no \"per\"",
			    i, p->sku);
		}
	return true;
}

bool
handle_tariff_import(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");
	const char *document = call_value(c, "document");
	struct tariff *t = NULL;
	bool fits;

	if (!tariff_parse(&t, document, strlen(document), e))
		return false;
	fits = meters_fit(c, t, e);
	tariff_free(t);
	if (!fits || !db_run(c->db, STMT_TARIFF_UPSERT, DB_ARGS(name), NULL, e) ||
	    !db_query(c->db, STMT_TARIFF_LATEST, DB_ARGS(name, document), &r, e))
		return false;
	c->object = arena_strdup(c->arena, rows_text(r, 0, 1));
	return version_insert(c, r, document, e) &&
	    call_answer_one(c, STMT_TARIFF_ONE, c->object, e);
}

bool
handle_tariff_assign(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *found = NULL;
	scoped(rows_clear) struct rows *r = NULL;
	const char *tariff = call_value(c, "tariffid");
	const char *account_uuid = NULL;
	int64_t account = 0;

	if (!call_named_account(c, &account, &account_uuid, e) ||
	    !db_query(c->db, STMT_TARIFF_FIND, DB_ARGS(tariff), &found, e))
		return false;
	if (account == 0)
		return err_set(e, ERR_INPUT, "assignTariff needs account or accountid");
	if (rows_count(found) == 0)
		return call_not_found(c, "tariffid", tariff, e);
	c->object = account_uuid;
	if (!db_query(c->db, STMT_TARIFF_ASSIGN,
		DB_ARGS(DB_NUMBER(account), call_value(c, "startdate"),
		    rows_text(found, 0, 0)),
		&r, e))
		return false;
	if (rows_i64(r, 0, 0) != rows_i64(found, 0, 0))
		return err_set(e, ERR_CONFLICT,
		    "from %s on the account has another price list, and that stays "
		    "written: "
		    "give a later startdate",
		    call_date(c, rows_text(r, 0, 1)));
	return call_answer_one(c, STMT_ACCOUNT_ONE, account_uuid, e);
}
