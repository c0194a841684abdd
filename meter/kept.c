/* SPDX-License-Identifier: Apache-2.0 */
/* kept: what this machine kept, and how series go on where they left off */
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD_GROUP = 50000 }; /* resources whose newest rows are asked for together */

static bool
kept_take(void *context, enum store_kind kind, const char *unused_key unused,
    int64_t order, const char *line, int64_t unused_place unused)
{
	struct meter *m = context;
	const char *id = strchr(line, '\t');

	if (kind != STORE_WINDOW || id == NULL)
		return true;
	if ((m->kept_count & (m->kept_count - 1)) == 0)
		m->kept = mem_resize(m->kept, m->kept_count == 0 ? 1 : 2 * m->kept_count,
		    sizeof(*m->kept));
	m->kept[m->kept_count++] = (struct kept_line){ strtoll(id + 1, NULL, 10), order,
		mem_strdup(line) };
	return true;
}

static int
kept_order(const void *a, const void *b)
{
	const struct kept_line *x = a;
	const struct kept_line *y = b;

	if (x->resource_id != y->resource_id)
		return x->resource_id < y->resource_id ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* The newest row of each resource stays. */
static void
kept_thin(struct meter *m)
{
	struct kept_line *to = m->kept;

	if (m->kept_count == 0)
		return;
	qsort(m->kept, m->kept_count, sizeof(*m->kept), kept_order);
	for (size_t i = 0; i < m->kept_count; i++) {
		const struct kept_line *next = &m->kept[i + 1];
		if (i + 1 < m->kept_count && next->resource_id == m->kept[i].resource_id)
			free(m->kept[i].line);
		else
			*to++ = m->kept[i];
	}
	m->kept_count = (size_t)(to - m->kept);
}

static bool
snapshot_load(struct meter *m)
{
	struct err e = ERR_INIT;
	char *text = NULL;
	bool ok;

	if (!keep_snapshot_read(m->keep, &text, &e))
		return false; /* the first start of all, or the rows here are old */
	ok = inventory_apply(&m->in, text, &e);
	if (!ok)
		log_warning("%s: waiting for the database", e.text);
	free(text);
	return ok;
}

void
kept_load(struct meter *m)
{
	struct err e = ERR_INIT;

	if (m->keep == NULL)
		return;
	if (!keep_each(m->keep, 0, SIZE_MAX / 2, kept_take, m, &e))
		log_error("%s: waiting for the database", e.text);
	kept_thin(m);
	m->kept_newest = snapshot_load(m) || m->kept_count == 0;
	m->turn = m->in.turn;
}

static struct kept_line *
kept_find(struct meter *m, int64_t resource_id)
{
	size_t low = 0;
	size_t high = m->kept_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (m->kept[middle].resource_id < resource_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->kept_count && m->kept[low].resource_id == resource_id
	    ? &m->kept[low]
	    : NULL;
}

void
kept_forget(struct meter *m)
{
	for (size_t i = 0; i < m->kept_count; i++)
		free(m->kept[i].line);
	free(m->kept);
	m->kept = NULL;
	m->kept_count = 0;
}

/* ---- series that go on where they left off */

/* A row belongs to one account and one VM, also when a disk hangs on another now. */
static void
hand_over(struct meter *m, struct series *s, const struct store_owner *was)
{
	const struct store_owner is = { s->account_id, s->vm_id };

	s->account_id = was->account_id;
	s->vm_id = was->vm_id;
	series_part(s);
	row_keep(m, s);
	s->vm_id = is.vm_id;
	series_move(s, is.account_id);
}

static void
series_loaded(struct meter *m, struct series *s, const struct store_owner *was)
{
	s->loaded = true;
	m->in.unloaded--;
	if (s->sampled && (was->account_id != s->account_id || was->vm_id != s->vm_id))
		hand_over(m, s, was);
}

/* Whether a line was written in our turn; those of before there were turns are too. */
static bool
is_ours(const struct meter *m, int64_t turn)
{
	return turn == m->turn || turn == 0;
}

/* A row that only this machine has is newer than the database's, and is written again;
 * those of a turn that is over come late (drain.c), whatever they say. */
static bool
load_kept(struct meter *m, struct series *s)
{
	struct kept_line *k = kept_find(m, s->resource_id);
	scoped_free char *copy = k != NULL ? mem_strdup(k->line) : NULL;
	struct err e = ERR_INIT;
	struct store_owner was = { 0, 0 };

	if (k == NULL || k->order <= s->through.ns || !is_ours(m, store_turn(k->line)))
		return false;
	if (!store_parse(s, &was, copy, &e)) {
		log_error("a row on this machine's disk: %s", e.text);
		return false;
	}
	s->sent.ns = 0;
	s->foreign = false;
	series_loaded(m, s, &was);
	return true;
}

/* Those of which this machine has a row go on without the database. */
void
load_one_kept(void *context, struct series *s)
{
	if (!s->loaded)
		(void)load_kept(context, s); /* the others wait for the database */
}

static void
load_line(struct meter *m, char *line)
{
	const char *id = strchr(line, '\t');
	struct series *s = id != NULL
	    ? inventory_series(&m->in, strtoll(id + 1, NULL, 10))
	    : NULL;
	struct err e = ERR_INIT;
	struct store_owner was = { 0, 0 };

	if (s == NULL || s->loaded)
		return;
	if (!store_parse(s, &was, line, &e)) {
		log_error("a row of the database: %s", e.text);
		return;
	}
	s->sent = s->through;
	if (load_kept(m, s))
		return;
	s->foreign = !is_ours(m, s->turn);
	/* What lies on this machine is older, if anything: it is written over. */
	s->dirty = !s->foreign;
	m->changed = m->changed || s->dirty;
	series_loaded(m, s, &was);
}

void
unloaded_add(void *context, struct series *s)
{
	struct ids *ids = context;

	if (s->loaded || ids->count >= LOAD_GROUP)
		return; /* the others come next */
	s->asked = true;
	buf_printf(&ids->text, "%s%lld", ids->count++ > 0 ? "," : "",
	    (long long)s->resource_id);
}

/* Asked for and not answered: there is no row of it anywhere but here. */
static void
load_rest(void *context, struct series *s)
{
	struct meter *m = context;

	const struct store_owner none = { 0, 0 };

	if (!s->loaded && s->asked && !load_kept(m, s))
		series_loaded(m, s, &none);
	s->asked = false;
}

void
load_answer(struct meter *m, struct store_job *job)
{
	char *rest = job->text;
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			load_line(m, line);
	inventory_each(&m->in, load_rest, m);
	if (m->in.unloaded > 0)
		return; /* the next group */
	kept_forget(m);
	/* Their counters waited: they are looked at now. */
	lanes_all_wanted(m);
}

/* ---- a disk that fails */

void
keep_trouble(struct meter *m, const char *why)
{
	if (!m->keep_failing) {
		log_error("%s: usage is in memory only until it is written", why);
		m->ports.alert(m->ports.context, "spool.failing", "meter", true, why);
	}
	m->keep_failing = true;
}

void
keep_fine(struct meter *m)
{
	if (!m->keep_failing)
		return;
	m->ports.alert(m->ports.context, "spool.failing", "meter", false,
	    "this machine's disk takes rows again");
	m->keep_failing = false;
	/* Rows that the database has could not be removed meanwhile: looked through
	 * again. */
	m->behind = true;
	m->drain_place = 0;
}
