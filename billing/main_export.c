/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-export: charges as FOCUS, usage as CSV or JSON, of any range of time, streamed */
#include "base/log.h"
#include "base/mem.h"
#include "billing/export.h"
#include "billing_stmt.gen.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: jeoul-export focus --from DATE --to DATE [--focus 1.2|1.1|1.0] [--closed "
    "yes]\n"
    "       jeoul-export usage --from DATE --to DATE [--format csv|json]\n"
    "       jeoul-export metadata [--focus 1.2|1.1|1.0]\n"
    "  --account NAME|ID   only of one account\n"
    "  --out FILE          instead of standard output; focus writes FILE.metadata.json "
    "too\n"
    "  --config FILE, --set KEY=VALUE\n"
    "DATE: 2026-03-01 is midnight in UTC, or 2026-03-01T00:00:00+09:00; --to is "
    "exclusive.\n";

struct options {
	const char *config;
	const char *flags[16];
	size_t flag_count;
	const char *what;
	const char *from;
	const char *to;
	const char *account;
	const char *focus;
	const char *format;
	const char *closed;
	const char *out;
};

static const char **
option_of(struct options *o, const char *flag)
{
	if (strcmp(flag, "--config") == 0)
		return &o->config;
	if (strcmp(flag, "--from") == 0)
		return &o->from;
	if (strcmp(flag, "--to") == 0)
		return &o->to;
	if (strcmp(flag, "--account") == 0)
		return &o->account;
	if (strcmp(flag, "--focus") == 0)
		return &o->focus;
	if (strcmp(flag, "--format") == 0)
		return &o->format;
	if (strcmp(flag, "--closed") == 0)
		return &o->closed;
	if (strcmp(flag, "--out") == 0)
		return &o->out;
	if (strcmp(flag, "--set") == 0 && o->flag_count < ARRAY_LEN(o->flags))
		return &o->flags[o->flag_count++];
	return NULL;
}

static bool
options_read(struct options *o, int argc, char **argv)
{
	o->what = argc > 1 ? argv[1] : "";
	for (int i = 2; i < argc; i += 2) {
		const char **value = option_of(o, argv[i]);

		if (value == NULL || i + 1 >= argc)
			return false;
		*value = argv[i + 1];
	}
	if (strcmp(o->what, "metadata") == 0)
		return true;
	return o->from != NULL && o->to != NULL &&
	    (strcmp(o->what, "focus") == 0 || strcmp(o->what, "usage") == 0);
}

static bool
file_write(void *context, const char *bytes, size_t length, struct err *e)
{
	if (fwrite(bytes, 1, length, context) == length)
		return true;
	return err_errno(e, ERR_INTERNAL, errno, "writing");
}

/* A bare day is its first second. */
static bool
date_parse(struct instant *out, const char *text, struct err *e)
{
	scoped_free char *whole = mem_printf("%s%s", text,
	    strlen(text) == 10 ? "T00:00:00Z" : "");

	return instant_parse(out, whole, e);
}

static bool
ask_read(struct export_ask *ask, const struct options *o, struct err *e)
{
	ask->now = clock_now();
	ask->account = o->account;
	ask->closed_only = o->closed != NULL && strcmp(o->closed, "yes") == 0;
	ask->json = o->format != NULL && strcmp(o->format, "json") == 0;
	if (o->format != NULL && !ask->json && strcmp(o->format, "csv") != 0)
		return err_set(e, ERR_INPUT, "--format %s: csv and json are known",
		    o->format);
	if (!focus_version_parse(&ask->focus, o->focus == NULL ? FOCUS_LATEST : o->focus,
		e))
		return false;
	if (o->from == NULL || o->to == NULL)
		return true; /* metadata have no range */
	if (!date_parse(&ask->from, o->from, e) || !date_parse(&ask->to, o->to, e))
		return false;
	return ask->from.ns < ask->to.ns ||
	    err_set(e, ERR_INPUT, "--from must be earlier than --to");
}

static bool
metadata_write(const struct export_ask *ask, FILE *f, struct err *e)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	char now[CLOCK_TEXT_MAX];

	focus_metadata(&b, ask->focus, instant_text(ask->now, now));
	buf_putc(&b, '\n');
	return file_write(f, buf_text(&b), b.length, e);
}

static bool
rows_write(const struct options *o, const struct export_ask *ask, FILE *f, struct err *e)
{
	struct conf *conf = conf_new();
	struct text_out out = { file_write, f };
	struct db *db = NULL;
	bool ok = conf_load(conf, o->config, o->flags, o->flag_count, e) &&
	    db_open(conf, "billing", &billing_statements, &db, e);

	if (ok)
		ok = strcmp(o->what, "focus") == 0 ? export_focus(db, ask, &out, e)
						   : export_usage(db, ask, &out, e);
	db_close(db);
	conf_free(conf);
	return ok;
}

/* path NULL: standard output. */
static bool
file_make(const struct options *o, const struct export_ask *ask, const char *path,
    bool metadata, struct err *e)
{
	FILE *f = path == NULL ? stdout : fopen(path, "we");
	bool ok;

	if (f == NULL)
		return err_errno(e, ERR_INPUT, errno, "open %s", path);
	ok = metadata ? metadata_write(ask, f, e) : rows_write(o, ask, f, e);
	if ((path == NULL ? fflush(f) : fclose(f)) != 0 && ok)
		ok = err_errno(e, ERR_INTERNAL, errno, "writing %s",
		    path == NULL ? "output" : path);
	return ok;
}

static bool
export_do(const struct options *o, struct err *e)
{
	bool metadata = strcmp(o->what, "metadata") == 0;
	struct export_ask ask = { .account = NULL };
	scoped_free char *beside = NULL;

	if (!ask_read(&ask, o, e) || !file_make(o, &ask, o->out, metadata, e))
		return false;
	if (o->out == NULL || strcmp(o->what, "focus") != 0)
		return true;
	beside = mem_printf("%s.metadata.json", o->out);
	return file_make(o, &ask, beside, true, e);
}

/* Exit status: 0 written, 1 failed, 2 wrong usage, 3 there is no such account. */
int
main(int argc, char **argv)
{
	struct options o = { .config = NULL };
	struct err e = ERR_INIT;

	log_open("jeoul-export", LOG_TO_STDERR, LOG_LVL_WARNING);
	if (!options_read(&o, argc, argv)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (export_do(&o, &e))
		return 0;
	log_error("%s", e.text);
	return e.kind == ERR_NOT_FOUND ? 3 : e.kind == ERR_INPUT ? 2 : 1;
}
