/* SPDX-License-Identifier: Apache-2.0 */
/* export: files of charges, usage and statements, made by the code that bills */
#include "billing/export.h"
#include "web/export.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <errno.h>
#include <string.h>

/* One at a time: a file may take minutes, and the lane has few threads. */
static atomic_flag under_way = ATOMIC_FLAG_INIT;

static bool
file_write(void *context, const char *bytes, size_t length, struct err *e)
{
	if (fwrite(bytes, 1, length, context) == length)
		return true;
	return err_errno(e, ERR_INTERNAL, errno, "writing the file");
}

/* Of this connection: "all", one account, or "": none. */
static bool
sight_set(struct db *db, const char *accounts, struct err *e)
{
	char sql[96];

	(void)snprintf(sql, sizeof(sql),
	    "select set_config('jeoul.account', '%s', false)", accounts);
	return db_exec(db, sql, e);
}

/* In billing's own connection of this thread, with the caller's accounts in sight only.
 */
static bool
file_make(struct call *c, export_make make, struct err *e)
{
	struct text_out out = { file_write, c->file.stream };
	struct err after = ERR_INIT;
	struct db *db = NULL;
	bool ok;

	if (!worker_bill_db(c->worker, &db, e))
		return false;
	ok = sight_set(db, c->scope == SCOPE_ALL ? "all" : DB_NUMBER(c->scope), e) &&
	    make(c, db, &out, e);
	/* A connection that is gone has forgotten it anyway. */
	if (!sight_set(db, "", &after) && ok)
		ok = err_set(e, after.kind, "%s", after.text);
	return ok;
}

bool
export_alone(struct call *c, export_make make, struct err *e)
{
	bool ok;

	if (atomic_flag_test_and_set(&under_way))
		return err_set(e, ERR_LIMIT,
		    "another file is being made; try again when it is done");
	ok = file_make(c, make, e);
	atomic_flag_clear(&under_way);
	return ok;
}

/* ---- what is asked for */

static bool
instant_value(struct instant *out, const struct call *c, const char *param, struct err *e)
{
	return instant_parse(out, call_value(c, param), e) || err_wrap(e, "%s", param);
}

static bool
version_read(enum focus_version *out, const struct call *c, struct err *e)
{
	const char *text = call_value(c, "focus");

	return focus_version_parse(out, text == NULL ? FOCUS_LATEST : text, e);
}

static bool
ask_read(struct export_ask *ask, const struct call *c, struct err *e)
{
	*ask = (struct export_ask){ .now = clock_now() };
	if (!instant_value(&ask->from, c, "startdate", e) ||
	    !instant_value(&ask->to, c, "enddate", e))
		return false;
	return ask->from.ns < ask->to.ns ||
	    err_set(e, ERR_INPUT, "startdate must be before enddate");
}

/* ---- FOCUS */

static bool
focus_ask(struct export_ask *ask, const struct call *c, struct err *e)
{
	if (!ask_read(ask, c, e) || !version_read(&ask->focus, c, e))
		return false;
	ask->closed_only = call_true(c, "closed");
	return true;
}

static bool
focus_make(struct call *c, struct db *db, const struct text_out *out, struct err *e)
{
	struct export_ask ask;

	return focus_ask(&ask, c, e) && export_focus(db, &ask, out, e);
}

static bool
focus_late(struct call *c, struct err *e)
{
	return call_file(c, "focus.csv", "text/csv; charset=utf-8", e) &&
	    export_alone(c, focus_make, e);
}

bool
handle_focus(struct call *c, struct err *e)
{
	struct export_ask checked;

	c->late = focus_late;
	return focus_ask(&checked, c, e);
}

bool
handle_focus_metadata(struct call *c, struct err *e)
{
	enum focus_version version;
	char now[CLOCK_TEXT_MAX];

	if (!version_read(&version, c, e))
		return false;
	focus_metadata(&c->items, version, instant_text(clock_now(), now));
	return true;
}

/* ---- statements */

static bool
statement_make(struct call *c, struct db *db, const struct text_out *out, struct err *e)
{
	const char *format = call_value(c, "format");
	struct issued s;
	bool ok;

	if (!statement_open(&s, db, 0, call_value(c, "id"), e))
		return false;
	ok = statement_render(&s, format == NULL ? "html" : format, out, e);
	statement_done(&s);
	return ok;
}

struct rendering {
	const char *format, *type, *ending;
};
static const struct rendering renderings[] = {
	{ "html", "text/html; charset=utf-8", "html" },
	{ "csv", "text/csv; charset=utf-8", "csv" },
	{ "json", "application/json", "json" },
};

static const struct rendering *
rendering_of(const struct call *c)
{
	const char *format = call_value(c, "format");

	for (size_t i = 0; i < ARRAY_LEN(renderings); i++)
		if (format == NULL || strcmp(renderings[i].format, format) == 0)
			return &renderings[i];
	return NULL;
}

static bool
statement_late(struct call *c, struct err *e)
{
	const struct rendering *r = rendering_of(c);

	if (r == NULL)
		return err_set(e, ERR_INPUT, "format: html, csv or json");
	return call_file(c,
		   arena_printf(c->arena, "statement-%s.%s", c->object, r->ending),
		   r->type, e) &&
	    export_alone(c, statement_make, e);
}

bool
handle_statement_file(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");

	if (rendering_of(c) == NULL)
		return err_set(e, ERR_INPUT, "format: html, csv or json");
	if (!db_query(c->db, STMT_STATEMENT_NUMBER, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	c->late = statement_late;
	return true;
}

/* ---- usage */

static bool
usage_ask(struct export_ask *ask, const struct call *c, struct err *e)
{
	const char *format = call_value(c, "format");

	if (!ask_read(ask, c, e))
		return false;
	ask->json = format != NULL && strcmp(format, "json") == 0;
	return format == NULL || ask->json || strcmp(format, "csv") == 0 ||
	    err_set(e, ERR_INPUT, "format: csv or json");
}

static bool
usage_make(struct call *c, struct db *db, const struct text_out *out, struct err *e)
{
	struct export_ask ask;

	return usage_ask(&ask, c, e) && export_usage(db, &ask, out, e);
}

static bool
usage_late(struct call *c, struct err *e)
{
	struct export_ask ask;

	return usage_ask(&ask, c, e) &&
	    call_file(c, ask.json ? "usage.json" : "usage.csv",
		ask.json ? "application/json" : "text/csv; charset=utf-8", e) &&
	    export_alone(c, usage_make, e);
}

bool
handle_usage_file(struct call *c, struct err *e)
{
	struct export_ask checked;

	c->late = usage_late;
	return usage_ask(&checked, c, e);
}
