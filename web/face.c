/* SPDX-License-Identifier: Apache-2.0 */
/* face: what both faces do alike: a connection, the caller, the call, the log line */
#include "web/face.h"
#include "base/log.h"
#include <string.h>

enum { QUIET_S = 5 };

/* PostgreSQL being away is told now and then, not with every request. */
static void
gone_log(const struct err *e)
{
	static atomic_llong next;
	long long due = atomic_load(&next);
	long long now = clock_mono().ns;

	if (now < due ||
	    !atomic_compare_exchange_strong(&next, &due, now + QUIET_S * NS_PER_S))
		return;
	log_warning("%s; calls are answered with 503 until it works again", e->text);
}

static bool
run(struct call *c, bool (*auth)(struct call *c, struct err *e), struct err *e)
{
	if (!worker_db(c->worker, &c->db, e))
		return false;
	/* A log-in must work with an old session's cookie still there. */
	if (c->op == NULL || c->op->access != OP_PUBLIC) {
		c->error_code = 401;
		if (!auth(c, e))
			return false;
		c->error_code = 0;
	}
	if (c->op != NULL)
		return call_run(c, e);
	return err_set(e, ERR_NOT_FOUND, "no such operation");
}

/* What only operators should read stays in the log. */
static void
error_log(const struct call *c, struct err *e)
{
	if (e->kind == ERR_GONE && strncmp(e->text, "database", 8) == 0) {
		gone_log(e);
		(void)err_set(e, ERR_GONE,
		    "The database does not answer; try again in a moment.");
		return;
	}
	/* A right that our own database role lacks is our fault, not the caller's. */
	if (e->kind == ERR_DENIED && strncmp(e->text, "database", 8) == 0)
		e->kind = ERR_INTERNAL;
	if (e->kind != ERR_INTERNAL)
		return;
	log_error("%s: %s", c->op != NULL ? c->op->name : "call", e->text);
	if (!c->caller.provider)
		(void)err_set(e, ERR_INTERNAL,
		    "Internal error executing command, please contact your system "
		    "administrator");
}

void
face_begin(struct call *c, struct web *web, struct route *route, struct request *r,
    struct reply *out)
{
	c->web = web;
	c->worker = worker_mine(web);
	c->arena = r->arena;
	c->op = route->op;
	c->request = r;
	c->reply = out;
	c->params = &route->params;
}

bool
face_run(struct call *c, bool (*auth)(struct call *c, struct err *e), struct err *e)
{
	if (run(c, auth, e))
		return true;
	/* A credential that failed is no internal matter. */
	if (e->kind != ERR_DENIED && c->error_code == 401)
		c->error_code = 0;
	error_log(c, e);
	return false;
}
