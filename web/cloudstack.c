/* SPDX-License-Identifier: Apache-2.0 */
/* cloudstack: the query API /client/api, wire for wire (reference: CloudStack 4.20) */
#include "web/auth.h"
#include "web/face.h"
#include "web/xml.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct code {
	int code;
	int cserrorcode; /* CloudStack's number of the exception's class */
};

static const struct code codes[] = { { 401, 4290 }, { 430, 9999 }, { 431, 4350 },
	{ 432, 9999 }, { 503, 4380 }, { 530, 4250 }, { 531, 4365 }, { 532, 4280 },
	{ 533, 4325 }, { 535, 4370 }, { 536, 4375 }, { 537, 4360 }, { 429, 4545 } };

static int
error_code(const struct call *c, const struct err *e)
{
	if (c->error_code != 0)
		return c->error_code;
	switch (e->kind) {
	case ERR_INPUT:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
		return c->op == NULL ? 432 : 431;
	case ERR_DENIED:
		return 531;
	case ERR_LIMIT:
		return 535;
	case ERR_GONE:
	case ERR_AGAIN:
		return 503;
	case ERR_INTERNAL:
	case ERR_NONE:
		break;
	}
	return 530;
}

static int
cserrorcode(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			return codes[i].cserrorcode;
	return 9999;
}

/* "listZones" -> "listzonesresponse"; what is unknown is an errorresponse. */
static const char *
response_name(const struct call *c, char out[80])
{
	size_t n = 0;

	if (c->op == NULL)
		return "errorresponse";
	for (const char *p = c->op->name; *p != '\0' && n < 64; p++)
		out[n++] = (char)tolower((unsigned char)*p);
	(void)snprintf(out + n, 80 - n, "response");
	return out;
}

static void
body_write(const struct call *c, struct buf *to)
{
	const char *items = buf_text(&c->items);

	switch (c->op->form) {
	case FORM_LIST:
		if (c->total == 0)
			return;
		buf_printf(to, "\"count\":%lld", (long long)c->total);
		if (items[0] != '\0')
			buf_printf(to, ",\"%s\":[%s]", c->op->response, items);
		return;
	case FORM_OBJECT:
		buf_printf(to, "\"%s\":%s", c->op->response, items);
		return;
	case FORM_FLAT:
	case FORM_JOB:
		buf_puts(to, items);
		return;
	case FORM_SUCCESS:
		buf_puts(to, "\"success\":true");
		return;
	case FORM_FILE:
		return; /* cloudstack_answer() sends it as it is */
	}
}

static void
error_write(struct call *c, const struct err *e, struct buf *to, struct reply *out)
{
	struct jout j = JOUT_INIT(to);
	int code = error_code(c, e);
	char *described = arena_strdup(c->arena, e->text);

	jout_raw(&j, "uuidList", "[]");
	jout_number(&j, "errorcode", code);
	jout_number(&j, "cserrorcode", cserrorcode(code));
	jout_string(&j, "errortext", e->text);
	out->status = (unsigned)code;
	out->header_count = 0;
	for (char *p = described; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || (unsigned char)*p > 126)
			*p = '?';
	reply_header(out, "X-Description", described);
}

/* XML unless JSON is asked for, as CloudStack does. */
static void
send(struct call *c, const struct buf *json, struct reply *out)
{
	const char *form = params_get(c->params, "response");
	struct err e = ERR_INIT;

	reply_header(out, "Cache-Control", "no-store");
	if (form != NULL && strcasecmp(form, "json") == 0) {
		out->content_type = "application/json; charset=UTF-8";
		buf_add(&out->body, json->data, json->length);
		return;
	}
	out->content_type = "text/xml; charset=UTF-8";
	if (!xml_from_json(&out->body, buf_text(json), json->length,
		c->caller.known ? CLOUDSTACK_VERSION : NULL, &e)) {
		out->status = 530;
		buf_puts(&out->body,
		    "<errorresponse><errorcode>530</errorcode></errorresponse>");
	}
}

void
cloudstack_prepare(struct route *route, struct request *r)
{
	const char *type = r->headers[HEADER_CONTENT_TYPE];
	bool form = type == NULL ||
	    strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0;
	const char *command;

	/* A name in the query string wins over the body. */
	if (!params_query(&route->params, r->query, strlen(r->query), &route->broken) ||
	    (form &&
		!params_query(&route->params, r->body, r->body_length, &route->broken)))
		return;
	command = params_get(&route->params, "command");
	route->op = command != NULL ? operation_find(command) : NULL;
}

static bool
method_fits(const struct call *c, const struct route *route, struct reply *out)
{
	bool post = strcmp(c->request->method, "POST") == 0;

	if (post || strcmp(c->request->method, "GET") == 0 ||
	    strcmp(c->request->method, "HEAD") == 0)
		if (post || route->op == NULL || route->op->id != OP_login)
			return true;
	reply_header(out, "Allow",
	    post || route->op == NULL ? "GET, HEAD, POST" : "POST");
	return false;
}

static bool
answer_make(struct call *c, const struct route *route, struct err *e)
{
	if (route->broken.kind != ERR_NONE) {
		*e = route->broken;
		c->error_code = 430;
		return false;
	}
	if (!face_run(c, auth_cloudstack, e)) {
		if (c->op != NULL || e->kind != ERR_NOT_FOUND)
			return false;
		c->error_code = c->caller.known ? 432 : 401;
		return params_get(c->params, "command") == NULL
		    ? err_set(e, ERR_INPUT, "a call needs the parameter command")
		    : err_set(e, ERR_INPUT,
			  "The given command '%.60s' either does not exist, is not "
			  "available for user.",
			  params_get(c->params, "command"));
	}
	return true;
}

void
cloudstack_answer(struct web *web, struct route *route, struct request *r,
    struct reply *out)
{
	struct call c = { .face = FACE_CLOUDSTACK };
	scoped(buf_done) struct buf json = BUF_INIT;
	struct err e = ERR_INIT;
	char name[80];
	bool ok;

	face_begin(&c, web, route, r, out);
	out->status = 200;
	if (!method_fits(&c, route, out)) {
		out->status = 405;
		out->content_type = "text/plain; charset=utf-8";
		buf_puts(&out->body, "Use GET or POST; login is by POST only.\n");
		return;
	}
	ok = answer_make(&c, route, &e);
	if (ok && c.file.stream != NULL) {
		reply_header(out, "Cache-Control", "no-store");
		call_file_reply(&c, out);
		call_done(&c);
		return;
	}
	buf_printf(&json, "{\"%s\":{", response_name(&c, name));
	if (ok)
		body_write(&c, &json);
	else
		error_write(&c, &e, &json, out);
	buf_puts(&json, "}}");
	send(&c, &json, out);
	call_done(&c);
}
