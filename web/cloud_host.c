/* SPDX-License-Identifier: Apache-2.0 */
/* Inventory: zones, pods, clusters, hosts, dedication, affinity groups. */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <string.h>

static bool
made(struct call *c, const struct rows *r, unsigned one, const char *param, struct err *e)
{
	if (rows_count(r) == 0)
		return call_not_found(c, param, call_value(c, param), e);
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return call_answer_one(c, one, c->object, e);
}

static bool
there_already(const char *what, const char *name, struct err *e)
{
	return e->kind == ERR_CONFLICT
	    ? err_set(e, ERR_CONFLICT, "there is a %s %.120s already", what, name)
	    : false;
}

bool
handle_zone_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");

	return db_query(c->db, STMT_ZONE_INSERT, DB_ARGS(name), &r, e)
	    ? made(c, r, STMT_ZONE_ONE, "name", e)
	    : there_already("zone", name, e);
}

bool
handle_pod_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");

	return db_query(c->db, STMT_POD_INSERT, DB_ARGS(name, call_value(c, "zoneid")),
		   &r, e)
	    ? made(c, r, STMT_POD_ONE, "zoneid", e)
	    : there_already("pod", name, e);
}

/* What stands in something keeps it there. */
static bool
removed(struct call *c, unsigned stmt, const char *holds, struct err *e)
{
	uint64_t done = 0;

	c->object = call_value(c, "id");
	return db_run(c->db, stmt, DB_ARGS(c->object), &done, e) &&
	    (done > 0 ||
		err_set(e, ERR_CONFLICT, "%s: there is none of that id, or it has %s",
		    c->op->name, holds));
}

bool
handle_pod_delete(struct call *c, struct err *e)
{
	return removed(c, STMT_POD_REMOVE, "clusters", e);
}

bool
handle_cluster_delete(struct call *c, struct err *e)
{
	return removed(c, STMT_CLUSTER_REMOVE, "hosts", e);
}

/* A plain decimal: PostgreSQL's own check says the rest. */
static bool
ratio_fits(struct call *c, const char *param, struct err *e)
{
	const char *text = call_value(c, param);

	return text == NULL || strspn(text, "0123456789.") == strlen(text) ||
	    err_set(e, ERR_INPUT, "%s %.12s is no number", param, text);
}

static bool
ratios_fit(struct call *c, struct err *e)
{
	return ratio_fits(c, "cpuovercommitratio", e) &&
	    ratio_fits(c, "memoryovercommitratio", e);
}

static bool
ratio_refused(struct err *e)
{
	return e->kind == ERR_INPUT
	    ? err_set(e, ERR_INPUT,
		  "cpuovercommitratio is 1 to 1000, memoryovercommitratio 1 to 100")
	    : false;
}

bool
handle_cluster_add(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "clustername");

	if (!ratios_fit(c, e))
		return false;
	if (db_query(c->db, STMT_CLUSTER_INSERT,
		DB_ARGS(name, call_value(c, "podid"), call_value(c, "cpuovercommitratio"),
		    call_value(c, "memoryovercommitratio")),
		&r, e))
		return made(c, r, STMT_CLUSTER_ONE, "podid", e);
	return e->kind == ERR_INPUT ? ratio_refused(e)
				    : there_already("cluster", name, e);
}

bool
handle_cluster_update(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");
	const char *state = call_value(c, "allocationstate");

	if (!ratios_fit(c, e))
		return false;
	if (!db_query(c->db, STMT_CLUSTER_UPDATE,
		DB_ARGS(id, call_value(c, "clustername"),
		    call_value(c, "cpuovercommitratio"),
		    call_value(c, "memoryovercommitratio"),
		    state == NULL                            ? NULL
			: strcasecmp(state, "Disabled") == 0 ? "f"
							     : "t"),
		&r, e))
		return ratio_refused(e);
	c->object = id;
	return rows_count(r) > 0 ? call_answer_one(c, STMT_CLUSTER_ONE, id, e)
				 : call_not_found(c, "id", id, e);
}

bool
handle_host_update(struct call *c, struct err *e)
{
	const char *id = call_value(c, "id");
	const char *state = call_value(c, "allocationstate");
	const char *tags = params_get(c->params, "hosttags");
	const char *reach = params_get(c->params, "migrateuri");
	int64_t reserved = call_number(c, "reservedmemory", 0);
	uint64_t done = 0;

	if (reserved < 0 || reserved > 1 << 30)
		return err_set(e, ERR_INPUT, "reservedmemory: 0 to 1073741824 MiB");
	if (tags != NULL && strcmp(tags, " ") == 0)
		tags = "";
	if (reach != NULL && strcmp(reach, " ") == 0)
		reach = "";
	if (reach != NULL && reach[0] != '\0' && strncmp(reach, "tcp://", 6) != 0 &&
	    strncmp(reach, "unix:///", 8) != 0)
		return err_set(e, ERR_INPUT,
		    "migrateuri %.80s: tcp://ADDRESS or unix:///FOLDER is wanted", reach);
	if (!db_run(c->db, STMT_HOST_UPDATE,
		DB_ARGS(id, call_value(c, "name"),
		    state == NULL                           ? NULL
			: strcasecmp(state, "Disable") == 0 ? "f"
							    : "t",
		    tags, call_value(c, "hahost"), call_value(c, "reservedmemory"),
		    reach),
		&done, e))
		return false;
	c->object = id;
	if (done > 0)
		return call_answer_one(c, STMT_HOST_ONE, id, e);
	return state == NULL
	    ? call_not_found(c, "id", id, e)
	    : err_set(e, ERR_CONFLICT,
		  "the host is not there, or in maintenance: see cancelHostMaintenance");
}

bool
handle_host_job(struct call *c, struct err *e)
{
	return cloud_job_on(c, STMT_HOST_TARGET, "id", e);
}

/* ---- dedication */

static bool
dedication_write(struct call *c, const char *domain, const char *account, struct err *e)
{
	bool host = operation_param(c->op, "hostid") != NULL;
	const char *param = host ? "hostid" : "clusterid";
	uint64_t done = 0;

	c->object = call_value(c, param);
	return db_run(c->db, host ? STMT_HOST_DEDICATE : STMT_CLUSTER_DEDICATE,
		   DB_ARGS(c->object, domain, account), &done, e) &&
	    (done > 0 || call_not_found(c, param, c->object, e));
}

bool
handle_dedicate(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *domain = call_value(c, "domainid");
	int64_t account = 0;

	if (!call_named_account(c, &account, NULL, e))
		return false;
	if (account != 0)
		return dedication_write(c, NULL, DB_NUMBER(account), e);
	if (domain == NULL)
		return err_set(e, ERR_INPUT, "for whom? give domainid or account");
	if (!db_query(c->db, STMT_DOMAIN_FIND, DB_ARGS(domain), &r, e))
		return false;
	return rows_count(r) > 0 ? dedication_write(c, rows_text(r, 0, 0), NULL, e)
				 : call_not_found(c, "domainid", domain, e);
}

bool
handle_dedication_release(struct call *c, struct err *e)
{
	return dedication_write(c, NULL, NULL, e);
}

/* ---- affinity groups */

bool
handle_affinity_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");
	const char *type = call_value(c, "type");
	const char *plain = strncmp(type, "non-strict ", 11) == 0 ? type + 11 : type;

	if (strcmp(plain, "host affinity") != 0 &&
	    strcmp(plain, "host anti-affinity") != 0)
		return err_set(e, ERR_INPUT, "type %.40s: see listAffinityGroupTypes",
		    type);
	return db_query(c->db, STMT_AFFINITY_INSERT,
		   DB_ARGS(DB_NUMBER(c->owner), name, type, call_value(c, "description")),
		   &r, e)
	    ? made(c, r, STMT_AFFINITY_ONE, "name", e)
	    : there_already("affinity group", name, e);
}

bool
handle_affinity_delete(struct call *c, struct err *e)
{
	uint64_t done = 0;

	c->object = call_value(c, "id");
	return db_run(c->db, STMT_AFFINITY_DELETE, DB_ARGS(c->object), &done, e) &&
	    (done > 0 || call_not_found(c, "id", c->object, e));
}

static size_t
words_in(const char *list)
{
	size_t n = 0;

	for (const char *p = list; p != NULL && *p != '\0'; p += *p == ',') {
		size_t length = strcspn(p, ",");
		n += length > 0;
		p += length;
	}
	return n;
}

bool
cloud_vm_affinity(struct call *c, const char *uuid, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *ids = call_value(c, "affinitygroupids");
	const char *names = call_value(c, "affinitygroupnames");

	if (ids == NULL && names == NULL)
		return true;
	if (!db_query(c->db, STMT_AFFINITY_PUT, DB_ARGS(uuid, ids, names), &r, e))
		return false;
	return (size_t)rows_i64(r, 0, 0) == words_in(ids) + words_in(names) ||
	    err_set(e, ERR_NOT_FOUND,
		"not all of these affinity groups are the account's own: see "
		"listAffinityGroups");
}

bool
handle_vm_affinity(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_VM_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	if (strcmp(rows_text(r, 0, 2), "Stopped") != 0)
		return err_set(e, ERR_CONFLICT, "%.120s is %s: stop it first",
		    rows_text(r, 0, 1), rows_text(r, 0, 2));
	c->owner = rows_i64(r, 0, 0);
	c->object = id;
	return db_run(c->db, STMT_AFFINITY_LEAVE, DB_ARGS(id), NULL, e) &&
	    cloud_vm_affinity(c, id, e) && call_answer_one(c, STMT_VM_ONE, id, e);
}

/* Where a VM that is being made shall go, as numbers that its job understands. */
bool
cloud_vm_where(struct call *c, struct err *e)
{
	static const char *const params[] = { "zoneid", "podid", "clusterid" };
	static const char *const keys[] = { "zone", "pod", "cluster" };
	static const char *const provider_only[] = { "podid", "clusterid",
		"deploymentplanner" };
	scoped(rows_clear) struct rows *r = NULL;

	for (size_t i = 0; i < ARRAY_LEN(provider_only); i++)
		if (!c->caller.provider && call_value(c, provider_only[i]) != NULL)
			return err_set(e, ERR_DENIED, "%s is for the provider only",
			    provider_only[i]);
	if (!db_query(c->db, STMT_PLACE_IDS,
		DB_ARGS(call_value(c, "zoneid"), call_value(c, "podid"),
		    call_value(c, "clusterid")),
		&r, e))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		const char *value = call_value(c, params[i]);
		if (value != NULL && rows_text(r, 0, i) == NULL)
			return call_not_found(c, params[i], value, e);
		if (value != NULL)
			call_job_says(c, keys[i], rows_text(r, 0, i));
	}
	return true;
}
