/* SPDX-License-Identifier: Apache-2.0 */
/* openapi: the OpenAPI 3.1 document of /v1, made from the operations table */
#include "base/json.h"
#include "web/face.h"
#include <ctype.h>
#include <string.h>

static void
type_write(struct jout *j, enum op_type type, bool answer)
{
	switch (type) {
	case TYPE_STRING:
		jout_string(j, "type", "string");
		return;
	case TYPE_UUID:
		jout_string(j, "type", "string");
		jout_string(j, "format", "uuid");
		return;
	case TYPE_INTEGER:
	case TYPE_LONG:
		jout_string(j, "type", "integer");
		jout_string(j, "format", type == TYPE_LONG ? "int64" : "int32");
		return;
	case TYPE_BOOLEAN:
		jout_string(j, "type", "boolean");
		return;
	case TYPE_DATE:
		jout_string(j, "type", "string");
		jout_string(j, "format", "date-time");
		return;
	case TYPE_LIST:
		jout_string(j, "type", answer ? "array" : "string");
		return;
	case TYPE_MAP:
	case TYPE_OBJECT:
		jout_string(j, "type", "object");
		return;
	}
}

static void
reference_write(struct jout *j, const char *key, const char *response)
{
	scoped(buf_done) struct buf ref = BUF_INIT;

	buf_printf(&ref, "#/components/schemas/%s", response);
	if (key != NULL)
		jout_open(j, key, '{');
	jout_string(j, "$ref", buf_text(&ref));
	if (key != NULL)
		jout_close(j, '}');
}

static bool
in_path(const struct operation *op, const char *name)
{
	scoped(buf_done) struct buf braced = BUF_INIT;

	buf_printf(&braced, "{%s}", name);
	return strstr(op->path, buf_text(&braced)) != NULL;
}

static bool
has_body(const struct operation *op)
{
	return strcmp(op->method, "POST") == 0 || strcmp(op->method, "PATCH") == 0 ||
	    strcmp(op->method, "PUT") == 0;
}

static void
param_write(struct jout *j, const struct operation *op, const struct op_param *p)
{
	bool path = in_path(op, p->name);

	jout_open(j, NULL, '{');
	jout_string(j, "name", p->name);
	jout_string(j, "in", path ? "path" : "query");
	jout_bool(j, "required", path || (p->flags & REQUIRED) != 0);
	jout_string(j, "description", p->description);
	jout_open(j, "schema", '{');
	type_write(j, p->type, false);
	if (p->type == TYPE_STRING)
		jout_number(j, "maxLength", p->length);
	jout_close(j, '}');
	jout_close(j, '}');
}

static void
body_properties(struct jout *j, const struct operation *op)
{
	jout_open(j, "properties", '{');
	for (size_t i = 0; i < op->param_count; i++) {
		const struct op_param *p = &op->params[i];
		if (in_path(op, p->name))
			continue;
		jout_open(j, p->name, '{');
		type_write(j, p->type, false);
		if (p->type == TYPE_STRING)
			jout_number(j, "maxLength", p->length);
		jout_string(j, "description", p->description);
		jout_close(j, '}');
	}
	jout_close(j, '}');
}

static size_t
required_in_body(struct jout *j, const struct operation *op, bool write)
{
	size_t n = 0;

	for (size_t i = 0; i < op->param_count; i++) {
		const struct op_param *p = &op->params[i];
		if ((p->flags & REQUIRED) == 0 || in_path(op, p->name))
			continue;
		n++;
		if (write)
			jout_string(j, NULL, p->name);
	}
	return n;
}

static void
body_write(struct jout *j, const struct operation *op)
{
	jout_open(j, "requestBody", '{');
	jout_bool(j, "required", required_in_body(j, op, false) > 0);
	jout_open(j, "content", '{');
	jout_open(j, "application/json", '{');
	jout_open(j, "schema", '{');
	jout_string(j, "type", "object");
	body_properties(j, op);
	if (required_in_body(j, op, false) > 0) {
		jout_open(j, "required", '[');
		(void)required_in_body(j, op, true);
		jout_close(j, ']');
	}
	jout_close(j, '}');
	jout_close(j, '}');
	jout_close(j, '}');
	jout_close(j, '}');
}

static void
list_schema(struct jout *j, const char *response)
{
	jout_string(j, "type", "object");
	jout_open(j, "properties", '{');
	jout_open(j, "count", '{');
	jout_string(j, "type", "integer");
	jout_close(j, '}');
	jout_open(j, response, '{');
	jout_string(j, "type", "array");
	reference_write(j, "items", response);
	jout_close(j, '}');
	jout_close(j, '}');
}

static void
answer_schema(struct jout *j, const struct operation *op)
{
	jout_open(j, "schema", '{');
	if (op->form == FORM_LIST)
		list_schema(j, op->response);
	else if (op->form == FORM_JOB)
		reference_write(j, NULL, "jobaccepted");
	else if (op->form == FORM_SUCCESS)
		reference_write(j, NULL, "success");
	else if (op->form == FORM_FILE)
		jout_string(j, "type", "string");
	else
		reference_write(j, NULL, op->response);
	jout_close(j, '}');
}

static const char *
good_status(const struct operation *op)
{
	if (op->form == FORM_JOB)
		return "202";
	return strcmp(op->method, "POST") == 0 &&
		(op->form == FORM_LIST || op->form == FORM_OBJECT)
	    ? "201"
	    : "200";
}

static void
answers_write(struct jout *j, const struct operation *op)
{
	jout_open(j, "responses", '{');
	jout_open(j, good_status(op), '{');
	jout_string(j, "description",
	    op->form == FORM_JOB ? "The job that does it" : "Done");
	jout_open(j, "content", '{');
	jout_open(j, op->form == FORM_FILE ? "*/*" : "application/json", '{');
	answer_schema(j, op);
	jout_close(j, '}');
	jout_close(j, '}');
	jout_close(j, '}');
	jout_open(j, "default", '{');
	jout_string(j, "$ref", "#/components/responses/Problem");
	jout_close(j, '}');
	jout_close(j, '}');
}

static void
operation_write(struct jout *j, const struct operation *op)
{
	char method[8] = "";

	for (size_t i = 0; op->method[i] != '\0' && i < 7; i++)
		method[i] = (char)tolower((unsigned char)op->method[i]);
	jout_open(j, method, '{');
	jout_string(j, "operationId", op->name);
	jout_string(j, "summary", op->description);
	jout_open(j, "parameters", '[');
	for (size_t i = 0; i < op->param_count; i++)
		if (!has_body(op) || in_path(op, op->params[i].name))
			param_write(j, op, &op->params[i]);
	jout_close(j, ']');
	if (has_body(op) && op->param_count > 0)
		body_write(j, op);
	answers_write(j, op);
	if (op->access == OP_PUBLIC)
		jout_raw(j, "security", "[]");
	jout_close(j, '}');
}

/* Operations of one path stand together; a path's first row writes them all. */
static bool
path_seen(size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(operations[i].path, operations[index].path) == 0)
			return true;
	return false;
}

static void
paths_write(struct jout *j)
{
	jout_open(j, "paths", '{');
	for (size_t i = 0; i < OP_COUNT; i++) {
		if (path_seen(i))
			continue;
		jout_open(j, operations[i].path, '{');
		for (size_t k = i; k < OP_COUNT; k++)
			if (strcmp(operations[k].path, operations[i].path) == 0)
				operation_write(j, &operations[k]);
		jout_close(j, '}');
	}
	jout_close(j, '}');
}

static void
field_write(struct jout *j, const struct op_field *f)
{
	jout_open(j, f->name, '{');
	if (f->of != NULL && f->type == TYPE_OBJECT) {
		reference_write(j, NULL, f->of);
	} else {
		type_write(j, f->type, true);
		if (f->of != NULL)
			reference_write(j, "items", f->of);
	}
	jout_string(j, "description", f->description);
	jout_close(j, '}');
}

static void
schemas_write(struct jout *j)
{
	const struct op_response *r;

	jout_open(j, "schemas", '{');
	for (size_t i = 0; (r = operation_response_at(i)) != NULL; i++) {
		jout_open(j, r->name, '{');
		jout_string(j, "type", "object");
		jout_open(j, "properties", '{');
		for (size_t k = 0; k < r->count; k++)
			field_write(j, &r->fields[k]);
		jout_close(j, '}');
		jout_close(j, '}');
	}
	jout_raw(j, "jobaccepted",
	    "{\"type\":\"object\",\"properties\":{\"jobid\":{\"type\":\"string\","
	    "\"format\":"
	    "\"uuid\"},\"id\":{\"type\":\"string\",\"format\":\"uuid\"}}}");
	jout_raw(j, "success",
	    "{\"type\":\"object\",\"properties\":{\"success\":{\"type\":\"boolean\"}}}");
	jout_raw(j, "problem",
	    "{\"type\":\"object\",\"description\":\"RFC 9457\",\"properties\":{\"type\":{"
	    "\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":"
	    "\"integer\"},\"kind\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}"
	    "}}");
	jout_close(j, '}');
}

void
openapi_write(struct buf *to)
{
	struct jout j = JOUT_INIT(to);

	jout_open(&j, NULL, '{');
	jout_string(&j, "openapi", "3.1.0");
	jout_open(&j, "info", '{');
	jout_string(&j, "title", "Jeoul");
	jout_string(&j, "version", JEOUL_VERSION);
	jout_close(&j, '}');
	jout_raw(&j, "security", "[{\"keys\":[]},{\"bearer\":[]},{\"session\":[]}]");
	paths_write(&j);
	jout_open(&j, "components", '{');
	schemas_write(&j);
	jout_raw(&j, "responses",
	    "{\"Problem\":{\"description\":\"What went wrong\",\"content\":{"
	    "\"application/problem+json\":{\"schema\":{\"$ref\":"
	    "\"#/components/schemas/problem\"}}}}}");
	jout_raw(&j, "securitySchemes",
	    "{\"keys\":{\"type\":\"http\",\"scheme\":\"basic\",\"description\":\"API key "
	    "and "
	    "secret key\"},\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\","
	    "\"description\":\"apikey:secretkey\"},\"session\":{\"type\":\"apiKey\","
	    "\"in\":"
	    "\"cookie\",\"name\":\"JSESSIONID\",\"description\":\"writing calls also "
	    "need the "
	    "header X-CSRF-Token\"}}");
	jout_close(&j, '}');
	jout_close(&j, '}');
}
