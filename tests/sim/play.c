/* SPDX-License-Identifier: Apache-2.0 */
/*
 * play [debug] <SCENARIO: lives a scenario through with the collector's own code and
 * prints what it was told and when, and what the database has at the end; the judge is
 * oracle.py
 */
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_NS (1800 * NS_PER_S) /* after the end, for what is still on its way */
#define GUEST_NS (1 * NS_PER_MS)    /* a guarded call that does not hang */
#define SHARP_NS (10 * NS_PER_S)
#define OLD_NS (20 * NS_PER_S) /* so old is the oldest news that is told */

struct play;

/* ---- what is to happen: a heap by time, then by number */

struct happening {
	int64_t at;
	uint64_t number;
	void (*happen)(struct play *p, void *what);
	void *what;
	struct seat *seat; /* whose; NULL: of nobody */
	unsigned life;     /* of which life of the collector; 0: it concerns no life */
};

/* A question of the collector that is under way. */
struct question {
	struct question *next;
	int64_t ticket, asked, over; /* over: when its call returns */
	struct sim_host *host;
	enum meter_lane_kind lane;
	struct read_want *wants;
	size_t count, guest;
	int64_t since; /* of the call of that guest */
	bool abandoned;
};

/* Which transactions a snapshot of the inventory has seen, by its text. */
struct snapshot {
	uint64_t hash;
	size_t version;
};

enum { SEATS_MOST = 4 };

/* A collector: its lives, its folder. */
struct seat {
	int64_t number; /* from 1 */
	char name[8], folder[16], session[SIM_NAME];
	struct meter *meter; /* NULL: it is dead */
	struct keep *keep;
	unsigned life;
	int64_t tick_at;
	struct question *questions;
	int64_t die_from, die_after; /* die_after: so many touches more; -1: it lives */
	const struct sim_fault *killer;
	const char *torn;
	bool inside; /* its code is running */
};

struct play {
	struct scenario s;
	int64_t now; /* true time */
	struct happening *heap;
	size_t count, room;
	uint64_t numbers;

	struct seat seats[SEATS_MOST];
	struct seat *c; /* the collector at hand */
	int64_t said;   /* whose line was printed last */
	jmp_buf death;

	struct db *db;
	size_t committed;
	bool db_was_away;
	struct snapshot *snapshots; /* all that were read, to tell the kept one */
	size_t snapshot_count;
	FILE *out;
};

static struct play *playing; /* libc and SQLite call back without a context */

static bool
earlier(const struct happening *a, const struct happening *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void
plan(struct play *p, int64_t at, unsigned life,
    void (*happen)(struct play *p, void *what), void *what)
{
	size_t i = p->count;

	if (p->count == p->room) {
		p->room = p->room == 0 ? 256 : 2 * p->room;
		p->heap = mem_resize(p->heap, p->room, sizeof(*p->heap));
	}
	p->count++;
	struct happening h = { at, p->numbers++, happen, what, p->c, life };
	for (; i > 0 && earlier(&h, &p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		p->heap[i] = p->heap[(i - 1) / 2];
	p->heap[i] = h;
}

static struct happening
next_happening(struct play *p)
{
	struct happening first = p->heap[0];
	struct happening last = p->heap[--p->count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= p->count)
			break;
		if (child + 1 < p->count && earlier(&p->heap[child + 1], &p->heap[child]))
			child++;
		if (!earlier(&p->heap[child], &last))
			break;
		p->heap[i] = p->heap[child];
		i = child;
	}
	p->heap[i] = last;
	return first;
}

/* ---- clocks */

static struct instant
wall_now(void *context)
{
	struct play *p = context;

	return scenario_wall(&p->s, p->now);
}

static struct mono
mono_now(void *context)
{
	return (
	    struct mono){ ((struct play *)context)->now - INT64_C(1000000) * NS_PER_S };
}

static struct moment
moment(struct play *p)
{
	return (struct moment){ wall_now(p), mono_now(p) };
}

/* The log; of several collectors a line says whose lines follow. */
static FILE *
told(struct play *p)
{
	if (p->said != p->c->number)
		(void)fprintf(p->out, "C %lld\n", (long long)p->c->number);
	p->said = p->c->number;
	return p->out;
}

/* What a restart would find on its disk. */
static void
durable_print(struct play *p)
{
	scoped_free char *path = mem_printf("%s/usage.db", p->c->folder);

	disk_newest(path, told(p));
}

/* A number that looks drawn, the same on every run. */
static uint64_t
drawn(const struct play *p, uint64_t what)
{
	uint64_t x = (uint64_t)p->now * UINT64_C(0x9e3779b97f4a7c15) + what +
	    (uint64_t)p->s.seed;

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* ---- the collector's life */

static void tick(struct play *p);
static void tick_due(struct play *p, void *what);

void
sim_touch(void)
{
	struct play *p = playing;

	if (!p->c->inside || p->c->die_after < 0 || p->now < p->c->die_from)
		return;
	if (p->c->die_after-- == 0)
		longjmp(p->death, 1);
}

static void born(struct play *p, void *what);

static void
died(struct play *p)
{
	const struct sim_fault *k = p->c->killer;
	int64_t back;

	(void)fprintf(told(p), "K %lld\n", (long long)p->now);
	/* What it had in memory is gone; the simulator lets it lie. */
	p->c->meter = NULL;
	p->c->keep = NULL;
	p->c->inside = false;
	p->c->die_after = -1;
	p->c->killer = NULL;
	p->c->life++;
	while (p->c->questions != NULL) {
		struct question *next = p->c->questions->next;
		free(p->c->questions->wants);
		free(p->c->questions);
		p->c->questions = next;
	}
	disk_died(p->c->folder);
	if (p->c->torn != NULL)
		disk_tear(p->c->folder, p->c->torn);
	p->c->torn = NULL;
	/* At the end it lives, to write what its lives before have left. */
	back = p->now + k->to < p->s.until ? p->now + k->to : p->s.until;
	plan(p, back > p->now ? back : p->now + NS_PER_MS, 0, born, NULL);
}

/* Runs a piece of the collector's code, in which it may die; then what is due. */
#define INSIDE(p, code)                                                                  \
	do {                                                                             \
		if ((p)->c->meter == NULL)                                               \
			break;                                                           \
		if (setjmp((p)->death) != 0) {                                           \
			died(p);                                                         \
			break;                                                           \
		}                                                                        \
		(p)->c->inside = true;                                                   \
		code;                                                                    \
		(p)->c->inside = false;                                                  \
	} while (0)

static void
tick(struct play *p)
{
	INSIDE(p, {
		struct mono next;
		sim_touch();
		next = meter_tick(p->c->meter, moment(p));
		p->c->tick_at = p->now + next.ns - mono_now(p).ns;
	});
	if (p->c->meter == NULL)
		return;
	if (p->c->tick_at <= p->now)
		p->c->tick_at = p->now + NS_PER_MS;
	plan(p, p->c->tick_at, p->c->life, tick_due, NULL);
}

/* Only the newest plan counts: each tick makes another. */
static void
tick_due(struct play *p, void *unused_what unused)
{
	if (p->now >= p->c->tick_at)
		tick(p);
}

/* Which snapshot of the inventory is on the disk: its version, or -1. */
static long
kept_version(struct play *p)
{
	struct keep *look = p->c->keep;
	struct err e = ERR_INIT;
	scoped_free char *text = NULL;

	if (look == NULL || !keep_snapshot_read(look, &text, &e))
		return -1;
	for (size_t i = p->snapshot_count; i > 0; i--)
		if (p->snapshots[i - 1].hash == counter_epoch(text))
			return (long)p->snapshots[i - 1].version;
	return -1;
}

static void ask(void *context, const struct meter_question *q);
static bool progress(void *context, int64_t ticket, struct meter_progress *out);
static void abandon(void *context, int64_t ticket);
static void forget(void *context, int64_t host_id);
static void store(void *context, struct store_job *job);
static void alert(void *context, const char *rule, const char *object, bool raised,
    const char *text);
static void status(void *context, const char *text);

static void
wake(struct play *p)
{
	const struct meter_ports ports = { p, ask, progress, abandon, forget, store,
		alert, status };

	struct meter_settings settings = p->s.settings;

	settings.name = settings.machine = p->c->name;
	settings.session = p->c->session;
	p->c->meter = meter_new(&settings, &ports, p->c->keep, NULL);
}

static void
born(struct play *p, void *unused_what unused)
{
	struct err e = ERR_INIT;

	if (p->c->meter != NULL)
		return;
	(void)fprintf(told(p), "B %lld\n", (long long)p->now);
	sim_db_newest(p->db, p->out);
	durable_print(p);
	p->c->life++;
	(void)snprintf(p->c->session, sizeof(p->c->session), "%u", p->c->life);
	p->c->inside = true;
	if (setjmp(p->death) != 0) {
		died(p);
		return;
	}
	if (!keep_open(&p->c->keep, p->c->folder, &e)) {
		log_error("%s", e.text);
		p->c->keep = NULL;
	}
	p->c->inside = false;
	(void)fprintf(told(p), "V %ld\n", kept_version(p));
	p->c->inside = true;
	wake(p);
	p->c->inside = false;
	tick(p);
}

/* ---- hosts */

static struct question *
question_of(struct play *p, int64_t ticket)
{
	struct question *q = p->c->questions;

	while (q != NULL && q->ticket != ticket)
		q = q->next;
	return q;
}

static void
question_drop(struct play *p, struct question *q)
{
	struct question **at = &p->c->questions;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q->wants);
	free(q);
}

static struct meter_answer
answer_of(const struct play *p, const struct question *q, enum meter_answer_kind kind)
{
	return (struct meter_answer){ .kind = kind,
		.ticket = q->ticket,
		.host_id = q->host->id,
		.lane = q->lane,
		.ok = true,
		.latency_us = (p->now - q->asked) / NS_PER_US };
}

static void
deliver(struct play *p, struct meter_answer *a)
{
	INSIDE(p, meter_take(p->c->meter, a, moment(p)));
	read_round_done(&a->round);
	tick(p);
}

static void
question_over(struct play *p, struct question *q, const char *why)
{
	struct meter_answer a = answer_of(p, q,
	    q->abandoned ? ANSWER_RETURNED : ANSWER_OVER);

	a.ok = why == NULL;
	if (why != NULL)
		(void)snprintf(a.error, sizeof(a.error), "%s", why);
	question_drop(p, q);
	deliver(p, &a);
}

/* How long a call takes now. */
static int64_t
latency(const struct play *p, const struct sim_host *h)
{
	const struct sim_fault *slow = scenario_fault(&p->s, "slow", h->id, p->now);

	if (slow == NULL)
		return 3 * NS_PER_MS +
		    (int64_t)(drawn(p, (uint64_t)h->id) % 1000) * NS_PER_US;
	return (slow->more +
		   (int64_t)(drawn(p, (uint64_t)h->id) %
		       (uint64_t)(slow->most - slow->more + 1))) *
	    NS_PER_MS;
}

/* How a reading is stamped; where it is sharp often with the very end of an hour. */
static struct instant
stamp(const struct play *p, const struct sim_host *h, int64_t read_at)
{
	struct instant at = scenario_wall(&p->s, read_at);

	if (scenario_fault(&p->s, "sharp", h->id, p->now) != NULL)
		at = instant_floor(at, SHARP_NS);
	return at;
}

static void
fast_print(struct play *p, const struct question *q, int64_t read_at,
    const struct read_round *round)
{
	struct instant at = stamp(p, q->host, read_at);

	(void)fprintf(told(p), "A %lld %lld %lld %lld", (long long)p->now,
	    (long long)q->host->id, (long long)read_at, (long long)at.ns);
	for (size_t i = 0; q->count > 0 && i < round->count; i++)
		(void)fprintf(told(p), " %lld",
		    (long long)scenario_guest(&p->s, round->list[i].uuid)->rid);
	(void)fputs(q->count > 0 ? " .\n" : "\n", p->out);
}

/* What was read then, told now; the collector may die of it.  False: it did. */
static bool
fast_tell(struct play *p, struct question *q, int64_t read_at)
{
	struct meter_answer a = answer_of(p, q, ANSWER_ROUND);
	unsigned life = p->c->life;

	world_fast(q->host, read_at, stamp(p, q->host, read_at), q->wants, q->count,
	    &a.round);
	fast_print(p, q, read_at, &a.round);
	deliver(p, &a);
	return p->c->life == life;
}

/* When it was read: mostly just before it is told; a host that hung may tell old news. */
static int64_t
read_instant(const struct play *p, const struct question *q)
{
	int64_t took = p->now - q->asked < OLD_NS ? p->now - q->asked : OLD_NS;

	if (took > 10 * NS_PER_MS && drawn(p, 5) % 2 == 0)
		return p->now - took / 3 * 2;
	return p->now - took / 10;
}

static void
fast_answer(struct play *p, void *what)
{
	struct question *q = what;
	int64_t ticket = q->ticket;
	int64_t id = q->host->id;
	int64_t at = read_instant(p, q);

	if (!q->abandoned && scenario_fault(&p->s, "down", id, p->now) == NULL) {
		bool swap = scenario_fault(&p->s, "swap", id, p->now) != NULL;
		bool alive = fast_tell(p, q, at);
		if (alive && scenario_fault(&p->s, "twice", id, p->now) != NULL)
			alive = fast_tell(p, question_of(p, ticket), at);
		/* An older answer comes after a newer one. */
		if (alive && swap)
			alive = fast_tell(p, question_of(p, ticket),
			    at - 700 * NS_PER_MS);
		if (alive && question_of(p, ticket) != NULL)
			question_over(p, question_of(p, ticket), NULL);
		return;
	}
	question_over(p, q, "connection refused");
}

static void guest_step(struct play *p, void *what);

static void
guest_ask(struct play *p, struct question *q)
{
	const struct sim_guest *g;
	const struct sim_fault *busy = NULL;
	int64_t takes = GUEST_NS;

	q->since = p->now;
	if (q->guest < q->count) {
		g = scenario_guest(&p->s, q->wants[q->guest].uuid);
		busy = g != NULL ? scenario_fault(&p->s, "busy", g->rid, p->now) : NULL;
	}
	/* It said that it is idle, and then the call hangs with the guest. */
	if (busy != NULL && strcmp(busy->how, "hangs") == 0 &&
	    q->wants[q->guest].how != READ_LOOK)
		takes = (busy->to < p->s.until ? busy->to : p->s.until) - p->now +
		    GUEST_NS;
	plan(p, p->now + takes, p->c->life, guest_step, q);
}

static bool
guest_answer(struct play *p, struct question *q, const struct read_want *want)
{
	const struct sim_guest *g = scenario_guest(&p->s, want->uuid);
	const struct sim_fault *busy = scenario_fault(&p->s, "busy", g->rid, p->now);
	struct meter_answer a = answer_of(p, q, ANSWER_IDLE);
	struct instant at = stamp(p, q->host, p->now);
	unsigned life = p->c->life;

	(void)snprintf(a.uuid, sizeof(a.uuid), "%s", want->uuid);
	if (!world_guest(q->host, want->uuid, p->now, at, &a.round))
		return true;
	if (busy != NULL) {
		a.kind = ANSWER_BUSY;
		a.busy_ms = (unsigned)((p->now - busy->from) / NS_PER_MS);
	} else if (want->how == READ_FULL) {
		a.kind = ANSWER_ROUND;
		(void)fprintf(told(p), "G %lld %lld %lld %lld %lld\n", (long long)p->now,
		    (long long)g->rid, (long long)q->host->id, (long long)p->now,
		    (long long)at.ns);
	} else if (want->how == READ_PULSE) {
		read_round_done(&a.round);
		return true;
	}
	if (a.kind != ANSWER_ROUND)
		read_round_done(&a.round);
	deliver(p, &a);
	return p->c->life == life;
}

static void
guest_step(struct play *p, void *what)
{
	struct question *q = what;
	int64_t ticket = q->ticket;

	if (q->abandoned || q->guest >= q->count) {
		question_over(p, q, NULL);
		return;
	}
	if (scenario_fault(&p->s, "down", q->host->id, p->now) != NULL) {
		question_over(p, q, "connection lost");
		return;
	}
	struct read_want want = q->wants[q->guest++];
	if (!guest_answer(p, q, &want) || (q = question_of(p, ticket)) == NULL)
		return;
	guest_ask(p, q);
}

static void
ask(void *context, const struct meter_question *m)
{
	struct play *p = context;
	struct question *q = mem_alloc(sizeof(*q));
	const struct sim_fault *hang;

	sim_touch();
	q->ticket = m->ticket;
	q->host = scenario_host(&p->s, m->host_id);
	q->lane = m->lane;
	q->asked = q->since = p->now;
	q->count = m->want_count;
	q->wants = mem_array(m->want_count, sizeof(*q->wants));
	if (m->want_count > 0)
		memcpy(q->wants, m->wants, m->want_count * sizeof(*q->wants));
	q->next = p->c->questions;
	p->c->questions = q;
	if (p->now >= p->s.until)
		return; /* the end: no host answers any more */
	hang = scenario_fault(&p->s, "hang", q->host->id, p->now);
	if (hang != NULL)
		plan(p, hang->to < p->s.until ? hang->to : p->s.until, p->c->life,
		    q->lane == LANE_FAST ? fast_answer : guest_step, q);
	else if (q->lane == LANE_FAST)
		plan(p, p->now + latency(p, q->host), p->c->life, fast_answer, q);
	else
		guest_ask(p, q);
}

static bool
progress(void *context, int64_t ticket, struct meter_progress *out)
{
	struct play *p = context;
	const struct question *q = question_of(p, ticket);

	if (q == NULL)
		return false;
	out->guest = q->guest;
	out->since.ns = mono_now(p).ns - (p->now - q->since);
	return true;
}

static void
abandon(void *context, int64_t ticket)
{
	struct question *q = question_of(context, ticket);

	if (q != NULL)
		q->abandoned = true;
}

static void
forget(void *unused_context unused, int64_t unused_host_id unused)
{
}

/* ---- the database */

static void
commit_due(struct play *p)
{
	/* The provisioning core waits for the database too. */
	if (scenario_fault(&p->s, "db", 0, p->now) != NULL)
		return;
	sim_db_now(p->db, scenario_wall(&p->s, p->now));
	while (p->committed < p->s.tx_count && p->s.txs[p->committed].at <= p->now) {
		sim_db_commit(p->db, &p->s.txs[p->committed++]);
		(void)fprintf(p->out, "T %lld %zu\n", (long long)p->now, p->committed);
	}
}

static void
commit_happens(struct play *p, void *unused_what unused)
{
	commit_due(p);
}

static void
snapshot_remember(struct play *p, const struct store_job *job)
{
	uint64_t hash = counter_epoch(job->text);
	size_t n = p->snapshot_count;

	if (n > 0 && p->snapshots[n - 1].hash == hash)
		return;
	if ((n & (n - 1)) == 0)
		p->snapshots = mem_resize(p->snapshots, n == 0 ? 1 : 2 * n,
		    sizeof(*p->snapshots));
	p->snapshots[p->snapshot_count++] = (struct snapshot){ hash, p->committed };
}

struct errand {
	struct store_job *job;
	size_t version;
};

static void
job_back(struct play *p, void *what)
{
	struct errand *errand = what;
	struct store_job *job = errand->job;

	if (job->ok && job->what == STORE_READ)
		(void)fprintf(told(p), "I %lld %zu\n", (long long)p->now,
		    errand->version);
	if (job->ok && job->what == STORE_LAST)
		(void)fprintf(told(p), "L %lld %s\n", (long long)p->now, job->ids);
	free(errand);
	INSIDE(p, meter_stored(p->c->meter, job, moment(p)));
	tick(p);
}

static void
job_run(struct play *p, void *what)
{
	struct errand *errand = what;
	struct store_job *job = errand->job;
	bool slow = scenario_fault(&p->s, "db_slow", 0, p->now) != NULL;
	bool lost = scenario_fault(&p->s, "db_lost", 0, p->now) != NULL;
	int64_t takes = slow ? (int64_t)(drawn(p, 11) % 20000) * NS_PER_MS : NS_PER_MS;

	commit_due(p);
	sim_db_mood(p->db,
	    scenario_fault(&p->s, "db", 0, p->now) != NULL ||
		    scenario_fault(&p->s, "cut", p->c->number, p->now) != NULL
		? SIM_DB_AWAY
		: lost && drawn(p, 12) % 3 == 0 ? SIM_DB_LOST
						: SIM_DB_FINE);
	job->ok = true;
	INSIDE(p, store_run(p->db, job));
	if (p->c->meter == NULL)
		return; /* it died while the database worked for it */
	errand->version = p->committed;
	if (job->ok && job->what == STORE_READ)
		snapshot_remember(p, job);
	plan(p, p->now + takes, p->c->life, job_back, errand);
}

static void
store(void *context, struct store_job *job)
{
	struct play *p = context;
	struct errand *errand = mem_alloc(sizeof(*errand));

	sim_touch();
	errand->job = job;
	plan(p, p->now + NS_PER_MS, p->c->life, job_run, errand);
}

static void
alert(void *context, const char *rule, const char *object, bool raised, const char *text)
{
	struct play *p = context;

	sim_touch();
	(void)fprintf(told(p), "Y %lld %s %s %d %s\n", (long long)p->now, rule, object,
	    raised, text);
}

static void
status(void *unused_context unused, const char *unused_text unused)
{
}

/* ---- graphs: there are none here, and so no librrd */

void
rrd_add(struct rrd_store *unused_r unused, enum rrd_kind unused_kind unused,
    const char *unused_uuid unused, struct instant unused_t unused,
    const struct rrd_value *unused_values unused, int unused_count unused)
{
}

void
rrd_tick(struct rrd_store *unused_r unused, struct mono unused_now unused)
{
}

void
rrd_wanted(struct rrd_store *unused_r unused, const char *unused_uuid unused)
{
}

/* ---- what the scenario has */

static void
run_begins(struct play *p, void *what)
{
	struct sim_run *r = what;
	struct sim_host *h = scenario_host(&p->s, r->host_id);

	r->next = h->runs;
	h->runs = r;
}

static void
run_ends(struct play *p, void *what)
{
	struct sim_run *r = what;
	struct sim_run **at = &scenario_host(&p->s, r->host_id)->runs;

	while (*at != NULL && *at != r)
		at = &(*at)->next;
	if (*at != NULL)
		*at = r->next;
}

static void
seat_take(struct play *p, int64_t number)
{
	p->c = &p->seats[number > 0 && number <= p->s.collectors ? number - 1 : 0];
}

static void
kill_armed(struct play *p, void *what)
{
	struct sim_fault *f = what;

	seat_take(p, f->who);
	if (p->c->meter == NULL || p->c->killer != NULL)
		return;
	p->c->killer = f;
	p->c->die_from = p->now;
	p->c->die_after = f->more;
}

static void
torn_armed(struct play *p, void *what)
{
	struct sim_fault *f = what;

	seat_take(p, f->who);
	if (p->c->killer != NULL)
		p->c->torn = f->how;
}

static void
full_looked(struct play *p, void *unused_what unused)
{
	disk_full(scenario_fault(&p->s, "full", 1, p->now) != NULL);
}

static void
hint_tell(struct play *p, const struct sim_fault *f)
{
	INSIDE(p, meter_hint(p->c->meter, "jeoul_sample", f->uuid, moment(p)));
	tick(p);
}

static void
hint_comes(struct play *p, void *what)
{
	for (int64_t i = 1; i <= p->s.collectors; i++) {
		seat_take(p, i);
		if (scenario_fault(&p->s, "stop", i, p->now) == NULL)
			hint_tell(p, what);
	}
}

static void
event_tell(struct play *p, const struct sim_fault *f)
{
	INSIDE(p, meter_event(p->c->meter, f->who, f->uuid, moment(p)));
	tick(p);
}

static void
event_comes(struct play *p, void *what)
{
	for (int64_t i = 1; i <= p->s.collectors; i++) {
		seat_take(p, i);
		if (scenario_fault(&p->s, "stop", i, p->now) == NULL)
			event_tell(p, what);
	}
}

/* What lies on its disk when it comes back, before the database says anything. */
static void
away_over(struct play *p, void *what)
{
	const struct sim_fault *f = what;

	seat_take(p, f->who);
	(void)fprintf(told(p), "U %lld\n", (long long)p->now);
	durable_print(p);
}

static void
fault_plan(struct play *p, struct sim_fault *f)
{
	static const struct {
		const char *word;
		void (*happen)(struct play *p, void *what);
		bool at_end;
	} what[] = { { "kill", kill_armed, false }, { "torn", torn_armed, false },
		{ "full", full_looked, true }, { "hint", hint_comes, false },
		{ "event", event_comes, false }, { "db", commit_happens, true },
		{ "stop", away_over, true }, { "cut", away_over, true } };

	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		if (strcmp(what[i].word, f->word) != 0)
			continue;
		if (f->from < p->s.until && what[i].happen != away_over)
			plan(p, f->from, 0, what[i].happen, f);
		if (what[i].at_end)
			plan(p, f->to < p->s.until ? f->to : p->s.until, 0,
			    what[i].happen, f);
	}
}

static void
scenario_plan(struct play *p)
{
	for (size_t i = 0; i < p->s.run_count; i++) {
		struct sim_run *r = p->s.runs[i];
		/* A moment earlier and later: answers out of order look back a little. */
		plan(p, r->begin, 0, run_begins, r);
		if (r->end < p->s.until)
			plan(p, r->end + 2 * OLD_NS, 0, run_ends, r);
	}
	for (size_t i = 0; i < p->s.tx_count; i++)
		plan(p, p->s.txs[i].at, 0, commit_happens, NULL);
	for (size_t i = 0; i < p->s.fault_count; i++)
		fault_plan(p, &p->s.faults[i]);
	for (int64_t i = 1; i <= p->s.collectors; i++) {
		seat_take(p, i);
		plan(p, p->s.start, 0, born, NULL);
	}
}

/* The end comes whatever has died: one that is dead is born again. */
static void
live(struct play *p)
{
	int64_t end = p->s.until + SETTLE_NS;

	while (p->count > 0 && p->heap[0].at <= end) {
		struct happening h = next_happening(p);
		const struct sim_fault *stop;
		p->now = h.at > p->now ? h.at : p->now;
		p->c = h.seat != NULL ? h.seat : &p->seats[0];
		stop = scenario_fault(&p->s, "stop", p->c->number, p->now);
		if (h.life != 0 && h.life != p->c->life)
			continue;
		/* A process that stands still does all of it later, in that order. */
		if (h.life != 0 && stop != NULL)
			plan(p, stop->to, h.life, h.happen, h.what);
		else
			h.happen(p, h.what);
	}
	p->now = end;
}

static void
seats_make(struct play *p)
{
	for (int64_t i = 1; i <= p->s.collectors; i++) {
		struct seat *c = &p->seats[i - 1];
		c->number = i;
		c->die_after = -1;
		c->life = 1;
		(void)snprintf(c->name, sizeof(c->name), "c%lld", (long long)i);
		(void)snprintf(c->folder, sizeof(c->folder), "spool%lld", (long long)i);
	}
}

int
main(int argc, char **argv)
{
	struct play *p = mem_alloc(sizeof(*p));
	struct clock_source clock = { wall_now, mono_now, p };
	struct err e = ERR_INIT;

	log_open("play", LOG_TO_STDERR,
	    argc > 1 && strcmp(argv[1], "debug") == 0 ? LOG_LVL_DEBUG : LOG_LVL_ERROR);
	p->out = stdout;
	p->c = &p->seats[0];
	p->said = 1;
	if (!scenario_read(&p->s, stdin, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	if (p->s.collectors < 1 || p->s.collectors > SEATS_MOST)
		p->s.collectors = 1;
	seats_make(p);
	playing = p;
	p->now = p->s.start;
	clock_replace(&clock);
	disk_begin();
	p->db = sim_db_new(&p->s);
	scenario_plan(p);
	live(p);
	sim_db_print(p->db, p->out);
	(void)fputs("R\n", p->out); /* what is still on the disk */
	for (int64_t i = 0; i < p->s.collectors; i++) {
		p->c = &p->seats[i];
		durable_print(p);
	}
	(void)fputs("E\n", p->out);
	return fflush(p->out) == 0 ? 0 : 1;
}
