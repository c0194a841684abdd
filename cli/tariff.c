/* SPDX-License-Identifier: Apache-2.0 */
/* tariff: what of "jeoul tariff" is more than a call: check, diff, trying out for all */
#include "base/mem.h"
#include "base/rat.h"
#include "cli/cli.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILES_MOST = 64 };

void
tariff_help(void)
{
	(void)puts(
	    "  jeoul tariff check FILE...\n"
	    "      Checks price lists in files, all of it; needs no server\n"
	    "  jeoul tariff diff FILE|NAME FILE|NAME\n"
	    "      Tells what differs between two price lists, of files or stored");
}

/* ---- check and diff: jeoul-tariff does them, with files */

static int
told(const char *verb, const struct err *e)
{
	scoped_free char *what = mem_printf("jeoul tariff %s did not work", verb);

	print_error(what, e->text, advice(e->kind, "jeoul help tariff"));
	return exit_code_of(e->kind);
}

/* A file that only this process and what it becomes can see; its path. */
static char *
text_file(const char *text, struct err *e)
{
	int fd = memfd_create("jeoul-tariff", 0);
	size_t left = strlen(text);

	while (fd >= 0 && left > 0) {
		ssize_t n = write(fd, text, left);

		if (n < 0)
			break;
		text += n;
		left -= (size_t)n;
	}
	if (fd < 0 || left > 0) {
		(void)err_errno(e, ERR_INTERNAL, errno, "memfd");
		return NULL;
	}
	return mem_printf("/proc/self/fd/%d", fd);
}

/* What is no file is the name or id of a stored list. */
static bool
stored_fetch(struct cli *c, char **word, struct err *e)
{
	struct cli_param p[] = { { "id", *word }, { "format", "json" } };
	struct json *doc = NULL;
	const char *text;
	char *path;

	if (!client_keys(c, e) ||
	    !name_resolve(c, "listTariffs", "name", &p[0].value, e) ||
	    !client_call(c, "exportTariff", p, 2, &doc, e))
		return false;
	text = json_text(json_get(json_first(client_body(doc)), "document"));
	path = text_file(text == NULL ? "" : text, e);
	json_free(doc);
	if (path == NULL)
		return false;
	*word = path; /* as long as the command */
	return true;
}

/* Becomes jeoul-tariff; comes back only when it can't. */
static int
become(const char *verb, int argc, char **argv)
{
	char path[PATH_MAX];
	char name[] = "jeoul-tariff";
	scoped_free char *own_verb = mem_strdup(verb);
	char *words[FILES_MOST + 3] = { name, own_verb };
	struct err e = ERR_INIT;

	for (int i = 0; i < argc; i++)
		words[i + 2] = argv[i];
	if (!program_find(path, name, &e))
		return told(verb, &e);
	(void)execv(path, words);
	(void)err_errno(&e, ERR_INTERNAL, errno, "%s", path);
	return told(verb, &e);
}

bool
tariff_local(struct cli *c, int argc, char **argv, int *status)
{
	const char *verb = argv[0];
	bool diff = strcmp(verb, "diff") == 0;
	struct err e = ERR_INIT;

	if (!diff && strcmp(verb, "check") != 0)
		return false;
	argc--;
	argv++;
	if (diff ? argc != 2 : argc < 1 || argc > FILES_MOST) {
		tariff_help();
		*status = EXIT_USAGE;
		return true;
	}
	for (int i = 0; diff && i < argc; i++)
		if (access(argv[i], R_OK) != 0 && !stored_fetch(c, &argv[i], &e)) {
			*status = told(verb, &e);
			return true;
		}
	*status = become(verb, argc, argv);
	return true;
}

/* ---- export */

void
tariff_print(const struct jval *answer)
{
	const char *text = json_text(json_get(answer, "document"));
	size_t n = text == NULL ? 0 : strlen(text);

	(void)fputs(text == NULL ? "" : text, stdout);
	if (n > 0 && text[n - 1] != '\n' && isatty(STDOUT_FILENO) == 1)
		(void)putchar('\n'); /* a file gets the very bytes */
}

void
tariff_place(const struct cli *c, struct err *e)
{
	size_t line;
	size_t column;
	const char *why;
	struct err own = *e;

	if (c->file != NULL && err_place(own.text, "", &line, &column, &why) &&
	    strncmp(why, ": ", 2) == 0)
		(void)err_set(e, own.kind, "%s:%zu:%zu%s", c->file, line, column, why);
}

/* ---- trying out */

static bool
named(const struct cli_param *params, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(params[i].name, "account") == 0 ||
		    strcmp(params[i].name, "accountid") == 0)
			return true;
	return false;
}

static bool
trial_add(struct buf *out, const struct cli *c, const struct cli_param *params,
    size_t count, struct err *e)
{
	struct json *doc = NULL;

	if (!client_call(c, "simulateTariff", params, count, &doc, e))
		return false;
	if (out->length > 1)
		buf_putc(out, ',');
	json_write(out, json_first(client_body(doc)));
	json_free(doc);
	return true;
}

static bool
all_add(struct buf *out, const struct cli *c, struct cli_param *params, size_t count,
    struct err *e)
{
	struct cli_param p[] = { { "listall", "true" } };
	struct json *doc = NULL;
	const struct jval *list;
	bool ok = client_call(c, "listAccounts", p, 1, &doc, e);

	list = json_get(client_body(doc), "account");
	for (const struct jval *v = ok ? json_first(list) : NULL; ok && v != NULL;
	     v = json_next(v)) {
		params[count] = (struct cli_param){ "accountid",
			json_text(json_get(v, "id")) };
		ok = trial_add(out, c, params, count + 1, e) ||
		    err_wrap(e, "account %s", json_text(json_get(v, "name")));
	}
	json_free(doc);
	return ok;
}

bool
tariff_trial(const struct cli *c, struct cli_param *params, size_t count,
    struct json **out, struct err *e)
{
	scoped(buf_done) struct buf list = BUF_INIT;
	scoped_free char *text = NULL;
	bool ok = named(params, count) ? trial_add(&list, c, params, count, e)
				       : all_add(&list, c, params, count, e);

	text = mem_printf("{\"simulatetariffresponse\":{\"tariffsimulation\":[%s]}}",
	    buf_text(&list));
	return ok && json_parse(out, text, strlen(text), e);
}

/* b less a, of amounts that came from the API. */
static char *
difference(const char *a, const char *b)
{
	struct err ignored = ERR_INIT;
	char *text = NULL;
	mpq_t x;
	mpq_t y;

	mpq_inits(x, y, NULL);
	if (a != NULL && b != NULL && rat_parse(x, a, &ignored) &&
	    rat_parse(y, b, &ignored)) {
		const char *point = strchr(b, '.');

		mpq_sub(y, y, x);
		text = rat_decimal(y, point == NULL ? 0 : (unsigned)strlen(point + 1));
	}
	mpq_clears(x, y, NULL);
	return text;
}

static const char *
text_of(const struct jval *v, const char *outer, const char *key)
{
	const char *text = json_text(json_get(json_get(v, outer), key));

	return text == NULL ? "" : text;
}

/* A row of two amounts; between currencies there is no difference to tell. */
static void
row_write(struct jout *j, const char *name, const struct jval *trial, const char *key)
{
	const char *was = text_of(trial, "was", key);
	const char *is = text_of(trial, "would_be", key);
	const char *from = text_of(trial, "was", "currency");
	const char *to = text_of(trial, "would_be", "currency");
	bool same = strcmp(from, to) == 0;
	scoped_free char *more = same ? difference(was, is) : NULL;

	jout_open(j, NULL, '{');
	jout_string(j, "account", name);
	jout_string(j, "sku", name);
	jout_string(j, "was", was);
	jout_string(j, "would_be", is);
	jout_string(j, "difference", more);
	jout_string(j, "currency", to);
	jout_close(j, '}');
}

static void
rows_print(struct buf *b, const char *columns)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	if (json_parse(&doc, buf_text(b), b->length, &e))
		print_table(json_root(doc), columns, false);
	json_free(doc);
	buf_clear(b);
}

static void
one_print(const struct jval *trial, const char *columns)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	(void)printf("%s, %s to %s\n\n", text_of(trial, "account", "name"),
	    text_of(trial, "period", "start"), text_of(trial, "period", "end"));
	jout_open(&j, NULL, '[');
	for (const struct jval *v = json_first(json_get(trial, "skus")); v != NULL;
	     v = json_next(v)) {
		struct buf one = BUF_INIT;

		json_write(&one, v);
		jout_raw(&j, NULL, buf_text(&one));
		buf_done(&one);
	}
	row_write(&j, "subtotal", trial, "subtotal");
	row_write(&j, "tax", trial, "tax");
	row_write(&j, "total", trial, "total");
	jout_close(&j, ']');
	rows_print(&b, columns);
}

void
tariff_trial_print(const struct jval *trials, const char *columns)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	if (json_count(trials) == 1) {
		one_print(json_first(trials), columns);
	} else {
		jout_open(&j, NULL, '[');
		for (const struct jval *v = json_first(trials); v != NULL;
		     v = json_next(v))
			row_write(&j, text_of(v, "account", "name"), v, "total");
		jout_close(&j, ']');
		rows_print(&b, "account was would_be difference currency");
	}
	for (const struct jval *v = json_first(trials); v != NULL; v = json_next(v)) {
		const struct jval *list = json_get(v, "unrated");

		for (const struct jval *s = json_first(list); s != NULL; s = json_next(s))
			(void)fprintf(stderr, "%s: no price for %s\n",
			    text_of(v, "account", "name"), json_text(s));
	}
}
