/* SPDX-License-Identifier: Apache-2.0 */
/* Domains, limits, projects. */
#include "web/cloud.h"
#include "web_stmt.gen.h"
#include <string.h>

/* ---- domains */

static bool
name_fits(const char *name, struct err *e)
{
	return strchr(name, '/') == NULL ||
	    err_set(e, ERR_INPUT, "a domain's name has no slash: %.120s", name);
}

static bool
name_taken(const char *name, struct err *e)
{
	return e->kind == ERR_CONFLICT
	    ? err_set(e, ERR_CONFLICT, "there is a domain %.120s there already", name)
	    : false;
}

bool
handle_domain_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");
	const char *parent = call_value(c, "parentdomainid");

	if (!name_fits(name, e))
		return false;
	if (!db_query(c->db, STMT_DOMAIN_INSERT, DB_ARGS(name, parent), &r, e))
		return name_taken(name, e);
	if (rows_count(r) == 0)
		return call_not_found(c, "parentdomainid", parent, e);
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return call_answer_one(c, STMT_DOMAIN_ONE, c->object, e);
}

bool
handle_domain_update(struct call *c, struct err *e)
{
	const char *name = call_value(c, "name");
	uint64_t done = 0;

	c->object = call_value(c, "id");
	if (!name_fits(name, e))
		return false;
	if (!db_run(c->db, STMT_DOMAIN_RENAME, DB_ARGS(c->object, name), &done, e))
		return name_taken(name, e);
	return done > 0 ? call_answer_one(c, STMT_DOMAIN_ONE, c->object, e)
			: call_not_found(c, "id", c->object, e);
}

bool
handle_domain_delete(struct call *c, struct err *e)
{
	uint64_t done = 0;

	c->object = call_value(c, "id");
	return db_run(c->db, STMT_DOMAIN_DELETE, DB_ARGS(c->object), &done, e) &&
	    (done > 0 ||
		err_set(e, ERR_CONFLICT,
		    "deleteDomain: there is none of that id, it is ROOT, or it has "
		    "accounts, domains below it or hosts of its own"));
}

/* ---- accounts in and out of use */

bool
handle_account_state(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");
	bool enable = c->op->id == OP_enableAccount;
	bool lock = !enable && call_true(c, "lock");

	c->object = id;
	if (!db_query(c->db, STMT_ACCOUNT_STATE,
		DB_ARGS(id,
		    enable     ? "enabled"
			: lock ? "locked"
			       : "disabled"),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	c->owner = rows_i64(r, 0, 0);
	if (!enable && !lock &&
	    (!db_run(c->db, STMT_ACCOUNT_STOP_ALL,
		 DB_ARGS(rows_text(r, 0, 0), DB_NUMBER(c->caller.user_id)), NULL, e) ||
		!db_run(c->db, STMT_JOB_WAKE, DB_ARGS(""), NULL, e)))
		return false;
	return call_answer_one(c, STMT_ACCOUNT_ONE, id, e);
}

/* ---- limits */

/* Of an account when one is named, else of the domain, else of the caller's account. */
static bool
limit_owner(struct call *c, int64_t *account, const char **domain, struct err *e)
{
	const char *uuid = call_value(c, "domainid");

	*domain = NULL;
	if (!call_named_account(c, account, NULL, e))
		return false;
	if (*account != 0)
		return true;
	if (uuid == NULL) {
		*account = c->owner != 0 ? c->owner : c->caller.account_id;
		return true;
	}
	*domain = uuid;
	return c->caller.provider ||
	    err_set(e, ERR_DENIED, "the limits of a domain are for the provider only");
}

bool
handle_limit_list(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *domain = NULL;
	int64_t account = 0;

	if (!limit_owner(c, &account, &domain, e) ||
	    !db_query(c->db,
		domain != NULL ? STMT_LIMIT_LIST_DOMAIN : STMT_LIMIT_LIST_ACCOUNT,
		DB_ARGS(domain != NULL ? domain : DB_NUMBER(account),
		    call_value(c, "resourcetype"), call_value(c, "resourcetypename")),
		&r, e))
		return false;
	call_rows(c, r);
	return true;
}

bool
handle_limit_update(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *put = NULL;
	scoped(rows_clear) struct rows *found = NULL;
	scoped(rows_clear) struct rows *r = NULL;
	const char *type = call_value(c, "resourcetype");
	const char *domain = NULL;
	const char *id;
	int64_t account = 0;
	int64_t most = call_number(c, "max", -1);

	if (most < -1)
		return err_set(e, ERR_INPUT, "max: 0 or more, or -1 for no limit");
	if (!limit_owner(c, &account, &domain, e))
		return false;
	id = DB_NUMBER(account);
	if (domain != NULL) {
		if (!db_query(c->db, STMT_DOMAIN_FIND, DB_ARGS(domain), &found, e))
			return false;
		if (rows_count(found) == 0)
			return call_not_found(c, "domainid", domain, e);
		id = rows_text(found, 0, 0);
	}
	if (!db_query(c->db, STMT_LIMIT_PUT,
		DB_ARGS(domain != NULL ? "domain" : "account", id, type, DB_NUMBER(most)),
		&put, e))
		return false;
	if (rows_count(put) == 0)
		return err_set(e, ERR_INPUT,
		    "resourcetype %.10s is none: see listResourceLimits", type);
	if (!db_query(c->db,
		domain != NULL ? STMT_LIMIT_LIST_DOMAIN : STMT_LIMIT_LIST_ACCOUNT,
		DB_ARGS(domain != NULL ? domain : id, type, NULL), &r, e))
		return false;
	call_rows(c, r);
	return true;
}

bool
handle_limit_count(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *domain = NULL;
	int64_t account = 0;

	if (!limit_owner(c, &account, &domain, e) ||
	    !db_query(c->db,
		domain != NULL ? STMT_COUNT_OF_DOMAIN : STMT_COUNT_OF_ACCOUNT,
		DB_ARGS(domain != NULL ? domain : DB_NUMBER(account),
		    call_value(c, "resourcetype")),
		&r, e))
		return false;
	call_rows(c, r);
	return true;
}

/* ---- projects */

bool
handle_project_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "name");

	/* Its account is nobody's own: written past the caller's rows, checked by name.
	 */
	if (!call_scope_set(c, SCOPE_ALL, e))
		return false;
	if (!db_query(c->db, STMT_PROJECT_INSERT,
		DB_ARGS(DB_NUMBER(c->owner), name, call_value(c, "displaytext")), &r, e))
		return e->kind == ERR_CONFLICT
		    ? err_set(e, ERR_CONFLICT, "there is a project %.120s already", name)
		    : false;
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return cloud_limits(c, c->owner, "{project}", e) &&
	    call_answer_one(c, STMT_PROJECT_ONE, c->object, e);
}

/* The project's number and its account, for its owner and the provider. */
static bool
project_of(struct call *c, const char *param, struct rows **r, struct err *e)
{
	const char *id = call_value(c, param);

	c->object = id;
	if (!call_scope_set(c, SCOPE_ALL, e) ||
	    !db_query(c->db, STMT_PROJECT_OF,
		DB_ARGS(id, c->caller.provider ? NULL : DB_NUMBER(c->caller.account_id)),
		r, e))
		return false;
	return rows_count(*r) > 0 || call_not_found(c, param, id, e);
}

bool
handle_project_delete(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	uint64_t done = 0;

	return project_of(c, "id", &r, e) &&
	    db_run(c->db, STMT_PROJECT_REMOVE, DB_ARGS(rows_text(r, 0, 0)), &done, e) &&
	    (done > 0 ||
		err_set(e, ERR_CONFLICT,
		    "there are machines, volumes or snapshots in that project: delete "
		    "them first"));
}

bool
handle_project_member_add(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *put = NULL;
	const char *account = call_value(c, "account");

	if (!project_of(c, "projectid", &r, e) ||
	    !db_query(c->db, STMT_PROJECT_MEMBER_PUT,
		DB_ARGS(rows_text(r, 0, 0), account, rows_text(r, 0, 2)), &put, e))
		return false;
	return rows_count(put) > 0 ||
	    err_set(e, ERR_NOT_FOUND,
		"there is no account %.120s in the project's domain, or it works there "
		"already",
		account);
}

bool
handle_project_member_remove(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *account = call_value(c, "account");
	uint64_t done = 0;

	return project_of(c, "projectid", &r, e) &&
	    db_run(c->db, STMT_PROJECT_MEMBER_DELETE,
		DB_ARGS(rows_text(r, 0, 0), account), &done, e) &&
	    (done > 0 ||
		err_set(e, ERR_NOT_FOUND,
		    "%.120s does not work in that project, or is its owner", account));
}
