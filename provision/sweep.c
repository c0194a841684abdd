/* SPDX-License-Identifier: Apache-2.0 */
/* sweep: what nobody asks for and yet has to be done now and then */
#include "provision/sweep.h"
#include "provision_stmt.gen.h"

static bool
ask(struct db *db, const char *account_id, const char *command, const char *kind,
    const char *uuid, struct err *e)
{
	return db_run(db, STMT_JOB_OWN, DB_ARGS(account_id, command, kind, uuid, "{}"),
	    NULL, e);
}

static bool
bin_sweep(struct db *db, const struct conf *conf, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	int64_t after = conf_span_ns(conf, CONF_PROVISION_EXPUNGE_AFTER) / NS_PER_US;

	if (!db_query(db, STMT_VM_BIN_DUE, DB_ARGS(DB_NUMBER(after)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (!ask(db, rows_text(r, i, 0), "expungeVirtualMachine", "vm",
			rows_text(r, i, 1), e))
			return false;
	return true;
}

static bool
image_sweep(struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_IMAGES_LEFT, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (!ask(db, rows_text(r, i, 1), "deleteTemplate", "template",
			rows_text(r, i, 0), e))
			return false;
	return true;
}

/* What a move could not delete, as its host did not answer then. */
static bool
left_sweep(struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_DISK_LEFT_HOSTS, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (!ask(db, rows_text(r, i, 0), "tidyHost", "host", rows_text(r, i, 1),
			e))
			return false;
	return true;
}

bool
sweep(struct db *db, const struct conf *conf, struct err *e)
{
	return bin_sweep(db, conf, e) && image_sweep(db, e) && left_sweep(db, e);
}
