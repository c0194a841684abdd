/* SPDX-License-Identifier: Apache-2.0 */
/* rest: the operations as /v1/..., errors as RFC 9457 */
#include "web/auth.h"
#include "web/face.h"
#include <stdio.h>
#include <string.h>

struct path_read {
	struct route *route;
	struct request *request;
};

static void
path_param(void *context, const char *name, const char *value, size_t length)
{
	struct path_read *p = context;
	const char *text = percent_decode(p->request->arena, value, length);

	if (text == NULL)
		(void)err_set(&p->route->broken, ERR_INPUT,
		    "the path is not percent-encoded as it must be");
	else if (!params_add(&p->route->params, name, text, &p->route->broken))
		return; /* broken tells */
}

/* The operation of method and path; route->allow when only the path fits. */
static void
operation_match(struct route *route, struct request *r)
{
	const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
	scoped(buf_done) struct buf allow = BUF_INIT;
	struct path_read p = { route, r };

	for (size_t i = 0; i < OP_COUNT; i++) {
		const struct operation *op = &operations[i];
		if (!operation_path(op, r->path, NULL, NULL))
			continue;
		buf_printf(&allow, "%s%s", allow.length > 0 ? ", " : "", op->method);
		if (strcmp(op->method, method) == 0)
			route->op = op;
	}
	if (route->op != NULL)
		(void)operation_path(route->op, r->path, path_param, &p);
	else if (allow.length > 0)
		route->allow = arena_strdup(r->arena, buf_text(&allow));
}

static bool
body_read(struct route *route, const struct request *r)
{
	const char *type = r->headers[HEADER_CONTENT_TYPE];

	if (r->body_length == 0)
		return true;
	if (type != NULL && strncasecmp(type, "application/json", 16) == 0)
		return params_json(&route->params, r->body, r->body_length,
		    &route->broken);
	if (type != NULL &&
	    strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
		return params_query(&route->params, r->body, r->body_length,
		    &route->broken);
	/* A file as it is: curl --data-binary @usage.csv -H 'Content-Type: text/csv' */
	if (type != NULL && strncasecmp(type, "text/csv", 8) == 0 &&
	    operation_param(route->op, "csv") != NULL)
		return strlen(r->body) == r->body_length
		    ? params_add(&route->params, "csv", r->body, &route->broken)
		    : err_set(&route->broken, ERR_INPUT,
			  "the file holds a byte 0: it is no text, or not saved as "
			  "UTF-8");
	return err_set(&route->broken, ERR_INPUT,
	    "a body is application/json or application/x-www-form-urlencoded");
}

void
rest_prepare(struct route *route, struct request *r)
{
	operation_match(route, r);
	if (route->op == NULL || route->broken.kind != ERR_NONE)
		return;
	if (params_query(&route->params, r->query, strlen(r->query), &route->broken))
		(void)body_read(route, r); /* broken tells */
}

static unsigned
status_of_kind(enum err_kind kind, bool known)
{
	switch (kind) {
	case ERR_INPUT:
		return 400;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
		return 409;
	case ERR_DENIED:
		return known ? 403 : 401;
	case ERR_LIMIT:
		return 429;
	case ERR_GONE:
	case ERR_AGAIN:
		return 503;
	case ERR_INTERNAL:
	case ERR_NONE:
		break;
	}
	return 500;
}

/* A job that failed carries CloudStack's code; 502: the hypervisor let us down. */
static unsigned
status_of(const struct call *c, const struct err *e)
{
	static const unsigned jobs[][2] = { { 431, 400 }, { 531, 403 }, { 532, 409 },
		{ 533, 409 }, { 535, 409 }, { 536, 409 }, { 530, 502 }, { 534, 502 } };

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		if ((unsigned)c->error_code == jobs[i][0])
			return jobs[i][1];
	return status_of_kind(e->kind, c->caller.known);
}

/* What the hypervisor did is nobody's input. */
static const char *
kind_of(const struct call *c, const struct err *e)
{
	return c->error_code == 530 || c->error_code == 534 ? "gone"
							    : err_kind_name(e->kind);
}

static const char *
title_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *title;
	} titles[] = { { 400, "Bad request" }, { 401, "Log in first" },
		{ 403, "Not allowed" }, { 404, "Not found" },
		{ 405, "Method not allowed" }, { 409, "Conflict" },
		{ 429, "Too many requests" }, { 502, "The hypervisor failed" },
		{ 503, "Not available at the moment" } };

	for (size_t i = 0; i < ARRAY_LEN(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Internal error";
}

static void
problem_write(struct reply *out, unsigned status, const char *kind, const char *detail)
{
	struct jout j = JOUT_INIT(&out->body);

	out->status = status;
	out->content_type = "application/problem+json";
	jout_open(&j, NULL, '{');
	jout_string(&j, "type", "about:blank");
	jout_string(&j, "title", title_of(status));
	jout_number(&j, "status", status);
	jout_string(&j, "kind", kind);
	jout_string(&j, "detail", detail);
	jout_close(&j, '}');
	if (status == 503)
		reply_header(out, "Retry-After", "5");
}

static void
success_write(struct call *c, struct reply *out)
{
	const char *items = buf_text(&c->items);
	bool post = strcmp(c->op->method, "POST") == 0;

	out->status = 200;
	out->content_type = "application/json";
	switch (c->op->form) {
	case FORM_LIST:
		out->status = post ? 201 : 200;
		buf_printf(&out->body, "{\"count\":%lld,\"%s\":[%s]}",
		    (long long)c->total, c->op->response, items);
		return;
	case FORM_OBJECT:
		out->status = post ? 201 : 200;
		buf_puts(&out->body, items);
		return;
	case FORM_JOB:
		out->status = 202;
		reply_header(out, "Location",
		    arena_printf(c->arena, "/v1/jobs/%s", c->wait_job));
		buf_printf(&out->body, "{%s}", items);
		return;
	case FORM_FLAT:
		buf_printf(&out->body, "{%s}", items);
		return;
	case FORM_SUCCESS:
		buf_puts(&out->body, "{\"success\":true}");
		return;
	case FORM_FILE:
		return; /* call_file_reply() makes it */
	}
}

static bool
before_call(const struct route *route, struct reply *out)
{
	if (route->op == NULL && route->allow != NULL) {
		reply_header(out, "Allow", route->allow);
		problem_write(out, 405, err_kind_name(ERR_INPUT), "see the header Allow");
		return false;
	}
	if (route->op == NULL) {
		problem_write(out, 404, err_kind_name(ERR_NOT_FOUND),
		    "there is no such path: see /v1/openapi.json");
		return false;
	}
	if (route->broken.kind == ERR_NONE)
		return true;
	problem_write(out, 400, err_kind_name(ERR_INPUT), route->broken.text);
	return false;
}

void
rest_answer(struct web *web, struct route *route, struct request *r, struct reply *out)
{
	struct call c = { .face = FACE_REST };
	struct err e = ERR_INIT;

	reply_header(out, "Cache-Control", "no-store");
	if (!before_call(route, out))
		return;
	face_begin(&c, web, route, r, out);
	if (face_run(&c, auth_rest, &e)) {
		success_write(&c, out);
		call_file_reply(&c, out);
	} else {
		out->header_count = 1; /* Cache-Control; what a failed call set is void */
		problem_write(out, status_of(&c, &e), kind_of(&c, &e), e.text);
	}
	call_done(&c);
}
