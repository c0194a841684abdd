/* SPDX-License-Identifier: Apache-2.0 */
/* file: operations that answer a file, which may be larger than memory */
#include "base/mem.h"
#include "cli/cli.h"
#include <errno.h>
#include <string.h>

static bool
stream_end(FILE *f, const char *path, bool ok, struct err *e)
{
	if ((path == NULL ? fflush(f) : fclose(f)) != 0 && ok)
		return err_errno(e, ERR_INTERNAL, errno, "writing %s",
		    path == NULL ? "output" : path);
	return ok;
}

static FILE *
stream_open(const char *path, struct err *e)
{
	FILE *f = path == NULL ? stdout : fopen(path, "we");

	if (f == NULL)
		(void)err_errno(e, ERR_INPUT, errno, "open %s", path);
	return f;
}

/* Beside an export as FOCUS its metadata, as FOCUS wants it: never inside the data. */
static bool
metadata_write(const struct cli *c, const struct cli_param *params, size_t count,
    struct err *e)
{
	scoped_free char *path = mem_printf("%s.metadata.json", c->out);
	scoped(buf_done) struct buf text = BUF_INIT;
	struct cli_param version = { "focus", NULL };
	struct json *doc = NULL;
	FILE *f;
	bool ok;

	for (size_t i = 0; i < count; i++)
		if (strcmp(params[i].name, version.name) == 0)
			version.value = params[i].value;
	if (!client_call(c, "getFocusMetadata", &version, version.value == NULL ? 0 : 1,
		&doc, e))
		return false;
	json_write(&text, json_first(client_body(doc)));
	json_free(doc);
	f = stream_open(path, e);
	if (f == NULL)
		return false;
	ok = fprintf(f, "%s\n", buf_text(&text)) > 0 ||
	    err_errno(e, ERR_INTERNAL, errno, "writing %s", path);
	return stream_end(f, path, ok, e);
}

bool
file_call(const struct cli *c, const struct verb *v, const struct cli_param *params,
    size_t count, struct err *e)
{
	FILE *f = stream_open(c->out, e);

	if (f == NULL ||
	    !stream_end(f, c->out,
		client_file(c, operations[v->op].name, params, count, f, e), e))
		return false;
	return c->out == NULL || v->op != OP_exportFocus ||
	    metadata_write(c, params, count, e);
}
