/* SPDX-License-Identifier: Apache-2.0 */
/* meter: whom to ask when, and what to do about those who don't answer */
#include "meter/meter.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A taken channel is an alarm after this: with a pulse every 10 s it is told in 15. */
#define BLOCKED_NS (4 * NS_PER_S)
/* While a question is under way somebody must look how far it is. */
#define WATCH_NS (250 * NS_PER_MS)
#define IDLE_NS (1 * NS_PER_S)
/* Events come in swarms: at most so often is a host asked because of them. */
#define EVENT_NS (200 * NS_PER_MS)

static void lanes_keep(struct meter *m);
static void host_gone(void *context, struct meter_host *h);
static void vm_gone(void *context, struct meter_vm *v);

struct meter *
meter_new(const struct meter_settings *settings, const struct meter_ports *ports,
    struct keep *keep, struct rrd_store *rrd)
{
	struct meter *m = mem_alloc(sizeof(*m));

	m->set = *settings;
	m->ports = *ports;
	m->keep = keep;
	m->rrd = rrd;
	m->in.leaving = row_leave;
	m->in.host_gone = host_gone;
	m->in.vm_gone = vm_gone;
	m->in.context = m;
	m->behind = keep != NULL;
	kept_load(m);
	lanes_keep(m);
	return m;
}

/* ---- whom to ask when */

/* The guarded lane comes each step as well, so that a guest that hangs is seen soon.  A
 * host's capabilities cost as much as a guest's disks, and hardly ever change. */
int64_t
lane_step(const struct meter *m, enum meter_lane_kind kind)
{
	const int64_t site = RRD_POOL_LEAST_S * NS_PER_S;

	if (kind == LANE_SITE)
		return m->set.guarded_ns > site ? m->set.guarded_ns : site;
	return kind == LANE_GUARDED && m->set.guarded_ns < m->set.step_ns
	    ? m->set.guarded_ns
	    : m->set.step_ns;
}

/* The next regular turn of a lane: hosts are spread over the step, a host's lanes too. */
static struct mono
lane_turn(const struct meter *m, const struct meter_lane *lane)
{
	int64_t step = lane_step(m, lane->kind);
	int64_t smear = due_smear(lane->host->uuid, step);
	struct instant slot;

	smear = (smear + step / LANE_COUNT * lane->kind) % step;
	slot = due_slot(m->now.wall, step, smear);
	return (struct mono){ m->now.mono.ns + (slot.ns - m->now.wall.ns) };
}

static void
lane_set(struct meter *m, struct meter_lane *lane, struct mono turn)
{
	lane->turn = turn;
	due_set(&m->due, &lane->due, turn);
}

void
lane_wanted(struct meter *m, struct meter_lane *lane)
{
	if (lane->ticket != 0)
		lane->again = true;
	else
		due_set(&m->due, &lane->due, m->now.mono);
}

void
lanes_all_wanted(struct meter *m)
{
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next)
		for (int k = 0; k < LANE_COUNT; k++)
			if (h->failing_since.ns == 0)
				lane_set(m, &h->lanes[k], m->now.mono);
}

/* New hosts get their turns. */
static void
lanes_keep(struct meter *m)
{
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next)
		for (int k = 0; k < LANE_COUNT; k++)
			if (h->lanes[k].due.place == 0)
				lane_set(m, &h->lanes[k], m->now.mono);
}

static bool
hang_enough(const struct meter *m, const struct meter_lane *lane)
{
	return lane->abandoned >= ABANDONED_PER_HOST || m->abandoned >= ABANDONED_MOST;
}

static enum read_how
how_of(const struct meter *m, const struct meter_lane *lane, const struct meter_vm *v)
{
	if (v->quarantined || hang_enough(m, lane))
		return READ_LOOK;
	return (v->urgent & 1U << lane->kind) != 0 || v->full_due.ns <= m->now.mono.ns
	    ? READ_FULL
	    : READ_PULSE;
}

/* The guests of a question: those that run, or only the urgent ones of them. */
static void
wants_make(const struct meter *m, struct meter_lane *lane, bool partial)
{
	unsigned bit = 1U << lane->kind;

	free(lane->wants);
	lane->wants = mem_array(lane->host->vm_count, sizeof(*lane->wants));
	lane->want_count = 0;
	for (struct meter_vm *v = lane->host->vms; v != NULL; v = v->next_on_host) {
		struct read_want *w = &lane->wants[lane->want_count];
		if (v->run.domain_id == RUN_NEVER || v->run.ended.ns != 0 ||
		    (partial && (v->urgent & bit) == 0))
			continue;
		(void)snprintf(w->uuid, sizeof(w->uuid), "%s", v->uuid);
		w->how = how_of(m, lane, v);
		w->alone = v->alone;
		lane->want_count++;
		v->urgent &= (uint8_t)~bit;
	}
}

static void
lane_asked(struct meter *m, struct meter_lane *lane)
{
	lane->ticket = ++m->tickets;
	lane->next_asked = m->asked;
	lane->asked_link = &m->asked;
	if (m->asked != NULL)
		m->asked->asked_link = &lane->next_asked;
	m->asked = lane;
}

static void
lane_free_again(struct meter_lane *lane)
{
	lane->ticket = 0;
	*lane->asked_link = lane->next_asked;
	if (lane->next_asked != NULL)
		lane->next_asked->asked_link = lane->asked_link;
}

static void
lane_ask(struct meter *m, struct meter_lane *lane, bool all)
{
	lane_asked(m, lane);
	const struct meter_question q = { .ticket = lane->ticket,
		.host_id = lane->host->id,
		.uri = lane->host->uri,
		.lane = lane->kind,
		.suspect = lane->kind != LANE_FAST || lane->failures > 0,
		.wants = lane->wants,
		.want_count = all ? 0 : lane->want_count };
	m->ports.ask(m->ports.context, &q);
}

/* A host whose calls hang is not asked anew while two of them do. */
static bool
lane_held(const struct meter_lane *lane)
{
	if (lane->host->leaving || lane->host->given)
		return true;
	if (lane->kind == LANE_FAST)
		return lane->abandoned >= HOST_CALLS_MOST;
	/* The test driver has neither monitors nor pools worth a connection of their own.
	 */
	return lane->host->simulated || lane->host->failing_since.ns != 0 ||
	    (lane->kind == LANE_SITE && lane->abandoned >= HOST_CALLS_MOST);
}

static void
lane_start(struct meter *m, struct meter_lane *lane)
{
	bool regular = m->now.mono.ns >= lane->turn.ns;

	if (regular)
		lane->turn = lane_turn(m, lane);
	due_set(&m->due, &lane->due, lane->turn);
	if (lane->ticket != 0 || lane_held(lane))
		return; /* a turn that is skipped; what was urgent comes again */
	if (lane->kind == LANE_SITE) {
		lane_ask(m, lane, true);
		return;
	}
	wants_make(m, lane, !regular);
	if (lane->want_count > 0 || (regular && lane->kind == LANE_FAST))
		lane_ask(m, lane, regular && lane->kind == LANE_FAST);
}

/* ---- those who don't answer */

void
host_failed(struct meter *m, struct meter_host *h, const char *why)
{
	if (h->failing_since.ns == 0) {
		h->failing_since = m->now.wall;
		log_warning("host %s: %s", h->name, why);
	}
	free(h->error);
	h->error = mem_strdup(why);
	h->contact_dirty = true;
}

void
host_answers(struct meter *m, struct meter_host *h, int64_t latency_us)
{
	if (h->failing_since.ns != 0)
		log_info("host %s: answers again", h->name);
	h->failing_since.ns = 0;
	free(h->error);
	h->error = NULL;
	h->last_ok = m->now.wall;
	h->latency_us = latency_us;
	h->contact_dirty = true;
}

static void
lane_failed(struct meter *m, struct meter_lane *lane)
{
	int64_t wait = due_backoff(lane_step(m, lane->kind), ++lane->failures);

	lane_set(m, lane, (struct mono){ m->now.mono.ns + wait });
}

/* The call may come back some day, or never: another worker does its work. */
static void
lane_abandon(struct meter *m, struct meter_lane *lane)
{
	m->ports.abandon(m->ports.context, lane->ticket);
	lane_free_again(lane);
	lane->abandoned++;
	m->abandoned++;
}

void
guest_blocked(struct meter *m, struct meter_vm *v, const struct meter_host *h,
    int64_t for_ns)
{
	char text[320];

	v->quarantined = true;
	if (v->blocked_since.ns != 0)
		return;
	v->blocked_since.ns = m->now.wall.ns - for_ns;
	m->blocked++;
	(void)snprintf(text, sizeof(text),
	    "vm %s on host %s: its control channel is taken for %lld ms: its disks and "
	    "balloon are not sampled until it is idle",
	    v->uuid, h->name, (long long)(for_ns / NS_PER_MS));
	log_warning("%s", text);
	m->ports.alert(m->ports.context, "vm.monitor.blocked", v->uuid, true, text);
}

void
guest_idle(struct meter *m, struct meter_vm *v)
{
	v->quarantined = false;
	if (v->blocked_since.ns == 0)
		return;
	v->blocked_since.ns = 0;
	v->blocked_until = m->now.wall;
	m->blocked--;
	log_info("vm %s: its control channel is idle again", v->uuid);
	m->ports.alert(m->ports.context, "vm.monitor.blocked", v->uuid, false,
	    "its control channel is idle again");
}

/* Whether the host itself may be what hangs: then its guests are not to blame. */
static bool
host_suspect(const struct meter *m, const struct meter_host *h)
{
	const struct meter_lane *fast = &h->lanes[LANE_FAST];
	struct meter_progress at = { .connecting = false };

	return h->failing_since.ns != 0 ||
	    (fast->ticket != 0 &&
		m->ports.progress(m->ports.context, fast->ticket, &at) &&
		m->now.mono.ns - at.since.ns > NS_PER_S);
}

static void
fast_watch(struct meter *m, struct meter_lane *lane, int64_t for_ns)
{
	char why[128];

	if (for_ns < m->set.deadline_ns)
		return;
	(void)snprintf(why, sizeof(why), "no answer for %lld ms, its call is given up",
	    (long long)(for_ns / NS_PER_MS));
	lane_abandon(m, lane);
	host_failed(m, lane->host, why);
	lane_failed(m, lane);
}

/* A pool's server that is away holds up nothing but what is known of pools. */
static void
site_watch(struct meter *m, struct meter_lane *lane, int64_t for_ns)
{
	if (for_ns < m->set.deadline_ns)
		return;
	log_warning(
	    "host %s: its pools and networks are not told within %lld ms: what is "
	    "known of them stays",
	    lane->host->name, (long long)(for_ns / NS_PER_MS));
	lane_abandon(m, lane);
	lane_failed(m, lane);
}

/* One of them hangs.  They are asked at once, each alone, by another connection, where
 * that one's channel tells that it is taken. */
static void
group_part(struct meter *m, struct meter_lane *lane, const struct meter_progress *at)
{
	for (size_t i = at->guest; i < at->guest + at->together; i++) {
		struct meter_vm *v = i < lane->want_count
		    ? inventory_vm(&m->in, lane->wants[i].uuid)
		    : NULL;
		if (v != NULL)
			v->alone = true;
	}
	lane_abandon(m, lane);
	lane_set(m, lane, m->now.mono);
}

static void
guarded_watch(struct meter *m, struct meter_lane *lane, const struct meter_progress *at,
    int64_t for_ns)
{
	int64_t patience = m->set.deadline_ns < BLOCKED_NS ? m->set.deadline_ns
							   : BLOCKED_NS;
	struct meter_vm *v = at->guest < lane->want_count
	    ? inventory_vm(&m->in, lane->wants[at->guest].uuid)
	    : NULL;

	if (for_ns < patience)
		return;
	if (at->connecting || host_suspect(m, lane->host)) {
		if (for_ns >= m->set.deadline_ns) {
			lane_abandon(m, lane);
			lane_failed(m, lane);
		}
		return;
	}
	if (at->together > 1) {
		group_part(m, lane, at);
		return;
	}
	if (v != NULL)
		guest_blocked(m, v, lane->host, for_ns);
	if (for_ns < m->set.deadline_ns)
		return;
	/* The others go on at once, by another connection. */
	lane_abandon(m, lane);
	lane_set(m, lane, m->now.mono);
}

static bool
lane_watch(struct meter *m, struct meter_lane *lane)
{
	struct meter_progress at = { .connecting = false };

	if (m->ports.progress(m->ports.context, lane->ticket, &at)) {
		int64_t for_ns = m->now.mono.ns - at.since.ns;
		/* A greeting over a slow line is no hung call: it has four deadlines. */
		if (at.connecting && for_ns < CONNECT_DEADLINES * m->set.deadline_ns)
			return true;
		if (lane->kind == LANE_FAST)
			fast_watch(m, lane, for_ns);
		else if (lane->kind == LANE_SITE)
			site_watch(m, lane, for_ns);
		else
			guarded_watch(m, lane, &at, for_ns);
	}
	return lane->ticket != 0;
}

/* True: something is under way. */
static bool
lanes_watch(struct meter *m)
{
	bool any = false;

	for (struct meter_lane *lane = m->asked; lane != NULL;) {
		struct meter_lane *next = lane->next_asked;
		any = lane_watch(m, lane) || any;
		lane = next;
	}
	return any;
}

static void
vm_gone(void *context, struct meter_vm *v)
{
	struct meter *m = context;

	guest_idle(m, v);
	if (v->unmetered_since.ns != 0)
		m->ports.alert(m->ports.context, "vm.unmetered", v->uuid, false,
		    "it is no more");
}

static void
host_gone(void *context, struct meter_host *h)
{
	struct meter *m = context;

	for (int k = 0; k < LANE_COUNT; k++) {
		due_drop(&m->due, &h->lanes[k].due);
		if (h->lanes[k].ticket != 0) {
			m->ports.abandon(m->ports.context, h->lanes[k].ticket);
			lane_free_again(&h->lanes[k]);
		}
		free(h->lanes[k].wants);
	}
	m->ports.forget(m->ports.context, h->id);
}

/* ---- answers */

static void
lane_over(struct meter *m, struct meter_lane *lane, const struct meter_answer *a)
{
	lane_free_again(lane);
	free(lane->wants);
	lane->wants = NULL;
	lane->want_count = 0;
	if (!a->ok) {
		if (lane->kind == LANE_FAST)
			host_failed(m, lane->host, a->error);
		lane_failed(m, lane);
		return;
	}
	lane->failures = 0;
	if (lane->kind == LANE_FAST)
		host_answers(m, lane->host, a->latency_us);
	if (lane->again)
		lane_wanted(m, lane);
	lane->again = false;
}

static void
answer_take(struct meter *m, struct meter_lane *lane, struct meter_answer *a)
{
	struct meter_vm *v = inventory_vm(&m->in, a->uuid);

	switch (a->kind) {
	case ANSWER_ROUND:
		round_take(m, lane->host, &a->round);
		if (v != NULL && lane->kind == LANE_GUARDED) {
			v->alone = false;
			guest_idle(m, v);
		}
		break;
	case ANSWER_BUSY:
		/* One that a call hung on has begun a little later than the call. */
		if (v != NULL &&
		    (int64_t)a->busy_ms * NS_PER_MS >= BLOCKED_NS / (v->alone ? 2 : 1))
			guest_blocked(m, v, lane->host, (int64_t)a->busy_ms * NS_PER_MS);
		break;
	case ANSWER_IDLE:
		if (v != NULL && v->quarantined) {
			/* Now it can be asked for all that it missed. */
			v->urgent |= (uint8_t)(1U << LANE_GUARDED);
			lane->again = true;
			guest_idle(m, v);
		}
		break;
	case ANSWER_SITE:
		site_take(m, lane->host, &a->site);
		break;
	case ANSWER_OVER:
		lane_over(m, lane, a);
		break;
	case ANSWER_RETURNED:
	default:
		break;
	}
}

void
meter_take(struct meter *m, struct meter_answer *answer, struct moment now)
{
	struct meter_host *h = inventory_host(&m->in, answer->host_id);

	m->now = now;
	if (answer->kind == ANSWER_RETURNED) {
		m->abandoned -= m->abandoned > 0;
		if (h != NULL && h->lanes[answer->lane].abandoned > 0)
			h->lanes[answer->lane].abandoned--;
	} else if (h != NULL && h->lanes[answer->lane].ticket == answer->ticket)
		answer_take(m, &h->lanes[answer->lane], answer);
}

/* ---- being woken */

static void
vm_urgent(struct meter *m, struct meter_vm *v)
{
	struct meter_host *h = inventory_host(&m->in, v->host_id);

	for (int k = 0; h != NULL && k < LANE_SITE; k++) {
		v->urgent |= (uint8_t)(1U << k);
		lane_wanted(m, &h->lanes[k]);
	}
}

void
meter_event(struct meter *m, int64_t host_id, const char *uuid, struct moment now)
{
	struct meter_vm *v = inventory_vm(&m->in, uuid);

	m->now = now;
	if (v != NULL && v->host_id == host_id)
		vm_urgent(m, v);
	/* The provisioning core heard it too: what it writes is read soon. */
	if (m->refresh.ns > now.mono.ns + EVENT_NS)
		m->refresh.ns = now.mono.ns + EVENT_NS;
}

static void
wish_add(struct meter *m, const char *payload)
{
	struct wish *w = mem_alloc(sizeof(*w));
	struct meter_vm *v;

	(void)snprintf(w->payload, sizeof(w->payload), "%s", payload);
	(void)snprintf(w->uuid, sizeof(w->uuid), "%s", payload);
	w->since = m->now.wall;
	w->until.ns = m->now.mono.ns + m->set.deadline_ns;
	w->next = m->wishes;
	m->wishes = w;
	v = inventory_vm(&m->in, w->uuid);
	if (v != NULL)
		vm_urgent(m, v);
	wishes_look(m);
}

void
meter_hint(struct meter *m, const char *channel, const char *payload, struct moment now)
{
	m->now = now;
	m->refresh.ns = now.mono.ns;
	if (strcmp(channel, "jeoul_graph") == 0) {
		if (m->rrd != NULL)
			rrd_wanted(m->rrd, payload);
	} else if (strcmp(channel, "jeoul_sample") == 0 && payload[0] != '\0')
		wish_add(m, payload);
	else
		lanes_all_wanted(m);
}

void
meter_stored(struct meter *m, struct store_job *job, struct moment now)
{
	m->now = now;
	write_done(m, job);
	lanes_keep(m);
}

/* ---- the round of everything */

static void
status_tell(struct meter *m)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%zu VMs on %zu hosts", m->in.vm_count, m->in.host_count);
	if (m->away)
		buf_puts(&b, ", database away: spooling");
	if (m->blocked > 0)
		buf_printf(&b, ", %zu with a taken control channel", m->blocked);
	if (m->refused > 0)
		buf_printf(&b, ", %zu rows refused and put aside", m->refused);
	if (m->abandoned > 0)
		buf_printf(&b, ", %u calls hang", m->abandoned);
	if (m->alive > 1)
		buf_printf(&b, ", one of %zu collectors", m->alive);
	if (m->superseded)
		buf_puts(&b, ", idle: another collector has its name");
	m->ports.status(m->ports.context, buf_text(&b));
	buf_done(&b);
}

/* What this machine kept may be another's by now: the database is asked first, if it
 * answers. */
static bool
may_ask(const struct meter *m)
{
	return m->beaten.ns != 0 || m->away;
}

struct mono
meter_tick(struct meter *m, struct moment now)
{
	struct due_item *first;
	struct mono next;
	bool busy;

	m->now = now;
	if (m->started.ns == 0)
		m->started = now.wall;
	while (may_ask(m) && (first = due_first(&m->due)) != NULL &&
	    first->at.ns <= now.mono.ns)
		lane_start(m, (struct meter_lane *)(void *)first);
	busy = lanes_watch(m);
	wishes_look(m);
	write_step(m);
	if (now.mono.ns - m->watched.ns >= m->set.step_ns / 2) {
		m->watched = now.mono;
		unmetered_watch(m);
		status_tell(m);
	}
	next.ns = now.mono.ns + (busy || m->flight.job != NULL ? WATCH_NS : IDLE_NS);
	first = due_first(&m->due);
	if (may_ask(m) && first != NULL && first->at.ns < next.ns)
		next = first->at;
	return next;
}

void
meter_free(struct meter *m)
{
	if (m == NULL)
		return;
	inventory_done(&m->in);
	write_free(m);
	due_done(&m->due);
	free(m);
}
