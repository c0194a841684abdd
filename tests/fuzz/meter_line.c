/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of usage as lines of the spool: whatever the values hold they come out again, and
 * a line that was torn is taken apart within its bounds */
#include "base/mem.h"
#include "meter/line.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

enum { VALUES_MOST = 8 };

static void
values_kept(const uint8_t *data, size_t size)
{
	char *values[VALUES_MOST] = { NULL };
	char *back[VALUES_MOST + 1] = { NULL };
	struct buf line = BUF_INIT;
	size_t count = 1 + fuzz_choice(&data, &size, VALUES_MOST);
	size_t n;

	/* Rows begin with a number; an empty first value would swallow its tab. */
	values[0] = mem_strdup("7");
	line_number(&line, 7);
	for (size_t i = 1; i < count; i++) {
		unsigned null = fuzz_choice(&data, &size, 4);
		values[i] = null == 0 ? NULL : fuzz_piece(&data, &size);
		line_text(&line, values[i]);
	}
	must(strchr(buf_text(&line), '\n') == NULL, "a line of two lines: %s",
	    buf_text(&line));
	n = line_split(line.data, back, VALUES_MOST + 1);
	must(n == count, "%zu values became %zu", count, n);
	for (size_t i = 0; i < count; i++) {
		must((back[i] == NULL) == (values[i] == NULL), "value %zu", i);
		must(back[i] == NULL || strcmp(back[i], values[i]) == 0, "%s became %s",
		    values[i], back[i]);
		free(values[i]);
	}
	buf_done(&line);
}

static void
torn_bounded(const uint8_t *data, size_t size)
{
	scoped_free char *line = fuzz_text(data, size);
	size_t length = strlen(line);
	char *values[VALUES_MOST + 1];
	size_t n;

	for (size_t i = 0; i <= VALUES_MOST; i++)
		values[i] = line; /* the last one must stay */
	n = line_split(line, values, VALUES_MOST);
	must(values[VALUES_MOST] == line, "more values than fit");
	for (size_t i = 0; i < n && i < VALUES_MOST; i++)
		must(values[i] == NULL ||
			(values[i] >= line &&
			    values[i] + strlen(values[i]) <= line + length),
		    "value %zu lies outside of its line", i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (fuzz_choice(&data, &size, 2) == 0)
		values_kept(data, size);
	else
		torn_bounded(data, size);
	return 0;
}
