/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-tariff: checks, rewrites and compares price lists; needs no server */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/tariff_diff.h"
#include "billing/tariff_load.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOOD = 0, REFUSED = 1, USAGE = 2, DIFFER = 1, FAILED = 6 };

static const char usage[] =
    "usage: jeoul-tariff check FILE...       whether each can be used; all faults one by "
    "one\n"
    "       jeoul-tariff text FILE           the list as lines of text\n"
    "       jeoul-tariff json FILE           the list as JSON\n"
    "       jeoul-tariff diff FILE FILE      what differs; status 1 if anything does\n";

struct options {
	char *const *files;
	size_t count;
};

static bool
file_read(struct buf *out, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char block[65536];
	size_t n;

	if (f == NULL) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno)); /* NOLINT */
		return false;
	}
	out->limit = JSON_BYTES_MAX;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(out, block, n);
	if (f != stdin)
		(void)fclose(f); /* it was only read */
	return buf_ok(out);
}

/* "list.tariff:12: reason", then what to do. */
static bool
list_load(struct tariff_loaded *out, const char *path)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct tariff_fault f;

	if (!file_read(&text, path))
		return false;
	if (tariff_load(out, buf_text(&text), text.length, &f))
		return true;
	(void)fprintf(stderr, "%s:%zu:%zu: %s\n    try: %s\n", path, f.at.line,
	    f.at.column, f.reason, f.remedy);
	return false;
}

static void
notes_print(const char *path, const char *notes)
{
	while (*notes != '\0') {
		size_t n = strcspn(notes, "\n");
		bool placed = *notes >= '1' && *notes <= '9';

		(void)fprintf(stderr, "%s:%s%.*s\n", path, placed ? "" : " ", (int)n,
		    notes);
		notes += n + 1;
	}
}

static int
check(const struct options *o)
{
	int status = GOOD;

	for (size_t i = 0; i < o->count; i++) {
		struct tariff_loaded l;

		if (!list_load(&l, o->files[i])) {
			status = REFUSED;
			continue;
		}
		printf("%s: good: %zu prices, %s\n", o->files[i], l.tariff->price_count,
		    l.tariff->invoiced);
		notes_print(o->files[i], buf_text(&l.notes));
		tariff_loaded_done(&l);
	}
	return status;
}

static struct json *
document_of(const struct tariff_loaded *l)
{
	struct json *document = NULL;
	struct err e = ERR_INIT;

	/* It was read a moment ago. */
	if (!json_parse(&document, buf_text(&l->document), l->document.length, &e))
		abort();
	return document;
}

static int
text(const struct options *o)
{
	scoped(buf_done) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	struct tariff_loaded l;
	bool ok;

	if (!list_load(&l, o->files[0]))
		return REFUSED;
	ok = tariff_text_of(&out, &l, &e);
	if (ok)
		(void)fputs(buf_text(&out), stdout);
	else
		log_error("%s: %s", o->files[0], e.text);
	tariff_loaded_done(&l);
	return ok ? GOOD : REFUSED;
}

static int
json(const struct options *o)
{
	struct tariff_loaded l;

	if (!list_load(&l, o->files[0]))
		return REFUSED;
	(void)puts(buf_text(&l.document));
	tariff_loaded_done(&l);
	return GOOD;
}

static int
diff(const struct options *o)
{
	scoped(buf_done) struct buf out = BUF_INIT;
	struct tariff_loaded l[2];
	struct json *documents[2];
	size_t differ;

	if (o->count != 2)
		return USAGE;
	if (!list_load(&l[0], o->files[0]))
		return FAILED;
	if (!list_load(&l[1], o->files[1])) {
		tariff_loaded_done(&l[0]);
		return FAILED;
	}
	documents[0] = document_of(&l[0]);
	documents[1] = document_of(&l[1]);
	differ = tariff_diff(&out, json_root(documents[0]), json_root(documents[1]));
	(void)fputs(buf_text(&out), stdout);
	for (size_t i = 0; i < 2; i++) {
		json_free(documents[i]);
		tariff_loaded_done(&l[i]);
	}
	return differ == 0 ? GOOD : DIFFER;
}

struct verb {
	const char *name;
	int (*run)(const struct options *o);
};
static const struct verb verbs[] = { { "check", check }, { "text", text },
	{ "json", json }, { "diff", diff } };

int
main(int argc, char **argv)
{
	struct options o = { argv + 2, argc > 2 ? (size_t)argc - 2 : 0 };
	int status = USAGE;

	log_open("jeoul-tariff", LOG_TO_STDERR, LOG_LVL_WARNING);
	for (size_t i = 0; o.count > 0 && i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			status = verbs[i].run(&o);
	if (status == USAGE)
		(void)fputs(usage, stderr);
	return status;
}
