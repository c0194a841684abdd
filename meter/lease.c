/* SPDX-License-Identifier: Apache-2.0 */
/* lease: which hosts are ours, so that collectors can work side by side */
#include "base/log.h"
#include "base/mem.h"
#include "meter/state.h"
#include <stdlib.h>

#define BEAT_NS (STORE_BEAT_S * NS_PER_S)
#define LEASE_NS (STORE_LEASE_S * NS_PER_S)
#define DAY_MS (INT64_C(86400) * 1000)
#define NAME_AGAIN_NS                                                                    \
	(30 * NS_PER_S) /* how often one whose name is taken looks again                 \
			 */

enum { LEAVING_MOST = 64 }; /* hosts on their way to another at a time: no herd */

/* ---- a sign of life */

static struct store_job *
beat_job(const struct meter *m)
{
	struct store_job *job = store_job_new(STORE_BEAT);

	job->lease.first = m->beaten.ns == 0;
	/* After an absence of the database the others are given time to come back too. */
	job->lease.replace = m->beaten.ns != 0 &&
	    m->now.mono.ns - m->beaten.ns <= LEASE_NS &&
	    m->now.mono.ns - m->settled.ns >= LEASE_NS;
	job->lease.vms = m->in.vm_count;
	job->lease.clean_ms = m->clean.ns == 0
	    ? DAY_MS
	    : (m->now.mono.ns - m->clean.ns) / NS_PER_MS;
	return job;
}

void
lease_prove(const struct meter *m, struct store_job *job)
{
	job->lease.name = m->set.name;
	job->lease.machine = m->set.machine;
	job->lease.session = m->set.session;
	job->lease.turn = m->turn;
}

/* What was not written yet is on the disk, or in memory, under the turn that is over. */
static void
hosts_drop(struct meter *m)
{
	char nothing[] = "end\n";
	struct err e = ERR_INIT;

	if (!inventory_apply(&m->in, nothing, &e))
		log_error("%s", e.text); /* cannot be: it is whole */
	kept_forget(m);
	if (m->keep != NULL)
		keep_snapshot_forget(m->keep);
	m->snapshot_hash = 0;
	m->kept_newest = false;
	m->behind = m->keep != NULL;
	m->drain_place = 0;
}

void
lease_lost(struct meter *m, const struct store_job *job)
{
	bool named = job->what == STORE_BEAT;

	if (named && !m->superseded)
		log_error("%s", job->e.text);
	else if (!named)
		log_warning(
		    "another collector has our hosts: what it could not know of is "
		    "compared with what it counted");
	m->superseded = m->superseded || named;
	hosts_drop(m);
	m->beat.ns = m->now.mono.ns + (named ? NAME_AGAIN_NS : 0);
}

/* ---- more hosts than our share */

/* The newest go first, a few at a time; an earlier choice stays. */
static void
leaving_mark(struct meter *m, size_t surplus)
{
	size_t count = surplus < LEAVING_MOST ? surplus : LEAVING_MOST;

	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next) {
		if (h->given)
			continue;
		h->leaving = count > 0;
		count -= h->leaving;
	}
}

void
lease_stay(struct meter *m)
{
	leaving_mark(m, 0);
}

static bool
series_written(const struct series *s)
{
	return !series_has_row(s) || s->through.ns == s->sent.ns;
}

static bool
devices_written(const struct meter_device *list)
{
	while (list != NULL && series_written(&list->series))
		list = list->next;
	return list == NULL;
}

/* Nothing of it is under way, and the database has all that was seen of it. */
static bool
host_quiet(const struct meter_host *h)
{
	for (int k = 0; k < LANE_COUNT; k++)
		if (h->lanes[k].ticket != 0)
			return false;
	for (const struct meter_vm *v = h->vms; v != NULL; v = v->next_on_host)
		if (!series_written(&v->vm) || !devices_written(v->nics) ||
		    !devices_written(v->volumes))
			return false;
	return true;
}

static struct store_job *
give_job(struct meter *m)
{
	struct buf ids = BUF_INIT;
	struct store_job *job;

	if (m->closed_count > 0 || m->behind)
		return NULL;
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next) {
		if (!h->leaving || h->given || !host_quiet(h))
			continue;
		buf_printf(&ids, "%s%lld", ids.length > 0 ? "," : "", (long long)h->id);
		h->given = true;
	}
	if (ids.length == 0) {
		buf_done(&ids);
		return NULL;
	}
	job = store_job_new(STORE_GIVE);
	job->ids = buf_take(&ids);
	return job;
}

void
lease_given(struct meter *m)
{
	m->refresh = m->now.mono; /* they go with the next snapshot */
}

/* ---- what is due, what was answered */

struct store_job *
lease_job(struct meter *m)
{
	if (m->now.mono.ns < m->beat.ns)
		return m->beaten.ns != 0 && !m->away ? give_job(m) : NULL;
	m->beat.ns = m->now.mono.ns + BEAT_NS;
	return beat_job(m);
}

void
lease_answer(struct meter *m, const struct store_job *job)
{
	const struct store_lease *l = &job->lease;

	if (m->beaten.ns == 0 || m->now.mono.ns - m->beaten.ns > LEASE_NS)
		m->settled = m->now.mono;
	m->beaten = m->now.mono;
	m->superseded = false;
	m->known = l->known;
	m->alive = l->alive;
	if (l->turn != m->turn) {
		if (m->turn != 0)
			hosts_drop(m);
		m->turn = l->turn;
		m->refresh = m->now.mono;
	}
	if (l->held != m->held)
		m->refresh = m->now.mono;
	m->held = l->held;
	leaving_mark(m, l->surplus);
}
