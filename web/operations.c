/* SPDX-License-Identifier: Apache-2.0 */
/* operations: the one table of everything that a user can ask for (operations.def) */
#include "web/operations.h"
#include <string.h>

/* First the parameters of each operation, ended by one without a name... */
#define OP(name, method, path, access, mode, form, response, event, handler, text)       \
	static const struct op_param name##_params[] = {
#define PARAM(name, type, flags, length, text) { #name, type, flags, length, text },
#define END_OP                                                                           \
	{                                                                                \
		NULL, TYPE_STRING, 0, 0, NULL                                            \
	}                                                                                \
	}                                                                                \
	;
#include "web/operations.def"
#undef OP
#undef PARAM
#undef END_OP

/* ... then the operations. */
#define OP(name, method, path, access, mode, form, response, event, handler, text)       \
	{ OP_##name, #name, method, path, access, mode, form, response, event, text,     \
		name##_params, ARRAY_LEN(name##_params) - 1 },
#define PARAM(name, type, flags, length, text)
#define END_OP
const struct operation operations[OP_COUNT] = {
#include "web/operations.def"
};
#undef OP
#undef PARAM
#undef END_OP

#define RESPONSE(name) static const struct op_field name##_fields[] = {
#define FIELD(name, type, text) { #name, type, NULL, false, text },
#define ADMIN_FIELD(name, type, text) { #name, type, NULL, true, text },
#define FIELD_OF(name, type, of, text) { #name, type, of, false, text },
#define END_RESPONSE                                                                     \
	}                                                                                \
	;
#include "web/responses.def"
#undef RESPONSE
#undef FIELD
#undef ADMIN_FIELD
#undef FIELD_OF
#undef END_RESPONSE

#define RESPONSE(name) { #name, name##_fields, ARRAY_LEN(name##_fields) },
#define FIELD(name, type, text)
#define ADMIN_FIELD(name, type, text)
#define FIELD_OF(name, type, of, text)
#define END_RESPONSE
static const struct op_response responses[] = {
#include "web/responses.def"
};

const struct operation *
operation_find(const char *name)
{
	for (size_t i = 0; i < OP_COUNT; i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

const struct op_response *
operation_response_at(size_t index)
{
	return index < ARRAY_LEN(responses) ? &responses[index] : NULL;
}

const struct op_response *
operation_response(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(responses); i++)
		if (strcmp(responses[i].name, name) == 0)
			return &responses[i];
	return NULL;
}

const struct op_param *
operation_param(const struct operation *op, const char *name)
{
	for (size_t i = 0; i < op->param_count; i++)
		if (strcmp(op->params[i].name, name) == 0)
			return &op->params[i];
	return NULL;
}

const char *
op_type_name(enum op_type type)
{
	static const char *const names[] = { "string", "uuid", "integer", "long",
		"boolean", "date", "list", "map", "object" };

	return names[type];
}

bool
operation_path(const struct operation *op, const char *path, op_path_visit visit,
    void *context)
{
	const char *wanted = op->path;

	while (*wanted != '\0') {
		size_t length;
		const char *close;
		if (*wanted != '{') {
			if (*wanted++ != *path++)
				return false;
			continue;
		}
		close = strchr(wanted, '}');
		length = strcspn(path, "/");
		if (close == NULL || length == 0)
			return false;
		if (visit != NULL) {
			char name[32] = "";
			size_t name_length = (size_t)(close - wanted - 1);
			memcpy(name, wanted + 1, name_length < 31 ? name_length : 31);
			visit(context, name, path, length);
		}
		wanted = close + 1;
		path += length;
	}
	return *path == '\0';
}
