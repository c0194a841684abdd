/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-check: asks the database the questions of sql/checks/, each of which must answer
 * with no row; `jeoul doctor` and the system tests run it */
#include "base/db.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_BREACH = 1, EXIT_USAGE = 2, EXIT_NOT_ASKED = 3 };
enum { FLAGS_MAX = 32, CHECKS_MOST = 100, ROWS_SHOWN = 10 };

/* Each file as text of this program. */
#define EMBED(name, file)                                                                \
	__asm__(".section .rodata\n"                                                     \
		"check_sql_" #name ":\n.incbin \"" file "\"\n.byte 0\n.previous\n");     \
	extern const char check_sql_##name[];
#include "checks.inc"
#undef EMBED

struct embedded {
	const char *name, *text;
};
#define EMBED(name, file) { #name, check_sql_##name },
static const struct embedded embedded[] = {
#include "checks.inc"
};
#undef EMBED

/* A check's file: a head of comments in three parts, then the query. */
struct check {
	const char *name;
	char *holds; /* what must be so */
	char *means; /* what a row says */
	char *try;   /* what to do about it */
	char *sql;
};

struct asked {
	struct db *db;
	struct check list[CHECKS_MOST];
	size_t count;
	bool json;
	size_t breaches;
	struct buf out;
	struct jout jout;
};

static const char help[] =
    "usage: jeoul-check [--json] [--config FILE] [--set key=value]... [CHECK]...\n"
    "\n"
    "Asks the database whether usage and charges fit together: all checks, or those "
    "named.\n"
    "Reads only; needs the rights of the database's owner (root on the server).\n"
    "  --list   names all checks, and what each says\n"
    "Status: 0 all hold, 1 a breach was found, 2 wrong words, 3 it could not be asked.\n";

/* The lines of a head from one mark to the next, joined by blanks. */
static char *
head_part(const char *text, const char *mark, const char *until)
{
	struct buf b = BUF_INIT;
	bool inside = mark == NULL;

	while (strncmp(text, "--", 2) == 0) {
		size_t n = strcspn(text, "\n");
		const char *line = text + 2 + strspn(text + 2, " ");
		size_t length = (size_t)(text + n - line);
		if (until != NULL && strncmp(line, until, strlen(until)) == 0)
			break;
		if (mark != NULL && strncmp(line, mark, strlen(mark)) == 0) {
			inside = true;
			line += strlen(mark);
			length -= strlen(mark);
		}
		if (inside) {
			buf_puts(&b, b.length > 0 ? " " : "");
			buf_add(&b, line, length);
		}
		text += n + (text[n] == '\n');
	}
	return buf_take(&b);
}

static struct check
check_read(const struct embedded *e)
{
	const char *sql = e->text;
	size_t length;

	while (strncmp(sql, "--", 2) == 0)
		sql += strcspn(sql, "\n") + 1;
	length = strlen(sql);
	while (length > 0 && strchr("; \n", sql[length - 1]) != NULL)
		length--;
	return (struct check){ .name = e->name,
		.holds = head_part(e->text, NULL, "A row means:"),
		.means = head_part(e->text, "A row means: ", "To do:"),
		.try = head_part(e->text, "To do: ", NULL),
		.sql =
		    mem_printf("select count(*) over () as found, x.* from (\n%.*s\n) x "
			       "limit %d",
			(int)length, sql, ROWS_SHOWN) };
}

static bool
check_add(struct asked *a, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(embedded) && a->count < CHECKS_MOST; i++)
		if (name == NULL || strcmp(embedded[i].name, name) == 0) {
			a->list[a->count++] = check_read(&embedded[i]);
			found = true;
		}
	return found;
}

static void
row_json(struct asked *a, const struct rows *r, size_t row)
{
	jout_open(&a->jout, NULL, '{');
	for (size_t c = 1; c < rows_columns(r); c++)
		jout_string(&a->jout, rows_column_name(r, c), rows_text(r, row, c));
	jout_close(&a->jout, '}');
}

static void
row_text(struct asked *a, const struct rows *r, size_t row)
{
	buf_puts(&a->out, "     ");
	for (size_t c = 1; c < rows_columns(r); c++) {
		const char *text = rows_text(r, row, c);
		buf_printf(&a->out, " %s=%s", rows_column_name(r, c),
		    text != NULL ? text : "-");
	}
	buf_putc(&a->out, '\n');
}

static void
told_json(struct asked *a, const struct check *c, const struct rows *r, int64_t found)
{
	jout_open(&a->jout, NULL, '{');
	jout_string(&a->jout, "check", c->name);
	jout_string(&a->jout, "holds", c->holds);
	jout_number(&a->jout, "rows", found);
	if (found > 0) {
		jout_string(&a->jout, "means", c->means);
		jout_string(&a->jout, "try", c->try);
		jout_open(&a->jout, "first", '[');
		for (size_t i = 0; i < rows_count(r); i++)
			row_json(a, r, i);
		jout_close(&a->jout, ']');
	}
	jout_close(&a->jout, '}');
}

static void
told_text(struct asked *a, const struct check *c, const struct rows *r, int64_t found)
{
	if (found == 0) {
		buf_printf(&a->out, "OK    %s\n", c->name);
		return;
	}
	buf_printf(&a->out, "FAIL  %s: %lld rows: %s\n      a row means: %s\n", c->name,
	    (long long)found, c->holds, c->means);
	for (size_t i = 0; i < rows_count(r); i++)
		row_text(a, r, i);
	buf_printf(&a->out, "      try: %s\n", c->try);
}

/* All of them see the same instant of the database, and can change nothing. */
static bool
ask(struct db *db, void *context, struct err *e)
{
	struct asked *a = context;

	buf_clear(&a->out);
	a->jout = (struct jout)JOUT_INIT(&a->out);
	a->breaches = 0;
	if (!db_exec(db, "set transaction isolation level repeatable read, read only", e))
		return false;
	if (a->json)
		jout_open(&a->jout, NULL, '[');
	for (size_t i = 0; i < a->count; i++) {
		scoped(rows_clear) struct rows *r = NULL;
		int64_t found;
		if (!db_query(db, (unsigned)i, DB_NONE, &r, e))
			return err_wrap(e, "check %s", a->list[i].name);
		found = rows_count(r) > 0 ? rows_i64(r, 0, 0) : 0;
		a->breaches += found > 0;
		(a->json ? told_json : told_text)(a, &a->list[i], r, found);
	}
	if (a->json)
		jout_close(&a->jout, ']');
	return true;
}

static bool
ask_database(struct asked *a, const struct conf *conf, struct err *e)
{
	struct statement statements[CHECKS_MOST];
	struct statement_set set = { statements, a->count };
	bool ok;

	for (size_t i = 0; i < a->count; i++)
		statements[i] = (struct statement){ a->list[i].name, a->list[i].sql };
	if (!db_open(conf, "owner", &set, &a->db, e))
		return false;
	ok = db_transaction(a->db, ask, a, e);
	db_close(a->db);
	return ok;
}

struct options {
	const char *file;
	const char *flags[FLAGS_MAX];
	size_t flag_count;
	bool list;
};

static bool
options_read(struct asked *a, struct options *o, int argc, char **argv)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'l' },
		{ "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT */
		if (c == 'j')
			a->json = true;
		else if (c == 'l')
			o->list = true;
		else if (c == 'c')
			o->file = optarg;
		else if (c == 's' && o->flag_count < FLAGS_MAX)
			o->flags[o->flag_count++] = optarg;
		else
			return false;
	}
	if (optind == argc)
		return check_add(a, NULL);
	for (int i = optind; i < argc; i++)
		if (!check_add(a, argv[i])) {
			(void)fprintf(stderr, "jeoul-check: no check \"%s\"\n", argv[i]);
			return false;
		}
	return true;
}

int
main(int argc, char **argv)
{
	/* A year of rows takes longer than a statement of daily work may; said first, so
	 * that --set can say otherwise. */
	struct options o = { .flags = { "database.timeout=10min" }, .flag_count = 1 };
	static struct asked a;
	struct conf *conf = conf_new();
	struct err e = ERR_INIT;

	log_open("jeoul-check", LOG_TO_STDERR, LOG_LVL_WARNING);
	if (!options_read(&a, &o, argc, argv)) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; o.list && i < a.count; i++)
		(void)printf("%-26s %s\n", a.list[i].name, a.list[i].holds);
	if (o.list)
		return EXIT_SUCCESS;
	if (!conf_load(conf, o.file, o.flags, o.flag_count, &e)) {
		(void)fprintf(stderr, "jeoul-check: %s\n", e.text);
		return EXIT_USAGE;
	}
	if (!ask_database(&a, conf, &e)) {
		(void)fprintf(stderr, "jeoul-check: %s\n", e.text);
		return EXIT_NOT_ASKED;
	}
	(void)fputs(buf_text(&a.out), stdout);
	if (a.json)
		(void)putchar('\n');
	return a.breaches > 0 ? EXIT_BREACH : EXIT_SUCCESS;
}
