/* SPDX-License-Identifier: Apache-2.0 */
/* check: parameters of a call against the operations table, with CloudStack's texts */
#include "web/check.h"
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool
uuid_text(const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0' && i < 37; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return i == 36;
}

static bool
whole_number(const char *text, int64_t least, int64_t most)
{
	char *end = NULL;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' &&
	    !isspace((unsigned char)text[0]) && n >= least && n <= most;
}

static bool
uuid_list(const char *text)
{
	char one[37];

	while (*text != '\0') {
		size_t n = strcspn(text, ",");
		if (n != 36)
			return false;
		memcpy(one, text, 36);
		one[36] = '\0';
		if (!uuid_text(one))
			return false;
		text += n + (text[n] == ',' ? 1 : 0);
	}
	return true;
}

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if ((c < 32 && c != '\n' && c != '\r') || c == 127)
			return false;
	}
	return true;
}

static bool
fits_type(const struct op_param *param, const char *value)
{
	struct instant ignored_time;
	struct err ignored = ERR_INIT;

	switch (param->type) {
	case TYPE_UUID:
		return uuid_text(value) ||
		    (strcmp(value, "-1") == 0 && (param->flags & REQUIRED) == 0);
	case TYPE_INTEGER:
		return whole_number(value, INT32_MIN, INT32_MAX);
	case TYPE_LONG:
		return whole_number(value, INT64_MIN, INT64_MAX);
	case TYPE_DATE:
		return date_read(&ignored_time, value, false, &ignored);
	case TYPE_LIST:
		return uuid_list(value); /* of ids: there is no other list yet */
	case TYPE_STRING:
	case TYPE_BOOLEAN: /* true is true, anything else is false */
	case TYPE_MAP:
	case TYPE_OBJECT:
		break;
	}
	return true;
}

static const char *
lower_name(const struct operation *op, char out[64])
{
	size_t i = 0;

	for (; op->name[i] != '\0' && i < 63; i++)
		out[i] = (char)tolower((unsigned char)op->name[i]);
	out[i] = '\0';
	return out;
}

static bool
refuse_value(const struct operation *op, const struct op_param *param, const char *value,
    struct err *e)
{
	char name[64];

	lower_name(op, name);
	if (param->type == TYPE_UUID)
		return err_set(e, ERR_INPUT,
		    "Unable to execute API command %s due to invalid value. Invalid "
		    "parameter %s value=%.60s due to incorrect long value format, or "
		    "entity "
		    "does not exist or due to incorrect parameter annotation for the "
		    "field "
		    "in api cmd class.",
		    name, param->name, value);
	return err_set(e, ERR_INPUT,
	    "Unable to execute API command %s due to invalid value %.60s for parameter "
	    "%s",
	    name, (param->flags & SECRET) != 0 ? "(secret)" : value, param->name);
}

static bool
check_one(const struct operation *op, const struct op_param *param,
    const struct param_list *p, struct err *e)
{
	const char *value = params_get(p, param->name);
	char name[64];

	if (param->type == TYPE_MAP)
		return true;
	if (value == NULL || value[0] == '\0') {
		if ((param->flags & REQUIRED) == 0)
			return true;
		return err_set(e, ERR_INPUT,
		    "Unable to execute API command %s due to missing parameter %s",
		    lower_name(op, name), param->name);
	}
	if (strlen(value) > param->length)
		return err_set(e, ERR_INPUT,
		    "Value greater than max allowed length %u for param: %s",
		    param->length, param->name);
	if (param->type != TYPE_OBJECT && !printable(value))
		return err_set(e, ERR_INPUT,
		    "Received value for parameter %s is invalid, contains illegal ASCII "
		    "non-printable characters",
		    param->name);
	return fits_type(param, value) || refuse_value(op, param, value, e);
}

/* Maps come under names of their own: details[0].key. */
static bool
check_maps(const struct operation *op, const struct param_list *p, struct err *e)
{
	for (size_t i = 0; i < p->count; i++) {
		const char *bracket = strchr(p->list[i].lower, '[');
		if (bracket == NULL)
			continue;
		if (strlen(p->list[i].value) > 4096 || !printable(p->list[i].value))
			return err_set(e, ERR_INPUT,
			    "Value of %.60s of %s is longer than 4096 bytes, or contains "
			    "illegal ASCII non-printable characters",
			    p->list[i].lower, op->name);
	}
	return true;
}

bool
check_params(const struct operation *op, const struct param_list *p, struct err *e)
{
	for (size_t i = 0; i < op->param_count; i++)
		if (!check_one(op, &op->params[i], p, e))
			return false;
	return check_maps(op, p, e);
}

const char *
check_value(const struct op_param *param, const struct param_list *p)
{
	const char *value = params_get(p, param->name);
	struct err ignored = ERR_INIT;
	struct instant t;

	if (value == NULL || value[0] == '\0')
		return NULL;
	if (param->type == TYPE_UUID && strcmp(value, "-1") == 0)
		return NULL;
	if (param->type == TYPE_BOOLEAN)
		return strcasecmp(value, "true") == 0 ? "true" : "false";
	if (param->type == TYPE_DATE) {
		if (!date_read(&t, value, strcmp(param->name, "enddate") == 0, &ignored))
			return NULL;
		return instant_text(t, arena_alloc(p->arena, CLOCK_TEXT_MAX));
	}
	return value;
}
