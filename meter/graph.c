/* SPDX-License-Identifier: Apache-2.0 */
/* graph: one question about an object's graph, answered as columns or as a picture */
#include "meter/graph.h"
#include "base/mem.h"
#include "meter/fetched.h"
#include "meter/outlook.h"
#include "meter/rrd_kinds.h"
#include <math.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS_MOST = 4000, SOURCES_MOST = 2 * RRD_FIELDS_MOST };
enum { WORDS_MOST = 20 + 10 * SOURCES_MOST };

/* ---- columns */

static const struct rrd_source *
source_of(enum rrd_kind kind, const char *name)
{
	for (const struct rrd_source *s = rrd_layouts[kind].sources; s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static void
value_put(struct buf *out, double v)
{
	if (isnan(v))
		buf_puts(out, "null");
	else
		buf_printf(out, "%.10g", v);
}

/* Rows on the grid of the first file, whatever the steps of this one are. */
static void
column_put(struct buf *out, const struct fetched *f, const struct fetched *grid,
    unsigned long column, double divisor)
{
	size_t rows = (size_t)(grid->end - grid->start) / grid->step;
	size_t own = (size_t)(f->end - f->start) / f->step;

	for (size_t i = 0; i < rows && i < ROWS_MOST; i++) {
		time_t at = grid->start + (time_t)(i * grid->step);
		size_t row = at < f->start ? own : (size_t)(at - f->start) / f->step;
		if (i > 0)
			buf_putc(out, ',');
		value_put(out,
		    row < own ? f->data[row * f->sources + column] / divisor
			      : (double)NAN);
	}
}

static void
columns_put(struct buf *out, const struct fetched *f, const struct fetched *grid,
    enum rrd_kind kind, bool *comma)
{
	for (unsigned long d = 0; d < f->sources; d++) {
		const struct rrd_source *s = source_of(kind, f->names[d]);
		if (s == NULL)
			continue;
		buf_printf(out, "%s\"%s\":[", *comma ? "," : "", s->shown);
		*comma = true;
		column_put(out, f, grid, d, (double)s->divisor);
		buf_putc(out, ']');
	}
}

static void
band_put(struct buf *out, const struct outlook *o, const struct fetched *grid, int which)
{
	static const char *const names[] = { "expected", "low", "high" };
	size_t rows = (size_t)(grid->end - grid->start) / grid->step;

	buf_printf(out, "%s\"%s\":[", which > 0 ? "," : "", names[which]);
	for (size_t i = 0; i < rows && i < ROWS_MOST; i++) {
		struct forecast_band b = outlook_at(o,
		    (int64_t)grid->start + (int64_t)(i * grid->step));
		if (i > 0)
			buf_putc(out, ',');
		value_put(out, which == 0 ? b.expected : which == 1 ? b.low : b.high);
	}
	buf_putc(out, ']');
}

/* Of what the pages draw. */
static bool
is_forecast(const struct rrd_source *s)
{
	return strcmp(s->topic, "cpu") == 0 || strcmp(s->topic, "network") == 0 ||
	    strcmp(s->topic, "disk") == 0;
}

static void
forecast_column(struct buf *out, const struct outlook *o, const struct fetched *grid,
    bool first)
{
	buf_printf(out,
	    first ? ",\"forecast\":{\"season\":%lld,\"known\":%lld,\"series\":{" : ",",
	    (long long)o->season, (long long)o->known);
	buf_printf(out, "\"%s\":{", o->source->shown);
	for (int which = 0; which < 3; which++)
		band_put(out, o, grid, which);
	buf_putc(out, '}');
}

static void
forecast_put(const struct graph_query *q, const enum rrd_kind *kinds, size_t count,
    const struct fetched *grid, struct buf *out)
{
	int64_t known = 0;
	bool first = true;
	char why[128];

	for (size_t i = 0; i < count; i++)
		for (const struct rrd_source *s = rrd_layouts[kinds[i]].sources;
		     s->name != NULL; s++) {
			struct outlook o = { .bands = NULL };
			if (is_forecast(s))
				outlook_of(&o, q, kinds[i], s);
			known = o.known > known ? o.known : known;
			if (o.bands == NULL)
				continue;
			forecast_column(out, &o, grid, first);
			first = false;
			outlook_done(&o);
		}
	outlook_why(why, known);
	if (first)
		buf_printf(out, ",\"forecast\":{\"why\":\"%s\"}", why);
	else
		buf_puts(out, "}}");
}

static bool
json_run(const struct graph_query *q, const enum rrd_kind *kinds, size_t count,
    struct buf *out, struct err *e)
{
	struct fetched grid;
	bool comma = false;

	if (!fetched_get(&grid, q, kinds[0])) {
		fetched_done(&grid);
		return err_set(e, ERR_NOT_FOUND, "there is no graph of %s %s yet",
		    q->object, q->uuid);
	}
	buf_printf(out, "{\"start\":%lld,\"step\":%lu,\"series\":{",
	    (long long)grid.start, grid.step);
	columns_put(out, &grid, &grid, kinds[0], &comma);
	for (size_t i = 1; i < count; i++) {
		struct fetched more;
		if (fetched_get(&more, q, kinds[i]))
			columns_put(out, &more, &grid, kinds[i], &comma);
		fetched_done(&more);
	}
	buf_putc(out, '}');
	if (q->forecast)
		forecast_put(q, kinds, count, &grid, out);
	buf_putc(out, '}');
	fetched_done(&grid);
	return true;
}

/* ---- pictures */

/* librrd's own words, one argument each. */
struct words {
	char *list[WORDS_MOST];
	int count;
};

static void
word_add(struct words *w, char *word)
{
	if (w->count < WORDS_MOST)
		w->list[w->count++] = word;
	else
		free(word);
}

/* A colon ends a word of librrd's. */
static char *
quoted(const char *text)
{
	struct buf b = BUF_INIT;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == ':' || *p == '\\')
			buf_putc(&b, '\\');
		buf_putc(&b, *p);
	}
	buf_puts(&b, "");
	return buf_take(&b);
}

/* Files for librrd to draw computed curves from; they go with the picture. */
struct scratch {
	char folder[32];
	int files;
	int64_t known; /* where there is no forecast */
	bool any;
};

static void
scratch_path(char out[64], const struct scratch *s, int file)
{
	(void)snprintf(out, 64, "%s/%d.rrd", s->folder, file);
}

static void
scratch_done(const struct scratch *s)
{
	char path[64];

	for (int i = 0; i < s->files; i++) {
		scratch_path(path, s, i);
		(void)unlink(path); /* one that could not be made is not there */
	}
	if (s->folder[0] != '\0')
		(void)rmdir(s->folder);
}

/* librrd knows a row by its end; U is its word for what is not known. */
static const char *
row_text(struct arena *a, const struct outlook *o, size_t row)
{
	const struct forecast_band *b = &o->bands[row];
	int64_t end = o->start + (int64_t)(row + 1) * o->step;

	if (isnan(b->expected))
		return arena_printf(a, "%lld:U:U:U", (long long)end);
	return arena_printf(a, "%lld:%.10g:%.10g:%.10g", (long long)end, b->expected,
	    b->low, b->high);
}

static bool
curves_write(const char *path, const struct outlook *o)
{
	static const char *const names[] = { "expected", "low", "high" };
	struct arena *a = arena_new();
	const char **rows = arena_alloc(a, o->rows * sizeof(*rows));
	const char *layout[4];
	bool ok;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		layout[i] = arena_printf(a, "DS:%s:GAUGE:%lld:U:U", names[i],
		    2LL * o->step);
	layout[3] = arena_printf(a, "RRA:AVERAGE:0.5:1:%zu", o->rows);
	for (size_t i = 0; i < o->rows; i++)
		rows[i] = row_text(a, o, i);
	ok = rrd_create_r(path, (unsigned long)o->step, (time_t)o->start, 4, layout) ==
		0 &&
	    rrd_update_r(path, NULL, (int)o->rows, rows) == 0;
	arena_free(a);
	return ok;
}

/* A pale band, and what is expected as a broken line of the same colour. */
static void
band_add(struct words *w, struct scratch *s, const struct outlook *o)
{
	static const char *const names[] = { "expected", "low", "high" };
	char path[64];
	int n = s->files;

	if (s->folder[0] == '\0') {
		(void)snprintf(s->folder, sizeof(s->folder), "/tmp/jeoul-graph-XXXXXX");
		if (mkdtemp(s->folder) == NULL)
			s->folder[0] = '\0';
	}
	if (s->folder[0] == '\0')
		return;
	scratch_path(path, s, s->files++);
	if (!curves_write(path, o))
		return;
	s->any = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		word_add(w,
		    mem_printf("DEF:%.1s%d=%s:%s:AVERAGE", names[i], n, path, names[i]));
	word_add(w, mem_printf("CDEF:w%d=h%d,l%d,-", n, n, n));
	word_add(w, mem_printf("AREA:l%d", n));
	word_add(w, mem_printf("AREA:w%d%s38::STACK", n, o->source->color));
	word_add(w, mem_printf("LINE1:e%d%s:expected:dashes=4,3", n, o->source->color));
}

static void
bands_add(struct words *w, struct scratch *s, const struct graph_query *q,
    enum rrd_kind kind)
{
	char path[RRD_PATH_MAX];

	rrd_path(path, q->folder, kind, q->uuid);
	if (access(path, R_OK) != 0)
		return;
	for (const struct rrd_source *x = rrd_layouts[kind].sources; x->name != NULL;
	     x++) {
		struct outlook o = { .bands = NULL };
		if (strcmp(x->topic, q->topic) == 0)
			outlook_of(&o, q, kind, x);
		s->known = o.known > s->known ? o.known : s->known;
		if (o.bands != NULL)
			band_add(w, s, &o);
		outlook_done(&o);
	}
}

static void
forecast_add(struct words *w, struct scratch *s, const struct graph_query *q,
    const enum rrd_kind *kinds, size_t count)
{
	char why[128];

	for (size_t i = 0; i < count; i++)
		bands_add(w, s, q, kinds[i]);
	if (s->any)
		return;
	outlook_why(why, s->known);
	scoped_free char *safe = quoted(why);
	word_add(w, mem_printf("COMMENT:%s\\l", safe));
}

static int
lines_add(struct words *w, const struct graph_query *q, enum rrd_kind kind, int drawn)
{
	char path[RRD_PATH_MAX];

	rrd_path(path, q->folder, kind, q->uuid);
	if (access(path, R_OK) != 0)
		return drawn;
	scoped_free char *safe = quoted(path);
	for (const struct rrd_source *s = rrd_layouts[kind].sources; s->name != NULL;
	     s++) {
		if (strcmp(s->topic, q->topic) != 0)
			continue;
		word_add(w, mem_printf("DEF:v%d=%s:%s:AVERAGE", drawn, safe, s->name));
		word_add(w,
		    mem_printf("CDEF:s%d=v%d,%lld,/", drawn, drawn,
			(long long)s->divisor));
		word_add(w, mem_printf("LINE1:s%d%s:%s", drawn, s->color, s->title));
		drawn++;
	}
	return drawn;
}

static void
frame_add(struct words *w, const struct graph_query *q)
{
	word_add(w, mem_strdup("graph"));
	word_add(w, mem_strdup("-"));
	word_add(w,
	    mem_printf("--imgformat=%s", strcmp(q->format, "svg") == 0 ? "SVG" : "PNG"));
	word_add(w, mem_printf("--start=%lld", (long long)q->from));
	word_add(w, mem_printf("--end=%lld", (long long)q->to));
	word_add(w, mem_printf("--width=%d", q->width));
	word_add(w, mem_printf("--height=%d", q->height));
	word_add(w, mem_strdup("--lower-limit=0"));
	word_add(w, mem_strdup("--disable-rrdtool-tag"));
	if (q->title != NULL)
		word_add(w, mem_printf("--title=%s", q->title));
}

static bool
picture_take(const rrd_info_t *info, struct buf *out, struct err *e)
{
	for (const rrd_info_t *i = info; i != NULL; i = i->next)
		if (i->type == RD_I_BLO && strcmp(i->key, "image") == 0) {
			buf_add(out, i->value.u_blo.ptr, i->value.u_blo.size);
			return buf_ok(out) ||
			    err_set(e, ERR_LIMIT, "the picture is too large");
		}
	return err_set(e, ERR_INTERNAL, "the picture can't be drawn: %s",
	    rrd_get_error());
}

static bool
picture_run(const struct graph_query *q, const enum rrd_kind *kinds, size_t count,
    struct buf *out, struct err *e)
{
	struct words w = { .count = 0 };
	struct scratch scratch = { .files = 0 };
	rrd_info_t *info;
	int drawn = 0;
	bool ok;

	frame_add(&w, q);
	if (q->forecast)
		forecast_add(&w, &scratch, q, kinds, count);
	rrd_clear_error(); /* an old one would end the drawing */
	for (size_t i = 0; i < count; i++)
		drawn = lines_add(&w, q, kinds[i], drawn);
	if (drawn == 0)
		ok = err_set(e, ERR_NOT_FOUND, "there is no graph of %s of %s %s yet",
		    q->topic, q->object, q->uuid);
	else {
		info = rrd_graph_v(w.count, (char **)w.list);
		ok = picture_take(info, out, e);
		rrd_info_free(info);
	}
	for (int i = 0; i < w.count; i++)
		free(w.list[i]);
	scratch_done(&scratch);
	return ok;
}

/* ---- the one question */

static bool
topic_known(const enum rrd_kind *kinds, size_t count, const char *topic)
{
	for (size_t i = 0; i < count; i++)
		for (const struct rrd_source *s = rrd_layouts[kinds[i]].sources;
		     s->name != NULL; s++)
			if (strcmp(s->topic, topic) == 0)
				return true;
	return false;
}

static bool
is_uuid(const char *text)
{
	return strlen(text) == 36 && strspn(text, "0123456789abcdef-") == 36;
}

bool
graph_run(const struct graph_query *q, struct buf *out, struct err *e)
{
	enum rrd_kind kinds[RRD_KINDS];
	size_t count = rrd_kinds_of(q->object, kinds);

	if (count == 0 || !is_uuid(q->uuid))
		return err_set(e, ERR_INPUT, "no graph of a %s \"%.40s\"", q->object,
		    q->uuid);
	if (q->from >= q->to)
		return err_set(e, ERR_INPUT, "the graph would end before it begins");
	if (strcmp(q->format, "json") == 0)
		return json_run(q, kinds, count, out, e);
	if (strcmp(q->format, "png") != 0 && strcmp(q->format, "svg") != 0)
		return err_set(e, ERR_INPUT, "format: json, png or svg");
	if (q->width < 50 || q->width > 4000 || q->height < 30 || q->height > 4000)
		return err_set(e, ERR_INPUT, "a picture has 50 to 4000 by 30 to 4000");
	if (!topic_known(kinds, count, q->topic))
		return err_set(e, ERR_INPUT, "no topic \"%.40s\" of a %s", q->topic,
		    q->object);
	return picture_run(q, kinds, count, out, e);
}
