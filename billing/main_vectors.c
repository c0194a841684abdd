/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-vectors: runs files of rating vectors through the code that bills */
#include "base/conf.h"
#include "base/db.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/calendar_db.h"
#include "billing/vector.h"
#include "billing_stmt.gen.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally {
	unsigned passed;
	unsigned failed;
	unsigned skipped;
};

static bool
file_read(struct buf *out, const char *path, struct err *e)
{
	FILE *f = fopen(path, "rbe");
	char block[65536];
	size_t n;

	if (f == NULL)
		return err_errno(e, ERR_INPUT, errno, "open %s", path);
	out->limit = JSON_BYTES_MAX;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(out, block, n);
	(void)fclose(f); /* it was only read */
	if (!buf_ok(out))
		return err_set(e, ERR_INPUT, "%s: larger than 16 MiB", path);
	return true;
}

static bool
vector_tell(const struct jval *v, const struct calendar *calendar, struct tally *tally,
    struct err *e)
{
	scoped(buf_done) struct buf why = BUF_INIT;
	const char *name = json_text(json_get(v, "name"));
	enum verdict verdict = VECTOR_FAILED;

	if (name == NULL)
		name = "(without a name)";
	if (!vector_run(&verdict, &why, v, calendar, e))
		return err_wrap(e, "%s", name);
	if (verdict == VECTOR_PASSED) {
		tally->passed++;
		printf("ok      %s\n", name);
	} else if (verdict == VECTOR_SKIPPED) {
		tally->skipped++;
		printf("skipped %s: %s\n", name, buf_text(&why));
	} else {
		tally->failed++;
		printf("FAILED  %s: %s\n", name, buf_text(&why));
	}
	return true;
}

static bool
file_run(const char *path, const struct calendar *calendar, struct tally *tally,
    struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct json *document = NULL;
	const struct jval *list;
	bool ok = true;

	if (!file_read(&text, path, e))
		return false;
	if (!json_parse(&document, buf_text(&text), text.length, e))
		return err_wrap(e, "%s", path);
	list = json_get(json_root(document), "vectors");
	if (json_type(list) != JSON_ARRAY)
		ok = err_set(e, ERR_INPUT, "%s: has no list \"vectors\"", path);
	for (const struct jval *v = json_first(list); ok && v != NULL; v = json_next(v))
		ok = vector_tell(v, calendar, tally, e);
	json_free(document);
	return ok;
}

static int
vectors_run(char **files, int count, struct err *e)
{
	struct tally tally = { 0, 0, 0 };
	struct conf *conf = conf_new();
	struct calendar *calendar = NULL;
	struct db *db = NULL;
	bool ok = conf_load(conf, "/dev/null", NULL, 0, e) &&
	    db_open(conf, "billing", &billing_statements, &db, e);

	if (ok)
		calendar = calendar_db_new(db, false);
	for (int i = 0; ok && i < count; i++)
		ok = file_run(files[i], calendar, &tally, e);
	calendar_db_free(calendar);
	db_close(db);
	conf_free(conf);
	if (!ok)
		return 2;
	printf("%u passed, %u failed, %u skipped\n", tally.passed, tally.failed,
	    tally.skipped);
	return tally.failed == 0 ? 0 : 1;
}

/*
 * Exit status: 0 none failed, 1 some failed, 2 could not run.  The database comes from
 * JEOUL_DATABASE_URL; only its calendar is asked.
 */
int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	int status;

	log_open("jeoul-vectors", LOG_TO_STDERR, LOG_LVL_WARNING);
	if (argc < 2) {
		(void)fprintf(stderr, "usage: jeoul-vectors FILE...\n");
		return 2;
	}
	status = vectors_run(argv + 1, argc - 1, &e);
	if (status == 2)
		log_error("vectors: %s", e.text);
	return status;
}
