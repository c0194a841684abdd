/* SPDX-License-Identifier: Apache-2.0 */
/* What a cost report is grouped by, and its days: what is taken can be said again and is
 * read as the same */
#include "billing/cost_report.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static void
by_write(struct buf *to, const struct cost_wish *w)
{
	for (size_t i = 0; i < w->by_count; i++) {
		buf_printf(to, "%s%s", i == 0 ? "" : ",", cost_by_name(w->by[i]));
		if (w->by[i] == BY_TAG)
			buf_printf(to, ":%s", w->tag_key);
	}
}

static void
by_check(const struct cost_wish *w, const char *text, struct arena *a)
{
	struct buf said = BUF_INIT;
	struct cost_wish again = { .by_count = 0 };
	struct err e = ERR_INIT;

	must(w->by_count >= 1 && w->by_count <= BY_COUNT, "%s", text);
	by_write(&said, w);
	must(cost_by_read(&again, a, buf_text(&said), &e), "%s: %s", buf_text(&said),
	    e.text);
	must(again.by_count == w->by_count &&
		memcmp(again.by, w->by, w->by_count * sizeof(*w->by)) == 0,
	    "%s", text);
	for (size_t i = 0; i < w->by_count; i++)
		must(w->by[i] != BY_TAG || strcmp(w->tag_key, again.tag_key) == 0, "%s",
		    text);
	buf_done(&said);
}

static bool
in_order(const char *from, const char *to)
{
	return from == NULL || to == NULL || strcmp(from, to) <= 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *by = fuzz_piece(&data, &size);
	scoped_free char *from = fuzz_piece(&data, &size);
	scoped_free char *to = fuzz_piece(&data, &size);
	struct arena *a = arena_new();
	struct cost_wish w = { .from = *from == '\0' ? NULL : from,
		.to = *to == '\0' ? NULL : to };
	struct err e = ERR_INIT;

	if (cost_by_read(&w, a, by, &e))
		by_check(&w, by, a);
	else
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
	if (cost_wish_check(&w, &e))
		must(in_order(w.from, w.to) && (w.from == NULL || strlen(w.from) == 10) &&
			(w.to == NULL || strlen(w.to) == 10),
		    "%s %s", from, to);
	arena_free(a);
	return 0;
}
