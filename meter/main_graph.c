/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jeoul-graph RRDDIR vm|host UUID FROM TO STEP: series of one object as columnar JSON,
 * for the pages.  Web starts it as a child, so that the program facing the network does
 * not map librrd.  Exit 3: no such graph.  Graphs only: money is never computed from
 * these.
 */
#include "base/buf.h"
#include <math.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MOST = 4096, EXIT_NONE = 3, ROWS_MOST = 4000 };

struct series {
	time_t start, end;
	unsigned long step;
	unsigned long sources;
	char **names;
	rrd_value_t *data;
};

static bool
fetch(struct series *s, const char *path, time_t from, time_t to, unsigned long step)
{
	s->start = from;
	s->end = to;
	s->step = step;
	return access(path, R_OK) == 0 &&
	    rrd_fetch_r(path, "AVERAGE", &s->start, &s->end, &s->step, &s->sources,
		&s->names, &s->data) == 0;
}

/* How the names and units of the files become those of the pages. */
static const char *
shown_name(const char *name, double *factor)
{
	*factor = 1;
	if (strcmp(name, "cpu_ns") == 0) {
		*factor = 1e-7; /* ns a second -> percent of one core */
		return "cpu";
	}
	return name;
}

static void
value_put(struct buf *out, double v)
{
	if (isnan(v))
		buf_puts(out, "null");
	else
		buf_printf(out, "%.6g", v);
}

static void
series_put(struct buf *out, const struct series *s, const struct series *grid,
    bool *comma)
{
	size_t rows = (size_t)(grid->end - grid->start) / grid->step;
	size_t own = (size_t)(s->end - s->start) / s->step;

	for (unsigned long d = 0; d < s->sources; d++) {
		double factor = 1;
		buf_printf(out, "%s\"%s\":[", *comma ? "," : "",
		    shown_name(s->names[d], &factor));
		*comma = true;
		for (size_t i = 0; i < rows && i < ROWS_MOST; i++) {
			time_t at = grid->start + (time_t)(i * grid->step);
			size_t row = at < s->start ? own
						   : (size_t)(at - s->start) / s->step;
			if (i > 0)
				buf_putc(out, ',');
			value_put(out,
			    row < own ? s->data[row * s->sources + d] * factor
				      : (double)NAN);
		}
		buf_putc(out, ']');
	}
}

static bool
is_uuid(const char *text)
{
	return strlen(text) == 36 && strspn(text, "0123456789abcdef-") == 36;
}

int
main(int argc, char **argv)
{
	struct series main_series = { .names = NULL };
	struct series disk = { .names = NULL };
	struct buf out = BUF_INIT;
	char path[PATH_MOST];
	bool comma = false;

	if (argc != 7 || !is_uuid(argv[3]) ||
	    (strcmp(argv[2], "vm") != 0 && strcmp(argv[2], "host") != 0)) {
		(void)fputs("usage: jeoul-graph RRDDIR vm|host UUID FROM TO STEP\n",
		    stderr);
		return 2;
	}
	time_t from = (time_t)strtoll(argv[4], NULL, 10);
	time_t to = (time_t)strtoll(argv[5], NULL, 10);
	unsigned long step = strtoul(argv[6], NULL, 10);
	(void)snprintf(path, sizeof(path), "%s/v1/%s/%.2s/%s.rrd", argv[1], argv[2],
	    argv[3], argv[3]);
	if (!fetch(&main_series, path, from, to, step > 0 ? step : 1))
		return EXIT_NONE;
	buf_printf(&out, "{\"start\":%lld,\"step\":%lu,\"series\":{",
	    (long long)main_series.start, main_series.step);
	series_put(&out, &main_series, &main_series, &comma);
	(void)snprintf(path, sizeof(path), "%s/v1/%s/%.2s/%s.disk.rrd", argv[1], argv[2],
	    argv[3], argv[3]);
	if (fetch(&disk, path, from, to, step > 0 ? step : 1))
		series_put(&out, &disk, &main_series, &comma);
	buf_puts(&out, "}}");
	(void)puts(buf_text(&out));
	return 0;
}
