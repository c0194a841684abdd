/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that are nothing but a job on one object: found in the caller's sight, then
 * asked for. */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <string.h>

struct target {
	enum op_id op;
	unsigned stmt;
	const char *param; /* names the object */
};

static const struct target targets[] = {
	{ OP_recoverVirtualMachine, STMT_VM_TARGET_IN_BIN, "id" },
	{ OP_expungeVirtualMachine, STMT_VM_TARGET_IN_BIN, "id" },
	{ OP_suspendVirtualMachine, STMT_VM_TARGET, "id" },
	{ OP_resumeVirtualMachine, STMT_VM_TARGET, "id" },
	{ OP_resetVirtualMachine, STMT_VM_TARGET, "id" },
	{ OP_unrescueVirtualMachine, STMT_VM_TARGET, "id" },
	{ OP_detachIso, STMT_VM_TARGET, "virtualmachineid" },
	{ OP_detachVolume, STMT_VOLUME_TARGET, "id" },
	{ OP_revertSnapshot, STMT_SNAPSHOT_VOLUME_TARGET, "id" },
	{ OP_deleteSnapshot, STMT_SNAPSHOT_TARGET, "id" },
	{ OP_revertToVMSnapshot, STMT_VM_SNAPSHOT_TARGET, "vmsnapshotid" },
	{ OP_deleteVMSnapshot, STMT_VM_SNAPSHOT_TARGET, "vmsnapshotid" },
	{ OP_deleteTemplate, STMT_TEMPLATE_TARGET, "id" },
	{ OP_deleteIso, STMT_TEMPLATE_TARGET, "id" },
};

/* What a job made, or changed, is shown as it is now. */
struct shown {
	const char *response;
	unsigned stmt;
};

static const struct shown shown[] = {
	{ "virtualmachine", STMT_VM_ONE },
	{ "volume", STMT_VOLUME_ONE },
	{ "snapshot", STMT_SNAPSHOT_ONE },
	{ "vmsnapshot", STMT_VM_SNAPSHOT_ONE },
	{ "template", STMT_TEMPLATE_ONE },
	{ "iso", STMT_ISO_ONE },
	{ "host", STMT_HOST_ONE },
};

bool
cloud_result(struct call *c, const char *response, const char *uuid, bool *written,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	*written = false;
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		if (strcmp(shown[i].response, response) != 0)
			continue;
		if (!db_query(c->db, shown[i].stmt, DB_ARGS(uuid), &r, e))
			return false;
		*written = rows_count(r) > 0;
		if (!*written)
			return true;
		jout_open(&c->out, response, '{');
		call_row_as(c, r, 0, response);
		jout_close(&c->out, '}');
		return true;
	}
	return true;
}

bool
cloud_seen(struct call *c, unsigned stmt, const char *param, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, param);

	if (uuid == NULL)
		return true;
	if (!db_query(c->db, stmt, DB_ARGS(uuid), &r, e))
		return false;
	return rows_count(r) > 0 || call_not_found(c, param, uuid, e);
}

bool
cloud_job_on(struct call *c, unsigned stmt, const char *param, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, param);

	if (!db_query(c->db, stmt, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, param, uuid, e);
	c->owner = rows_i64(r, 0, 0);
	return call_job(c, rows_text(r, 0, 2), rows_text(r, 0, 1), c->owner, e);
}

bool
cloud_limits(struct call *c, int64_t account, const char *kinds, struct err *e)
{
	if (db_run(c->db, STMT_LIMITS_KEEP, DB_ARGS(DB_NUMBER(account), kinds), NULL, e))
		return true;
	if (e->kind == ERR_LIMIT)
		c->error_code = 535;
	return false;
}

bool
cloud_gib(int64_t gib, int64_t *bytes)
{
	*bytes = gib << 30;
	return gib >= 1 && gib <= 1 << 20;
}

static bool
vm_answer(struct call *c, struct err *e)
{
	return call_answer_one(c, STMT_VM_ONE, c->object, e);
}

bool
handle_cloud_job(struct call *c, struct err *e)
{
	if (c->op->mode == OP_SYNC)
		c->after = vm_answer;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		if (targets[i].op == c->op->id)
			return cloud_job_on(c, targets[i].stmt, targets[i].param, e);
	return err_set(e, ERR_INTERNAL, "%s has no target", c->op->name);
}
