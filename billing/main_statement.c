/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-statement: a closed statement as JSON, CSV, HTML or PDF */
#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "billing/statement.h"
#include "billing_stmt.gen.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BROWSER "/usr/bin/chromium"
#define PDF_SECONDS "60"

struct options {
	const char *config;
	const char *form;
	const char *out; /* NULL: standard output */
	const char *which;
};

static const char usage[] =
    "usage: jeoul-statement [--config FILE] [--format json|csv|html|pdf] [--out FILE] "
    "NUMBER|ID\n";

static bool
options_read(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char **value = strcmp(argv[i], "--config") == 0 ? &o->config
		    : strcmp(argv[i], "--format") == 0                ? &o->form
		    : strcmp(argv[i], "--out") == 0                   ? &o->out
								      : NULL;

		if (value != NULL && i + 1 < argc)
			*value = argv[++i];
		else if (value == NULL && argv[i][0] != '-' && o->which == NULL)
			o->which = argv[i];
		else
			return false;
	}
	return o->which != NULL;
}

static bool
file_write(void *context, const char *bytes, size_t length, struct err *e)
{
	if (fwrite(bytes, 1, length, context) == length)
		return true;
	return err_errno(e, ERR_INTERNAL, errno, "writing");
}

static bool
statement_write(struct issued *s, const char *form, const char *path, struct err *e)
{
	FILE *f = path == NULL ? stdout : fopen(path, "we");
	struct text_out out = { file_write, f };
	bool ok;

	if (f == NULL)
		return err_errno(e, ERR_INPUT, errno, "open %s", path);
	ok = statement_render(s, form, &out, e);
	if ((path == NULL ? fflush(f) : fclose(f)) != 0 && ok)
		ok = err_errno(e, ERR_INTERNAL, errno, "writing %s",
		    path == NULL ? "output" : path);
	return ok;
}

/* Chromium's own sandbox needs a user that is not root; it prints our own page only. */
static bool
browser_print(const char *folder, const char *page, const char *pdf, struct err *e)
{
	scoped_free char *profile = mem_printf("--user-data-dir=%s/profile", folder);
	scoped_free char *print = mem_printf("--print-to-pdf=%s", pdf);
	scoped_free char *url = mem_printf("file://%s", page);
	const char *const argv[] = { "timeout", PDF_SECONDS, BROWSER, "--headless",
		"--disable-gpu", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--no-pdf-header-footer",
		"--print-to-pdf-no-header", profile, print, url,
		geteuid() == 0 ? "--no-sandbox" : NULL, NULL };
	struct spawn s = { .program_fd = -1,
		.path = "/usr/bin/timeout",
		.argv = argv,
		.parent_fd = -1,
		.conf_fd = -1,
		.listen_fd = -1,
		.output_fd = -1,
		.keep_rights = true };

	if (access(BROWSER, X_OK) != 0)
		return err_set(e, ERR_NOT_FOUND,
		    "%s, which prints to PDF, is not installed: apt-get install "
		    "chromium, or take --format html and print that",
		    BROWSER);
	if (!spawn_wait(&s, e))
		return err_wrap(e, "printing to PDF");
	return access(pdf, R_OK) == 0 ||
	    err_set(e, ERR_INTERNAL, "printing to PDF: the browser wrote nothing");
}

static void
folder_remove(const char *folder)
{
	const char *const argv[] = { "rm", "-rf", folder, NULL };
	struct spawn s = { .program_fd = -1,
		.path = "/bin/rm",
		.argv = argv,
		.parent_fd = -1,
		.conf_fd = -1,
		.listen_fd = -1,
		.output_fd = -1 };
	struct err e = ERR_INIT;

	if (!spawn_wait(&s, &e))
		log_warning("%s stays: %s", folder, e.text);
}

static bool
file_copy(const char *from, const char *to, struct err *e)
{
	FILE *in = fopen(from, "re");
	FILE *out = to == NULL ? stdout : fopen(to, "we");
	char block[65536];
	size_t n;
	bool ok = in != NULL && out != NULL;

	while (ok && (n = fread(block, 1, sizeof(block), in)) > 0)
		ok = fwrite(block, 1, n, out) == n;
	ok = ok && ferror(in) == 0 && fflush(out) == 0;
	if (!ok)
		err_errno(e, ERR_INTERNAL, errno, "writing %s",
		    to == NULL ? "output" : to);
	if (in != NULL)
		(void)fclose(in); /* it was only read */
	if (out != NULL && out != stdout && fclose(out) != 0 && ok)
		ok = err_errno(e, ERR_INTERNAL, errno, "writing %s", to);
	return ok;
}

static bool
pdf_write(struct issued *s, const char *path, struct err *e)
{
	char folder[] = "/tmp/jeoul-statement.XXXXXX";
	scoped_free char *page = NULL;
	scoped_free char *pdf = NULL;
	bool ok;

	if (mkdtemp(folder) == NULL)
		return err_errno(e, ERR_INTERNAL, errno, "a temporary folder");
	page = mem_printf("%s/statement.html", folder);
	pdf = mem_printf("%s/statement.pdf", folder);
	ok = statement_write(s, "html", page, e) && browser_print(folder, page, pdf, e) &&
	    file_copy(pdf, path, e);
	folder_remove(folder);
	return ok;
}

static bool
statement_put(const struct options *o, struct err *e)
{
	struct conf *conf = conf_new();
	struct db *db = NULL;
	struct issued s = { .db = NULL };
	bool ok = conf_load(conf, o->config, NULL, 0, e) &&
	    db_open(conf, "billing", &billing_statements, &db, e) &&
	    statement_open(&s, db, 0, o->which, e);

	if (ok)
		ok = strcmp(o->form, "pdf") == 0
		    ? pdf_write(&s, o->out, e)
		    : statement_write(&s, o->form, o->out, e);
	statement_done(&s);
	db_close(db);
	conf_free(conf);
	return ok;
}

/* Exit status: 0 written, 1 failed, 2 wrong usage, 3 there is no such statement. */
int
main(int argc, char **argv)
{
	struct options o = { .form = "html" };
	struct err e = ERR_INIT;

	log_open("jeoul-statement", LOG_TO_STDERR, LOG_LVL_WARNING);
	if (!options_read(&o, argc, argv)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (statement_put(&o, &e))
		return 0;
	log_error("%s", e.text);
	return e.kind == ERR_NOT_FOUND ? 3 : 1;
}
