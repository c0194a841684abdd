/* SPDX-License-Identifier: Apache-2.0 */
/* drain: rows of this machine's disk that the database may not have */
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_GROUP = 500 };
#define LATE_AGAIN_NS (10 * NS_PER_S)

/* What others may have counted too is compared with what they did.  A collector that was
 * always alone needs no comparison. */
enum store_kind
window_kind(const struct meter *m, const char *line)
{
	int64_t turn = store_turn(line);

	return m->known < 2 && (turn == m->turn || turn == 0) ? STORE_WINDOW : STORE_LATE;
}

struct drain {
	struct meter *m;
	struct store_job *job;
	size_t seen;
};

/* The open row of a series that goes on is written from memory, and stays on the disk. */
static bool
is_open(struct meter *m, const char *key, const char *line)
{
	const char *id = strchr(line, '\t');
	struct series *s = id != NULL
	    ? inventory_series(&m->in, strtoll(id + 1, NULL, 10))
	    : NULL;
	char own[160];

	if (s == NULL || !series_has_row(s) || s->foreign || store_turn(line) != s->turn)
		return false;
	keep_key(own, s);
	return strcmp(own, key) == 0;
}

static bool
drain_one(void *context, enum store_kind kind, const char *key, int64_t order,
    const char *line, int64_t place)
{
	struct drain *d = context;
	struct flight *f = &d->m->flight;
	struct keep_row *row;

	d->seen++;
	f->drain_place = place;
	if (kind == STORE_WINDOW && is_open(d->m, key, line))
		return true;
	if ((f->drained_count & (f->drained_count - 1)) == 0)
		f->drained = mem_resize(f->drained,
		    f->drained_count == 0 ? 1 : 2 * f->drained_count,
		    sizeof(*f->drained));
	row = &f->drained[f->drained_count++];
	memset(row, 0, sizeof(*row));
	row->kind = kind;
	row->order = order;
	(void)snprintf(row->key, sizeof(row->key), "%s", key);
	store_job_add(d->job, kind == STORE_WINDOW ? window_kind(d->m, line) : kind,
	    mem_strdup(line));
	return true;
}

struct store_job *
drain_job(struct meter *m, bool *more)
{
	struct drain d = { m, store_job_new(STORE_WRITE), 0 };
	struct err e = ERR_INIT;

	m->flight.drain_place = m->drain_place;
	if (!keep_each(m->keep, m->drain_place, DRAIN_GROUP, drain_one, &d, &e))
		keep_trouble(m, e.text);
	*more = d.seen > 0;
	if (d.job->row_count > 0)
		return d.job;
	store_job_free(d.job);
	m->drain_place = m->flight.drain_place;
	if (!*more) {
		m->behind = false;
		m->drain_place = 0;
	}
	return NULL;
}

/* What became of rows of turns that are over. */
struct tally {
	size_t taken, covered, waiting;
};

static void
tally_tell(struct meter *m, const struct tally *t)
{
	if (t->taken + t->covered + t->waiting == 0)
		return;
	if (t->waiting > 0)
		m->late_at.ns = m->now.mono.ns + LATE_AGAIN_NS;
	log_info(
	    "rows of before another collector had the hosts: %zu counted, %zu it had "
	    "counted too, %zu wait until it is known",
	    t->taken, t->covered, t->waiting);
}

/* Those that wait stay on the disk. */
void
drain_written(struct meter *m, const struct store_job *job)
{
	struct flight *f = &m->flight;
	struct tally t = { 0 };
	struct err e = ERR_INIT;
	size_t n = 0;

	if (f->drained_count == 0)
		return;
	for (size_t i = 0; i < f->drained_count; i++) {
		const struct store_row *row = &job->rows[i];
		t.waiting += row->waits;
		t.covered += row->covered;
		t.taken += row->kind == STORE_LATE && !row->waits && !row->covered &&
		    !row->refused;
		if (!row->waits)
			f->drained[n++] = f->drained[i];
	}
	m->drain_place = f->drain_place;
	tally_tell(m, &t);
	log_info("%zu rows of this machine's disk written", n);
	if (n > 0 && !keep_drop(m->keep, f->drained, n, &e))
		keep_trouble(m, e.text);
}

/* Waiting rows are looked at again now and then. */
void
drain_again(struct meter *m)
{
	if (m->late_at.ns == 0 || m->now.mono.ns < m->late_at.ns)
		return;
	m->late_at.ns = 0;
	m->behind = m->keep != NULL;
	m->drain_place = 0;
}
