/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write: rows to this machine's disk first, then to the database, which may be away,
 * frozen or refuse them; none of that holds up a sample
 */
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLOSED_MOST = 1000000,
	KEEP_GROUP = 4096, /* rows of one transaction on this machine's disk */
	JOB_MOST = 4096,   /* rows of open windows that go to the database together */
};

#define WRITE_NS (1 * NS_PER_S)          /* rows are gathered so long */
#define SLOW_NS (3 * NS_PER_S)           /* a job that takes longer: it is away */
#define KEEP_RETRY_NS (10 * NS_PER_S)    /* how often a disk that fails is tried */
#define RETRY_NS (2 * NS_PER_S)          /* how often it is tried while it is away */
#define REFUSED_AGAIN_NS (60 * NS_PER_S) /* when a refused row is tried again */
#define SNAPSHOT_NS (60 * NS_PER_S)      /* what is kept of the inventory is no older */
#define REFRESH_SHARE 20 /* the inventory is read for a twentieth of the time at most */

/* ---- rows on their way */

struct closed_row *
closed_add(struct meter *m, enum store_kind kind, const char *key, int64_t order,
    char *line)
{
	struct closed_row *c;

	if (m->closed_count == CLOSED_MOST) {
		log_error("neither disk nor database takes rows, and memory has %d: "
			  "this one is lost: %.200s",
		    CLOSED_MOST, line);
		free(line);
		return NULL;
	}
	if (m->closed_count == m->closed_room) {
		m->closed_room = m->closed_room == 0 ? 64 : 2 * m->closed_room;
		m->closed = mem_resize(m->closed, m->closed_room, sizeof(*m->closed));
	}
	c = &m->closed[m->closed_count++];
	memset(c, 0, sizeof(*c));
	c->row.kind = kind;
	(void)snprintf(c->row.key, sizeof(c->row.key), "%s", key);
	c->row.order = order;
	c->row.line = line;
	m->changed = true;
	return c;
}

static void
closed_drop(struct meter *m, size_t from, size_t count)
{
	if (count == 0)
		return;
	for (size_t i = from; i < from + count; i++)
		free((void *)(uintptr_t)m->closed[i].row.line);
	m->closed_count -= count;
	memmove(m->closed + from, m->closed + from + count,
	    (m->closed_count - from) * sizeof(*m->closed));
}

/* Rows that go to the disk together, and the series that they are of (NULL: closed). */
struct gather {
	struct meter *m;
	struct store_job *job; /* NULL, or where they go next */
	struct keep_row *rows;
	struct series **series;
	size_t count, room;
	bool ok;
	struct err e;
};

static void gathered_keep(struct gather *g);

static void
gather_add(struct gather *g, const struct keep_row *row, struct series *s)
{
	if (g->count == g->room) {
		g->room = g->room == 0 ? 64 : 2 * g->room;
		g->rows = mem_resize(g->rows, g->room, sizeof(*g->rows));
		g->series = mem_resize(g->series, g->room, sizeof(struct series *));
	}
	g->rows[g->count] = *row;
	g->series[g->count++] = s;
}

static void
dirty_gather(void *context, struct series *s)
{
	struct keep_row row = { .kind = STORE_WINDOW, .order = s->through.ns };
	struct gather *g = context;

	if (!s->dirty || !g->ok)
		return;
	if (g->count >= KEEP_GROUP)
		gathered_keep(g);
	keep_key(row.key, s);
	row.line = store_line(s);
	gather_add(g, &row, s);
}

static bool
is_due(const struct meter *m, const struct series *s)
{
	return series_has_row(s) && s->loaded && s->through.ns != s->sent.ns &&
	    m->now.mono.ns >= s->refused_until.ns && s->round != m->round;
}

static bool
has_room(const struct meter *m)
{
	size_t most = m->in.vm_count / 2;

	/* Each job looks through all series: with very many a few jobs must do. */
	return m->flight.sent_count < (most > JOB_MOST ? most : JOB_MOST);
}

/* Takes the line over. */
static void
sent_add(struct meter *m, struct store_job *job, struct series *s, char *line)
{
	struct flight *f = &m->flight;

	store_job_add(job, STORE_WINDOW, line);
	if ((f->sent_count & (f->sent_count - 1)) == 0)
		f->sent = mem_resize(f->sent, f->sent_count == 0 ? 1 : 2 * f->sent_count,
		    sizeof(*f->sent));
	f->sent[f->sent_count++] = (struct sent_row){ s->resource_id, s->account_id,
		s->through };
	s->round = m->round;
}

/* What was gathered of series is kept, or is not: then it stays dirty, and goes to the
 * database all the same.  With a job at hand the same lines are written there. */
static void
gathered_keep(struct gather *g)
{
	struct meter *m = g->m;

	g->ok = g->count == 0 || keep_put(m->keep, g->rows, g->count, &g->e);
	for (size_t i = 0; i < g->count; i++) {
		struct series *s = g->series[i];
		char *line = (char *)(uintptr_t)g->rows[i].line;
		if (s == NULL)
			continue; /* its line stays with the closed row */
		s->dirty = !g->ok;
		if (g->job != NULL && is_due(m, s) && has_room(m))
			sent_add(m, g->job, s, line);
		else
			free(line);
	}
	for (size_t i = 0; g->ok && i < m->closed_count; i++)
		m->closed[i].kept = true;
	g->count = 0;
}

/* Everything that has changed, durable on this machine: from here on a restart knows it.
 * job: NULL, or where those rows go next. */
static void
rows_keep(struct meter *m, struct store_job *job)
{
	struct gather g = { .m = m, .job = job, .ok = true, .e = ERR_INIT };
	bool any;

	m->keep_at.ns = m->now.mono.ns + WRITE_NS;
	if (!m->changed || m->keep == NULL ||
	    (m->keep_failing && m->now.mono.ns < m->keep_retry.ns))
		return;
	/* What is over first: a kill must not leave what came after it alone. */
	for (size_t i = 0; i < m->closed_count; i++)
		if (!m->closed[i].kept)
			gather_add(&g, &m->closed[i].row, NULL);
	any = g.count > 0;
	inventory_each(&m->in, dirty_gather, &g);
	any = any || g.count > 0;
	if (g.ok)
		gathered_keep(&g);
	m->changed = !g.ok;
	if (!g.ok) {
		/* From here on the database may have rows that are newer than those here.
		 */
		keep_snapshot_forget(m->keep);
		m->snapshot_hash = 0;
		m->kept_newest = false;
		m->keep_retry.ns = m->now.mono.ns + KEEP_RETRY_NS;
		keep_trouble(m, g.e.text);
	} else if (any)
		keep_fine(m);
	free(g.rows);
	free(g.series);
}

/* ---- the database, and its absence */

static void
database_lost(struct meter *m, const char *why)
{
	if (!m->away) {
		log_warning("%s: usage goes to the spool until it is back", why);
		m->ports.alert(m->ports.context, "database.down", "database", true, why);
	}
	m->away = true;
	m->clean.ns = 0;
	lease_stay(m);
	m->behind = m->keep != NULL;
	m->drain_place = 0;
}

static void
database_back(struct meter *m)
{
	if (!m->away)
		return;
	log_info("the database is back");
	m->ports.alert(m->ports.context, "database.down", "database", false,
	    "the database is back");
	m->away = false;
}

static void
job_start(struct meter *m, struct store_job *job)
{
	m->flight.job = job;
	m->flight.since = m->now.mono;
	lease_prove(m, job);
	m->ports.store(m->ports.context, job);
}

static void
refresh_start(struct meter *m)
{
	job_start(m, store_job_new(STORE_READ));
}

static void
load_start(struct meter *m)
{
	struct store_job *job = store_job_new(STORE_LAST);
	struct ids ids = { .text = BUF_INIT, .count = 0 };

	inventory_each(&m->in, unloaded_add, &ids);
	job->ids = buf_take(&ids.text);
	job_start(m, job);
}

static void
contact_add(struct store_job *job, struct meter_host *h)
{
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];
	bool failing = h->failing_since.ns != 0;

	line_number(&b, h->id);
	line_text(&b, instant_text(failing ? h->failing_since : h->last_ok, when));
	if (failing)
		line_text(&b, h->error);
	else {
		line_number(&b, h->latency_us);
		line_u64_or_null(&b, h->cpu_total_ns, h->cpu_total_ns > 0);
	}
	store_job_add(job, failing ? STORE_CONTACT_FAILED : STORE_CONTACT_OK,
	    buf_take(&b));
	h->contact_dirty = false;
}

static void
unsent_add(void *context, struct series *s)
{
	struct meter *m = context;

	if (is_due(m, s) && has_room(m))
		sent_add(m, m->flight.job, s, store_line(s));
}

/* In memory are rows of our turn, and of one that is over those that no disk took. */
static enum store_kind
closed_kind(const struct meter *m, const struct closed_row *c)
{
	bool over = c->row.kind == STORE_WINDOW && !c->cut &&
	    store_turn(c->row.line) != m->turn;

	return over ? STORE_LATE : c->row.kind;
}

/* Series first, so that their places are those of `sent`. */
static void
write_start(struct meter *m)
{
	struct flight *f = &m->flight;
	struct store_job *job = store_job_new(STORE_WRITE);

	m->round++;
	rows_keep(m, job); /* the database has nothing that this machine does not know */
	f->job = job;
	inventory_each(&m->in, unsent_add, m);
	for (size_t i = 0; i < m->closed_count; i++)
		if (!m->closed[i].sent)
			store_job_add(job, closed_kind(m, &m->closed[i]),
			    mem_strdup(m->closed[i].row.line));
	f->closed_count = m->closed_count;
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next)
		if (h->contact_dirty)
			contact_add(job, h);
	if (has_room(m)) /* else their rows may not be among these */
		wishes_add(m, job);
	f->job = NULL;
	m->urgent = false;
	/* Those that had no room are written as soon as these are. */
	m->write.ns = m->now.mono.ns + (has_room(m) ? WRITE_NS : 0);
	if (job->row_count > 0) {
		job_start(m, job);
		return;
	}
	store_job_free(job);
	if (!m->behind)
		m->clean = m->now.mono;
}

/* ---- answers */

static void
flight_clear(struct meter *m)
{
	free(m->flight.sent);
	free(m->flight.drained);
	store_job_free(m->flight.job);
	m->flight = (struct flight){ .job = NULL };
}

/* With it a restart trusts the rows beside it: those must be the newest of all. */
static void
snapshot_keep(struct meter *m, const char *text, uint64_t hash)
{
	struct err e = ERR_INIT;

	rows_keep(m, NULL);
	if (!m->kept_newest && (m->in.unloaded > 0 || m->changed))
		return;
	if (!keep_snapshot(m->keep, text, &e)) {
		keep_trouble(m, e.text);
		return;
	}
	m->snapshot_hash = hash;
	m->snapshot_at = m->now.mono;
	m->kept_newest = true;
	if (!m->changed)
		keep_fine(m);
}

static void
refresh_answer(struct meter *m, struct store_job *job)
{
	int64_t cost = m->now.mono.ns - m->flight.since.ns;
	int64_t wait = REFRESH_SHARE * cost;
	uint64_t hash = inventory_hash(job->text);
	/* That hosts were booted anew is seen by their CPU time, a minute old at most. */
	bool fresh = m->keep != NULL &&
	    (hash != m->snapshot_hash ||
		m->now.mono.ns - m->snapshot_at.ns >= SNAPSHOT_NS);
	struct err e = ERR_INIT;

	m->refresh.ns = m->now.mono.ns + (wait > m->set.step_ns ? wait : m->set.step_ns);
	if (!inventory_apply(&m->in, job->text, &e))
		log_error("%s", e.text);
	else if (fresh)
		snapshot_keep(m, job->text, hash);
}

static void
refused_tell(struct meter *m, const struct store_job *job)
{
	char text[400];

	m->refused += job->refused;
	(void)snprintf(text, sizeof(text),
	    "the database refuses %zu rows of usage; they are put aside in the table "
	    "meter_refused, the others go on. The last: %s",
	    m->refused, job->why);
	m->ports.alert(m->ports.context, "meter.row.refused", "meter", true, text);
	m->refused_told = true;
	m->refused_at = m->now.mono;
}

/* Rows that were refused are tried again now and then; the alarm ends when none is. */
static void
refused_clear(struct meter *m)
{
	if (!m->refused_told || m->now.mono.ns - m->refused_at.ns < 2 * REFUSED_AGAIN_NS)
		return;
	m->refused_told = false;
	m->ports.alert(m->ports.context, "meter.row.refused", "meter", false,
	    "the database takes all rows again; those of before are in meter_refused");
}

static void
sent_take(struct meter *m, const struct store_job *job)
{
	const struct flight *f = &m->flight;

	for (size_t i = 0; i < f->sent_count; i++) {
		struct series *s = inventory_series(&m->in, f->sent[i].resource_id);
		if (s == NULL || s->account_id != f->sent[i].account_id)
			continue;
		if (job->rows[i].refused)
			s->refused_until.ns = m->now.mono.ns + REFUSED_AGAIN_NS;
		else
			s->sent = f->sent[i].through;
	}
}

/* What the database has need not be on the disk any more, but for open rows; what waits
 * (drain.c) stays where it is. */
static void
closed_written(struct meter *m, const struct store_job *job)
{
	struct flight *f = &m->flight;
	struct keep_row *rows = mem_array(f->closed_count, sizeof(*rows));
	struct err e = ERR_INIT;
	size_t at = f->sent_count;
	size_t n = 0;
	size_t stay = 0;

	for (size_t i = 0; i < f->closed_count; i++) {
		struct closed_row c = m->closed[i];
		bool waits = !c.sent && job->rows[at++].waits;
		if (waits && !c.kept) {
			m->closed[i] = m->closed[stay];
			m->closed[stay++] = c;
		} else if (c.kept && !waits)
			rows[n++] = c.row;
		m->behind = m->behind || (waits && c.kept);
	}
	if (n > 0 && !keep_drop(m->keep, rows, n, &e))
		keep_trouble(m, e.text);
	free(rows);
	closed_drop(m, stay, f->closed_count - stay);
}

static void
write_answer(struct meter *m, struct store_job *job)
{
	if (!m->behind && m->flight.drained_count == 0)
		m->clean = m->flight.since;
	sent_take(m, job);
	closed_written(m, job);
	wishes_written(m);
	drain_written(m, job);
	if (job->refused > 0)
		refused_tell(m, job);
	else
		refused_clear(m);
}

/* Rows that are on the disk are taken from there later; the others stay in memory. */
static void
write_failed(struct meter *m)
{
	size_t kept = 0;

	while (kept < m->closed_count && m->closed[kept].kept)
		kept++;
	closed_drop(m, 0, kept);
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next)
		h->contact_dirty = h->last_ok.ns != 0 || h->failing_since.ns != 0;
	for (struct wish *w = m->wishes; w != NULL; w = w->next)
		w->told = false;
}

static void
job_failed(struct meter *m, struct store_job *job)
{
	if (job->what == STORE_WRITE)
		write_failed(m);
	if (job->lost) {
		lease_lost(m, job);
		return; /* the database is here, and says so */
	}
	if (job->what == STORE_READ)
		m->refresh = m->now.mono;
	m->retry.ns = m->now.mono.ns + RETRY_NS;
	database_lost(m, job->e.text);
}

void
write_done(struct meter *m, struct store_job *job)
{
	m->flight.job = job;
	if (!job->ok)
		job_failed(m, job);
	else if (job->what == STORE_BEAT)
		lease_answer(m, job);
	else if (job->what == STORE_GIVE)
		lease_given(m);
	else if (job->what == STORE_READ)
		refresh_answer(m, job);
	else if (job->what == STORE_LAST)
		load_answer(m, job);
	else
		write_answer(m, job);
	if (job->ok)
		database_back(m);
	flight_clear(m);
}

/* ---- what is due */

/* False: there are none, or they are on their way. */
static bool
drain_start(struct meter *m)
{
	bool more = false;
	struct store_job *job = m->behind ? drain_job(m, &more) : NULL;

	if (job != NULL)
		job_start(m, job);
	return job != NULL || more;
}

/* What waits to be read needs the rows before it written; else what lies on the disk goes
 * first, and rows when it is their turn. */
static void
rows_start(struct meter *m)
{
	if (m->in.unloaded > 0 || (!drain_start(m) && m->now.mono.ns >= m->write.ns))
		write_start(m);
}

static void
database_step(struct meter *m)
{
	struct store_job *lease;

	if (m->away && m->now.mono.ns < m->retry.ns)
		return;
	lease = lease_job(m);
	drain_again(m);
	if (lease != NULL)
		job_start(m, lease);
	else if (m->beaten.ns == 0 || m->superseded)
		return; /* no host is known to be ours */
	else if (m->urgent && !m->away)
		write_start(m);
	else if (m->now.mono.ns >= m->refresh.ns)
		refresh_start(m);
	/* What ended is in the tables before it is asked for there. */
	else if (m->in.unloaded > 0 && m->closed_count == 0)
		load_start(m);
	else
		rows_start(m);
}

void
write_step(struct meter *m)
{
	if (m->flight.job == NULL)
		database_step(m);
	else if (m->now.mono.ns - m->flight.since.ns > SLOW_NS)
		database_lost(m, "database: no answer for 3 s");
	if (m->urgent || m->now.mono.ns >= m->keep_at.ns)
		rows_keep(m, NULL);
	if (m->away && m->kept_newest && m->in.unloaded > 0 && m->kept_count > 0)
		inventory_each(&m->in, load_one_kept, m);
	if (m->rrd != NULL)
		rrd_tick(m->rrd, m->now.mono);
}

void
write_free(struct meter *m)
{
	closed_drop(m, 0, m->closed_count);
	free(m->closed);
	kept_forget(m);
	while (m->wishes != NULL) {
		struct wish *next = m->wishes->next;
		free(m->wishes);
		m->wishes = next;
	}
}
