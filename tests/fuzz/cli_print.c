/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on a terminal: names and errors come from outside, and none of them may command
 * it */
#include "base/mem.h"
#include "cli/cli.h"
#include "tests/fuzz/fuzz.h"
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
lines_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* print_table() writes to standard output: what it writes is caught. */
static char *
table_text(const struct jval *rows)
{
	char *text = NULL;
	size_t length = 0;
	FILE *real = stdout;

	stdout = open_memstream(&text, &length);
	must(stdout != NULL, "open_memstream");
	print_table(rows, "name state resource.name amount", false);
	(void)fclose(stdout);
	stdout = real;
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	struct json *back = NULL;

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (!json_parse(&doc, (const char *)data, size, &e))
		return 0;
	if (json_count(json_root(doc)) > 0) {
		scoped_free char *text = table_text(json_root(doc));
		must(lines_of(text) == json_count(json_root(doc)) + 1,
		    "%zu rows, %zu lines: %s", json_count(json_root(doc)), lines_of(text),
		    text);
		for (char *p = text; *p != '\0'; p++)
			if (*p == '\n')
				*p = ' ';
		must(fuzz_printable(text), "a control character: %s", text);
		for (const unsigned char *p = (const unsigned char *)text; *p != '\0';
		     p++)
			must(p[0] != 0xc2 || p[1] < 0x80 || p[1] > 0x9f, "U+00%02x",
			    p[1]);
	}
	/* With --json it is JSON. */
	json_write(&b, json_root(doc));
	must(json_parse(&back, buf_text(&b), b.length, &e), "%s: %s", e.text,
	    buf_text(&b));
	buf_done(&b);
	json_free(back);
	json_free(doc);
	return 0;
}
