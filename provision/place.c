/* SPDX-License-Identifier: Apache-2.0 */
/* place: which host a VM goes to: filters say where it may, a strategy in which order */
#include "provision/place.h"
#include "base/clock.h"
#include "base/mem.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The best candidates come first from the database: hardly ever are more asked for. */
enum { FIRST_PAGE = 64, ALL_HOSTS = 100000 };

/* ---- filters */

typedef bool (*filter_keeps)(const struct candidate *c, const struct place_request *w);

static bool
keeps_asked(const struct candidate *c, const struct place_request *w)
{
	return (w->host_id == 0 || c->id == w->host_id) &&
	    (w->avoid_host_id == 0 || c->id != w->avoid_host_id) &&
	    (w->zone_id == 0 || c->zone_id == w->zone_id) &&
	    (w->pod_id == 0 || c->pod_id == w->pod_id) &&
	    (w->cluster_id == 0 || c->cluster_id == w->cluster_id);
}

static bool
keeps_up(const struct candidate *c, const struct place_request *unused_w unused)
{
	return c->up;
}

static bool
keeps_enabled(const struct candidate *c, const struct place_request *unused_w unused)
{
	return c->enabled;
}

static bool
keeps_real(const struct candidate *c, const struct place_request *w)
{
	return !c->simulated || w->simulated_too || w->host_id == c->id;
}

static bool
keeps_dedication(const struct candidate *c, const struct place_request *unused_w unused)
{
	return (c->dedicated_account == 0 && c->dedicated_domain == 0) ||
	    c->dedicated_to_us;
}

static bool
keeps_ha(const struct candidate *c, const struct place_request *w)
{
	return !c->ha_only || w->for_ha;
}

static bool
list_has(const char *list, const char *word, size_t length)
{
	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ",");
		if (n == length && strncmp(p, word, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static bool
keeps_tags(const struct candidate *c, const struct place_request *w)
{
	for (const char *p = w->tags; *p != '\0';) {
		size_t n = strcspn(p, ",");
		if (n > 0 && !list_has(c->tags, p, n))
			return false;
		p += n + (p[n] == ',');
	}
	return true;
}

static bool
keeps_affinity(const struct candidate *c, const struct place_request *w)
{
	return c->affinity != AFFINITY_ENEMY &&
	    (!w->keep_together || c->affinity == AFFINITY_MEMBER);
}

static bool
keeps_cpu(const struct candidate *c, const struct place_request *w)
{
	return c->holds || c->vcpus_room - c->vcpus_used >= w->vcpus;
}

static bool
keeps_memory(const struct candidate *c, const struct place_request *w)
{
	return c->holds || c->memory_room - c->memory_used >= w->memory_bytes;
}

struct filter {
	filter_keeps keeps;
	const char *says; /* what those are that it takes out */
};

static const struct filter filters[] = {
	{ keeps_asked, "elsewhere than asked for" },
	{ keeps_real, "simulated" },
	{ keeps_up, "not answering" },
	{ keeps_enabled, "in maintenance or disabled" },
	{ keeps_dedication, "dedicated to others" },
	{ keeps_ha, "kept for failures" },
	{ keeps_tags, "without the tags of the offering" },
	{ keeps_affinity, "against its affinity groups" },
	{ keeps_cpu, "without enough virtual CPUs free" },
	{ keeps_memory, "without enough memory free" },
};

/* Those that stay move to the front. */
static size_t
filter_all(const struct place_request *want, struct candidate *list, size_t count,
    struct buf *explain)
{
	size_t taken[ARRAY_LEN(filters)] = { 0 };
	size_t kept = 0;
	const char *comma = ": ";

	for (size_t i = 0; i < count; i++) {
		size_t f = 0;
		while (f < ARRAY_LEN(filters) && filters[f].keeps(&list[i], want))
			f++;
		if (f < ARRAY_LEN(filters))
			taken[f]++;
		else if (kept++ != i)
			list[kept - 1] = list[i];
	}
	if (explain == NULL)
		return kept;
	buf_printf(explain, "%zu host%s", count, count == 1 ? "" : "s");
	for (size_t f = 0; f < ARRAY_LEN(filters); f++)
		if (taken[f] > 0) {
			buf_printf(explain, "%s%zu %s", comma, taken[f], filters[f].says);
			comma = ", ";
		}
	return kept;
}

/* ---- strategies: which of two comes first */

typedef int (*place_before)(const void *a, const void *b);

static int
by_number(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int64_t
memory_free(const struct candidate *c)
{
	return c->memory_room - c->memory_used;
}

/* A wish of its groups goes before everything else. */
static int
by_wish(const struct candidate *x, const struct candidate *y)
{
	return (x->soft_enemy - y->soft_enemy) * 2 + (y->soft_friend - x->soft_friend);
}

static int
before_simple(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order = by_wish(x, y);

	if (order == 0)
		order = by_number(memory_free(y), memory_free(x));
	return order != 0 ? order : by_number(x->id, y->id);
}

static int
before_first(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order = by_wish(x, y);

	return order != 0 ? order : by_number(x->id, y->id);
}

static int
before_spread(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order = by_wish(x, y);

	if (order == 0)
		order = by_number(x->own_vms, y->own_vms);
	return order != 0 ? order : before_simple(a, b);
}

static int
before_pack(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order = by_wish(x, y);

	if (order == 0)
		order = by_number(memory_free(x), memory_free(y));
	return order != 0 ? order : by_number(x->id, y->id);
}

/* Per mille of free memory, of free virtual CPUs, and neighbours of the same account. */
enum { WEIGHT_MEMORY = 2, WEIGHT_CPU = 1, WEIGHT_NEIGHBOUR = 20, PER_MILLE = 1000 };

static int64_t
weight(const struct candidate *c)
{
	int64_t memory = c->memory_room > 0
	    ? memory_free(c) / (c->memory_room / PER_MILLE + 1)
	    : 0;
	int64_t cpu = c->vcpus_room > 0
	    ? (c->vcpus_room - c->vcpus_used) * PER_MILLE / c->vcpus_room
	    : 0;

	return WEIGHT_MEMORY * memory + WEIGHT_CPU * cpu - WEIGHT_NEIGHBOUR * c->own_vms;
}

static int
before_filter(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order = by_wish(x, y);

	if (order == 0)
		order = by_number(weight(y), weight(x));
	return order != 0 ? order : by_number(x->id, y->id);
}

/* How the database hands candidates over, so that the first page is the right one. */
enum page { PAGE_MOST_FREE, PAGE_LEAST_FREE, PAGE_BY_ID, PAGE_FROM_DICE, PAGE_ALL };

struct strategy {
	const char *name;
	place_before before;
	enum page page;
	bool dice;
};

static const struct strategy strategies[] = {
	{ "simple", before_simple, PAGE_MOST_FREE, false },
	{ "chance", before_first, PAGE_FROM_DICE, true },
	{ "filter", before_filter, PAGE_ALL, false },
	{ "firstfit", before_first, PAGE_BY_ID, false },
	{ "spread", before_spread, PAGE_ALL, false },
	{ "pack", before_pack, PAGE_LEAST_FREE, false },
};

static const struct strategy *
strategy_of(const char *name)
{
	for (size_t i = 0; name != NULL && i < ARRAY_LEN(strategies); i++)
		if (strcmp(strategies[i].name, name) == 0)
			return &strategies[i];
	return &strategies[0];
}

const char *
place_strategy_at(size_t index)
{
	return index < ARRAY_LEN(strategies) ? strategies[index].name : NULL;
}

/* xorshift: spreads well enough, and the same dice throw the same. */
static uint32_t
dice_next(uint32_t *dice)
{
	uint32_t x = *dice != 0 ? *dice : 0x9e3779b9;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *dice = x;
}

static void
shuffle(struct candidate *list, size_t count, uint32_t dice)
{
	for (size_t i = count; i > 1; i--) {
		size_t k = dice_next(&dice) % i;
		struct candidate c = list[i - 1];
		list[i - 1] = list[k];
		list[k] = c;
	}
}

size_t
place_order(const char *strategy, const struct place_request *want,
    struct candidate *list, size_t count, struct buf *explain)
{
	const struct strategy *s = strategy_of(strategy);
	size_t kept = filter_all(want, list, count, explain);

	if (s->dice)
		shuffle(list, kept, want->dice);
	else if (kept > 1)
		qsort(list, kept, sizeof(*list), s->before);
	return kept;
}

/* ---- from the tables */

static const unsigned pages[] = {
	[PAGE_MOST_FREE] = STMT_PLACE_MOST_FREE,
	[PAGE_LEAST_FREE] = STMT_PLACE_LEAST_FREE,
	[PAGE_BY_ID] = STMT_PLACE_BY_ID,
	[PAGE_FROM_DICE] = STMT_PLACE_FROM,
	[PAGE_ALL] = STMT_PLACE_BY_ID,
};

static void
candidate_read(struct candidate *c, const struct rows *r, size_t i)
{
	memset(c, 0, sizeof(*c));
	c->id = rows_i64(r, i, 0);
	(void)snprintf(c->name, sizeof(c->name), "%s", rows_text(r, i, 1));
	c->zone_id = rows_i64(r, i, 2);
	c->pod_id = rows_i64(r, i, 3);
	c->cluster_id = rows_i64(r, i, 4);
	c->up = rows_bool(r, i, 5);
	c->enabled = rows_bool(r, i, 6);
	c->simulated = rows_bool(r, i, 7);
	c->ha_only = rows_bool(r, i, 8);
	(void)snprintf(c->tags, sizeof(c->tags), "%s", rows_text(r, i, 9));
	c->dedicated_account = rows_i64(r, i, 10);
	c->dedicated_domain = rows_i64(r, i, 11);
	c->dedicated_to_us = rows_bool(r, i, 12);
	c->memory_room = rows_i64(r, i, 13);
	c->memory_used = rows_i64(r, i, 14);
	c->vcpus_room = rows_i64(r, i, 15);
	c->vcpus_used = rows_i64(r, i, 16);
	c->own_vms = rows_i64(r, i, 17);
	c->holds = rows_bool(r, i, 18);
}

static struct candidate *
candidate_of(struct candidate *list, size_t count, int64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

/* Where the other members of its groups are. */
static bool
affinity_read(struct db *db, struct place_vm *p, struct candidate *list, size_t count,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	p->want.keep_together = false;
	if (!db_query(db, STMT_PLACE_AFFINITY,
		DB_ARGS(DB_NUMBER(p->account_id), DB_NUMBER(p->vm_id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct candidate *c = candidate_of(list, count, rows_i64(r, i, 1));
		const char *kind = rows_text(r, i, 0);
		bool soft = strncmp(kind, "non-strict", 10) == 0;
		bool anti = strstr(kind, "anti") != NULL;
		p->want.keep_together = p->want.keep_together || (!soft && !anti);
		if (c == NULL)
			continue;
		if (soft && anti)
			c->soft_enemy = true;
		else if (soft)
			c->soft_friend = true;
		else if (anti)
			c->affinity = AFFINITY_ENEMY;
		else if (c->affinity == AFFINITY_NONE)
			c->affinity = AFFINITY_MEMBER;
	}
	return true;
}

static bool
page_read(struct db *db, struct place_vm *p, unsigned stmt, int64_t limit,
    struct candidate **list, size_t *count, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, stmt,
		DB_ARGS(DB_NUMBER(p->account_id), DB_NUMBER(p->vm_id), DB_NUMBER(limit),
		    DB_NUMBER(p->want.dice)),
		&r, e))
		return false;
	*count = rows_count(r);
	*list = mem_array(*count, sizeof(**list));
	for (size_t i = 0; i < *count; i++)
		candidate_read(&(*list)[i], r, i);
	if (affinity_read(db, p, *list, *count, e))
		return true;
	free(*list);
	*list = NULL;
	return false;
}

bool
place_why_not(struct db *db, struct place_vm *p, int64_t host_id, const char **says,
    struct err *e)
{
	struct candidate *list = NULL;
	size_t count = 0;
	const struct candidate *c;

	*says = NULL;
	if (!page_read(db, p, STMT_PLACE_ALL, ALL_HOSTS, &list, &count, e))
		return false;
	c = candidate_of(list, count, host_id);
	if (c == NULL)
		*says = "gone";
	for (size_t f = 0; c != NULL && *says == NULL && f < ARRAY_LEN(filters); f++)
		if (!filters[f].keeps(c, &p->want))
			*says = filters[f].says;
	free(list);
	return true;
}

/* The first page, and all hosts when nothing in it will do. */
bool
place_look(struct db *db, struct place_vm *p, struct candidate **list, size_t *count,
    struct buf *explain, struct err *e)
{
	const struct strategy *s = strategy_of(p->strategy);
	scoped(rows_clear) struct rows *r = NULL;
	size_t found = 0;
	bool narrow = s->page != PAGE_ALL && p->want.host_id == 0;

	if (!db_query(db, STMT_PLACE_ONLY_SIMULATED, DB_NONE, &r, e))
		return false;
	p->want.simulated_too = rows_bool(r, 0, 0);
	p->want.dice = (uint32_t)clock_mono().ns;
	if (narrow) {
		if (!page_read(db, p, pages[s->page], FIRST_PAGE, list, &found, e))
			return false;
		*count = place_order(s->name, &p->want, *list, found, NULL);
		if (*count > 0)
			return true;
		free(*list);
		*list = NULL;
	}
	if (!page_read(db, p, STMT_PLACE_ALL, ALL_HOSTS, list, &found, e))
		return false;
	*count = place_order(s->name, &p->want, *list, found, explain);
	return true;
}

struct taking {
	struct place_vm *p;
	struct candidate c;
	bool taken;
};

static bool
room_hold(struct db *db, const struct place_vm *p, int64_t host_id, struct rows **r,
    struct err *e)
{
	char account[24];
	char vm[24];
	char host[24];

	(void)db_number(p->account_id, account);
	(void)db_number(p->vm_id, vm);
	(void)db_number(host_id, host);
	return p->moves ? db_query(db, STMT_VM_MOVE_HOLD,
			      DB_ARGS(account, vm, host, DB_NUMBER(p->want.vcpus),
				  DB_NUMBER(p->want.memory_bytes)),
			      r, e)
			: db_query(db, STMT_VM_HOLD,
			      DB_ARGS(account, vm, host, DB_NUMBER(p->want.vcpus),
				  DB_NUMBER(p->want.memory_bytes), "f"),
			      r, e);
}

/* Under the lock of its groups their members are looked at once more: two that keep apart
 * may be placed at the same time. */
static bool
take_one(struct db *db, void *context, struct err *e)
{
	struct taking *t = context;
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *held = NULL;
	struct place_vm *p = t->p;

	t->taken = false;
	if (!db_query(db, STMT_PLACE_GROUPS_HOLD,
		DB_ARGS(DB_NUMBER(p->account_id), DB_NUMBER(p->vm_id)), &r, e))
		return false;
	if (rows_count(r) > 0) {
		t->c.affinity = AFFINITY_NONE;
		if (!affinity_read(db, p, &t->c, 1, e))
			return false;
		if (!keeps_affinity(&t->c, &p->want))
			return true;
	}
	if (!room_hold(db, p, t->c.id, &held, e))
		return false;
	t->taken = rows_count(held) > 0;
	return !t->taken || p->moves ||
	    db_run(db, STMT_VM_PLACE,
		DB_ARGS(DB_NUMBER(p->account_id), DB_NUMBER(p->vm_id),
		    DB_NUMBER(t->c.id)),
		NULL, e);
}

bool
place_choose(struct db *db, struct place_vm *p, int64_t *host_id, struct err *e)
{
	scoped(buf_done) struct buf explain = BUF_INIT;
	struct candidate *list = NULL;
	size_t count = 0;
	struct taking t = { .p = p };
	bool ok;

	/* Others take from the same list: it is read again while it leads anywhere. */
	for (int tries = 0; tries < 8 && !t.taken; tries++) {
		buf_clear(&explain);
		if (!place_look(db, p, &list, &count, &explain, e))
			return false;
		ok = true;
		for (size_t i = 0; ok && i < count && !t.taken; i++) {
			t.c = list[i];
			ok = db_transaction(db, take_one, &t, e);
		}
		free(list);
		list = NULL;
		if (!ok)
			return false;
		if (count == 0)
			break;
	}
	if (!t.taken)
		return err_set(e, ERR_LIMIT,
		    "no host has room for %lld virtual CPUs and %lld MiB of memory: %s: "
		    "add a host, or stop or destroy machines",
		    (long long)p->want.vcpus, (long long)(p->want.memory_bytes >> 20),
		    explain.length > 0 ? buf_text(&explain) : "others were faster");
	*host_id = t.c.id;
	return true;
}
