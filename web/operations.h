/* SPDX-License-Identifier: Apache-2.0 */
/* operations: the one table of everything that a user can ask for (operations.def) */
#pragma once
#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * From this table come the checks of parameters, CloudStack's query API with listApis,
 * the REST API with its OpenAPI document, and the sub-commands of the jeoul command.
 * Nothing here knows of HTTP servers or databases, so that all of them can link it.
 */
enum op_access {
	OP_PUBLIC,   /* anybody, also without a log-in */
	OP_TENANT,   /* any user, each within the own account; the provider for all */
	OP_PROVIDER, /* users of the provider's account only */
};

enum op_mode { OP_SYNC, OP_JOB }; /* a job answers its id; queryAsyncJobResult tells */

enum op_form {
	FORM_LIST,    /* count and an array of response objects, paged */
	FORM_OBJECT,  /* one response object */
	FORM_FLAT,    /* its fields without a wrapper of its name */
	FORM_SUCCESS, /* {"success":true} */
	FORM_JOB,     /* {"id":..,"jobid":..} */
	FORM_FILE,    /* the bytes of a file, of whatever size; no object */
};

enum op_type {
	TYPE_STRING,
	TYPE_UUID,
	TYPE_INTEGER,
	TYPE_LONG,
	TYPE_BOOLEAN,
	TYPE_DATE,   /* an instant; a bare day is its first or last second's end */
	TYPE_LIST,   /* a,b,c; in answers an array */
	TYPE_MAP,    /* name[0].key=..&name[0].value=..; in REST an object */
	TYPE_OBJECT, /* a JSON document */
};

enum op_flag {
	OPTIONAL = 0,
	REQUIRED = 1,
	SCOPE = 2,  /* says whose rows and which page: not a parameter of the statement */
	SECRET = 4, /* never shown, never in a log */
};

struct op_param {
	const char *name;
	enum op_type type;
	unsigned flags;
	unsigned length; /* bytes at most */
	const char *description;
};

struct op_field {
	const char *name;
	enum op_type type;
	const char *of; /* of lists and objects: the response inside, or NULL */
	bool provider;  /* left out for tenants */
	const char *description;
};

struct op_response {
	const char *name; /* "virtualmachine" */
	const struct op_field *fields;
	size_t count;
};

enum op_id {
#define OP(name, method, path, access, mode, form, response, event, handler, text)       \
	OP_##name,
#define PARAM(name, type, flags, length, text)
#define END_OP
#include "web/operations.def"
#undef OP
#undef PARAM
#undef END_OP
	OP_COUNT
};

struct operation {
	enum op_id id;
	const char *name;   /* CloudStack's where it has one */
	const char *method; /* REST */
	const char *path;   /* "/v1/hosts/{id}"; {x} is the parameter x */
	enum op_access access;
	enum op_mode mode;
	enum op_form form;
	const char
	    *response;     /* what a list holds, an object is, a job makes; "" for none */
	const char *event; /* kind of the event that a success writes; "" for reading */
	const char *description;
	const struct op_param *params;
	size_t param_count;
};

extern const struct operation operations[OP_COUNT];

const struct operation *operation_find(const char *name);       /* exact; NULL: none */
const struct op_response *operation_response(const char *name); /* NULL: none */
const struct op_response *operation_response_at(size_t index);  /* NULL: past the end */
const struct op_param *operation_param(const struct operation *op, const char *name);
const char *op_type_name(enum op_type type); /* as listApis says it */

/*
 * Does a method and path ask for op?  Values of {x} are given to visit (still
 * percent-encoded).  other_method: the path fits, the method does not.
 */
typedef void (
    *op_path_visit)(void *context, const char *name, const char *value, size_t length);
bool operation_path(const struct operation *op, const char *path, op_path_visit visit,
    void *context);
