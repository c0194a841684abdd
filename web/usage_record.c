/* SPDX-License-Identifier: Apache-2.0 */
/* usage_record: usage that others tell, read from CSV or JSON and checked */
#include "web/usage_record.h"
#include "web/csv.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WHOLE_DIGITS = 20,
	PLACES = 18,
	TAGS_MOST = 16,
	TAG_NAME_MOST = 63,
	TAG_MOST = 255
};

struct field {
	const char *name;
	size_t most;
	bool needed;
};
static const struct field fields[USAGE_FIELD_COUNT] = {
#define FIELD(name, most, needed) { #name, most, needed },
	USAGE_FIELDS(FIELD)
#undef FIELD
};

const char *
usage_field_name(enum usage_field f)
{
	return fields[f].name;
}

/* What a terminal or a log would obey is not repeated to them. */
static char *
show(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return text;
}

bool
usage_refuse(struct err *e, const struct usage_record *r, enum usage_field f,
    const char *fmt, ...)
{
	char text[ERR_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show(text);
	return err_set(e, ERR_INPUT, "%s, field %s: %s", r->place, fields[f].name, text);
}

/* ---- what each field may hold */

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static bool
text_check(const struct usage_record *r, enum usage_field f, struct err *e)
{
	const char *text = r->values[f];

	if (strlen(text) > fields[f].most)
		return usage_refuse(e, r, f, "it has %zu bytes: shorten it to %zu",
		    strlen(text), fields[f].most);
	if (!printable(text))
		return usage_refuse(e, r, f, "it holds a control character: take it out");
	if (f != USAGE_tags && (text[0] == ' ' || text[strlen(text) - 1] == ' '))
		return usage_refuse(e, r, f,
		    "a blank stands before or behind \"%s\": "
		    "take it out",
		    text);
	return true;
}

/* "12.50": digits, and a point between digits. */
static bool
decimal(const char *text)
{
	size_t whole = strspn(text, "0123456789");
	size_t places = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;

	if (whole == 0 || whole > WHOLE_DIGITS || places > PLACES)
		return false;
	return text[whole] == '\0' || (places > 0 && text[whole + 1 + places] == '\0');
}

static bool
quantity_check(const struct usage_record *r, struct err *e)
{
	const char *text = r->values[USAGE_quantity];

	if (text[0] == '-')
		return usage_refuse(e, r, USAGE_quantity,
		    "%s is below zero: what was told too high is set right by a record "
		    "that names the old one in corrects",
		    text);
	return decimal(text) ||
	    usage_refuse(e, r, USAGE_quantity,
		"\"%s\" is no decimal number: write 1234.5, with at most %d digits "
		"before "
		"the point and %d behind it, no exponent and no separators",
		text, WHOLE_DIGITS, PLACES);
}

static bool
seq_check(const struct usage_record *r, struct err *e)
{
	const char *text = r->values[USAGE_seq];
	size_t digits = strspn(text, "0123456789");

	return (digits > 0 && digits <= 18 && text[digits] == '\0') ||
	    usage_refuse(e, r, USAGE_seq,
		"\"%s\" is no whole number of 18 digits: write 0, 1, 2 ...", text);
}

static bool
time_read(struct instant *out, const struct usage_record *r, enum usage_field f,
    struct err *e)
{
	struct err why = ERR_INIT;

	if (!instant_parse(out, r->values[f], &why))
		return usage_refuse(e, r, f,
		    "\"%s\" is no instant: write 2026-03-01T00:00:00Z, with the zone",
		    r->values[f]);
	if (out->ns % NS_PER_US != 0)
		return usage_refuse(e, r, f,
		    "\"%s\" is finer than a microsecond: write 6 places at most",
		    r->values[f]);
	return true;
}

static bool
span_read(struct usage_record *r, struct err *e)
{
	r->lasts = true;
	r->open = r->values[USAGE_to] == NULL;
	if (r->values[USAGE_from] == NULL)
		return usage_refuse(e, r, USAGE_from,
		    "it is missing: give at for an amount, or from (and to) for what "
		    "lasted");
	if (!time_read(&r->from, r, USAGE_from, e) ||
	    (!r->open && !time_read(&r->to, r, USAGE_to, e)))
		return false;
	if (!r->open && r->to.ns <= r->from.ns)
		return usage_refuse(e, r, USAGE_to,
		    "\"%s\" is not after from, \"%s\": the end is exclusive",
		    r->values[USAGE_to], r->values[USAGE_from]);
	if (r->values[USAGE_resource] == NULL)
		return usage_refuse(e, r, USAGE_resource,
		    "it is missing: what lasts is something, and each thing counts once "
		    "at a time; name it");
	return true;
}

static bool
times_read(struct usage_record *r, struct err *e)
{
	if (r->values[USAGE_at] == NULL)
		return span_read(r, e);
	if (r->values[USAGE_from] != NULL || r->values[USAGE_to] != NULL)
		return usage_refuse(e, r, USAGE_at,
		    "at and from or to exclude each other: give at for an amount, from "
		    "and to for what lasted");
	return time_read(&r->from, r, USAGE_at, e);
}

static bool
names_check(const struct usage_record *r, struct err *e)
{
	const char *corrects = r->values[USAGE_corrects];

	if (r->values[USAGE_resource_name] != NULL && r->values[USAGE_resource] == NULL)
		return usage_refuse(e, r, USAGE_resource,
		    "it is missing, and resource_name is there: give the thing's id too");
	if (corrects != NULL && strcmp(corrects, r->values[USAGE_id]) == 0)
		return usage_refuse(e, r, USAGE_corrects,
		    "a record can't correct itself: give the correction an id of its "
		    "own");
	return true;
}

bool
usage_record_check(struct usage_record *r, struct err *e)
{
	for (size_t i = 0; i < USAGE_FIELD_COUNT; i++) {
		enum usage_field f = (enum usage_field)i;

		if (r->values[f] == NULL && fields[f].needed)
			return usage_refuse(e, r, f,
			    "it is missing: every record has it");
		if (r->values[f] != NULL && !text_check(r, f, e))
			return false;
	}
	/* A first correction needs no number: it comes after 0. */
	if (r->values[USAGE_seq] == NULL)
		r->values[USAGE_seq] = r->values[USAGE_corrects] != NULL ? "1" : "0";
	return quantity_check(r, e) && seq_check(r, e) && times_read(r, e) &&
	    names_check(r, e);
}

/* ---- tags */

struct tag {
	const char *name;
	const char *value;
};
struct tag_list {
	struct tag list[TAGS_MOST];
	size_t count;
};

static bool
tag_add(struct tag_list *t, const struct usage_record *r, const char *name,
    const char *value, struct err *e)
{
	size_t at = 0;

	if (name[0] == '\0' || strlen(name) > TAG_NAME_MOST || strlen(value) > TAG_MOST)
		return usage_refuse(e, r, USAGE_tags,
		    "a tag's name has 1 to %d bytes and its value at most %d",
		    TAG_NAME_MOST, TAG_MOST);
	if (!printable(name) || !printable(value))
		return usage_refuse(e, r, USAGE_tags,
		    "a tag holds a control character: take it out");
	if (strcmp(name, "simulated") == 0)
		return usage_refuse(e, r, USAGE_tags,
		    "the tag simulated is ours: call it otherwise");
	if (t->count == TAGS_MOST)
		return usage_refuse(e, r, USAGE_tags, "there are more than %d tags",
		    TAGS_MOST);
	while (at < t->count && strcmp(t->list[at].name, name) < 0)
		at++;
	if (at < t->count && strcmp(t->list[at].name, name) == 0)
		return usage_refuse(e, r, USAGE_tags, "the tag \"%s\" is there twice",
		    name);
	memmove(&t->list[at + 1], &t->list[at], (t->count - at) * sizeof(t->list[0]));
	t->list[at] = (struct tag){ name, value };
	t->count++;
	return true;
}

static const char *
tags_text(struct arena *a, const struct tag_list *t)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	jout_open(&j, NULL, '{');
	for (size_t i = 0; i < t->count; i++)
		jout_string(&j, t->list[i].name, t->list[i].value);
	jout_close(&j, '}');
	return arena_strdup(a, buf_text(&b));
}

/* "project=web;stage=test" */
static bool
tags_words(struct usage_record *r, struct arena *a, struct err *e)
{
	struct tag_list t = { .count = 0 };
	const char *text = r->values[USAGE_tags];

	while (*text != '\0') {
		size_t n = strcspn(text, ";");
		const char *equals = memchr(text, '=', n);

		if (equals == NULL)
			return usage_refuse(e, r, USAGE_tags,
			    "\"%.60s\" is no tag: write name=value;name=value",
			    arena_strndup(a, text, n));
		if (!tag_add(&t, r, arena_strndup(a, text, (size_t)(equals - text)),
			arena_strndup(a, equals + 1, n - (size_t)(equals + 1 - text)), e))
			return false;
		text += n + (text[n] == ';' ? 1 : 0);
	}
	r->values[USAGE_tags] = tags_text(a, &t);
	return true;
}

static bool
tags_object(struct usage_record *r, struct arena *a, const struct jval *v, struct err *e)
{
	struct tag_list t = { .count = 0 };

	if (json_type(v) != JSON_OBJECT)
		return usage_refuse(e, r, USAGE_tags,
		    "write tags as {\"name\":\"value\"}");
	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m)) {
		if (json_type(m) != JSON_STRING)
			return usage_refuse(e, r, USAGE_tags,
			    "the value of \"%.60s\" is no string: put it in quotes",
			    json_name(m));
		if (!tag_add(&t, r, arena_strdup(a, json_name(m)),
			arena_strdup(a, json_text(m)), e))
			return false;
	}
	r->values[USAGE_tags] = tags_text(a, &t);
	return true;
}

/* ---- batches */

/* NULL: there are too many. */
static struct usage_record *
batch_add(struct usage_batch *b, const char *place, struct err *e)
{
	struct usage_record *r;

	if (b->count == USAGE_RECORDS_MAX) {
		(void)err_set(e, ERR_INPUT,
		    "%s: more than %d records come at once: send them in several batches",
		    place, USAGE_RECORDS_MAX);
		return NULL;
	}
	if (b->list == NULL)
		b->list = arena_alloc(b->arena,
		    USAGE_RECORDS_MAX * sizeof(struct usage_record));
	r = &b->list[b->count++];
	r->place = place;
	return r;
}

/* Field of a name, or USAGE_FIELD_COUNT. */
static enum usage_field
field_find(const char *name)
{
	size_t i = 0;

	while (i < USAGE_FIELD_COUNT && strcmp(fields[i].name, name) != 0)
		i++;
	return (enum usage_field)i;
}

static const char *
fields_text(struct arena *a)
{
	scoped(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < USAGE_FIELD_COUNT; i++)
		buf_printf(&b, "%s%s", i > 0 ? ", " : "", fields[i].name);
	return arena_strdup(a, buf_text(&b));
}

struct head {
	enum usage_field fields[CSV_COLUMNS_MAX];
	size_t count;
};

static bool
head_read(struct head *h, struct csv *c, struct err *e)
{
	bool seen[USAGE_FIELD_COUNT] = { false };
	struct csv_row row;
	bool more;

	if (!csv_next(c, &row, &more, e))
		return false;
	if (!more)
		return err_set(e, ERR_INPUT,
		    "line 1: there is nothing here: the first line names the columns, "
		    "such as source,id,account,sku,unit,at,quantity");
	for (size_t i = 0; i < row.count; i++) {
		enum usage_field f = field_find(row.fields[i]);

		if (f == USAGE_FIELD_COUNT)
			return err_set(e, ERR_INPUT,
			    "line %u: the column \"%.60s\" is not known: the first line "
			    "names the columns, separated by commas, of %s",
			    row.line, show(arena_strdup(c->arena, row.fields[i])),
			    fields_text(c->arena));
		if (seen[f])
			return err_set(e, ERR_INPUT,
			    "line %u: the column %s is there twice: take one out",
			    row.line, fields[f].name);
		seen[f] = true;
		h->fields[i] = f;
	}
	h->count = row.count;
	return true;
}

static bool
row_take(struct usage_batch *b, const struct head *h, const struct csv_row *row,
    const char *source, struct err *e)
{
	const char *place = arena_printf(b->arena, "line %u", row->line);
	struct usage_record *r;

	if (row->count != h->count)
		return err_set(e, ERR_INPUT,
		    "%s: it has %zu fields and the first line has %zu: see to the "
		    "commas, "
		    "and quote a field that holds one",
		    place, row->count, h->count);
	r = batch_add(b, place, e);
	if (r == NULL)
		return false;
	for (size_t i = 0; i < row->count; i++)
		if (row->fields[i][0] != '\0')
			r->values[h->fields[i]] = row->fields[i];
	if (r->values[USAGE_source] == NULL)
		r->values[USAGE_source] = source;
	if (r->values[USAGE_tags] != NULL &&
	    (!text_check(r, USAGE_tags, e) || !tags_words(r, b->arena, e)))
		return false;
	return usage_record_check(r, e);
}

bool
usage_batch_csv(struct usage_batch *b, struct arena *a, const char *text,
    const char *source, int64_t first, struct err *e)
{
	struct csv c;
	struct csv_row row;
	struct head h = { .count = 0 };
	bool more = true;

	*b = (struct usage_batch){ .arena = a };
	csv_open(&c, a, text, strlen(text));
	if (!head_read(&h, &c, e))
		return false;
	if (first >= 0)
		c.line = (unsigned)first;
	while (more)
		if (!csv_next(&c, &row, &more, e) ||
		    (more && !row_take(b, &h, &row, source, e)))
			return false;
	return b->count > 0 ||
	    err_set(e, ERR_INPUT, "line %u: there is no record below the first line",
		c.line);
}

static bool
member_take(struct usage_record *r, struct arena *a, const struct jval *m, struct err *e)
{
	enum usage_field f = field_find(json_name(m));

	if (f == USAGE_FIELD_COUNT)
		return err_set(e, ERR_INPUT, "%s: \"%.60s\" is not known: there are %s",
		    r->place, show(arena_strdup(a, json_name(m))), fields_text(a));
	if (json_type(m) == JSON_NULL)
		return true;
	if (f == USAGE_tags)
		return tags_object(r, a, m, e);
	if (json_type(m) == JSON_NUMBER && f == USAGE_seq) {
		r->values[f] = arena_strdup(a, json_text(m));
		return true;
	}
	if (json_type(m) != JSON_STRING)
		return usage_refuse(e, r, f,
		    "it is no string: put it in quotes, numbers too, because a number "
		    "may "
		    "have lost digits before it came here");
	if (json_text(m)[0] != '\0')
		r->values[f] = arena_strdup(a, json_text(m));
	return true;
}

static bool
object_take(struct usage_batch *b, const struct jval *v, const char *source,
    struct err *e)
{
	const char *place = arena_printf(b->arena, "records[%lld]",
	    (long long)b->first + (long long)b->count);
	struct usage_record *r;

	if (json_type(v) != JSON_OBJECT)
		return err_set(e, ERR_INPUT, "%s: an object {...} belongs here", place);
	r = batch_add(b, place, e);
	if (r == NULL)
		return false;
	r->values[USAGE_source] = source;
	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
		if (!member_take(r, b->arena, m, e))
			return false;
	return usage_record_check(r, e);
}

static bool
list_take(struct usage_batch *b, const struct jval *root, const char *source,
    struct err *e)
{
	const struct jval *list = json_type(root) == JSON_OBJECT
	    ? json_get(root, "records")
	    : root;

	if (json_type(list) != JSON_ARRAY || json_count(list) == 0)
		return err_set(e, ERR_INPUT,
		    "records: a list of 1 to %d objects belongs here", USAGE_RECORDS_MAX);
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v))
		if (!object_take(b, v, source, e))
			return false;
	return true;
}

bool
usage_batch_json(struct usage_batch *b, struct arena *a, const char *text,
    const char *source, int64_t first, struct err *e)
{
	struct json *doc = NULL;
	bool ok;

	*b = (struct usage_batch){ .arena = a, .first = first < 0 ? 0 : first };
	if (!json_parse(&doc, text, strlen(text), e))
		return err_wrap(e, "records");
	ok = list_take(b, json_root(doc), source, e);
	json_free(doc);
	return ok;
}

static void
record_write(struct jout *j, const struct usage_record *r, size_t n)
{
	char text[CLOCK_TEXT_MAX];

	jout_open(j, NULL, '{');
	jout_number(j, "n", (int64_t)n);
	jout_number(j, "account_id", r->account_id);
	jout_string(j, "record", r->values[USAGE_id]);
	jout_string(j, "kind", r->lasts ? "level" : "amount");
	jout_string(j, "used_from", instant_text(r->from, text));
	if (r->lasts && !r->open)
		jout_string(j, "used_to", instant_text(r->to, text));
	jout_raw(j, "tags", r->values[USAGE_tags] != NULL ? r->values[USAGE_tags] : "{}");
	for (size_t f = 0; f < USAGE_FIELD_COUNT; f++)
		if (f != USAGE_id && f != USAGE_at && f != USAGE_from && f != USAGE_to &&
		    f != USAGE_tags)
			jout_string(j, fields[f].name, r->values[f]);
	jout_close(j, '}');
}

void
usage_batch_write(struct buf *to, const struct usage_batch *b)
{
	struct jout j = JOUT_INIT(to);

	jout_open(&j, NULL, '[');
	for (size_t i = 0; i < b->count; i++)
		record_write(&j, &b->list[i], i);
	jout_close(&j, ']');
}
