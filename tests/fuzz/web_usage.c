/* SPDX-License-Identifier: Apache-2.0 */
/* Usage records as CSV and as JSON: what is taken is in its bounds and, written again in
 * either form, is read as the same batch */
#include "base/mem.h"
#include "base/rat.h"
#include "tests/fuzz/fuzz.h"
#include "web/usage_record.h"
#include <stdlib.h>
#include <string.h>

static void
cell(struct buf *to, const char *text)
{
	buf_putc(to, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_putc(to, '"');
		buf_putc(to, *text);
	}
	buf_putc(to, '"');
}

/* {"a":"b"} as a=b; false when a name or value can't be said so. */
static bool
tags_cell(struct buf *to, const char *json)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	bool ok = true;

	must(json_parse(&doc, json, strlen(json), &e), "%s: %s", e.text, json);
	for (const struct jval *m = json_first(json_root(doc)); m != NULL;
	     m = json_next(m)) {
		ok = ok && strpbrk(json_name(m), "=;") == NULL &&
		    strchr(json_text(m), ';') == NULL;
		buf_printf(&b, "%s%s=%s", b.length > 0 ? ";" : "", json_name(m),
		    json_text(m));
	}
	ok = ok && b.length <= 4096;
	cell(to, buf_text(&b));
	buf_done(&b);
	json_free(doc);
	return ok;
}

static bool
csv_write(struct buf *to, const struct usage_batch *b)
{
	bool ok = true;

	for (size_t f = 0; f < USAGE_FIELD_COUNT; f++)
		buf_printf(to, "%s%s", f > 0 ? "," : "",
		    usage_field_name((enum usage_field)f));
	for (size_t i = 0; i < b->count; i++) {
		buf_puts(to, i % 2 == 0 ? "\n" : "\r\n");
		for (size_t f = 0; f < USAGE_FIELD_COUNT; f++) {
			const char *v = b->list[i].values[f];
			buf_puts(to, f > 0 ? "," : "");
			if (v != NULL && f == USAGE_tags)
				ok = tags_cell(to, v) && ok;
			else if (v != NULL)
				cell(to, v);
		}
	}
	return ok;
}

static void
json_write_batch(struct buf *to, const struct usage_batch *b)
{
	struct jout j = JOUT_INIT(to);

	jout_open(&j, NULL, '[');
	for (size_t i = 0; i < b->count; i++) {
		jout_open(&j, NULL, '{');
		for (size_t f = 0; f < USAGE_FIELD_COUNT; f++) {
			const char *v = b->list[i].values[f];
			const char *name = usage_field_name((enum usage_field)f);
			if (v != NULL && f == USAGE_tags)
				jout_raw(&j, name, v);
			else
				jout_string(&j, name, v);
		}
		jout_close(&j, '}');
	}
	jout_close(&j, ']');
}

static void
in_bounds(const struct usage_batch *b)
{
	must(b->count > 0 && b->count <= USAGE_RECORDS_MAX, "%zu records", b->count);
	for (size_t i = 0; i < b->count; i++) {
		const struct usage_record *r = &b->list[i];
		struct err e = ERR_INIT;
		mpq_t q;

		for (size_t f = 0; f < USAGE_FIELD_COUNT; f++)
			must(r->values[f] == NULL ||
				(fuzz_printable(r->values[f]) &&
				    fuzz_utf8(r->values[f], strlen(r->values[f]))),
			    "%s: %s", r->place, usage_field_name((enum usage_field)f));
		mpq_init(q);
		must(rat_parse(q, r->values[USAGE_quantity], &e) && mpq_sgn(q) >= 0,
		    "%s: %s", r->place, r->values[USAGE_quantity]);
		mpq_clear(q);
		must(!r->lasts || r->open || r->from.ns < r->to.ns, "%s ends early",
		    r->place);
		must((r->values[USAGE_at] == NULL) == r->lasts, "%s", r->place);
	}
}

static void
same(const struct usage_batch *a, const struct usage_batch *b)
{
	struct buf x = BUF_INIT;
	struct buf y = BUF_INIT;

	usage_batch_write(&x, a);
	usage_batch_write(&y, b);
	must(strcmp(buf_text(&x), buf_text(&y)) == 0, "%s\nbecame %s", buf_text(&x),
	    buf_text(&y));
	buf_done(&x);
	buf_done(&y);
}

static void
written_again(const struct usage_batch *b)
{
	struct usage_batch back;
	struct buf csv = BUF_INIT;
	struct buf json = BUF_INIT;
	struct err e = ERR_INIT;

	json_write_batch(&json, b);
	must(usage_batch_json(&back, b->arena, buf_text(&json), NULL, -1, &e), "%s: %s",
	    e.text, buf_text(&json));
	same(b, &back);
	if (csv_write(&csv, b)) {
		must(usage_batch_csv(&back, b->arena, buf_text(&csv), NULL, -1, &e),
		    "%s: %s", e.text, buf_text(&csv));
		same(b, &back);
	}
	buf_done(&csv);
	buf_done(&json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	bool csv = fuzz_choice(&data, &size, 2) == 0;
	char *text = fuzz_text(data, size);
	struct usage_batch b;
	struct err e = ERR_INIT;

	if (csv ? usage_batch_csv(&b, arena, text, "s", -1, &e)
		: usage_batch_json(&b, arena, text, "s", -1, &e)) {
		in_bounds(&b);
		written_again(&b);
	} else
		must(e.kind == ERR_INPUT && e.text[0] != '\0' && fuzz_printable(e.text),
		    "a refusal says why: %s", e.text);
	free(text);
	arena_free(arena);
	return 0;
}
