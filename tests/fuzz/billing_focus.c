/* SPDX-License-Identifier: Apache-2.0 */
/* Version, head of a statement and a line, between bytes 0xff: whatever becomes rows is
 * CSV with as many fields as the version has columns */
#include "base/mem.h"
#include "billing/focus.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Fields of a record that ends at *end; quotes are whole. */
static size_t
record_fields(const char *text, const char **end)
{
	size_t fields = 1;
	bool quoted = false;

	for (; *text != '\0' && (quoted || *text != '\r'); text++) {
		if (*text == '"')
			quoted = !quoted;
		if (*text == ',' && !quoted)
			fields++;
	}
	must(!quoted && strncmp(text, "\r\n", 2) == 0, "a record without an end");
	*end = text + 2;
	return fields;
}

static void
rows_sane(const struct buf *rows, enum focus_version version)
{
	struct buf names = BUF_INIT;
	const char *text = buf_text(rows);
	const char *end;
	size_t columns;

	focus_names(&names, version);
	columns = record_fields(buf_text(&names), &end);
	while (*text != '\0')
		must(record_fields(text, &text) == columns, "%s", buf_text(rows));
	buf_done(&names);
}

static void
document_try(enum focus_version version, const struct json *head, const struct json *line)
{
	struct focus *f = focus_new(version);
	struct buf rows = BUF_INIT;
	struct err e = ERR_INIT;

	focus_begin(f, json_root(head));
	if ((line == NULL || focus_line(f, &rows, json_root(line), &e)) &&
	    focus_end(f, &rows, json_root(head), &e))
		rows_sane(&rows, version);
	else
		must(e.text[0] != '\0', "a refusal says why");
	buf_done(&rows);
	focus_free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *version_text = fuzz_piece(&data, &size);
	scoped_free char *head_text = fuzz_piece(&data, &size);
	scoped_free char *line_text = fuzz_piece(&data, &size);
	enum focus_version version = FOCUS_1_2;
	struct json *head = NULL;
	struct json *line = NULL;
	struct err e = ERR_INIT;

	if (!focus_version_parse(&version, version_text, &e))
		must(e.kind == ERR_INPUT && version == FOCUS_1_2, "%s", e.text);
	if (json_parse(&head, head_text, strlen(head_text), &e)) {
		if (!json_parse(&line, line_text, strlen(line_text), &e))
			line = NULL;
		document_try(version, head, line);
	}
	json_free(head);
	json_free(line);
	return 0;
}
