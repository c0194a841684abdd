/* SPDX-License-Identifier: Apache-2.0 */
/* scenario: the text that scenario.py writes; trusted, so a mistake in it only ends us */
#include "base/counter.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <stdlib.h>
#include <string.h>

enum { WORDS_MOST = 1024 };

#define ADD(list, count) grown(&(list), &(count), sizeof(*(list)))

struct reading {
	struct scenario *s;
	struct sim_guest *guest;
	struct sim_run *run;
	char *word[WORDS_MOST];
	size_t count;
};

/* Room for one more, zeroed, at the end of a list that grows by doubling. */
static void *
grown(void *list_at, size_t *count, size_t size)
{
	void **list = list_at;

	if ((*count & (*count - 1)) == 0)
		*list = mem_resize(*list, *count == 0 ? 1 : 2 * *count, size);
	return memset((char *)*list + (*count)++ * size, 0, size);
}

static int64_t
number(const struct reading *r, size_t i)
{
	return i < r->count ? strtoll(r->word[i], NULL, 10) : 0;
}

static void
text(char out[SIM_NAME], const struct reading *r, size_t i)
{
	if (i < r->count)
		(void)snprintf(out, SIM_NAME, "%s", r->word[i]);
}

static void
set_read(struct reading *r)
{
	struct meter_settings *set = &r->s->settings;

	if (strcmp(r->word[1], "collectors") == 0)
		r->s->collectors = number(r, 2);
	else if (strcmp(r->word[1], "step") == 0)
		set->step_ns = number(r, 2);
	else if (strcmp(r->word[1], "guarded") == 0)
		set->guarded_ns = number(r, 2);
	else if (strcmp(r->word[1], "deadline") == 0)
		set->deadline_ns = number(r, 2);
}

static void
zone_read(struct reading *r)
{
	struct sim_zone *z = ADD(r->s->zones, r->s->zone_count);

	text(z->name, r, 1);
	z->since = number(r, 2);
	z->shift = number(r, 3);
}

static void
account_read(struct reading *r)
{
	struct sim_account *a = ADD(r->s->accounts, r->s->account_count);

	a->id = number(r, 1);
	text(a->zone, r, 2);
}

static void
host_read(struct reading *r)
{
	struct sim_host *h = ADD(r->s->hosts, r->s->host_count);

	h->id = number(r, 1);
	text(h->uuid, r, 2);
	h->simulated = number(r, 3) != 0;
	(void)snprintf(h->uri, sizeof(h->uri), "sim:%lld", (long long)h->id);
}

static size_t
bucket_of(const char *uuid)
{
	return counter_epoch(uuid) % SIM_BUCKETS;
}

static void
guest_read(struct reading *r)
{
	struct sim_guest *g = mem_alloc(sizeof(*g));
	size_t b;

	g->rid = number(r, 1);
	text(g->uuid, r, 2);
	b = bucket_of(g->uuid);
	g->next = r->s->guests[b];
	r->s->guests[b] = g;
	r->guest = g;
}

static void
run_read(struct reading *r)
{
	struct sim_run **place = ADD(r->s->runs, r->s->run_count);

	r->run = *place = mem_alloc(sizeof(*r->run));
	r->run->guest = r->guest;
	r->run->host_id = number(r, 1);
	r->run->domid = number(r, 2);
	r->run->begin = number(r, 3);
	r->run->end = number(r, 4);
}

static void
part_read(struct reading *r)
{
	struct sim_part *p = ADD(r->run->parts, r->run->count);

	p->kind = r->word[1][0];
	p->rid = number(r, 2);
	text(p->name, r, 3);
	text(p->port, r, 4);
	p->begin = number(r, 5);
	p->end = number(r, 6);
}

static void
piece_read(struct reading *r)
{
	struct sim_part *part = &r->run->parts[r->run->count - 1];
	struct sim_piece *p = ADD(part->pieces, part->count);

	p->at = number(r, 1);
	p->count = (size_t)number(r, 2);
	p->values = mem_array(p->count, sizeof(*p->values));
	for (size_t i = 0; i < p->count && 4 + 2 * i < r->count; i++) {
		p->values[i].has = strcmp(r->word[3 + 2 * i], "-") != 0;
		p->values[i].v = strtoull(r->word[3 + 2 * i], NULL, 10);
		p->values[i].rate = strtoull(r->word[4 + 2 * i], NULL, 10);
	}
}

static void
tx_read(struct reading *r)
{
	struct sim_tx *t = ADD(r->s->txs, r->s->tx_count);

	t->at = number(r, 1);
}

static void
statement_read(struct reading *r)
{
	struct sim_tx *t = &r->s->txs[r->s->tx_count - 1];
	struct sim_statement *st = ADD(t->statements, t->count);

	for (size_t i = 1; i < r->count && st->count < SIM_WORDS; i++)
		st->words[st->count++] = mem_strdup(r->word[i]);
}

/* How each word's values lie: w who, u uuid, h how, f from, t to, m more, M most. */
static const struct {
	const char *word, *values;
} faults[] = { { "clock", "fm" }, { "slow", "wftmM" }, { "down", "wft" },
	{ "hang", "wft" }, { "twice", "wft" }, { "swap", "wft" }, { "sharp", "wft" },
	{ "db", "ft" }, { "db_lost", "ft" }, { "db_slow", "ft" }, { "kill", "wfmt" },
	{ "stop", "wft" }, { "cut", "wft" }, { "torn", "wfh" }, { "full", "wft" },
	{ "hint", "fu" }, { "event", "fwu" }, { "busy", "wfth" } };

static void
fault_value(struct sim_fault *f, char letter, const struct reading *r, size_t i)
{
	switch (letter) {
	case 'w':
		f->who = number(r, i);
		break;
	case 'u':
		text(f->uuid, r, i);
		break;
	case 'h':
		text(f->how, r, i);
		break;
	case 'f':
		f->from = number(r, i);
		break;
	case 't':
		f->to = number(r, i);
		break;
	case 'm':
		f->more = number(r, i);
		break;
	default:
		f->most = number(r, i);
	}
}

static bool
fault_read(struct reading *r)
{
	for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
		struct sim_fault *f;
		if (strcmp(faults[k].word, r->word[0]) != 0)
			continue;
		f = ADD(r->s->faults, r->s->fault_count);
		(void)snprintf(f->word, sizeof(f->word), "%s", r->word[0]);
		for (size_t i = 0; faults[k].values[i] != '\0'; i++)
			fault_value(f, faults[k].values[i], r, i + 1);
		return true;
	}
	return false;
}

static void
start_read(struct reading *r)
{
	r->s->start = number(r, 1);
}

static void
until_read(struct reading *r)
{
	r->s->until = number(r, 1);
}

static void
seed_read(struct reading *r)
{
	r->s->seed = number(r, 2);
}

static const struct {
	const char *word;
	void (*read)(struct reading *r);
} verbs[] = { { "sim", seed_read }, { "start", start_read }, { "until", until_read },
	{ "set", set_read }, { "zone", zone_read }, { "account", account_read },
	{ "host", host_read }, { "guest", guest_read }, { "run", run_read },
	{ "part", part_read }, { "piece", piece_read }, { "tx", tx_read },
	{ ".", statement_read } };

static bool
line_read(struct reading *r)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].word, r->word[0]) == 0) {
			verbs[i].read(r);
			return true;
		}
	return fault_read(r);
}

static void
words_split(struct reading *r, char *line)
{
	char *rest = line;
	char *word;

	r->count = 0;
	while (r->count < WORDS_MOST && (word = strsep(&rest, " \n")) != NULL)
		if (*word != '\0')
			r->word[r->count++] = word;
}

/* Those of one instant keep the order of the text: the fault of sorting is a tie. */
static int
tx_order(const void *a, const void *b)
{
	const struct sim_tx *x = a;
	const struct sim_tx *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static void
txs_sort(struct scenario *s)
{
	for (size_t i = 1; i < s->tx_count; i++) {
		struct sim_tx t = s->txs[i];
		size_t k = i;
		if (tx_order(&s->txs[i - 1], &t) <= 0)
			continue;
		for (; k > 0 && tx_order(&s->txs[k - 1], &t) > 0; k--)
			s->txs[k] = s->txs[k - 1];
		s->txs[k] = t;
	}
}

bool
scenario_read(struct scenario *s, FILE *f, struct err *e)
{
	struct reading *r = mem_alloc(sizeof(*r));
	char *line = NULL;
	size_t room = 0;
	bool ok = true;

	r->s = s;
	while (ok && getline(&line, &room, f) > 0) {
		words_split(r, line);
		if (r->count == 0 || r->word[0][0] == '#')
			continue;
		if (strcmp(r->word[0], "end") == 0)
			break;
		if (!line_read(r))
			ok = err_set(e, ERR_INPUT, "no such statement: %s", r->word[0]);
	}
	free(line);
	free(r);
	txs_sort(s);
	return ok;
}

struct sim_host *
scenario_host(struct scenario *s, int64_t id)
{
	for (size_t i = 0; i < s->host_count; i++)
		if (s->hosts[i].id == id)
			return &s->hosts[i];
	return NULL;
}

struct sim_guest *
scenario_guest(struct scenario *s, const char *uuid)
{
	struct sim_guest *g = s->guests[bucket_of(uuid)];

	while (g != NULL && strcmp(g->uuid, uuid) != 0)
		g = g->next;
	return g;
}

const struct sim_fault *
scenario_fault(const struct scenario *s, const char *word, int64_t who, int64_t t)
{
	if (t >= s->until)
		return NULL; /* after the end all is well again */
	for (size_t i = 0; i < s->fault_count; i++) {
		const struct sim_fault *f = &s->faults[i];
		if (f->from <= t && t < f->to && f->who == who &&
		    strcmp(f->word, word) == 0)
			return f;
	}
	return NULL;
}

struct instant
scenario_wall(const struct scenario *s, int64_t t)
{
	struct instant wall = { t };

	for (size_t i = 0; i < s->fault_count; i++)
		if (strcmp(s->faults[i].word, "clock") == 0 && s->faults[i].from <= t)
			wall.ns += s->faults[i].more;
	return wall;
}
