/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter_crowd HOSTS EACH STEP_S [FOLDER]: the collector's own code with so many made-up
 * hosts of so many guests with a card and a disk, in virtual time; a round is one step of
 * all of them.  Hosts and the database answer at once and cost next to nothing.  With a
 * folder graphs are drawn and rows are kept there.
 */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/meter.h"
#include "tests/bench/bench.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN (1795000000LL * NS_PER_S)

struct question {
	int64_t ticket, host_id;
	enum meter_lane_kind lane;
	struct read_want *wants;
	size_t want_count;
};

struct crowd {
	struct meter *meter;
	int64_t now, step_ns;
	size_t hosts, each;
	uint64_t samples;
	struct question *questions;
	size_t question_count, question_room;
	struct store_job *job;
	FILE *inventory; /* made once, and not in memory: neither is the collector's */
	size_t inventory_length;
};

static struct moment
moment_of(const struct crowd *c)
{
	return (struct moment){ { c->now }, { c->now } };
}

/* ---- hosts */

static void
ask(void *context, const struct meter_question *q)
{
	struct crowd *c = context;

	if (c->question_count == c->question_room) {
		c->question_room = c->question_room == 0 ? 64 : 2 * c->question_room;
		c->questions = mem_resize(c->questions, c->question_room,
		    sizeof(*c->questions));
	}
	struct read_want *wants = mem_array(q->want_count, sizeof(*wants));

	if (q->want_count > 0)
		memcpy(wants, q->wants, q->want_count * sizeof(*wants));
	c->questions[c->question_count++] = (struct question){ q->ticket, q->host_id,
		q->lane, wants, q->want_count };
}

static bool
progress(void *unused_context unused, int64_t unused_ticket unused,
    struct meter_progress *unused_out unused)
{
	return false;
}

static void
nothing(void *unused_context unused, int64_t unused_id unused)
{
}

static void
uuid_of(char out[READ_UUID_MAX], size_t i)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(out, "00000000-1111-4111-8111-000000000000", READ_UUID_MAX);
	for (size_t at = 8; at-- > 0; i /= 16)
		out[at] = hex[i % 16];
}

static size_t
number_of(const char *uuid)
{
	return (size_t)strtoul(uuid, NULL, 16);
}

/* Two vCPUs and a card each; all of it goes up by the microsecond. */
static void
guest_fill(const struct crowd *c, struct read_round *round, size_t i)
{
	struct read_vm *vm = &round->list[round->count++];
	uint64_t used = (uint64_t)(c->now - BEGIN) / 4;

	uuid_of(vm->uuid, i);
	vm->domain_id = (int64_t)(i % c->each) + 1;
	vm->at.ns = c->now;
	vm->fast = true;
	vm->cpu_ns = 2 * used;
	vm->memory_kib = 1024 * 1024;
	vm->vcpu_count = 2;
	vm->vcpu_ns = arena_alloc(round->arena, 2 * sizeof(*vm->vcpu_ns));
	vm->vcpu_ns[0] = vm->vcpu_ns[1] = used;
	vm->nic_count = 1;
	vm->nics = arena_alloc(round->arena, sizeof(*vm->nics));
	(void)snprintf(vm->nics[0].mac, sizeof(vm->nics[0].mac), "52:54:00:00:00:00");
	vm->nics[0].rx_bytes = vm->nics[0].tx_bytes = used / 1000;
}

static struct meter_answer
answer_of(const struct question *q, enum meter_answer_kind kind)
{
	return (struct meter_answer){ .kind = kind,
		.ok = true,
		.ticket = q->ticket,
		.host_id = q->host_id,
		.lane = q->lane };
}

static void
round_answer(struct crowd *c, const struct question *q)
{
	struct meter_answer a = answer_of(q, ANSWER_ROUND);

	for (size_t i = 0; i < c->each; i += READ_PIECE) {
		size_t n = c->each - i < READ_PIECE ? c->each - i : READ_PIECE;
		a.round = (struct read_round){ .arena = arena_new(),
			.all = true,
			.more = i + n < c->each,
			.before = i };
		a.round.list = arena_alloc(a.round.arena, n * sizeof(*a.round.list));
		for (size_t g = i; g < i + n; g++)
			guest_fill(c, &a.round, (size_t)(q->host_id - 1) * c->each + g);
		c->samples += a.round.count;
		meter_take(c->meter, &a, moment_of(c));
		arena_free(a.round.arena);
	}
}

/* Guest by guest, those whose disk is wanted. */
static void
guarded_answer(struct crowd *c, const struct question *q)
{
	uint64_t used = (uint64_t)(c->now - BEGIN) / 4000;
	struct read_disk disk = { "vda", used, used, used, used, { used, true },
		{ used, true }, { used, true } };

	for (size_t i = 0; i < q->want_count; i++) {
		struct meter_answer a = answer_of(q, ANSWER_ROUND);
		struct read_vm vm = { .guarded = true,
			.at = { c->now },
			.disk_count = 1,
			.disks = &disk,
			.memory.rss = { used, true } };
		if (q->wants[i].how != READ_FULL)
			continue;
		memcpy(vm.uuid, q->wants[i].uuid, sizeof(vm.uuid));
		memcpy(a.uuid, vm.uuid, sizeof(a.uuid));
		vm.domain_id = (int64_t)(number_of(vm.uuid) % c->each) + 1;
		a.round = (struct read_round){ .list = &vm, .count = 1 };
		meter_take(c->meter, &a, moment_of(c));
	}
}

static void
questions_answer(struct crowd *c)
{
	struct question *all = c->questions;
	size_t count = c->question_count;

	c->questions = NULL;
	c->question_count = c->question_room = 0;
	for (size_t i = 0; i < count; i++) {
		struct meter_answer over = answer_of(&all[i], ANSWER_OVER);
		if (all[i].lane == LANE_FAST)
			round_answer(c, &all[i]);
		else if (all[i].lane == LANE_GUARDED)
			guarded_answer(c, &all[i]);
		meter_take(c->meter, &over, moment_of(c));
		free(all[i].wants);
	}
	free(all);
}

/* ---- the database */

static void
store(void *context, struct store_job *job)
{
	((struct crowd *)context)->job = job;
}

static void
inventory_make(struct crowd *c)
{
	struct buf b = BUF_INIT;
	char uuid[READ_UUID_MAX];

	b.limit = (size_t)512 << 20;
	for (size_t h = 1; h <= c->hosts; h++)
		buf_printf(&b,
		    "h\t%zu\thost-%zu\tmade-up-%zu\tmade-up:///%zu\tf\t\\N\t\\N\n", h, h,
		    h, h);
	for (size_t i = 0; i < c->hosts * c->each; i++) {
		uuid_of(uuid, i);
		buf_printf(&b, "v\t1\t%zu\t%s\t%zu\thost-%zu/%zu\t%lld\t\\N\tf\n",
		    3 * i + 1000000, uuid, i / c->each + 1, i / c->each + 1,
		    i % c->each + 1, BEGIN / NS_PER_US);
		buf_printf(&b,
		    "n\t1\t%zu\t%zu\t52:54:00:00:00:00\tf\n"
		    "d\t1\t%zu\t%zu\tvda\tf\n",
		    3 * i + 1000001, 3 * i + 1000000, 3 * i + 1000002, 3 * i + 1000000);
	}
	buf_puts(&b, "end\n");
	c->inventory = tmpfile();
	c->inventory_length = b.length;
	if (c->inventory == NULL || fwrite(b.data, 1, b.length, c->inventory) != b.length)
		abort(); /* no disk, no bench */
	buf_done(&b);
}

static char *
inventory(const struct crowd *c)
{
	char *text = mem_alloc(c->inventory_length + 1);

	rewind(c->inventory);
	if (fread(text, 1, c->inventory_length, c->inventory) != c->inventory_length)
		abort();
	return text;
}

static void
database_answer(struct crowd *c)
{
	struct store_job *job = c->job;

	c->job = NULL;
	job->ok = true;
	if (job->what == STORE_READ)
		job->text = inventory(c);
	else if (job->what == STORE_LAST)
		job->text = mem_strdup("");
	meter_stored(c->meter, job, moment_of(c));
}

static void
alert(void *unused_context unused, const char *rule, const char *object, bool raised,
    const char *text)
{
	(void)fprintf(stderr, "%s %s %d: %s\n", rule, object, raised, text);
}

static void
status(void *unused_context unused, const char *unused_text unused)
{
}

/* ---- time */

static uint64_t
step(void *context)
{
	struct crowd *c = context;
	const int64_t end = c->now + c->step_ns;

	c->samples = 0;
	while (c->now < end) {
		int64_t next = meter_tick(c->meter, moment_of(c)).ns;
		bool busy = c->question_count > 0 || c->job != NULL;
		questions_answer(c);
		if (c->job != NULL)
			database_answer(c);
		/* Ten looks a second: what is due within is due together. */
		if (!busy)
			c->now = next > c->now + NS_PER_S / 10 ? next
							       : c->now + NS_PER_S / 10;
	}
	return c->samples;
}

static bool
folder_use(const char *folder, const struct meter_settings *set, struct keep **keep,
    struct rrd_store **rrd)
{
	const struct rrd_settings graphs = { folder, set->step_ns, set->guarded_ns, 0,
		"" };
	struct err e = ERR_INIT;

	*rrd = rrd_store_new(&graphs);
	if (keep_open(keep, folder, &e))
		return true;
	(void)fprintf(stderr, "%s\n", e.text);
	return false;
}

int
main(int argc, char **argv)
{
	struct crowd c = { .now = BEGIN + NS_PER_S };
	struct meter_settings set = { .deadline_ns = 5 * NS_PER_S };
	const struct meter_ports ports = { &c, ask, progress, nothing, nothing, store,
		alert, status };
	struct rrd_store *rrd = NULL;
	struct keep *keep = NULL;

	if (argc < 4) {
		(void)fprintf(stderr, "usage: meter_crowd HOSTS EACH STEP_S [FOLDER]\n");
		return 2;
	}
	c.hosts = (size_t)strtoul(argv[1], NULL, 10);
	c.each = (size_t)strtoul(argv[2], NULL, 10);
	c.step_ns = set.step_ns = strtol(argv[3], NULL, 10) * NS_PER_S;
	set.guarded_ns = 6 * set.step_ns;
	(void)mallopt(M_ARENA_MAX, 2); /* as the program has it */
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	log_open("meter_crowd", LOG_TO_STDERR, LOG_LVL_ERROR);
	if (argc > 4 && !folder_use(argv[4], &set, &keep, &rrd))
		return 1;
	inventory_make(&c);
	c.meter = meter_new(&set, &ports, keep, rrd);
	(void)bench_serve(step, &c, 0);
	return 0;
}
