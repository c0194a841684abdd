/* SPDX-License-Identifier: Apache-2.0 */
/* usage_meter: which skus are told from outside, and who may tell them */
#include "billing/sku.h"
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <string.h>

/* The same again changes nothing; another unit or kind would change what was told. */
static bool
meter_same(struct call *c, const struct rows *r, const char *sku, struct err *e)
{
	for (size_t i = 0; i < rows_columns(r); i++) {
		const char *name = rows_column_name(r, i);

		if ((strcmp(name, "unit") == 0 || strcmp(name, "kind") == 0) &&
		    strcmp(rows_text(r, 0, i), call_value(c, name)) != 0)
			return err_set(e, ERR_CONFLICT,
			    "the meter %s is there already, with the %s %s, and stays "
			    "so: "
			    "take another sku",
			    sku, name, rows_text(r, 0, i));
	}
	return true;
}

static bool
sku_check(const char *sku, struct err *e)
{
	size_t n = strlen(sku);

	if (sku_own_unit(sku) != NULL)
		return err_set(e, ERR_CONFLICT,
		    "sku: %s is counted by Jeoul itself: take another name", sku);
	if (strspn(sku, "abcdefghijklmnopqrstuvwxyz0123456789._-") != n ||
	    strchr("abcdefghijklmnopqrstuvwxyz", sku[0]) == NULL ||
	    strchr("._-", sku[n - 1]) != NULL || strpbrk(sku, "._-") == sku)
		return err_set(e, ERR_INPUT,
		    "sku: \"%s\" is no name of a meter: small letters, digits and single "
		    ". _ - between them, such as object.storage",
		    sku);
	for (size_t i = 1; i < n; i++)
		if (strchr("._-", sku[i]) != NULL && strchr("._-", sku[i - 1]) != NULL)
			return err_set(e, ERR_INPUT,
			    "sku: \"%s\" has two of . _ - beside each other", sku);
	return true;
}

bool
handle_usage_meter_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *sku = call_value(c, "sku");
	const char *kind = call_value(c, "kind");

	if (!sku_check(sku, e))
		return false;
	if (strcmp(kind, "amount") != 0 && strcmp(kind, "level") != 0)
		return err_set(e, ERR_INPUT,
		    "kind: amount (so much at an instant) or level (so much for a time)");
	if (!db_run(c->db, STMT_USAGE_METER_INSERT,
		DB_ARGS(sku, call_value(c, "unit"), kind, call_value(c, "description"),
		    DB_NUMBER(c->caller.user_id)),
		NULL, e) ||
	    !db_query(c->db, STMT_USAGE_METER_ONE, DB_ARGS(sku), &r, e))
		return false;
	if (!meter_same(c, r, sku, e))
		return false;
	call_rows(c, r);
	return true;
}

static bool
right_change(struct call *c, unsigned stmt, struct err *e)
{
	scoped(rows_clear) struct rows *user = NULL;
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_USER_FIND, DB_ARGS(id), &user, e))
		return false;
	if (rows_count(user) == 0)
		return call_not_found(c, "id", id, e);
	c->object = arena_strdup(c->arena, id);
	return db_run(c->db, stmt,
		   DB_ARGS(rows_text(user, 0, 0), call_value(c, "source")), NULL, e) &&
	    call_answer_one(c, STMT_USAGE_RIGHT_USER, id, e);
}

bool
handle_usage_source_allow(struct call *c, struct err *e)
{
	return right_change(c, STMT_USAGE_RIGHT_PUT, e);
}

bool
handle_usage_source_deny(struct call *c, struct err *e)
{
	return right_change(c, STMT_USAGE_RIGHT_DROP, e);
}
