/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-explain: a line of a statement, or of the running bill, down to its counters */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/calendar_db.h"
#include "billing/explain.h"
#include "billing_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: jeoul-explain [--config FILE] [--json] [--account NAME] [--resource ID]\n"
    "           STATEMENT LINE\n"
    "       jeoul-explain [--config FILE] [--json] --account NAME [--resource ID]\n"
    "           [--band NAME] SKU\n";

struct options {
	const char *config;
	const char *account;
	const char *resource;
	const char *band;
	const char *words[2];
	size_t count;
	bool json;
};

static bool
options_read(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char **value = strcmp(argv[i], "--config") == 0 ? &o->config
		    : strcmp(argv[i], "--account") == 0               ? &o->account
		    : strcmp(argv[i], "--resource") == 0              ? &o->resource
		    : strcmp(argv[i], "--band") == 0                  ? &o->band
								      : NULL;

		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (value != NULL && i + 1 < argc)
			*value = argv[++i];
		else if (value == NULL && argv[i][0] != '-' && o->count < 2)
			o->words[o->count++] = argv[i];
		else
			return false;
	}
	return o->count == 2 || (o->count == 1 && o->account != NULL);
}

struct work {
	const struct options *options;
	struct calendar *calendar;
	struct buf out;
};

static bool
account_find(struct explain_ask *ask, struct db *db, const struct options *o,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_EXPLAIN_ACCOUNT,
		DB_ARGS(o->account, o->count == 2 ? o->words[0] : NULL), &r, e))
		return false;
	if (rows_count(r) == 1)
		ask->account_id = rows_i64(r, 0, 0);
	return rows_count(r) == 1 ||
	    err_set(e, ERR_NOT_FOUND, "%s account fits: name it by --account",
		rows_count(r) == 0 ? "no" : "more than one");
}

static bool
work_do(struct db *db, void *context, struct err *e)
{
	struct work *w = context;
	const struct options *o = w->options;
	struct explain_ask ask = { .resource = o->resource,
		.band = o->band,
		.now = clock_now() };

	if (o->count == 2) {
		ask.statement = o->words[0];
		ask.line = strtoll(o->words[1], NULL, 10);
	} else {
		ask.sku = o->words[0];
	}
	buf_clear(&w->out);
	return account_find(&ask, db, o, e) && explain(&w->out, db, w->calendar, &ask, e);
}

static bool
print(const struct work *w, struct err *e)
{
	struct json *document = NULL;

	if (w->options->json) {
		(void)puts(buf_text(&w->out));
		return true;
	}
	if (!json_parse(&document, buf_text(&w->out), w->out.length, e))
		return false;
	(void)fputs(json_text(json_get(json_root(document), "text")), stdout);
	json_free(document);
	return true;
}

/* Exit status: 0 explained, 1 failed, 2 wrong usage, 3 there is no such line. */
int
main(int argc, char **argv)
{
	struct options o = { .json = false };
	struct work w = { .options = &o, .out = BUF_INIT };
	struct conf *conf = conf_new();
	struct db *db = NULL;
	struct err e = ERR_INIT;
	bool ok;

	log_open("jeoul-explain", LOG_TO_STDERR, LOG_LVL_WARNING);
	if (!options_read(&o, argc, argv)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	ok = conf_load(conf, o.config, NULL, 0, &e) &&
	    db_open(conf, "billing", &billing_statements, &db, &e);
	if (ok) {
		w.calendar = calendar_db_new(db, false);
		ok = db_transaction(db, work_do, &w, &e) && print(&w, &e);
	}
	calendar_db_free(w.calendar);
	db_close(db);
	conf_free(conf);
	buf_done(&w.out);
	if (ok)
		return 0;
	log_error("%s", e.text);
	return e.kind == ERR_NOT_FOUND ? 3 : 1;
}
