/* SPDX-License-Identifier: Apache-2.0 */
/* alarm: taking note of what is wrong; jeoul-snmp then repeats it no more */
#include "web/handlers.h"
#include "web_stmt.gen.h"
#include <string.h>

bool
handle_alert_acknowledge(struct call *c, struct err *e)
{
	const char *id = call_value(c, "id");
	const char *word = call_value(c, "acknowledged");
	bool taken_back = word != NULL && !call_true(c, "acknowledged");
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, STMT_ALARM_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	if (!rows_bool(r, 0, 0))
		return err_set(e, ERR_CONFLICT, "this alarm is over already");
	c->object = id;
	return db_run(c->db, STMT_ALARM_ACKNOWLEDGE,
		   DB_ARGS(id, taken_back ? NULL : c->caller.user_name,
		       taken_back ? NULL : call_value(c, "note")),
		   NULL, e) &&
	    call_answer_one(c, STMT_ALARM_ONE, id, e);
}
