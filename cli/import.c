/* SPDX-License-Identifier: Apache-2.0 */
/* import: a file of usage records goes to the API in as many batches as it takes */
#include "base/mem.h"
#include "cli/cli.h"
#include "web/csv.h"
#include "web/params.h"
#include "web/usage_record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Percent-encoded it may be three times as long, and a body has 1 MiB at most. */
#define PIECE_BYTES_MOST ((size_t)256 * 1024)

/* Where a record begins in the text, and its line or index. */
struct mark {
	size_t at;
	int64_t number;
};
struct file {
	struct arena *arena;
	bool csv;
	const char *text; /* of JSON: its records, each with a comma behind it */
	size_t length;
	size_t head; /* bytes of the CSV's first line, with its end */
	struct mark *marks;
	size_t count;
	size_t capacity;
	struct buf records; /* of JSON */
};
struct sending {
	const struct cli *cli;
	struct cli_param *params;
	size_t count;
	size_t place; /* of the file among them */
	bool dry;
	int64_t records, stored, known;
};

static void
mark_add(struct file *f, size_t at, int64_t number)
{
	if (f->count == f->capacity) {
		f->capacity = f->capacity == 0 ? 1024 : f->capacity * 2;
		f->marks = mem_resize(f->marks, f->capacity, sizeof(*f->marks));
	}
	f->marks[f->count++] = (struct mark){ at, number };
}

static bool
csv_cut(struct file *f, struct err *e)
{
	struct csv c;
	struct csv_row row;
	bool more = true;

	csv_open(&c, f->arena, f->text, f->length);
	if (!csv_next(&c, &row, &more, e))
		return false;
	f->head = c.at;
	while (more) {
		size_t at = c.at + strspn(f->text + c.at, "\r\n");

		if (!csv_next(&c, &row, &more, e))
			return false;
		if (more)
			mark_add(f, at, row.line);
		arena_reset(f->arena);
	}
	return true;
}

static bool
json_cut(struct file *f, struct err *e)
{
	struct json *doc = NULL;
	const struct jval *list;

	if (!json_parse(&doc, f->text, f->length, e))
		return false;
	list = json_root(doc);
	if (json_type(list) == JSON_OBJECT)
		list = json_get(list, "records");
	for (const struct jval *v = json_type(list) == JSON_ARRAY ? json_first(list)
								  : NULL;
	     v != NULL; v = json_next(v)) {
		mark_add(f, f->records.length, (int64_t)f->count);
		json_write(&f->records, v);
		buf_putc(&f->records, ',');
	}
	json_free(doc);
	if (f->count > 0) {
		f->text = buf_text(&f->records);
		f->length = f->records.length;
	}
	return true;
}

/* From record i on as many as go into one batch; answers the next one. */
static size_t
piece_make(struct buf *out, const struct file *f, size_t i)
{
	size_t next = i + 1;

	while (next < f->count && next - i < USAGE_RECORDS_MAX &&
	    f->marks[next].at - f->marks[i].at < PIECE_BYTES_MOST)
		next++;
	size_t end = next < f->count ? f->marks[next].at : f->length;

	buf_clear(out);
	buf_add(out, f->csv ? f->text : "[", f->csv ? f->head : 1);
	buf_add(out, f->text + f->marks[i].at, end - f->marks[i].at - (f->csv ? 0 : 1));
	buf_puts(out, f->csv ? "" : "]");
	return next;
}

static bool
sum_add(int64_t *sum, const struct jval *answer, const char *key, struct err *e)
{
	int64_t n;

	if (!json_i64(&n, json_get(answer, key), e))
		return false;
	*sum += n;
	return true;
}

static void
flag_add(const struct sending *s, size_t *count, const char *name, const char *value)
{
	s->params[(*count)++] = (struct cli_param){ name, value };
}

static bool
piece_send(struct sending *s, const char *text, int64_t first, struct err *e)
{
	struct json *doc = NULL;
	const struct jval *answer;
	size_t count = s->count;
	scoped_free char *number = mem_printf("%lld", (long long)first);
	bool ok;

	s->params[s->place].value = text;
	flag_add(s, &count, "first", number);
	flag_add(s, &count, "dryrun", s->dry ? "true" : "false");
	if (!client_call(s->cli, "importUsage", s->params, count, &doc, e))
		return false;
	answer = json_first(client_body(doc));
	ok = sum_add(&s->records, answer, "records", e) &&
	    sum_add(&s->stored, answer, "stored", e) &&
	    sum_add(&s->known, answer, "known", e);
	json_free(doc);
	return ok;
}

static bool
pieces_send(struct sending *s, const struct file *f, struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	size_t next;

	s->records = s->stored = s->known = 0;
	for (size_t i = 0; i < f->count; i = next) {
		next = piece_make(&text, f, i);
		if (piece_send(s, buf_text(&text), f->marks[i].number, e))
			continue;
		if (s->dry || i == 0)
			return false;
		return err_wrap(e,
		    "%zu records before are stored; send the whole file again when it is "
		    "mended, they change nothing",
		    i);
	}
	return true;
}

static bool
sums_answer(const struct sending *s, struct json **out, struct err *e)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	jout_open(&j, NULL, '{');
	jout_open(&j, "importusageresponse", '{');
	jout_open(&j, "usageimport", '{');
	jout_number(&j, "records", s->records);
	jout_number(&j, "stored", s->stored);
	jout_number(&j, "known", s->known);
	jout_bool(&j, "dryrun", s->dry);
	jout_close(&j, '}');
	jout_close(&j, '}');
	jout_close(&j, '}');
	return json_parse(out, buf_text(&b), b.length, e);
}

/* More than one batch: all are checked before the first of them is stored. */
static bool
file_send(struct sending *s, struct file *f, struct json **out, struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	bool dry = s->dry;

	if (!(f->csv ? csv_cut(f, e) : json_cut(f, e)))
		return false;
	if (f->count == 0 || piece_make(&text, f, 0) == f->count) {
		flag_add(s, &s->count, "dryrun", dry ? "true" : "false");
		return client_call(s->cli, "importUsage", s->params, s->count, out, e);
	}
	s->dry = true;
	if (!pieces_send(s, f, e))
		return false;
	s->dry = dry;
	return (dry || pieces_send(s, f, e)) && sums_answer(s, out, e);
}

bool
import_call(const struct cli *c, struct cli_param *params, size_t count,
    struct json **out, struct err *e)
{
	struct sending s = { .cli = c, .params = params };
	struct file f = { .arena = arena_new(), .records = BUF_INIT };
	bool ok;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(params[i].name, "csv") == 0 ||
		    strcmp(params[i].name, "records") == 0) {
			f.csv = params[i].name[0] == 'c';
			f.text = params[i].value;
			s.place = s.count;
		}
		/* Ours to say in each call. */
		if (strcmp(params[i].name, "dryrun") == 0)
			s.dry = strcasecmp(params[i].value, "true") == 0;
		else
			params[s.count++] = params[i];
	}
	f.length = f.text != NULL ? strlen(f.text) : 0;
	if (f.text == NULL)
		ok = err_set(e, ERR_INPUT, "say which file: jeoul usage import FILE");
	else if (f.length == 0)
		ok = err_set(e, ERR_INPUT, "the file is empty");
	else
		ok = file_send(&s, &f, out, e);
	free(f.marks);
	buf_done(&f.records);
	arena_free(f.arena);
	return ok;
}
