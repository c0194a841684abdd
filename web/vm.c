/* SPDX-License-Identifier: Apache-2.0 */
/* vm: virtual machines by jobs, which jeoul-provision carries out */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

static bool
must_exist(struct call *c, unsigned stmt, const char *param, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, param);

	if (uuid == NULL)
		return true;
	if (!db_query(c->db, stmt, DB_ARGS(uuid), &r, e))
		return false;
	return rows_count(r) > 0 || call_not_found(c, param, uuid, e);
}

/* The provider may choose the host; NULL: placement does. */
static bool
host_chosen(struct call *c, const char **id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, "hostid");

	*id = NULL;
	if (uuid == NULL)
		return true;
	if (!c->caller.provider)
		return err_set(e, ERR_DENIED, "hostid is for the provider only");
	if (!db_query(c->db, STMT_HOST_FIND, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "hostid", uuid, e);
	*id = arena_strdup(c->arena, rows_text(r, 0, 0));
	return true;
}

static bool
parts_exist(struct call *c, struct err *e)
{
	return must_exist(c, STMT_ZONE_EXISTS, "zoneid", e) &&
	    must_exist(c, STMT_OFFERING_ONE, "serviceofferingid", e) &&
	    must_exist(c, STMT_TEMPLATE_ONE, "templateid", e);
}

bool
handle_vm_deploy(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "displayname");
	const char *start = call_value(c, "startvm");
	const char *host = NULL;

	if (name == NULL)
		name = call_value(c, "name");
	if (!parts_exist(c, e) || !host_chosen(c, &host, e))
		return false;
	if (!db_query(c->db, STMT_VM_DEPLOY,
		DB_ARGS(DB_NUMBER(c->owner), name, call_value(c, "serviceofferingid"),
		    call_value(c, "templateid"), start != NULL ? start : "true", host),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND,
		    "the offering or the template was removed this moment");
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return cloud_vm_disks(c, c->object, e) && cloud_vm_seed(c, c->object, e) &&
	    cloud_vm_cards(c, c->object, e) && cloud_vm_affinity(c, c->object, e) &&
	    cloud_vm_where(c, e) &&
	    cloud_limits(c, c->owner, "{user_vm,cpu,memory,volume,primary_storage}", e) &&
	    call_job(c, "vm", c->object, c->owner, e);
}

/* Start, stop, reboot, destroy: the job says which. */
bool
handle_vm_job(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_VM_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	c->owner = rows_i64(r, 0, 0);
	return call_job(c, "vm", id, c->owner, e);
}

static bool
vm_answer(struct call *c, struct err *e)
{
	return call_answer_one(c, STMT_VM_ONE, c->object, e);
}

bool
handle_vm_migrate(struct call *c, struct err *e)
{
	return must_exist(c, STMT_HOST_FIND, "hostid", e) &&
	    cloud_job_on(c, STMT_VM_TARGET, "virtualmachineid", e);
}

bool
handle_vm_assign(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "virtualmachineid");
	const char *owner = NULL;
	int64_t account = 0;

	if (!call_named_account(c, &account, &owner, e))
		return false;
	if (account == 0)
		return err_set(e, ERR_INPUT,
		    "assignVirtualMachine needs the new owner: account or accountid");
	if (!db_query(c->db, STMT_VM_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "virtualmachineid", id, e);
	call_job_says(c, "accountid", owner);
	c->after = vm_answer;
	return call_job(c, "vm", id, rows_i64(r, 0, 0), e);
}

/* ---- jobs */

static const char *
column_text(const struct rows *r, const char *name)
{
	for (size_t i = 0; i < rows_columns(r); i++)
		if (strcmp(rows_column_name(r, i), name) == 0)
			return rows_text(r, 0, i);
	abort(); /* our own view and we disagree */
}

static void
failure_write(struct call *c, const struct rows *r)
{
	const char *text = column_text(r, "error_text");

	jout_open(&c->out, "jobresult", '{');
	jout_number(&c->out, "errorcode",
	    strtoll(column_text(r, "jobresultcode"), NULL, 10));
	jout_string(&c->out, "errortext", text != NULL ? text : "");
	jout_close(&c->out, '}');
}

/* What a job made or changed, as it is now; what it deleted is just done. */
static bool
success_write(struct call *c, const struct rows *r, struct err *e)
{
	const char *result = column_text(r, "result");
	struct json *doc = NULL;
	const struct jval *first;
	const char *id;
	bool written = false;

	if (result != NULL && !json_parse(&doc, result, strlen(result), e))
		return false;
	first = json_first(json_root(doc));
	id = json_text(json_get(first, "id"));
	jout_open(&c->out, "jobresult", '{');
	bool ok = id == NULL || cloud_result(c, json_name(first), id, &written, e);
	if (!written)
		jout_bool(&c->out, "success", true);
	jout_close(&c->out, '}');
	json_free(doc);
	return ok;
}

bool
handle_job(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "jobid");
	const char *status;

	if (!db_query(c->db, STMT_JOB_ONE, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "jobid", id, e);
	call_row_as(c, r, 0, "asyncjob");
	jout_string(&c->out, "cmd", column_text(r, "command"));
	status = column_text(r, "jobstatus");
	if (status[0] == '1')
		return success_write(c, r, e);
	if (status[0] == '2')
		failure_write(c, r);
	return true;
}

bool
handle_vm_guest(struct call *c, struct err *e)
{
	return call_answer_one(c, STMT_VM_GUEST, call_value(c, "id"), e);
}
