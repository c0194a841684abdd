/* SPDX-License-Identifier: Apache-2.0 */
/* session: log-in and log-out, and what a caller may call */
#include "web/auth.h"
#include "web/handlers.h"
#include "web/sign.h"
#include <ctype.h>
#include <pthread.h>
#include <string.h>

enum { FAILURES_MOST = 5, FAILURES_KEPT = 256, FAILURES_FORGOTTEN_S = 60 };

/* ---- guessing of passwords is slowed down per name and address */

struct failure {
	char who[65];
	unsigned count;
	int64_t until_ns;
};

static struct failure failures[FAILURES_KEPT];
static size_t failure_next;
static pthread_mutex_t failures_lock = PTHREAD_MUTEX_INITIALIZER;

static struct failure *
failure_find(const char *who)
{
	for (size_t i = 0; i < FAILURES_KEPT; i++)
		if (strcmp(failures[i].who, who) == 0)
			return &failures[i];
	return NULL;
}

static bool
guessed_too_often(const char *who)
{
	const struct failure *f;
	bool too_often;

	(void)pthread_mutex_lock(&failures_lock);
	f = failure_find(who);
	too_often = f != NULL && f->count >= FAILURES_MOST &&
	    f->until_ns > clock_mono().ns;
	(void)pthread_mutex_unlock(&failures_lock);
	return too_often;
}

static void
guess_note(const char *who, bool good)
{
	struct failure *f;

	(void)pthread_mutex_lock(&failures_lock);
	f = failure_find(who);
	if (f == NULL && !good) {
		f = &failures[failure_next++ % FAILURES_KEPT];
		memset(f, 0, sizeof(*f));
		memcpy(f->who, who, sizeof(f->who));
	}
	if (f != NULL && f->until_ns < clock_mono().ns)
		f->count = 0;
	if (f != NULL) {
		f->count = good ? 0 : f->count + 1;
		f->until_ns = clock_mono().ns + FAILURES_FORGOTTEN_S * NS_PER_S;
	}
	(void)pthread_mutex_unlock(&failures_lock);
}

/* ---- log-in */

/* Columns of caller_by_name() behind those of all callers. */
enum { DOMAIN_PATH = 14, FIRST_NAME, LAST_NAME };

/* "/", "" and "ROOT" are the root; others with or without ROOT in front. */
static bool
domain_fits(const struct call *c, const char *path)
{
	const char *wanted = call_value(c, "domain");
	const char *id = call_value(c, "domainid");

	if (id != NULL && strcasecmp(id, c->caller.domain_uuid) != 0)
		return false;
	if (wanted == NULL || strcmp(wanted, "/") == 0)
		return true;
	while (*wanted == '/')
		wanted++;
	if (strncmp(wanted, "ROOT", 4) != 0 && strncmp(path, "ROOT/", 5) == 0)
		path += 5;
	return strcmp(wanted, path) == 0;
}

static void
login_write(struct call *c, const struct rows *r)
{
	struct jout *j = &c->out;

	jout_string(j, "username", c->caller.user_name);
	jout_string(j, "userid", c->caller.user_uuid);
	jout_string(j, "domainid", c->caller.domain_uuid);
	jout_number(j, "timeout",
	    conf_span_ns(c->web->conf, CONF_WEB_SESSION) / NS_PER_S);
	jout_string(j, "account", c->caller.account_name);
	jout_string(j, "accountid", c->caller.account_uuid);
	jout_string(j, "firstname", rows_text(r, 0, FIRST_NAME));
	jout_string(j, "lastname", rows_text(r, 0, LAST_NAME));
	jout_string(j, "type", c->caller.provider ? "1" : "0");
	jout_string(j, "timezone", c->caller.timezone);
	jout_string(j, "timezoneoffset", "0.0");
	jout_string(j, "registered", "false");
	jout_string(j, "sessionkey", auth_session_key(c));
	jout_string(j, "is2faenabled", "false");
	jout_string(j, "is2faverified", "true");
	jout_string(j, "issuerfor2fa", "CloudStack");
	jout_string(j, "locale", c->caller.locale);
	jout_bool(j, "mustchange", c->caller.must_change);
}

bool
handle_login(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "username");
	char who[65];

	digest_hex(who, arena_printf(c->arena, "%s\n%s", name, c->request->source));
	if (guessed_too_often(who)) {
		c->error_code = 429;
		return err_set(e, ERR_LIMIT,
		    "too many failed log-ins of %.60s: try again in a minute", name);
	}
	if (!auth_password(c, name, call_value(c, "password"), &r, e)) {
		if (e->kind == ERR_DENIED)
			guess_note(who, false);
		return false;
	}
	if (!domain_fits(c, rows_text(r, 0, DOMAIN_PATH))) {
		c->caller.known = false;
		return err_set(e, ERR_DENIED,
		    "Failed to authenticate user; please provide valid credentials");
	}
	guess_note(who, true);
	c->owner = c->caller.account_id;
	if (!call_scope_set(c, c->owner, e) || !auth_open(c, e))
		return false;
	c->object = c->caller.user_uuid;
	login_write(c, r);
	return true;
}

bool
handle_logout(struct call *c, struct err *e)
{
	if (!auth_close(c, e))
		return false;
	jout_string(&c->out, "description", "success");
	return true;
}

bool
handle_session(struct call *c, struct err *unused_e unused)
{
	struct jout *j = &c->out;

	jout_string(j, "username", c->caller.user_name);
	jout_string(j, "userid", c->caller.user_uuid);
	jout_string(j, "account", c->caller.account_name);
	jout_string(j, "accountid", c->caller.account_uuid);
	jout_bool(j, "provider", c->caller.provider);
	jout_string(j, "locale", c->caller.locale);
	jout_string(j, "timezone", c->caller.timezone);
	jout_bool(j, "mustchange", c->caller.must_change);
	if (c->caller.by_session)
		jout_string(j, "sessionkey", auth_session_key(c));
	return true;
}

/* ---- listApis and listCapabilities */

/* The operation that lists what an id parameter names: for completion in shells. */
static const char *
related_of(const struct operation *op, const struct op_param *param)
{
	static const char *const lists[][2] = { { "zoneid", "listZones" },
		{ "hostid", "listHosts" },
		{ "serviceofferingid", "listServiceOfferings" },
		{ "templateid", "listTemplates" },
		{ "virtualmachineid", "listVirtualMachines" },
		{ "accountid", "listAccounts" }, { "tariffid", "listTariffs" } };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (strcmp(param->name, lists[i][0]) == 0)
			return lists[i][1];
	if (param->type != TYPE_UUID || strcmp(param->name, "id") != 0)
		return "";
	for (size_t i = 0; i < OP_COUNT; i++)
		if (operations[i].form == FORM_LIST &&
		    strncmp(operations[i].name, "list", 4) == 0 &&
		    strcmp(operations[i].response, op->response) == 0)
			return operations[i].name;
	return "";
}

static void
params_write(struct jout *j, const struct operation *op)
{
	jout_open(j, "params", '[');
	for (size_t i = 0; i < op->param_count; i++) {
		const struct op_param *p = &op->params[i];
		jout_open(j, NULL, '{');
		jout_string(j, "name", p->name);
		jout_string(j, "description", p->description);
		jout_string(j, "type", op_type_name(p->type));
		jout_number(j, "length", p->length);
		jout_bool(j, "required", (p->flags & REQUIRED) != 0);
		jout_string(j, "related", related_of(op, p));
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
fields_write(struct jout *j, const char *name, int depth)
{
	const struct op_response *response = operation_response(name);

	jout_open(j, "response", '[');
	for (size_t i = 0; response != NULL && i < response->count; i++) {
		const struct op_field *f = &response->fields[i];
		jout_open(j, NULL, '{');
		jout_string(j, "name", f->name);
		jout_string(j, "description", f->description);
		jout_string(j, "type", op_type_name(f->type));
		if (f->of != NULL && depth > 0)
			fields_write(j, f->of, depth - 1);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void
related_write(struct jout *j, const struct operation *op)
{
	scoped(buf_done) struct buf names = BUF_INIT;

	for (size_t i = 0; i < OP_COUNT; i++)
		if (&operations[i] != op && op->response[0] != '\0' &&
		    strcmp(operations[i].response, op->response) == 0)
			buf_printf(&names, "%s%s", names.length > 0 ? "," : "",
			    operations[i].name);
	jout_string(j, "related", buf_text(&names));
}

static void
api_write(struct jout *j, const struct operation *op)
{
	jout_open(j, NULL, '{');
	jout_string(j, "name", op->name);
	jout_string(j, "description", op->description);
	jout_bool(j, "isasync", op->mode == OP_JOB);
	related_write(j, op);
	params_write(j, op);
	fields_write(j, op->response, 2);
	jout_close(j, '}');
}

bool
handle_apis(struct call *c, struct err *unused_e unused)
{
	const char *only = call_value(c, "name");

	for (size_t i = 0; i < OP_COUNT; i++) {
		const struct operation *op = &operations[i];
		if ((op->access == OP_PROVIDER && !c->caller.provider) ||
		    (only != NULL && strcmp(only, op->name) != 0))
			continue;
		api_write(&c->out, op);
		c->total++;
	}
	return true;
}

bool
handle_capabilities(struct call *c, struct err *unused_e unused)
{
	static const char *const off[] = { "securitygroupsenabled", "dynamicrolesenabled",
		"allowuserviewdestroyedvm", "allowuserexpungerecovervm",
		"allowuserexpungerecovervolume", "allowusercreateprojects",
		"projectinviterequired", "userpublictemplateenabled",
		"kvmsnapshotenabled" };
	struct jout *j = &c->out;

	jout_open(j, NULL, '{');
	jout_string(j, "cloudstackversion", CLOUDSTACK_VERSION);
	jout_string(j, "jeoulversion", JEOUL_VERSION);
	jout_string(j, "supportELB", "false");
	for (size_t i = 0; i < ARRAY_LEN(off); i++)
		jout_bool(j, off[i], false);
	jout_number(j, "defaultuipagesize", 20);
	jout_number(j, "customdiskofferingminsize", 1);
	jout_number(j, "customdiskofferingmaxsize", 1024);
	jout_close(j, '}');
	return true;
}
