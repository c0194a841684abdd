/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-audit: whether anything that is closed was changed since */
#include "base/log.h"
#include "base/mem.h"
#include "billing_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTACT = 0, CHANGED = 1, USAGE = 2, FAILED = 6 };

static const char usage[] =
    "usage: jeoul-audit [--config FILE] verify [--without-usage]\n"
    "       jeoul-audit [--config FILE] head\n"
    "verify names what was changed, taken away or slipped in, the earliest first;\n"
    "head prints where the hash chain ends: keep it elsewhere, a later chain must hold "
    "it.\n"
    "status: 0 intact, 1 something was changed, 2 wrong usage, 6 could not ask\n";

static bool
head_print(struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_AUDIT_HEAD, DB_NONE, &r, e))
		return false;
	if (rows_count(r) == 1)
		printf("%s %s\n", rows_text(r, 0, 0), rows_text(r, 0, 1));
	return true;
}

static bool
verify_print(struct db *db, bool with_usage, int *status, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_AUDIT_VERIFY, DB_ARGS(with_usage ? "true" : "false"), &r,
		e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		printf("%s %s %s: %s\n",
		    rows_text(r, i, 0) == NULL ? "-" : rows_text(r, i, 0),
		    rows_text(r, i, 1), rows_text(r, i, 2), rows_text(r, i, 3));
	*status = rows_count(r) == 0 ? INTACT : CHANGED;
	rows_clear(&r);
	if (*status == CHANGED)
		return true;
	if (!db_query(db, STMT_AUDIT_HEAD, DB_NONE, &r, e))
		return false;
	printf("intact: %s links, %s statements; the chain ends with %s\n",
	    rows_text(r, 0, 2), rows_text(r, 0, 3), rows_text(r, 0, 1));
	return true;
}

static bool
audit(const char *config, const char *verb, bool with_usage, int *status, struct err *e)
{
	static const char *const flags[] = { "database.timeout=10min" };
	struct conf *conf = conf_new();
	struct db *db = NULL;
	bool ok = conf_load(conf, config, flags, ARRAY_LEN(flags), e) &&
	    db_open(conf, "billing", &billing_statements, &db, e);

	*status = INTACT;
	if (ok && strcmp(verb, "head") == 0)
		ok = head_print(db, e);
	else if (ok)
		ok = verify_print(db, with_usage, status, e);
	db_close(db);
	conf_free(conf);
	return ok;
}

int
main(int argc, char **argv)
{
	const char *config = NULL;
	const char *verb = NULL;
	bool with_usage = true;
	struct err e = ERR_INIT;
	int status = USAGE;

	log_open("jeoul-audit", LOG_TO_STDERR, LOG_LVL_WARNING);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			config = argv[++i];
		else if (strcmp(argv[i], "--without-usage") == 0)
			with_usage = false;
		else if (verb == NULL)
			verb = argv[i];
	}
	if (verb == NULL || (strcmp(verb, "verify") != 0 && strcmp(verb, "head") != 0)) {
		(void)fputs(usage, stderr);
		return USAGE;
	}
	if (audit(config, verb, with_usage, &status, &e))
		return status;
	log_error("%s", e.text);
	return FAILED;
}
