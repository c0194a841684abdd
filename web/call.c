/* SPDX-License-Identifier: Apache-2.0 */
/* call: one call of an operation: whose rows, which handler, what it answers */
#include "web/check.h"
#include "web/handlers.h"
#include "web/web.h"
#include "web_stmt.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGE_MOST = 500,
	JOB_WAIT_S = 20,
	JOB_LOOK_MS = 100,
	PARAMS_OF_STATEMENT = 24,
	REQUEST_VALUE_MOST = 8192 /* of a job: user data are in the VM's row */
};

struct way {
	call_handler handler; /* NULL: a list by stmt */
	unsigned stmt;
	bool slow;
};

#define SQL(statement)                                                                   \
	{                                                                                \
		NULL, STMT_##statement, false                                            \
	}
#define CALL(function)                                                                   \
	{                                                                                \
		handle_##function, 0, false                                              \
	}
#define SLOW(function)                                                                   \
	{                                                                                \
		handle_##function, 0, true                                               \
	}
/* NOLINTBEGIN(bugprone-macro-parentheses): rows of a table */
#define OP(name, method, path, access, mode, form, response, event, handler, text)       \
	[OP_##name] = handler,
#define PARAM(name, type, flags, length, text)
#define END_OP
static const struct way ways[OP_COUNT] = {
#include "web/operations.def"
};

/* NOLINTEND(bugprone-macro-parentheses) */

bool
call_slow(const struct operation *op)
{
	return ways[op->id].slow;
}

/* ---- parameters */

const char *
call_value(const struct call *c, const char *name)
{
	const struct op_param *param = operation_param(c->op, name);

	if (param == NULL)
		abort(); /* the handler and the table disagree */
	return check_value(param, c->params);
}

int64_t
call_number(const struct call *c, const char *name, int64_t otherwise)
{
	const char *text = call_value(c, name);

	return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

bool
call_true(const struct call *c, const char *name)
{
	const char *text = call_value(c, name);

	return text != NULL && strcmp(text, "true") == 0;
}

bool
call_not_found(const struct call *c, const char *param, const char *value, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND,
	    "Unable to execute API command %s due to invalid value. Invalid parameter %s "
	    "value=%.60s due to incorrect long value format, or entity does not exist or "
	    "due "
	    "to incorrect parameter annotation for the field in api cmd class.",
	    c->op->name, param, value);
}

static bool
page_read(struct call *c, struct err *e)
{
	int64_t page;
	int64_t size;

	c->limit = PAGE_MOST;
	c->offset = 0;
	if (operation_param(c->op, "pagesize") == NULL)
		return true;
	page = call_number(c, "page", 0);
	size = call_number(c, "pagesize", 0);
	if (page == 0 && size == -1)
		return true;
	if (page == 0 && size == 0)
		return true;
	if (page == 0)
		return err_set(e, ERR_INPUT,
		    "\"page\" parameter is required when \"pagesize\" is specified");
	if (size == 0)
		return err_set(e, ERR_INPUT,
		    "\"pagesize\" parameter is required when \"page\" is specified");
	if (page < 0 || size < 0)
		return err_set(e, ERR_INPUT, "page and pagesize start at 1");
	if (size > PAGE_MOST)
		return err_set(e, ERR_INPUT,
		    "Page size can't exceed max allowed page size value: %d", PAGE_MOST);
	c->limit = size;
	c->offset = size * (page - 1);
	return true;
}

/* ---- whose rows */

bool
call_scope_set(struct call *c, int64_t scope, struct err *e)
{
	c->scope = scope;
	return db_run(c->db, STMT_SCOPE_SET,
	    DB_ARGS(scope == SCOPE_ALL ? "all" : DB_NUMBER(scope),
		c->caller.provider ? "on" : "off"),
	    NULL, e);
}

static const char *
optional_value(const struct call *c, const char *name)
{
	return operation_param(c->op, name) != NULL ? call_value(c, name) : NULL;
}

bool
call_named_account(struct call *c, int64_t *id, const char **uuid, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = optional_value(c, "account");
	const char *by_uuid = optional_value(c, "accountid");
	const char *domain = optional_value(c, "domainid");
	bool ok;

	*id = 0;
	if (name == NULL && by_uuid == NULL)
		return true;
	ok = by_uuid != NULL
	    ? db_query(c->db, STMT_OWNER_BY_UUID, DB_ARGS(by_uuid), &r, e)
	    : db_query(c->db, STMT_OWNER_BY_NAME, DB_ARGS(name, domain), &r, e);
	if (!ok)
		return false;
	if (rows_count(r) == 0 && !c->caller.provider)
		return err_set(e, ERR_DENIED,
		    "Account %s does not have permission to operate with account %.60s",
		    c->caller.account_name, name != NULL ? name : by_uuid);
	if (rows_count(r) == 0)
		return by_uuid != NULL
		    ? call_not_found(c, "accountid", by_uuid, e)
		    : err_set(e, ERR_NOT_FOUND, "Unable to find account %.60s", name);
	if (rows_count(r) > 1)
		return err_set(e, ERR_INPUT,
		    "there are several accounts named %.60s: give domainid too", name);
	*id = rows_i64(r, 0, 0);
	if (uuid != NULL)
		*uuid = arena_strdup(c->arena, rows_text(r, 0, 1));
	return true;
}

/* An account that a SCOPE parameter names; others are the handler's own. */
static bool
scope_named(struct call *c, int64_t *id, struct err *e)
{
	const struct op_param *account = operation_param(c->op, "account");

	*id = 0;
	if (account == NULL || (account->flags & SCOPE) == 0)
		return true;
	return call_named_account(c, id, NULL, e);
}

/* projectid, which any call may carry: the project's account, in which its members work.
 */
static bool
scope_project(struct call *c, int64_t *id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *project = params_get(c->params, "projectid");

	*id = 0;
	if (project == NULL || project[0] == '\0' || strcmp(project, "-1") == 0)
		return true;
	if (!uuid_text(project))
		return err_set(e, ERR_INPUT, "projectid: the id of a project is wanted");
	if (!db_query(c->db, STMT_PROJECT_SCOPE,
		DB_ARGS(project,
		    c->caller.provider ? NULL : DB_NUMBER(c->caller.account_id)),
		&r, e))
		return false;
	if (rows_text(r, 0, 0) == NULL)
		return call_not_found(c, "projectid", project, e);
	*id = rows_i64(r, 0, 0);
	return true;
}

/*
 * Tenants see their own rows.  The provider sees the account that was named; in lists of
 * CloudStack's face only what is its own unless listall or an id says otherwise.
 */
static bool
scope_choose(struct call *c, struct err *e)
{
	int64_t named = 0;
	int64_t project = 0;
	const char *listall;

	if (!call_scope_set(c, c->caller.provider ? SCOPE_ALL : c->caller.account_id,
		e) ||
	    !scope_project(c, &project, e))
		return false;
	c->owner = project;
	if (project != 0)
		return call_scope_set(c, project, e);
	if (!scope_named(c, &named, e))
		return false;
	c->owner = named != 0 ? named : c->caller.account_id;
	if (!c->caller.provider)
		return true;
	if (named != 0)
		return call_scope_set(c, named, e);
	if (c->op->form != FORM_LIST || operation_param(c->op, "listall") == NULL ||
	    optional_value(c, "id") != NULL || optional_value(c, "ids") != NULL)
		return true;
	listall = call_value(c, "listall");
	if (listall == NULL ? c->face == FACE_REST : strcmp(listall, "true") == 0)
		return true;
	return call_scope_set(c, c->caller.account_id, e);
}

/* ---- rows to JSON */

/* "2026-11-21 04:17:00.123456+00" */
const char *
call_date(struct call *c, const char *text)
{
	struct instant t;
	struct err ignored = ERR_INIT;
	char *out = arena_alloc(c->arena, CLOCK_TEXT_MAX);

	if (text == NULL || !instant_parse(&t, text, &ignored))
		return text; /* infinity, of which there is none in these views */
	(void)instant_text(t, out);
	if (c->face == FACE_CLOUDSTACK)
		memcpy(out + 19, "+0000", 6);
	return out;
}

static void
field_write(struct call *c, const struct op_field *f, const char *text)
{
	if (text == NULL)
		return;
	switch (f->type) {
	case TYPE_INTEGER:
	case TYPE_LONG:
	case TYPE_LIST:
	case TYPE_MAP:
	case TYPE_OBJECT:
		jout_raw(&c->out, f->name, text);
		return;
	case TYPE_BOOLEAN:
		jout_bool(&c->out, f->name, text[0] == 't');
		return;
	case TYPE_DATE:
		jout_string(&c->out, f->name, call_date(c, text));
		return;
	case TYPE_STRING:
	case TYPE_UUID:
		jout_string(&c->out, f->name, text);
		return;
	}
}

static const struct op_field *
field_find(const struct op_response *response, const char *name)
{
	for (size_t i = 0; i < response->count; i++)
		if (strcmp(response->fields[i].name, name) == 0)
			return &response->fields[i];
	return NULL;
}

void
call_row_as(struct call *c, const struct rows *r, size_t row, const char *name)
{
	const struct op_response *response = operation_response(name);

	for (size_t i = 0; i < rows_columns(r); i++) {
		const struct op_field *f = field_find(response, rows_column_name(r, i));
		if (f != NULL && (!f->provider || c->caller.provider))
			field_write(c, f, rows_text(r, row, i));
	}
}

void
call_rows(struct call *c, const struct rows *r)
{
	for (size_t i = 0; i < rows_count(r); i++) {
		jout_open(&c->out, NULL, '{');
		call_row_as(c, r, i, c->op->response);
		jout_close(&c->out, '}');
	}
	c->total = (int64_t)rows_count(r);
}

bool
call_answer_one(struct call *c, unsigned stmt, const char *uuid, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, stmt, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", uuid, e);
	call_rows(c, r);
	return true;
}

/* ---- lists */

static size_t
statement_values(const struct call *c, const char *values[PARAMS_OF_STATEMENT])
{
	size_t n = 0;

	for (size_t i = 0; i < c->op->param_count; i++)
		if ((c->op->params[i].flags & SCOPE) == 0)
			values[n++] = check_value(&c->op->params[i], c->params);
	return n;
}

static bool
list_run(struct call *c, unsigned stmt, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *first = NULL;
	const char *values[PARAMS_OF_STATEMENT];
	size_t n = statement_values(c, values);

	values[n] = DB_NUMBER(c->limit);
	values[n + 1] = DB_NUMBER(c->offset);
	if (!db_query(c->db, stmt, n + 2, values, &r, e))
		return false;
	call_rows(c, r);
	if (rows_count(r) > 0)
		c->total = rows_i64(r, 0, 0);
	if (rows_count(r) > 0 || c->offset == 0)
		return true;
	/* A page past the end still tells how many there are. */
	values[n] = "1";
	values[n + 1] = "0";
	if (!db_query(c->db, stmt, n + 2, values, &first, e))
		return false;
	c->total = rows_count(first) > 0 ? rows_i64(first, 0, 0) : 0;
	return true;
}

/* ---- jobs */

void
call_job_says(struct call *c, const char *key, const char *value)
{
	if (c->says_count == CALL_SAYS_MOST)
		abort(); /* a handler with more words than anybody thought of */
	c->says[c->says_count].key = key;
	c->says[c->says_count++].value = arena_strdup(c->arena, value);
}

static bool
said(const struct call *c, const char *key)
{
	for (size_t i = 0; i < c->says_count; i++)
		if (strcmp(c->says[i].key, key) == 0)
			return true;
	return false;
}

static void
request_write(const struct call *c, struct buf *to)
{
	struct jout j = JOUT_INIT(to);

	jout_open(&j, NULL, '{');
	for (size_t i = 0; i < c->says_count; i++)
		jout_string(&j, c->says[i].key, c->says[i].value);
	for (size_t i = 0; i < c->op->param_count; i++) {
		const struct op_param *param = &c->op->params[i];
		const char *value = check_value(param, c->params);
		if (value == NULL || param->type == TYPE_MAP ||
		    (param->flags & SECRET) != 0 || said(c, param->name) ||
		    strlen(value) > REQUEST_VALUE_MOST)
			continue;
		if (param->type == TYPE_BOOLEAN)
			jout_bool(&j, param->name, value[0] == 't');
		else
			jout_string(&j, param->name, value);
	}
	jout_close(&j, '}');
}

static bool
job_insert(struct call *c, const char *kind, const char *object_uuid, int64_t account_id,
    struct rows **r, struct err *e)
{
	scoped(buf_done) struct buf request = BUF_INIT;

	request_write(c, &request);
	if (!db_query(c->db, STMT_JOB_INSERT,
		DB_ARGS(DB_NUMBER(account_id),
		    c->caller.user_id != 0 ? DB_NUMBER(c->caller.user_id) : NULL,
		    c->op->name, kind, object_uuid, buf_text(&request)),
		r, e)) {
		if (e->kind != ERR_CONFLICT)
			return false;
		c->error_code = 536;
		return err_set(e, ERR_CONFLICT,
		    "another job works on this %s: wait for its end, then try again",
		    kind);
	}
	return db_run(c->db, STMT_JOB_WAKE, DB_ARGS(rows_text(*r, 0, 0)), NULL, e);
}

bool
call_job(struct call *c, const char *kind, const char *object_uuid, int64_t account_id,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!job_insert(c, kind, object_uuid, account_id, &r, e))
		return false;
	c->wait_job = arena_strdup(c->arena, rows_text(r, 0, 0));
	c->object = arena_strdup(c->arena, rows_text(r, 0, 1));
	jout_string(&c->out, "jobid", c->wait_job);
	jout_string(&c->out, "id", c->object);
	return true;
}

bool
call_job_quiet(struct call *c, const char *kind, const char *object_uuid,
    int64_t account_id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	return job_insert(c, kind, object_uuid, account_id, &r, e);
}

enum job_end { JOB_OPEN, JOB_DONE, JOB_FAILED };

struct job_look {
	struct call *call;
	enum job_end end;
	struct err error;
};

static size_t
column_of(const struct rows *r, const char *name)
{
	for (size_t i = 0; i < rows_columns(r); i++)
		if (strcmp(rows_column_name(r, i), name) == 0)
			return i;
	abort(); /* our own statement and we disagree */
}

static bool
job_look(struct db *db, void *context, struct err *e)
{
	struct job_look *look = context;
	struct call *c = look->call;
	scoped(rows_clear) struct rows *r = NULL;
	int64_t status;

	if (!call_scope_set(c, SCOPE_ALL, e) ||
	    !db_query(db, STMT_JOB_ONE, DB_ARGS(c->wait_job), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_INTERNAL, "job %s is gone", c->wait_job);
	status = rows_i64(r, 0, column_of(r, "jobstatus"));
	look->end = status == 1 ? JOB_DONE : status == 2 ? JOB_FAILED : JOB_OPEN;
	if (look->end == JOB_DONE)
		return c->after(c, e);
	if (look->end == JOB_FAILED) {
		const char *text = rows_text(r, 0, column_of(r, "error_text"));
		c->error_code = (int)rows_i64(r, 0, column_of(r, "jobresultcode"));
		(void)err_set(&look->error, ERR_INPUT, "%s",
		    text != NULL ? text : "the job failed without a reason");
	}
	return true;
}

static bool
job_wait(struct call *c, struct err *e)
{
	const struct timespec pause = { .tv_nsec = JOB_LOOK_MS * NS_PER_MS };
	int64_t until = clock_mono().ns + JOB_WAIT_S * NS_PER_S;
	struct job_look look = { .call = c, .end = JOB_OPEN, .error = ERR_INIT };

	buf_clear(&c->items);
	c->out = (struct jout)JOUT_INIT(&c->items);
	while (look.end == JOB_OPEN) {
		if (!db_transaction(c->db, job_look, &look, e))
			return false;
		if (look.end != JOB_OPEN)
			break;
		if (clock_mono().ns > until || atomic_load(&c->web->stopping))
			return err_set(e, ERR_GONE,
			    "%s is still under way after %d s: look at job %s by "
			    "queryAsyncJobResult; if it stays pending, jeoul-provision "
			    "does "
			    "not run",
			    c->op->name, JOB_WAIT_S, c->wait_job);
		(void)nanosleep(&pause, NULL);
	}
	if (look.end == JOB_DONE)
		return true;
	*e = look.error;
	return false;
}

/* ---- files */

#define FILES_FOLDER "/var/tmp" /* on disk, where /tmp may be memory */

bool
call_file(struct call *c, const char *name, const char *type, struct err *e)
{
	int fd = open(FILES_FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	c->file.name = name;
	c->file.type = type;
	c->file.stream = fd < 0 ? NULL : fdopen(fd, "r+");
	if (c->file.stream != NULL)
		return true;
	if (fd >= 0)
		(void)close(fd); /* nothing is in it yet */
	return err_errno(e, ERR_INTERNAL, errno, "a file in %s", FILES_FOLDER);
}

/* All of it is on its way to the disk: from here on nothing can fail. */
static bool
file_end(struct call *c, struct err *e)
{
	struct stat s;

	if (c->file.stream == NULL)
		return true;
	if (fflush(c->file.stream) != 0 || fstat(fileno(c->file.stream), &s) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "writing %s", c->file.name);
	c->file.length = (uint64_t)s.st_size;
	c->file.fd = fcntl(fileno(c->file.stream), F_DUPFD_CLOEXEC, 0);
	return c->file.fd >= 0 ||
	    err_errno(e, ERR_INTERNAL, errno, "sending %s", c->file.name);
}

void
call_file_reply(struct call *c, struct reply *out)
{
	if (c->file.stream == NULL)
		return;
	out->has_file = true;
	out->file = c->file.fd;
	out->file_length = c->file.length;
	out->status = 200;
	out->content_type = c->file.type;
	reply_header(out, "Content-Disposition",
	    arena_printf(c->arena, "attachment; filename=\"%s\"", c->file.name));
}

/* ---- the call */

static bool
event_write(struct call *c, struct err *e)
{
	if (c->op->event[0] == '\0')
		return true;
	return db_run(c->db, STMT_EVENT_WRITE,
	    DB_ARGS(DB_NUMBER(c->owner), DB_NUMBER(c->caller.user_id), c->request->source,
		c->op->event, c->object,
		arena_printf(c->arena, "%s by %s", c->op->name, c->caller.user_name)),
	    NULL, e);
}

static bool
call_work(struct db *unused_db unused, void *context, struct err *e)
{
	struct call *c = context;
	const struct way *way = &ways[c->op->id];

	buf_clear(&c->items);
	c->out = (struct jout)JOUT_INIT(&c->items);
	c->total = 0;
	c->says_count = 0;
	if (c->caller.known && !scope_choose(c, e))
		return false;
	if (way->handler != NULL ? !way->handler(c, e) : !list_run(c, way->stmt, e))
		return false;
	return event_write(c, e);
}

static bool
may_call(struct call *c, struct err *e)
{
	if (c->op->access == OP_PUBLIC)
		return true;
	c->error_code = 401;
	if (!c->caller.known)
		return err_set(e, ERR_DENIED,
		    "unable to verify user credentials and/or request signature");
	if (c->op->access == OP_PROVIDER && !c->caller.provider)
		return err_set(e, ERR_DENIED,
		    "The given command '%s' either does not exist, is not available for "
		    "user.",
		    c->op->name);
	if (c->caller.must_change && c->op->id != OP_updateUser &&
	    c->op->id != OP_getSession && c->op->id != OP_listApis)
		return err_set(e, ERR_DENIED,
		    "the password is a one-time password: change it first (updateUser)");
	c->error_code = 0;
	return true;
}

bool
call_run(struct call *c, struct err *e)
{
	if (!may_call(c, e) || !check_params(c->op, c->params, e) || !page_read(c, e))
		return false;
	if (!db_transaction(c->db, call_work, c, e))
		return false;
	if (c->late != NULL)
		return c->late(c, e) && file_end(c, e);
	return c->after == NULL || job_wait(c, e);
}

void
call_done(struct call *c)
{
	buf_done(&c->items);
	if (c->file.stream != NULL)
		(void)fclose(c->file.stream); /* the reply has its own hold of it */
	c->file.stream = NULL;
}
