/* SPDX-License-Identifier: Apache-2.0 */
/* health: graph data by the child program jeoul-graph, and how the whole system is */
#include "base/proc.h"
#include "web/child.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	GRAPH_DEADLINE_MS = 2000,
	GRAPH_MOST = 1024 * 1024,
	GRAPH_NONE = 3, /* status of jeoul-graph: there is no such graph yet */
	FLUSH_MS = 100, /* what the meter takes to write what it holds in memory */
	STEP_LEAST = 10,
};

struct range {
	int64_t from;
	int64_t to;
	int64_t step;
};

static int64_t
second_of(const struct call *c, const char *param, int64_t otherwise)
{
	const char *text = call_value(c, param);
	struct err ignored = ERR_INIT;
	struct instant t;

	return text != NULL && instant_parse(&t, text, &ignored) ? t.ns / NS_PER_S
								 : otherwise;
}

static bool
range_read(const struct call *c, struct range *r, struct err *e)
{
	r->to = second_of(c, "enddate", clock_now().ns / NS_PER_S);
	r->from = second_of(c, "startdate", r->to - 3600);
	r->step = call_number(c, "step", STEP_LEAST);
	if (r->from >= r->to)
		return err_set(e, ERR_INPUT, "startdate must be before enddate");
	if (r->step < STEP_LEAST || r->step > 86400)
		return err_set(e, ERR_INPUT, "step: 10 to 86400 seconds");
	return true;
}

static bool
is_text(const struct call *c, const char *param, const char *text)
{
	return strcmp(call_value(c, param), text) == 0;
}

static void
data_write(struct call *c, const char *json)
{
	jout_open(&c->out, NULL, '{');
	jout_string(&c->out, "id", call_value(c, "id"));
	jout_string(&c->out, "kind", call_value(c, "kind"));
	jout_raw(&c->out, "data", json);
	if (c->graph_place.collector != NULL)
		jout_string(&c->out, "collector", c->graph_place.collector);
	if (c->graph_place.machine != NULL)
		jout_string(&c->out, "machine", c->graph_place.machine);
	jout_close(&c->out, '}');
}

/* After the commit, since only then the meter hears that the graph is wanted. */
static bool
graph_run(struct call *c, struct err *e)
{
	scoped(buf_done) struct buf out = BUF_INIT;
	struct range r;
	char rrd[STATE_PATH_MAX];
	char program[STATE_PATH_MAX];
	const struct timespec flush = { .tv_nsec = FLUSH_MS * NS_PER_MS };
	struct json *doc = NULL;
	int status = 0;

	if (!range_read(c, &r, e))
		return false;
	(void)nanosleep(&flush, NULL); /* too short only makes the graph a little older */
	out.limit = GRAPH_MOST;
	(void)snprintf(program, sizeof(program), "%s/jeoul-graph",
	    c->web->program_folder);
	(void)state_path(c->web->conf, rrd, "rrd");
	const char *words[] = { "jeoul-graph", "--forecast", rrd, call_value(c, "kind"),
		call_value(c, "id"), arena_printf(c->arena, "%lld", (long long)r.from),
		arena_printf(c->arena, "%lld", (long long)r.to),
		arena_printf(c->arena, "%lld", (long long)r.step), NULL };
	const char *const *argv = words;
	if (!call_true(c, "forecast")) {
		words[1] = words[0];
		argv = words + 1;
	}
	const struct child_ask ask = { program, argv, GRAPH_DEADLINE_MS, GRAPH_NONE };
	if (!child_run(&ask, &status, &out, e))
		return err_wrap(e, "graph of %s", call_value(c, "id"));
	if (status == GRAPH_NONE) {
		data_write(c, "null");
		return true;
	}
	if (!json_parse(&doc, buf_text(&out), out.length, e))
		return err_wrap(e, "jeoul-graph");
	json_free(doc);
	data_write(c, buf_text(&out));
	return true;
}

/* The files of graphs are where their host's collector runs. */
static bool
place_find(struct call *c, bool vm, const char *id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	char here[COLLECTOR_NAME_MAX];

	if (!db_query(c->db, STMT_GRAPH_PLACE, DB_ARGS(vm ? "t" : "f", id), &r, e))
		return false;
	if (rows_count(r) == 0 ||
	    strcmp(rows_text(r, 0, 0), collector_name(c->web->conf, here)) == 0)
		return true;
	c->graph_place.collector = arena_strdup(c->arena, rows_text(r, 0, 0));
	if (rows_text(r, 0, 1) != NULL)
		c->graph_place.machine = arena_strdup(c->arena, rows_text(r, 0, 1));
	return true;
}

bool
handle_metrics(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");
	bool vm = is_text(c, "kind", "vm");
	struct range ignored;

	if (!vm && !is_text(c, "kind", "host"))
		return err_set(e, ERR_INPUT, "kind: vm or host");
	/* Row-level security: tenants find their own VMs, and no host. */
	if (!range_read(c, &ignored, e) ||
	    !db_query(c->db, vm ? STMT_VM_FIND : STMT_HOST_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	if (!place_find(c, vm, id, e))
		return false;
	c->late = graph_run;
	return db_run(c->db, STMT_GRAPH_WANTED, DB_ARGS(id), NULL, e);
}

bool
handle_system_status(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, STMT_SYSTEM_STATUS, DB_NONE, &r, e))
		return false;
	jout_open(&c->out, NULL, '{');
	jout_string(&c->out, "version", JEOUL_VERSION);
	call_row_as(c, r, 0, "status");
	jout_close(&c->out, '}');
	return true;
}
