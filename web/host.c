/* SPDX-License-Identifier: Apache-2.0 */
/* host: registering hypervisors and taking them out, carried out by jeoul-provision */
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <string.h>

static bool
host_answer(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *none = NULL;

	if (!db_query(c->db, STMT_HOST_LIST,
		DB_ARGS(c->object, none, none, none, none, none, none, "1", "0"), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_INTERNAL, "the host was added and is not there");
	call_rows(c, r);
	return true;
}

/* CloudStack's call answers the host itself, so the call waits for the job. */
bool
handle_host_add(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uri = call_value(c, "url");

	if (!db_query(c->db, STMT_HOST_BY_URI, DB_ARGS(uri), &r, e))
		return false;
	if (rows_count(r) > 0)
		return err_set(e, ERR_CONFLICT,
		    "the host %.200s is registered already, as %s", uri,
		    rows_text(r, 0, 0));
	c->after = host_answer;
	return call_job(c, "host", NULL, c->caller.account_id, e);
}

static bool
done_answer(struct call *unused_c unused, struct err *unused_e unused)
{
	return true;
}

bool
handle_host_delete(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_HOST_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	c->after = done_answer;
	return call_job(c, "host", id, c->caller.account_id, e);
}
