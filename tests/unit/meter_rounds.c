/* SPDX-License-Identifier: Apache-2.0 */
/* The collector's rounds on a clock, hosts and a database of the test's own. */
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/meter.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST_UUID "0b8e4f3c-0000-4000-8000-000000000001"
#define BEGIN (INT64_C(1700000000) * NS_PER_S) /* 22:13:20 UTC */
#define STEP (10 * NS_PER_S)
enum { GUESTS = 4, QUESTIONS = 64, ROWS = 4096, VALUES = 34 };
enum {
	VALUE_FROM = 2,
	VALUE_TO,
	VALUE_THROUGH = 6,
	VALUE_EPOCH,
	VALUE_CPU,
	VALUE_READ = 12
};

struct guest {
	char uuid[READ_UUID_MAX];
	int64_t id, begun, base;     /* libvirt's id; when its process began (ns) */
	int64_t told_id, told_begun; /* what provision has written down */
	bool hangs;
	int64_t
	    taken_by; /* a question that hangs in it, where some share a call; 0: none */
	int64_t hung_at, last_fast, worst_fast; /* between two samples */
};

struct question {
	struct meter_question q;
	struct read_want *wants;
	size_t at, together;
	int64_t since;
	bool abandoned;
};

struct row {
	char *line;
	char key[128];
};

struct world {
	struct meter *meter;
	struct keep *keep;
	char folder[40];
	int64_t now;
	struct guest guests[GUESTS];
	struct question questions[QUESTIONS];
	size_t question_count, stuck_most;
	struct store_job *job;
	int64_t job_since;
	bool grouped;       /* some guests share a call, as they really do */
	bool frozen, away;  /* the database: silent, or refusing every job */
	const char *refuse; /* rows with that in them */
	const char *zone;
	/* leases: the turn that the tables have; hosts too many; rows told to come late
	 */
	int64_t turn;
	size_t surplus, collectors, late, given;
	bool taken;         /* another has the host */
	bool renamed;       /* another process has our name */
	bool waits;         /* late rows are told to come again */
	bool swapped;       /* the disks of the first two guests, each on the other */
	int owner;          /* of the third guest; the others belong to 7 */
	int64_t booted;     /* the host */
	char cpu_total[32]; /* as it stands in its contact row */
	struct row rows[ROWS];
	size_t row_count, gaps, gaps_blocked, sampled, refused;
	int64_t blocked_at, idle_at, down_at, back_at, refused_at;
};

/* ---- the truth: what a guest has used by now */

static uint64_t
cpu_of(const struct guest *g, int64_t now)
{
	return (uint64_t)(g->base + (now - g->begun) / 4);
}

static uint64_t
disk_of(const struct guest *g, int64_t now)
{
	return (uint64_t)((g->hangs ? g->hung_at : now) - g->begun) / 1000;
}

/* ---- the hosts */

static void
ask(void *context, const struct meter_question *q)
{
	struct world *w = context;
	struct question *mine = &w->questions[w->question_count++];

	assert_true(w->question_count < QUESTIONS);
	*mine = (struct question){ .q = *q, .since = w->now };
	mine->wants = mem_array(q->want_count, sizeof(*mine->wants));
	if (q->want_count > 0)
		memcpy(mine->wants, q->wants, q->want_count * sizeof(*mine->wants));
}

static struct question *
question_of(struct world *w, int64_t ticket)
{
	for (size_t i = 0; i < w->question_count; i++)
		if (w->questions[i].q.ticket == ticket)
			return &w->questions[i];
	return NULL;
}

static bool
progress(void *context, int64_t ticket, struct meter_progress *out)
{
	const struct question *q = question_of(context, ticket);

	if (q != NULL)
		*out = (struct meter_progress){ q->at, { q->since }, false, q->together };
	return q != NULL;
}

static void
abandon(void *context, int64_t ticket)
{
	struct question *q = question_of(context, ticket);

	if (q != NULL)
		q->abandoned = true;
}

static void
forget(void *unused_context unused, int64_t unused_host unused)
{
}

static struct guest *
guest_of(struct world *w, const char *uuid)
{
	for (size_t i = 0; i < GUESTS; i++)
		if (strcmp(w->guests[i].uuid, uuid) == 0)
			return &w->guests[i];
	abort(); /* the collector asks for what it was told of */
}

static void
fast_fill(struct world *w, struct guest *g, struct read_round *round)
{
	struct read_vm *vm = &round->list[round->count++];

	(void)snprintf(vm->uuid, sizeof(vm->uuid), "%s", g->uuid);
	vm->domain_id = g->id;
	vm->at.ns = w->now;
	vm->fast = true;
	vm->cpu_ns = cpu_of(g, w->now);
	vm->memory_kib = 1024;
	if (g->last_fast != 0 && w->now - g->last_fast > g->worst_fast)
		g->worst_fast = w->now - g->last_fast;
	g->last_fast = w->now;
}

static void
full_fill(struct world *w, const struct guest *g, struct read_round *round)
{
	struct read_vm *vm = &round->list[round->count++];

	(void)snprintf(vm->uuid, sizeof(vm->uuid), "%s", g->uuid);
	vm->domain_id = g->id;
	vm->at.ns = w->now;
	vm->guarded = true;
	vm->disks = arena_alloc(round->arena, sizeof(*vm->disks));
	vm->disk_count = 1;
	(void)snprintf(vm->disks[0].target, sizeof(vm->disks[0].target), "vda");
	vm->disks[0].read_bytes = disk_of(g, w->now);
}

static void
answer(struct world *w, struct question *q, struct meter_answer *a)
{
	a->ticket = q->q.ticket;
	a->host_id = q->q.host_id;
	a->lane = q->q.lane;
	if (q->abandoned && a->kind != ANSWER_RETURNED) {
		read_round_done(&a->round);
		return;
	}
	meter_take(w->meter, a, (struct moment){ { w->now }, { w->now } });
	read_round_done(&a->round);
}

static void
round_new(struct read_round *r)
{
	*r = (struct read_round){ .arena = arena_new(),
		.list = mem_array(GUESTS, sizeof(*r->list)) };
}

/* False: the guest hangs in it. */
static bool
guest_answer(struct world *w, struct question *q, size_t at)
{
	const struct read_want *want = &q->wants[at];
	struct meter_answer a = { .kind = ANSWER_ROUND };
	struct guest *g = guest_of(w, want->uuid);

	(void)snprintf(a.uuid, sizeof(a.uuid), "%s", want->uuid);
	if (g->hangs && (want->how == READ_LOOK || g->taken_by != 0)) {
		a.kind = ANSWER_BUSY;
		a.busy_ms = (unsigned)((w->now - g->hung_at) / NS_PER_MS);
	} else if (g->hangs)
		return false;
	else if (want->how == READ_LOOK)
		a.kind = ANSWER_IDLE;
	else if (want->how == READ_PULSE)
		return true;
	if (a.kind == ANSWER_ROUND) {
		round_new(&a.round);
		full_fill(w, g, &a.round);
	}
	answer(w, q, &a);
	return true;
}

/* False: one of those that share the call hangs, and all of them wait for it. */
static bool
group_answer(struct world *w, struct question *q)
{
	bool hangs = false;

	q->together = w->grouped ? reader_group(q->wants + q->at, q->q.want_count - q->at)
				 : 1;
	for (size_t i = q->at; w->grouped && i < q->at + q->together; i++) {
		struct guest *g = guest_of(w, q->wants[i].uuid);
		if (g->hangs && g->taken_by == 0 && q->wants[i].how != READ_LOOK)
			g->taken_by = q->q.ticket;
		hangs = hangs || (g->hangs && g->taken_by == q->q.ticket);
	}
	for (size_t i = q->at; !hangs && i < q->at + q->together; i++)
		hangs = !guest_answer(w, q, i);
	return !hangs;
}

/* Everything that can be answered is; a question that hangs stays. */
static bool
question_run(struct world *w, struct question *q)
{
	struct meter_answer over = { .kind = ANSWER_OVER, .ok = true };

	if (q->q.lane == LANE_SITE)
		; /* neither pools nor networks here */
	else if (q->q.lane == LANE_FAST) {
		struct meter_answer a = { .kind = ANSWER_ROUND };
		round_new(&a.round);
		for (size_t i = 0; i < GUESTS; i++)
			if (w->guests[i].id > 0)
				fast_fill(w, &w->guests[i], &a.round);
		a.round.all = true;
		a.round.host.user_ns.has = a.round.host.idle_ns.has = true;
		a.round.host.idle_ns.value = (uint64_t)(2 * (w->now - w->booted));
		answer(w, q, &a);
	} else
		for (; q->at < q->q.want_count; q->at += q->together) {
			if (!group_answer(w, q))
				return false;
			q->since = w->now;
			if (q->abandoned)
				break;
		}
	over.kind = q->abandoned ? ANSWER_RETURNED : ANSWER_OVER;
	answer(w, q, &over);
	return true;
}

static void
questions_run(struct world *w)
{
	size_t stuck = 0;

	for (size_t i = 0; i < w->question_count;) {
		struct question q = w->questions[i];
		if (!question_run(w, &w->questions[i])) {
			i++;
			stuck++;
			continue;
		}
		free(q.wants);
		w->question_count--;
		memmove(&w->questions[i], &w->questions[i + 1],
		    (w->question_count - i) * sizeof(*w->questions));
	}
	if (stuck > w->stuck_most)
		w->stuck_most = stuck;
}

/* ---- the database */

static void
store(void *context, struct store_job *job)
{
	struct world *w = context;

	assert_null(w->job);
	w->job = job;
	w->job_since = w->now;
}

static char *
snapshot(const struct world *w)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "t\t%lld\n", (long long)w->turn);
	if (w->taken) {
		buf_puts(&b, "end\n");
		return buf_take(&b);
	}
	buf_printf(&b, "h\t1\t" HOST_UUID "\tkvm1\tqemu:///x\tf\t%s\t\\N\n",
	    w->cpu_total);
	if (w->zone != NULL)
		buf_printf(&b, "z\t%s\t0\t1800\na\t7\t%s\t0\n", w->zone, w->zone);
	for (size_t i = 0; i < GUESTS; i++) {
		const struct guest *g = &w->guests[i];
		if (g->told_id == 0)
			continue;
		size_t disk = w->swapped && i < 2 ? 1 - i : i;
		int owner = i == 2 ? w->owner : 7;
		buf_printf(&b, "v\t%d\t%zu\t%s\t1\t" HOST_UUID "/%lld\t%lld\t\\N\tt\n",
		    owner, 100 + i, g->uuid, (long long)g->told_id,
		    (long long)(g->told_begun / NS_PER_US));
		buf_printf(&b, "d\t%d\t%zu\t%zu\tvda\tt\n", owner, 200 + disk, 100 + i);
	}
	buf_puts(&b, "end\n");
	return buf_take(&b);
}

static const char *
value(const char *line, size_t i)
{
	static char text[4][200];
	static size_t turn;
	char *values[VALUES] = { NULL };
	scoped_free char *copy = mem_strdup(line);

	assert_int_equal(line_split(copy, values, VALUES), VALUES);
	turn = (turn + 1) % 4;
	(void)snprintf(text[turn], sizeof(text[turn]), "%s",
	    values[i] != NULL ? values[i] : "");
	return text[turn];
}

/* As meter_window_put has it: the later one, or one that ends earlier. */
static bool
later(const char *line, const char *than)
{
	int order = strcmp(value(line, VALUE_THROUGH), value(than, VALUE_THROUGH));

	return order > 0 ||
	    (order == 0 && strcmp(value(line, VALUE_TO), value(than, VALUE_TO)) < 0);
}

static void
window_put(struct world *w, const char *line)
{
	struct row *r = w->rows;
	char key[128];

	store_key(line, key);
	while (r < w->rows + w->row_count && strcmp(r->key, key) != 0)
		r++;
	if (r == w->rows + w->row_count) {
		assert_true(w->row_count++ < ROWS);
		(void)snprintf(r->key, sizeof(r->key), "%s", key);
		r->line = mem_strdup(line);
	} else if (later(line, r->line)) {
		free(r->line);
		r->line = mem_strdup(line);
	}
}

static char *
last_rows(const struct world *w, const char *ids)
{
	struct buf b = BUF_INIT;
	char wanted[32];

	for (const char *p = ids; p != NULL; p = strchr(p + 1, ',')) {
		const struct row *best = NULL;
		(void)snprintf(wanted, sizeof(wanted), "%lld",
		    strtoll(p + (*p == ','), NULL, 10));
		for (const struct row *r = w->rows; r < w->rows + w->row_count; r++)
			if (strcmp(value(r->line, 1), wanted) == 0 &&
			    (best == NULL ||
				strcmp(value(r->line, VALUE_THROUGH),
				    value(best->line, VALUE_THROUGH)) > 0))
				best = r;
		if (best != NULL)
			buf_printf(&b, "%s\n", best->line);
	}
	buf_putc(&b, '\n');
	return buf_take(&b);
}

static void
rows_put(struct world *w, struct store_job *job)
{
	for (size_t i = 0; i < job->row_count; i++) {
		struct store_row *r = &job->rows[i];
		if (w->refuse != NULL && strstr(r->line, w->refuse) != NULL) {
			r->refused = true;
			job->refused++;
			w->refused++;
			(void)snprintf(job->why, sizeof(job->why), "out of range");
		} else if (r->kind == STORE_WINDOW)
			window_put(w, r->line);
		if (r->kind == STORE_CONTACT_OK)
			(void)snprintf(w->cpu_total, sizeof(w->cpu_total), "%s",
			    strrchr(r->line, '\t') + 1);
		w->late += r->kind == STORE_LATE;
		r->waits = r->kind == STORE_LATE && w->waits;
		w->gaps += r->kind == STORE_GAP;
		w->gaps_blocked += r->kind == STORE_GAP &&
		    strstr(r->line, "its guest's control channel was taken") != NULL;
		w->sampled += r->kind == STORE_SAMPLED;
	}
}

/* As collector_beat() and collector_fence() have it. */
static bool
lease_run(struct world *w, struct store_job *job)
{
	struct store_lease *l = &job->lease;

	if (w->renamed || (job->what == STORE_WRITE && l->turn != w->turn)) {
		job->ok = false;
		job->lost = true;
		(void)err_set(&job->e, ERR_CONFLICT, "the turn is over");
		return false;
	}
	if (job->what == STORE_GIVE) {
		w->given++;
		w->taken = true;
		w->surplus = 0;
	}
	if (job->what != STORE_BEAT)
		return true;
	l->turn = w->turn;
	l->known = l->alive = w->collectors;
	l->held = w->taken ? 0 : 1;
	l->surplus = w->surplus;
	return true;
}

static void
database_run(struct world *w)
{
	struct store_job *job = w->job;

	if (job == NULL || w->frozen)
		return;
	w->job = NULL;
	job->ok = !w->away;
	if (w->away)
		(void)err_set(&job->e, ERR_GONE, "database: away");
	else if (!lease_run(w, job) || job->what == STORE_BEAT || job->what == STORE_GIVE)
		;
	else if (job->what == STORE_READ)
		job->text = snapshot(w);
	else if (job->what == STORE_LAST)
		job->text = last_rows(w, job->ids);
	else
		rows_put(w, job);
	meter_stored(w->meter, job, (struct moment){ { w->now }, { w->now } });
}

static void
alert(void *context, const char *rule, const char *unused_object unused, bool raised,
    const char *unused_text unused)
{
	struct world *w = context;

	if (strcmp(rule, "vm.monitor.blocked") == 0)
		*(raised ? &w->blocked_at : &w->idle_at) = w->now;
	if (strcmp(rule, "database.down") == 0)
		*(raised ? &w->down_at : &w->back_at) = w->now;
	if (strcmp(rule, "meter.row.refused") == 0 && raised)
		w->refused_at = w->now;
}

static void
status(void *unused_context unused, const char *unused_text unused)
{
}

/* ---- time */

static void
collector_start(struct world *w)
{
	const struct meter_settings settings = { STEP, 60 * NS_PER_S, 5 * NS_PER_S,
		"kvm1", "kvm1", "1:1" };
	const struct meter_ports ports = { w, ask, progress, abandon, forget, store,
		alert, status };
	struct err e = ERR_INIT;

	assert_true(keep_open(&w->keep, w->folder, &e));
	w->meter = meter_new(&settings, &ports, w->keep, NULL);
}

/* What was under way is lost, like everything in memory. */
static void
collector_kill(struct world *w)
{
	for (size_t i = 0; i < w->question_count; i++)
		free(w->questions[i].wants);
	w->question_count = 0;
	store_job_free(w->job);
	w->job = NULL;
	meter_free(w->meter);
	keep_close(w->keep);
}

static void
run_until(struct world *w, int64_t end)
{
	while (w->now < end) {
		struct moment now = { { w->now }, { w->now } };
		int64_t next = meter_tick(w->meter, now).ns;
		questions_run(w);
		database_run(w);
		/* An answer may make something due at once. */
		if (meter_tick(w->meter, now).ns <= w->now || next <= w->now)
			next = w->now + NS_PER_MS;
		if (next > w->now + 50 * NS_PER_MS)
			next = w->now + 50 * NS_PER_MS;
		w->now = next < end ? next : end;
	}
}

static void
run_for(struct world *w, int64_t seconds)
{
	run_until(w, w->now + seconds * NS_PER_S);
}

static void
guest_start(struct world *w, size_t i, int64_t id)
{
	struct guest *g = &w->guests[i];

	g->id = g->told_id = id;
	g->begun = g->told_begun = w->now;
	g->base = 0;
}

static struct world *
world_new(void)
{
	struct world *w = mem_alloc(sizeof(*w));

	/* Many small commits: in memory, where there is such a folder. */
	(void)snprintf(w->folder, sizeof(w->folder), "%s/jeoul-unit-rounds-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->folder));
	w->now = BEGIN;
	w->owner = 7;
	w->turn = 1;
	w->collectors = 1;
	w->booted = BEGIN - 5000 * NS_PER_S;
	(void)snprintf(w->cpu_total, sizeof(w->cpu_total), "\\N");
	for (size_t i = 0; i < GUESTS; i++) {
		(void)snprintf(w->guests[i].uuid, READ_UUID_MAX,
		    "00000000-0000-4000-8000-%012zu", i);
		guest_start(w, i, (int64_t)i + 1);
	}
	collector_start(w);
	return w;
}

static void
world_free(struct world *w)
{
	scoped_free char *command = mem_printf("rm -r %s", w->folder);

	collector_kill(w);
	for (size_t i = 0; i < w->row_count; i++)
		free(w->rows[i].line);
	assert_int_equal(system(command), 0);
	free(w);
}

/* What the rows of a resource come to. */
static uint64_t
sum_of(const struct world *w, size_t resource, size_t column)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->row_count; i++)
		if (strtoull(value(w->rows[i].line, 1), NULL, 10) == resource)
			sum += strtoull(value(w->rows[i].line, column), NULL, 10);
	return sum;
}

/* All that a guest has used up to a sample of the last step is in the rows. */
static void
assert_cpu(const struct world *w, size_t i, uint64_t truth)
{
	uint64_t sum = sum_of(w, 100 + i, VALUE_CPU);

	if (sum > truth || truth - sum > (uint64_t)(STEP + 2 * NS_PER_S) / 4)
		print_error("guest %zu: %llu of %llu\n", i, (unsigned long long)sum,
		    (unsigned long long)truth);
	assert_true(sum <= truth && truth - sum <= (uint64_t)(STEP + 2 * NS_PER_S) / 4);
}

/* ---- what must hold */

static void
all_is_counted_to_the_last_sample(void **unused_state unused)
{
	struct world *w = world_new();

	run_for(w, 3 * 3600);
	for (size_t i = 0; i < GUESTS; i++) {
		assert_cpu(w, i, cpu_of(&w->guests[i], w->now));
		assert_true(w->guests[i].worst_fast <= STEP + NS_PER_S);
	}
	assert_true(disk_of(&w->guests[0], w->now) - sum_of(w, 200, VALUE_READ) <=
	    (uint64_t)(75 * NS_PER_S / 1000));
	assert_int_equal(w->gaps, 0);
	world_free(w);
}

static void
hang_one(bool grouped)
{
	struct world *w = world_new();
	struct guest *g = &w->guests[1];
	int64_t hung;
	uint64_t others;

	w->grouped = grouped;
	run_for(w, 303);
	g->hangs = true;
	g->hung_at = hung = w->now;
	for (size_t i = 0; i < GUESTS; i++)
		w->guests[i].worst_fast = 0;
	others = sum_of(w, 202, VALUE_READ);
	run_for(w, 200);
	assert_true(w->blocked_at != 0 && w->blocked_at - hung <= 15 * NS_PER_S);
	for (size_t i = 0; i < GUESTS; i++)
		assert_true(w->guests[i].worst_fast <= STEP + NS_PER_S);
	assert_true(
	    sum_of(w, 202, VALUE_READ) - others >= (uint64_t)(60 * NS_PER_S / 1000));
	assert_int_equal(w->stuck_most, 1);
	assert_true(w->idle_at == 0);
	/* Its disk goes on where it stood, and is caught up soon. */
	g->hangs = false;
	g->taken_by = 0;
	g->begun += w->now - hung; /* a stopped guest reads nothing */
	g->base = (w->now - hung) / 4;
	run_for(w, 15);
	assert_true(w->idle_at != 0);
	assert_true(disk_of(g, w->now) - sum_of(w, 201, VALUE_READ) <=
	    (uint64_t)(15 * NS_PER_S / 1000));
	/* That it was not measured is told once, with why. */
	assert_int_equal(w->gaps, 1);
	assert_int_equal(w->gaps_blocked, 1);
	world_free(w);
}

static void
a_guest_that_hangs_delays_itself_alone(void **unused_state unused)
{
	hang_one(false);
}

static void
one_that_hangs_in_a_call_with_others_is_found_and_they_go_on(void **unused_state unused)
{
	hang_one(true);
}

static void
hang_all(bool grouped)
{
	struct world *w = world_new();

	w->grouped = grouped;
	run_for(w, 100);
	for (size_t i = 0; i < GUESTS; i++) {
		w->guests[i].hangs = true;
		w->guests[i].hung_at = w->now;
		w->guests[i].worst_fast = 0;
	}
	run_for(w, 600);
	assert_true(w->stuck_most <= 4);
	for (size_t i = 0; i < GUESTS; i++)
		assert_true(w->guests[i].worst_fast <= STEP + NS_PER_S);
	world_free(w);
}

static void
however_many_guests_hang_only_so_many_calls_do(void **unused_state unused)
{
	hang_all(false);
	hang_all(true);
}

static void
a_frozen_database_delays_no_sample(void **unused_state unused)
{
	struct world *w = world_new();

	run_for(w, 300);
	w->frozen = true;
	run_for(w, 2 * 3600);
	assert_true(w->down_at != 0);
	for (size_t i = 0; i < GUESTS; i++)
		assert_true(w->guests[i].worst_fast <= STEP + NS_PER_S);
	w->frozen = false;
	run_for(w, 60);
	assert_true(w->back_at != 0);
	for (size_t i = 0; i < GUESTS; i++)
		assert_cpu(w, i, cpu_of(&w->guests[i], w->now));
	world_free(w);
}

static void
killed_while_the_database_is_away_it_goes_on_from_its_own_disk(void **unused_state unused)
{
	struct world *w = world_new();

	run_for(w, 3700);
	w->away = true;
	run_for(w, 1800);
	for (int i = 0; i < 3; i++) {
		collector_kill(w);
		collector_start(w);
		w->frozen = i == 1;
		for (size_t g = 0; g < GUESTS; g++)
			w->guests[g].worst_fast = 0;
		run_for(w, 4000);
		for (size_t g = 0; g < GUESTS; g++)
			assert_true(w->guests[g].last_fast > w->now - STEP - NS_PER_S);
	}
	w->away = w->frozen = false;
	run_for(w, 60);
	for (size_t i = 0; i < GUESTS; i++)
		assert_cpu(w, i, cpu_of(&w->guests[i], w->now));
	/* And once more from the database alone. */
	collector_kill(w);
	collector_start(w);
	run_for(w, 3700);
	for (size_t i = 0; i < GUESTS; i++)
		assert_cpu(w, i, cpu_of(&w->guests[i], w->now));
	world_free(w);
}

static void
windows_of_an_outage_are_those_of_an_undisturbed_run(void **unused_state unused)
{
	struct world *calm = world_new();
	struct world *rough = world_new();

	run_for(calm, 5 * 3600);
	run_for(rough, 3000);
	rough->away = true;
	run_for(rough, 3 * 3600);
	collector_kill(rough);
	collector_start(rough);
	run_for(rough, 600);
	rough->away = false;
	run_until(rough, BEGIN + 5 * 3600 * NS_PER_S);
	assert_int_equal(calm->row_count, rough->row_count);
	for (size_t i = 0; i < calm->row_count; i++) {
		const struct row *a = &calm->rows[i];
		const struct row *b = rough->rows;
		uint64_t x;
		uint64_t y;
		while (b < rough->rows + rough->row_count && strcmp(a->key, b->key) != 0)
			b++;
		assert_true(b < rough->rows + rough->row_count);
		x = strtoull(value(a->line, VALUE_CPU), NULL, 10);
		y = strtoull(value(b->line, VALUE_CPU), NULL, 10);
		/* Samples of both runs end an hour at most a step apart. */
		assert_true((x > y ? x - y : y - x) <= (uint64_t)STEP / 4);
	}
	world_free(calm);
	world_free(rough);
}

static void
a_row_that_is_refused_blocks_no_other(void **unused_state unused)
{
	struct world *w = world_new();

	w->refuse = "\t102\t"; /* the guest and its disk */
	run_for(w, 3 * 3600);
	assert_true(w->refused_at != 0 && w->refused > 0 && w->refused < 400);
	for (size_t i = 0; i < GUESTS; i++)
		if (i != 2)
			assert_cpu(w, i, cpu_of(&w->guests[i], w->now));
	assert_int_equal(sum_of(w, 102, VALUE_CPU), 0);
	/* Mended by a person: the open row comes again by itself. */
	w->refuse = NULL;
	run_for(w, 70);
	assert_true(sum_of(w, 102, VALUE_CPU) > 0);
	world_free(w);
}

/* libvirt's ids begin anew with libvirtd: same id, other run, counters already higher. */
static void
a_run_with_the_id_of_an_earlier_one_is_counted_whole(void **unused_state unused)
{
	struct world *w = world_new();
	struct guest *g = &w->guests[0];
	uint64_t before;

	run_for(w, 600);
	before = sum_of(w, 100, VALUE_CPU);
	collector_kill(w);
	guest_start(w, 0, g->id);
	run_until(w, w->now); /* nobody looks for a while */
	w->now += 3600 * NS_PER_S;
	collector_start(w);
	run_for(w, 300);
	assert_true(cpu_of(g, w->now) > before);
	assert_cpu(w, 0, before + cpu_of(g, w->now));
	/* The other guests' runs went on: libvirtd's restart is none of theirs. */
	assert_cpu(w, 1, cpu_of(&w->guests[1], w->now));
	world_free(w);
}

static void
a_run_is_counted_from_when_it_is_written_down_and_once(void **unused_state unused)
{
	struct world *w = world_new();
	struct guest *g = &w->guests[3];
	uint64_t before;

	run_for(w, 600);
	before = sum_of(w, 103, VALUE_CPU);
	g->id = 9; /* started anew; provision is busy and writes it down later */
	g->begun = w->now;
	run_for(w, 40);
	assert_int_equal(sum_of(w, 103, VALUE_CPU), before);
	g->told_id = g->id;
	g->told_begun = w->now; /* which it saw only now */
	run_for(w, 60);
	assert_cpu(w, 3, before + cpu_of(g, w->now));
	/* A restart of the collector does not make another run of it. */
	collector_kill(w);
	collector_start(w);
	run_for(w, 60);
	assert_cpu(w, 3, before + cpu_of(g, w->now));
	world_free(w);
}

static void
a_run_that_nobody_saw_begin_is_found_by_its_cpu_time(void **unused_state unused)
{
	struct world *w = world_new();
	struct guest *g = &w->guests[2];
	uint64_t cpu;

	run_for(w, 600);
	cpu = sum_of(w, 102, VALUE_CPU);
	g->begun = w->now; /* same id, and provision knows nothing */
	run_for(w, 100);
	assert_cpu(w, 2, cpu + cpu_of(g, w->now));
	collector_kill(w);
	collector_start(w);
	run_for(w, 100);
	assert_cpu(w, 2, cpu + cpu_of(g, w->now));
	/* Provision notices late and says that it began then: no second count. */
	g->told_begun = w->now;
	run_for(w, 100);
	assert_cpu(w, 2, cpu + cpu_of(g, w->now));
	world_free(w);
}

/* After a failure of power guests come up by themselves, often with the ids of before. */
static void
runs_of_a_host_that_was_booted_anew_are_counted_whole(void **unused_state unused)
{
	struct world *w = world_new();
	uint64_t before[GUESTS];

	run_for(w, 600);
	collector_kill(w);
	w->booted = w->now + 60 * NS_PER_S;
	for (size_t i = 0; i < GUESTS; i++) {
		before[i] = sum_of(w, 100 + i, VALUE_CPU);
		w->guests[i].begun = w->booted;
	}
	w->now += 1800 * NS_PER_S; /* all counters are higher by now */
	collector_start(w);
	run_for(w, 300);
	for (size_t i = 0; i < GUESTS; i++)
		assert_cpu(w, i, before[i] + cpu_of(&w->guests[i], w->now));
	assert_true(disk_of(&w->guests[0], w->now) + 150 * 1000000 <=
	    sum_of(w, 200, VALUE_READ) + 75 * 1000000);
	collector_kill(w);
	collector_start(w);
	run_for(w, 300);
	for (size_t i = 0; i < GUESTS; i++)
		assert_cpu(w, i, before[i] + cpu_of(&w->guests[i], w->now));
	world_free(w);
}

static void
local_hours_cut_the_windows(void **unused_state unused)
{
	struct world *w = world_new();
	size_t halves = 0;

	w->zone = "Asia/Kolkata";
	run_for(w, 2 * 3600);
	for (size_t i = 0; i < w->row_count; i++)
		halves += strstr(value(w->rows[i].line, VALUE_FROM), ":30:00") != NULL;
	/* 22:30 and 23:30, of 4 guests and 4 disks. */
	assert_int_equal(halves, 16);
	for (size_t i = 0; i < GUESTS; i++)
		assert_cpu(w, i, cpu_of(&w->guests[i], w->now));
	world_free(w);
}

/* No instant lies in two rows of a resource, whoever has them. */
static void
assert_apart(const struct world *w)
{
	for (size_t i = 0; i < w->row_count; i++)
		for (size_t k = 0; k < w->row_count; k++) {
			const char *a = w->rows[i].line;
			const char *b = w->rows[k].line;
			if (i == k || strcmp(value(a, 1), value(b, 1)) != 0)
				continue;
			if (strcmp(value(a, VALUE_FROM), value(b, VALUE_FROM)) <= 0 &&
			    strcmp(value(a, VALUE_TO), value(b, VALUE_FROM)) > 0) {
				print_error("%s\n%s\n", a, b);
				fail();
			}
		}
}

/* Also within an hour, also back again, also by a collector that was away meanwhile. */
static void
a_row_ends_where_its_resource_is_handed_over(void **unused_state unused)
{
	struct world *w = world_new();

	for (int turn = 0; turn < 4; turn++) {
		run_for(w, 150);
		w->swapped = !w->swapped;
		w->owner = 15 - w->owner;
	}
	run_for(w, 150);
	collector_kill(w);
	w->swapped = !w->swapped;
	w->owner = 15 - w->owner;
	collector_start(w);
	run_for(w, 5400);
	assert_apart(w);
	assert_cpu(w, 2, cpu_of(&w->guests[2], w->now));
	world_free(w);
}

static void
who_asks_for_a_sample_is_told_when_it_is_in(void **unused_state unused)
{
	struct world *w = world_new();
	uint64_t truth;

	run_for(w, 100);
	truth = disk_of(&w->guests[0], w->now);
	meter_hint(w->meter, "jeoul_sample", w->guests[0].uuid,
	    (struct moment){ { w->now }, { w->now } });
	run_for(w, 1);
	assert_int_equal(w->sampled, 1);
	assert_true(sum_of(w, 200, VALUE_READ) >= truth);
	/* Of a guest that hangs as well, after the deadline: nobody waits for ever. */
	w->guests[1].hangs = true;
	w->guests[1].hung_at = w->now;
	meter_hint(w->meter, "jeoul_sample", w->guests[1].uuid,
	    (struct moment){ { w->now }, { w->now } });
	run_for(w, 7);
	assert_int_equal(w->sampled, 2);
	world_free(w);
}

/* ---- leases */

static void
who_was_replaced_asks_nobody_and_its_rows_come_late(void **unused_state unused)
{
	struct world *w = world_new();
	size_t rows;

	run_for(w, 600);
	w->away = true; /* for us alone */
	run_for(w, 600);
	w->away = false;
	w->turn = 2; /* another took the host meanwhile */
	w->taken = true;
	w->collectors = 2;
	rows = w->row_count;
	run_for(w, 2);
	w->guests[0].last_fast = w->guests[0].worst_fast = 0;
	run_for(w, 60);
	assert_true(w->guests[0].last_fast == 0); /* nobody was asked */
	assert_true(w->late >= 8);                /* four guests and their disks */
	assert_int_equal(w->row_count, rows); /* none was written as if it were ours */
	rows = w->late;
	run_for(w, 120);
	assert_int_equal(w->late, rows); /* once said is enough */
	world_free(w);
}

static void
late_rows_that_wait_are_kept_over_a_restart(void **unused_state unused)
{
	struct world *w = world_new();
	size_t late;

	run_for(w, 600);
	w->away = true;
	run_for(w, 60);
	collector_kill(w);
	w->away = false;
	w->turn = 2;
	w->taken = w->waits = true;
	w->collectors = 2;
	collector_start(w);
	run_for(w, 120);
	late = w->late;
	assert_true(late >= 16); /* again and again */
	collector_kill(w);
	w->waits = false;
	collector_start(w);
	run_for(w, 30);
	assert_true(w->late >= late + 8);
	late = w->late;
	run_for(w, 120);
	assert_int_equal(w->late, late);
	world_free(w);
}

static void
a_host_too_many_is_given_away_when_all_of_it_is_written(void **unused_state unused)
{
	struct world *w = world_new();
	uint64_t seen;

	run_for(w, 605);
	w->surplus = 1;
	w->collectors = 2;
	run_for(w, 10);
	assert_int_equal(w->given, 1);
	seen = cpu_of(&w->guests[0], w->guests[0].last_fast);
	assert_true(sum_of(w, 100, VALUE_CPU) == seen);
	w->guests[0].last_fast = 0;
	run_for(w, 60);
	assert_true(w->guests[0].last_fast == 0);
	assert_int_equal(w->late, 0); /* our turn goes on */
	world_free(w);
}

static void
a_host_is_not_given_away_while_the_database_is_away(void **unused_state unused)
{
	struct world *w = world_new();

	run_for(w, 600);
	w->surplus = 1;
	run_for(w, 1);
	w->away = true;
	run_for(w, 10);
	w->guests[0].last_fast = w->guests[0].worst_fast = 0;
	run_for(w, 600);
	assert_int_equal(w->given, 0);
	assert_true(w->guests[0].worst_fast <= STEP + NS_PER_S);
	world_free(w);
}

static void
of_two_of_one_name_the_earlier_is_idle(void **unused_state unused)
{
	struct world *w = world_new();

	run_for(w, 600);
	w->renamed = true;
	run_for(w, 5);
	w->guests[0].last_fast = 0;
	run_for(w, 60);
	assert_true(w->guests[0].last_fast == 0);
	world_free(w);
}

static void
what_follows_a_row_of_another_turn_begins_with_the_first_look(void **unused_state unused)
{
	struct world *w = world_new();
	int64_t from;
	struct err e = ERR_INIT;
	struct instant t = { 0 };

	run_for(w, 600);
	collector_kill(w);
	w->turn = 2;
	w->collectors = 2;
	from = w->now;
	collector_start(w);
	run_for(w, 300);
	assert_cpu(w, 0, cpu_of(&w->guests[0], w->now));
	for (size_t i = 0; i < w->row_count; i++) {
		const char *line = w->rows[i].line;
		if (store_turn(line) != 2)
			continue;
		assert_true(instant_parse(&t, value(line, VALUE_FROM), &e));
		assert_true(t.ns >= from);
	}
	assert_true(t.ns != 0);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_counted_to_the_last_sample),
		cmocka_unit_test(a_guest_that_hangs_delays_itself_alone),
		cmocka_unit_test(
		    one_that_hangs_in_a_call_with_others_is_found_and_they_go_on),
		cmocka_unit_test(however_many_guests_hang_only_so_many_calls_do),
		cmocka_unit_test(a_frozen_database_delays_no_sample),
		cmocka_unit_test(
		    killed_while_the_database_is_away_it_goes_on_from_its_own_disk),
		cmocka_unit_test(windows_of_an_outage_are_those_of_an_undisturbed_run),
		cmocka_unit_test(a_row_that_is_refused_blocks_no_other),
		cmocka_unit_test(a_run_with_the_id_of_an_earlier_one_is_counted_whole),
		cmocka_unit_test(a_run_is_counted_from_when_it_is_written_down_and_once),
		cmocka_unit_test(a_run_that_nobody_saw_begin_is_found_by_its_cpu_time),
		cmocka_unit_test(runs_of_a_host_that_was_booted_anew_are_counted_whole),
		cmocka_unit_test(local_hours_cut_the_windows),
		cmocka_unit_test(a_row_ends_where_its_resource_is_handed_over),
		cmocka_unit_test(who_asks_for_a_sample_is_told_when_it_is_in),
		cmocka_unit_test(who_was_replaced_asks_nobody_and_its_rows_come_late),
		cmocka_unit_test(late_rows_that_wait_are_kept_over_a_restart),
		cmocka_unit_test(a_host_too_many_is_given_away_when_all_of_it_is_written),
		cmocka_unit_test(a_host_is_not_given_away_while_the_database_is_away),
		cmocka_unit_test(of_two_of_one_name_the_earlier_is_idle),
		cmocka_unit_test(
		    what_follows_a_row_of_another_turn_begins_with_the_first_look),
	};

	log_open("meter_rounds", LOG_TO_STDERR, LOG_LVL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
