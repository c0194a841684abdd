/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables: the database in memory, with the rules of sql/query/meter.sql for what the
 * collector asks of it; real.py runs the same scenarios over PostgreSQL to prove it
 */
#include "base/buf.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter_stmt.gen.h"
#include "tests/sim/sim.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 34, BUCKETS = 8192, CELLS_MOST = 40 };
#define DAY_US (86400 * INT64_C(1000000))
#define HOUR_US (3600 * INT64_C(1000000))
#define NEVER INT64_MIN

struct lifetime {
	int64_t account, rid, from, to; /* us; to NEVER: open */
	char open_reason[SIM_NAME], close_reason[SIM_NAME];
};

struct vm_row {
	int64_t rid, account, host;
	char uuid[SIM_NAME], epoch[96];
	bool removed;
};

struct device_row {
	char kind; /* n or d */
	int64_t rid, account, vm, created;
	char name[SIM_NAME];
	bool removed;
};

struct cut_row {
	int64_t account, at;
};

struct grain_row {
	int64_t account, seconds;
};

/* A row of usage_window: its values as a line, times in us. */
struct window {
	struct window *next; /* of its resource, newest first */
	int64_t account, rid, from, to, through;
	char *line;
};

struct resource {
	struct resource *next;
	int64_t rid;
	struct window *windows;
};

struct noted { /* a gap or a refusal, by its key */
	char *key, *rest;
	unsigned count;
};

struct staged {
	unsigned stmt;
	char **values;
	size_t count;
};

struct db {
	struct scenario *s;
	struct sim_leases *leases;
	enum sim_db_mood mood;
	int64_t now; /* us */
	struct vm_row *vms;
	struct device_row *devices;
	struct lifetime *lifetimes;
	struct cut_row *cuts;
	struct grain_row *grains;
	struct noted *gaps, *refused;
	bool sorted; /* devices and lifetimes are in their order */
	size_t vm_count, device_count, lifetime_count, cut_count, grain_count, gap_count,
	    refused_count;
	struct resource *resources[BUCKETS];
	struct staged *staged;
	size_t staged_count;
};

struct rows {
	struct arena *arena;
	const char *(*cells)[CELLS_MOST];
	size_t count, columns, room;
};

#define ADD(list, count) grown(&(list), &(count), sizeof(*(list)))

static void *
grown(void *list_at, size_t *count, size_t size)
{
	void **list = list_at;

	if ((*count & (*count - 1)) == 0)
		*list = mem_resize(*list, *count == 0 ? 1 : 2 * *count, size);
	return memset((char *)*list + (*count)++ * size, 0, size);
}

static int64_t
number(const char *text)
{
	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

struct db *
sim_db_new(struct scenario *s)
{
	struct db *db = mem_alloc(sizeof(*db));

	db->s = s;
	db->leases = sim_leases_new(s);
	return db;
}

void
sim_db_mood(struct db *db, enum sim_db_mood mood)
{
	db->mood = mood;
}

void
sim_db_now(struct db *db, struct instant now)
{
	db->now = now.ns / NS_PER_US;
}

/* ---- what the provisioning core does */

static struct vm_row *
vm_find(struct db *db, int64_t rid)
{
	for (size_t i = 0; i < db->vm_count; i++)
		if (db->vms[i].rid == rid && !db->vms[i].removed)
			return &db->vms[i];
	return NULL;
}

static int64_t
us_of(const char *ns)
{
	return number(ns) / NS_PER_US;
}

static struct lifetime *
lifetime_open_of(struct db *db, int64_t rid)
{
	for (size_t i = 0; i < db->lifetime_count; i++)
		if (db->lifetimes[i].rid == rid && db->lifetimes[i].to == NEVER)
			return &db->lifetimes[i];
	return NULL;
}

/* The table's constraints: one open at most, and none overlaps; then nothing is done. */
static void
lifetime_open(struct db *db, int64_t account, int64_t rid, int64_t from,
    const char *reason)
{
	struct lifetime *l;

	for (size_t i = 0; i < db->lifetime_count; i++) {
		l = &db->lifetimes[i];
		if (l->rid == rid && (l->to == NEVER || l->to > from) &&
		    l->account == account)
			return;
	}
	l = ADD(db->lifetimes, db->lifetime_count);
	db->sorted = false;
	*l = (struct lifetime){ account, rid, from, NEVER, "", "" };
	(void)snprintf(l->open_reason, sizeof(l->open_reason), "%s", reason);
}

static void
lifetime_close(struct db *db, int64_t rid, int64_t to, const char *reason)
{
	struct lifetime *l = lifetime_open_of(db, rid);

	if (l == NULL)
		return;
	l->to = to > l->from ? to : l->from + 1;
	(void)snprintf(l->close_reason, sizeof(l->close_reason), "%s", reason);
}

/* The words behind the fixed ones are one text with blanks. */
static const char *
words_join(const struct sim_statement *st, size_t from, char out[SIM_NAME])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = from; i < st->count && used + 1 < SIM_NAME; i++)
		used += (size_t)snprintf(out + used, SIM_NAME - used, "%s%s",
		    i > from ? " " : "", st->words[i]);
	return out;
}

static void
do_vm(struct db *db, char **w)
{
	struct vm_row *v = ADD(db->vms, db->vm_count);

	v->rid = number(w[1]);
	v->account = number(w[2]);
	(void)snprintf(v->uuid, sizeof(v->uuid), "%s", w[3]);
	v->host = number(w[4]);
}

static void
do_device(struct db *db, char **w)
{
	struct device_row *d = ADD(db->devices, db->device_count);

	db->sorted = false;
	d->kind = w[0][0] == 'n' ? 'n' : 'd';
	d->rid = number(w[1]);
	d->account = number(w[2]);
	d->vm = number(w[3]);
	(void)snprintf(d->name, sizeof(d->name), "%s", w[4]);
	d->created = us_of(w[5]);
}

static void
do_own(struct db *db, int64_t vm, int64_t account, int64_t at)
{
	struct vm_row *v = vm_find(db, vm);
	struct lifetime *open = lifetime_open_of(db, vm);

	if (v == NULL || v->account == account)
		return;
	v->account = account;
	for (size_t i = 0; i < db->device_count; i++)
		if (db->devices[i].vm == vm && !db->devices[i].removed)
			db->devices[i].account = account;
	if (open == NULL)
		return;
	lifetime_close(db, vm, at, "assigned");
	lifetime_open(db, account, vm, lifetime_open_of(db, vm) == NULL ? open->to : at,
	    "assigned");
}

static void
do_end(struct db *db, int64_t vm)
{
	struct vm_row *v = vm_find(db, vm);

	if (v != NULL)
		v->removed = true;
	for (size_t i = 0; i < db->device_count; i++)
		if (db->devices[i].vm == vm)
			db->devices[i].removed = true;
}

static void
do_grain(struct db *db, int64_t account, int64_t seconds)
{
	struct grain_row *g;

	for (size_t i = 0; i < db->grain_count; i++)
		if (db->grains[i].account == account) {
			db->grains[i].seconds = seconds;
			return;
		}
	g = ADD(db->grains, db->grain_count);
	*g = (struct grain_row){ account, seconds };
}

static void
do_cut(struct db *db, int64_t account, int64_t at)
{
	struct cut_row *c = ADD(db->cuts, db->cut_count);

	*c = (struct cut_row){ account, at };
}

static void
do_at(struct db *db, char **w)
{
	struct vm_row *v = vm_find(db, number(w[1]));

	if (v == NULL)
		return;
	v->host = number(w[2]);
	(void)snprintf(v->epoch, sizeof(v->epoch), "%s", w[3]);
}

static void
statement_do(struct db *db, const struct sim_statement *st)
{
	char *const *word = st->words;
	char **w = (char **)(uintptr_t)word;
	char text[SIM_NAME];
	struct vm_row *v;

	if (strcmp(w[0], "vm") == 0)
		do_vm(db, w);
	else if (strcmp(w[0], "nic") == 0 || strcmp(w[0], "vol") == 0)
		do_device(db, w);
	else if (strcmp(w[0], "at") == 0)
		do_at(db, w);
	else if (strcmp(w[0], "open") == 0 && (v = vm_find(db, number(w[1]))) != NULL)
		lifetime_open(db, v->account, v->rid, us_of(w[2]),
		    words_join(st, 3, text));
	else if (strcmp(w[0], "close") == 0)
		lifetime_close(db, number(w[1]), us_of(w[2]), words_join(st, 3, text));
	else if (strcmp(w[0], "own") == 0)
		do_own(db, number(w[1]), number(w[2]), us_of(w[3]));
	else if (strcmp(w[0], "end") == 0)
		do_end(db, number(w[1]));
	else if (strcmp(w[0], "cut") == 0)
		do_cut(db, number(w[1]), us_of(w[2]));
	else if (strcmp(w[0], "grain") == 0)
		do_grain(db, number(w[1]), number(w[2]));
}

void
sim_db_commit(struct db *db, const struct sim_tx *tx)
{
	for (size_t i = 0; i < tx->count; i++)
		statement_do(db, &tx->statements[i]);
}

/* ---- answers */

static struct rows *
rows_new(size_t columns)
{
	struct rows *r = mem_alloc(sizeof(*r));

	r->arena = arena_new();
	r->columns = columns;
	return r;
}

static void
row_add(struct rows *r)
{
	if (r->count == r->room) {
		r->room = r->room == 0 ? 16 : 2 * r->room;
		r->cells = mem_resize(r->cells, r->room, sizeof(*r->cells));
	}
	memset(r->cells[r->count++], 0, sizeof(*r->cells));
}

static void
cell_text(struct rows *r, size_t column, const char *text)
{
	r->cells[r->count - 1][column] = arena_strdup(r->arena, text);
}

static void
cell_number(struct rows *r, size_t column, int64_t value)
{
	r->cells[r->count - 1][column] = arena_printf(r->arena, "%lld", (long long)value);
}

size_t
rows_count(const struct rows *r)
{
	return r->count;
}

size_t
rows_columns(const struct rows *r)
{
	return r->columns;
}

const char *
rows_text(const struct rows *r, size_t row, size_t column)
{
	return r->cells[row][column];
}

int64_t
rows_i64(const struct rows *r, size_t row, size_t column)
{
	return number(r->cells[row][column]);
}

void
rows_free(struct rows *r)
{
	if (r == NULL)
		return;
	arena_free(r->arena);
	free(r->cells);
	free(r);
}

void
rows_clear(struct rows **r)
{
	rows_free(*r);
}

/* ---- the inventory */

static void
hosts_query(struct db *db, struct rows *r, int64_t turn)
{
	for (size_t i = 0; i < db->s->host_count; i++) {
		const struct sim_host *h = &db->s->hosts[i];
		if (!sim_lease_holds(db->leases, turn, h->id))
			continue;
		row_add(r);
		cell_text(r, 0, "h");
		cell_number(r, 1, h->id);
		cell_text(r, 2, h->uuid);
		cell_text(r, 3, h->uri);
		cell_text(r, 4, h->uri);
		cell_text(r, 5, h->simulated ? "t" : "f");
	}
}

/* How far after the UTC hour the zone's hours begin at t (us). */
static int64_t
shift_at(const struct db *db, const char *zone, int64_t t)
{
	int64_t shift = 0;

	for (size_t i = 0; i < db->s->zone_count; i++)
		if (strcmp(db->s->zones[i].name, zone) == 0 &&
		    db->s->zones[i].since / NS_PER_US <= t)
			shift = db->s->zones[i].shift;
	return shift;
}

static bool
zone_shifted(const struct db *db, const char *zone)
{
	int64_t hour = db->now / HOUR_US * HOUR_US;

	return shift_at(db, zone, hour - 3 * HOUR_US) != 0 ||
	    shift_at(db, zone, hour) != 0 || shift_at(db, zone, hour + 40 * DAY_US) != 0;
}

static void
zone_put(struct rows *r, const char *zone, int64_t since, int64_t shift)
{
	row_add(r);
	cell_text(r, 0, "z");
	cell_text(r, 1, zone);
	cell_number(r, 2, since);
	cell_number(r, 3, shift);
}

static bool
zone_is_first(const struct db *db, size_t account)
{
	for (size_t i = 0; i < account; i++)
		if (strcmp(db->s->accounts[i].zone, db->s->accounts[account].zone) == 0)
			return false;
	return true;
}

static void
zones_query(struct db *db, struct rows *r)
{
	int64_t first = db->now / HOUR_US * HOUR_US - 3 * HOUR_US;

	for (size_t a = 0; a < db->s->account_count; a++) {
		const char *zone = db->s->accounts[a].zone;
		if (!zone_is_first(db, a) || !zone_shifted(db, zone))
			continue;
		zone_put(r, zone, first, shift_at(db, zone, first));
		for (size_t i = 0; i < db->s->zone_count; i++) {
			const struct sim_zone *z = &db->s->zones[i];
			int64_t since = z->since / NS_PER_US;
			if (strcmp(z->name, zone) == 0 && since > first &&
			    since <= db->now + 40 * DAY_US)
				zone_put(r, zone, since, z->shift);
		}
	}
}

static int64_t
grain_of(const struct db *db, int64_t account)
{
	for (size_t i = 0; i < db->grain_count; i++)
		if (db->grains[i].account == account)
			return db->grains[i].seconds;
	return 0;
}

static void
accounts_query(struct db *db, struct rows *r)
{
	for (size_t i = 0; i < db->s->account_count; i++) {
		const struct sim_account *a = &db->s->accounts[i];
		int64_t grain = grain_of(db, a->id);
		if (grain == 0 && !zone_shifted(db, a->zone))
			continue;
		row_add(r);
		cell_text(r, 0, "a");
		cell_number(r, 1, a->id);
		cell_text(r, 2, a->zone);
		cell_number(r, 3, grain);
	}
}

static int
cut_order(const void *a, const void *b)
{
	const struct cut_row *x = a;
	const struct cut_row *y = b;

	if (x->account != y->account)
		return x->account < y->account ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static void
cuts_query(struct db *db, struct rows *r)
{
	if (db->cut_count > 0)
		qsort(db->cuts, db->cut_count, sizeof(*db->cuts), cut_order);
	for (size_t i = 0; i < db->cut_count; i++) {
		const struct cut_row *c = &db->cuts[i];
		if (c->at <= db->now - 3 * HOUR_US || c->at >= db->now + 40 * DAY_US ||
		    c->at % HOUR_US == 0)
			continue;
		row_add(r);
		cell_text(r, 0, "c");
		cell_number(r, 1, c->account);
		cell_number(r, 2, c->at);
	}
}

static bool
begins_a_run(const struct lifetime *l)
{
	return strcmp(l->open_reason, "created") == 0 ||
	    strcmp(l->open_reason, "started") == 0 ||
	    strcmp(l->open_reason, "adopted") == 0;
}

/* By resource, then by time. */
static int
lifetime_order(const void *a, const void *b)
{
	const struct lifetime *x = a;
	const struct lifetime *y = b;

	if (x->rid != y->rid)
		return x->rid < y->rid ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

/* By VM, cards first. */
static int
device_order(const void *a, const void *b)
{
	const struct device_row *x = a;
	const struct device_row *y = b;

	if (x->vm != y->vm)
		return x->vm < y->vm ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind == 'n' ? -1 : 1;
	return (x->rid > y->rid) - (x->rid < y->rid);
}

static void
tables_sort(struct db *db)
{
	if (!db->sorted && db->device_count > 0)
		qsort(db->devices, db->device_count, sizeof(*db->devices), device_order);
	if (!db->sorted && db->lifetime_count > 0)
		qsort(db->lifetimes, db->lifetime_count, sizeof(*db->lifetimes),
		    lifetime_order);
	db->sorted = true;
}

/* The newest lifetime of a resource that began before, or NULL; they are sorted. */
static const struct lifetime *
lifetime_newest(const struct db *db, int64_t rid, int64_t before)
{
	const struct lifetime wanted = { .rid = rid, .from = before };
	size_t low = 0;
	size_t high = db->lifetime_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (lifetime_order(&db->lifetimes[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && db->lifetimes[low - 1].rid == rid ? &db->lifetimes[low - 1]
							    : NULL;
}

/* The one that the present run of the process began with. */
static const struct lifetime *
run_begin_of(const struct db *db, int64_t rid)
{
	const struct lifetime *l = lifetime_newest(db, rid, INT64_MAX);

	while (l != NULL) {
		const struct lifetime *before = lifetime_newest(db, rid, l->from);
		if (begins_a_run(l) &&
		    (before == NULL || before->to == NEVER ||
			strncmp(before->close_reason, "paused", 6) != 0))
			return l;
		l = before;
	}
	return NULL;
}

static size_t
devices_of(const struct db *db, int64_t vm)
{
	size_t low = 0;
	size_t high = db->device_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (db->devices[middle].vm < vm)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
devices_query(const struct db *db, struct rows *r, const struct vm_row *v, bool fresh,
    int64_t begun)
{
	for (size_t i = devices_of(db, v->rid);
	     i < db->device_count && db->devices[i].vm == v->rid; i++) {
		const struct device_row *d = &db->devices[i];
		if (d->removed)
			continue;
		row_add(r);
		cell_text(r, 0, d->kind == 'n' ? "n" : "d");
		cell_number(r, 1, d->account);
		cell_number(r, 2, d->rid);
		cell_number(r, 3, d->vm);
		cell_text(r, 4, d->name);
		if (fresh || begun != NEVER)
			cell_text(r, 5, fresh || d->created > begun ? "true" : "false");
	}
}

static void
inventory_query(struct db *db, struct rows *r, int64_t turn)
{
	tables_sort(db);
	for (size_t i = 0; i < db->vm_count; i++) {
		const struct vm_row *v = &db->vms[i];
		const struct lifetime *b = run_begin_of(db, v->rid);
		const struct lifetime *l = lifetime_newest(db, v->rid, INT64_MAX);
		bool fresh = b == NULL || strcmp(b->open_reason, "adopted") != 0;
		if (v->removed || !sim_lease_holds(db->leases, turn, v->host))
			continue;
		row_add(r);
		cell_text(r, 0, "v");
		cell_number(r, 1, v->account);
		cell_number(r, 2, v->rid);
		cell_text(r, 3, v->uuid);
		cell_number(r, 4, v->host);
		cell_text(r, 5, v->epoch[0] != '\0' ? v->epoch : NULL);
		if (b != NULL)
			cell_number(r, 6, b->from);
		if (l != NULL && l->to != NEVER)
			cell_number(r, 7, l->to);
		cell_text(r, 8, fresh ? "t" : "f");
		devices_query(db, r, v, fresh, b != NULL ? b->from : NEVER);
	}
}

/* ---- usage windows */

static struct resource *
resource_of(struct db *db, int64_t rid)
{
	struct resource **at = &db->resources[(uint64_t)rid % BUCKETS];

	while (*at != NULL && (*at)->rid != rid)
		at = &(*at)->next;
	if (*at == NULL) {
		*at = mem_alloc(sizeof(**at));
		(*at)->rid = rid;
	}
	return *at;
}

/* As PostgreSQL writes timestamptz: no zeros at the end of a fraction. */
static const char *
time_text(struct rows *r, int64_t us)
{
	char text[CLOCK_TEXT_MAX];
	size_t n;

	(void)instant_text((struct instant){ us * NS_PER_US }, text);
	text[10] = ' ';
	n = strlen(text) - 1; /* the Z */
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	text[n] = '\0';
	return arena_printf(r->arena, "%s+00", text);
}

static void
window_put_row(struct rows *r, const struct window *w)
{
	scoped_free char *copy = mem_strdup(w->line);
	char *values[VALUES] = { NULL };

	(void)line_split(copy, values, VALUES);
	row_add(r);
	for (size_t i = 0; i < VALUES; i++)
		cell_text(r, i, values[i]);
	r->cells[r->count - 1][2] = time_text(r, w->from);
	r->cells[r->count - 1][3] = time_text(r, w->to);
	r->cells[r->count - 1][6] = time_text(r, w->through);
}

static void
last_rows_query(struct db *db, struct rows *r, const char *ids)
{
	while (ids != NULL && *ids != '\0') {
		const struct resource *res = resource_of(db, number(ids));
		const struct window *w = res->windows;
		if (w != NULL && w->from > db->now - 62 * DAY_US)
			window_put_row(r, w);
		ids = strchr(ids, ',');
		ids += ids != NULL;
	}
}

static bool
refuse(struct err *e, const char *what)
{
	return err_set(e, ERR_INPUT, "database: %s", what);
}

static bool
integer(const char *text, int64_t most, struct err *e)
{
	char *end = NULL;
	long long v;

	if (text == NULL)
		return true;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end != '\0')
		return refuse(e, "invalid input syntax");
	if (errno == ERANGE || v > most || v < -most - 1)
		return refuse(e, "a number is out of range");
	return true;
}

static bool
list_of_integers(const char *text, struct err *e)
{
	scoped_free char *copy = mem_strdup(text);
	char *rest = copy;
	char *one;

	while (rest != NULL && (one = strsep(&rest, ",")) != NULL)
		if (!integer(one, INT64_MAX, e))
			return false;
	return true;
}

enum {
	AT_FROM = 2,
	AT_TO,
	AT_KIND,
	AT_VM,
	AT_THROUGH,
	AT_EPOCH,
	AT_SUMS,
	AT_RAW = 16,
	AT_VCPUS,
	AT_SAMPLES = 24,
	AT_RESETS,
	AT_SIMULATED,
	AT_GAUGES,
	AT_TURN = 33
};

static bool
not_null(const char *const *v, size_t from, size_t to, struct err *e)
{
	for (size_t i = from; i < to; i++)
		if (v[i] == NULL)
			return refuse(e, "null value in a column that must not be");
	return true;
}

static bool
window_check(struct window *w, const char *const *v, struct err *e)
{
	struct instant t[3];

	if (!not_null(v, 0, AT_RAW, e) || !not_null(v, AT_SAMPLES, AT_GAUGES, e) ||
	    !not_null(v, AT_TURN, VALUES, e))
		return false;
	for (size_t i = 0; i < VALUES; i++) {
		if (i == AT_VCPUS && v[i] != NULL && !list_of_integers(v[i], e))
			return false;
		if ((i >= AT_FROM && i <= AT_EPOCH && i != AT_VM) || i == AT_VCPUS ||
		    i == AT_SIMULATED)
			continue;
		if (!integer(v[i],
			i == AT_SAMPLES || i == AT_RESETS ? INT32_MAX : INT64_MAX, e))
			return false;
		if (i >= AT_SUMS && i < AT_RAW && v[i][0] == '-')
			return refuse(e, "a sum below zero");
	}
	if (!instant_parse(&t[0], v[AT_FROM], e) || !instant_parse(&t[1], v[AT_TO], e) ||
	    !instant_parse(&t[2], v[AT_THROUGH], e))
		return false;
	*w = (struct window){ NULL, number(v[0]), number(v[1]), t[0].ns / NS_PER_US,
		t[1].ns / NS_PER_US, t[2].ns / NS_PER_US, NULL };
	return w->to > w->from || refuse(e, "window_to must be after window_from");
}

static char *
window_line(const struct window *w, const char *const *v, bool simulated)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < VALUES; i++)
		if (i == AT_FROM)
			line_number(&b, w->from);
		else if (i == AT_TO)
			line_number(&b, w->to);
		else if (i == AT_THROUGH)
			line_number(&b, w->through);
		else if (i == AT_SIMULATED)
			line_text(&b, simulated ? "t" : "f");
		else
			line_text(&b, v[i]);
	return buf_take(&b);
}

static bool
was_simulated(const struct window *w)
{
	scoped_free char *copy = mem_strdup(w->line);
	char *values[VALUES] = { NULL };

	(void)line_split(copy, values, VALUES);
	return values[AT_SIMULATED][0] == 't';
}

/* The upsert: a later state of the same window replaces an earlier one, nothing else. */
static void
window_put(struct db *db, const struct window *w, const char *const *v)
{
	struct resource *res = resource_of(db, w->rid);
	struct window **at = &res->windows;
	bool simulated = v[AT_SIMULATED][0] == 't';
	struct window *old;

	for (old = res->windows; old != NULL; old = old->next)
		if (old->from == w->from && old->account == w->account)
			break;
	if (old != NULL) {
		if (w->through < old->through ||
		    (w->through == old->through && w->to >= old->to))
			return;
		simulated = simulated || was_simulated(old);
		free(old->line);
		while (*at != old)
			at = &(*at)->next;
		*at = old->next;
	} else
		old = mem_alloc(sizeof(*old));
	*old = *w;
	old->line = window_line(w, v, simulated);
	for (at = &res->windows; *at != NULL &&
	     ((*at)->from > old->from ||
		 ((*at)->from == old->from && (*at)->through > old->through));)
		at = &(*at)->next;
	old->next = *at;
	*at = old;
}

/* ---- rows that come late: usage_window_late() of sql/070-collectors.sql */

/* A row of the table, its values apart. */
struct apart {
	struct window *w;
	char *copy;
	const char *v[VALUES];
};

static size_t
apart_all(const struct resource *res, struct apart **out,
    const char *const *const **values)
{
	size_t n = 0;
	const char *const **list;

	for (const struct window *w = res->windows; w != NULL; w = w->next)
		n++;
	*out = mem_array(n, sizeof(**out));
	list = mem_array(n, sizeof(*list));
	n = 0;
	for (struct window *w = res->windows; w != NULL; w = w->next, n++) {
		(*out)[n].w = w;
		(*out)[n].copy = mem_strdup(w->line);
		(void)line_split((*out)[n].copy, (char **)(uintptr_t)(*out)[n].v, VALUES);
		list[n] = (*out)[n].v;
	}
	*values = list;
	return n;
}

static void
apart_free(struct apart *all, size_t count, const char *const *const *values)
{
	for (size_t i = 0; i < count; i++)
		free(all[i].copy);
	free(all);
	free((void *)(uintptr_t)values);
}

/* usage_run_over() */
static bool
run_over(struct db *db, const struct window *n, const char *const *v,
    const struct apart *all, size_t count)
{
	const struct vm_row *vm = vm_find(db, number(v[AT_VM]));
	const int64_t long_ago = db->now - 20 * INT64_C(1000000);
	const struct lifetime *l;
	size_t length = vm != NULL ? strlen(vm->epoch) : 0;

	if (!sim_leases_clean(db->leases, db->now - 10 * INT64_C(1000000), db->now))
		return false;
	for (size_t i = 0; i < count; i++)
		if (all[i].w->through > n->through && all[i].w->through < long_ago &&
		    strcmp(all[i].v[AT_EPOCH], v[AT_EPOCH]) != 0)
			return true;
	tables_sort(db);
	l = lifetime_newest(db, number(v[AT_VM]), INT64_MAX);
	if (l == NULL)
		return true;
	if (l->from >= long_ago || (l->to != NEVER && l->to >= long_ago))
		return false;
	return (l->to != NEVER && strncmp(l->close_reason, "paused", 6) != 0) ||
	    vm == NULL || strncmp(v[AT_EPOCH], vm->epoch, length) != 0 ||
	    v[AT_EPOCH][length] != '/';
}

/* With its sums replaced, and where its window lies. */
static void
late_write(struct db *db, struct window *n, const char *const *v, const int64_t *sums)
{
	const char *values[VALUES];
	char text[SIM_FIELDS][24];

	memcpy(values, v, sizeof(values));
	for (size_t f = 0; f < SIM_FIELDS; f++) {
		(void)snprintf(text[f], sizeof(text[f]), "%lld", (long long)sums[f]);
		values[AT_SUMS + f] = text[f];
	}
	window_put(db, n, values);
}

static void
window_shorten(struct window *w, const char *const *v, int64_t to)
{
	char *line;

	if (w->to <= to || w->through > to)
		return;
	w->to = to;
	line = window_line(w, v, v[AT_SIMULATED][0] == 't');
	free(w->line);
	w->line = line;
}

struct late {
	struct db *db;
	struct window n;
	const char *const *v;
	struct apart *all;
	size_t count;
	struct apart *own;
	int64_t adds[SIM_FIELDS];
	bool live;
};

/* False: there is no room for it between two rows, and *into is the first of them. */
static bool
late_place(struct late *l, const struct apart **into)
{
	const struct apart *all = l->all;
	struct window *n = &l->n;
	const struct apart *before = NULL;
	const struct window *after = NULL;

	for (size_t i = 0; i < l->count; i++) {
		struct window *w = all[i].w;
		if (w->through < n->through &&
		    (before == NULL || w->through > before->w->through))
			before = &all[i];
		if (w->through > n->through && (after == NULL || w->from < after->from))
			after = w;
	}
	if (!l->live && before != NULL && before->w->to > n->from)
		n->from = before->w->to < n->through ? before->w->to : n->through - 1;
	if (l->own != NULL)
		n->from = n->through - 1;
	*into = before;
	if (!l->live && after != NULL && before != NULL && after->from < n->through &&
	    strcmp(before->v[AT_EPOCH], l->v[AT_EPOCH]) == 0)
		return false;
	if (before != NULL)
		window_shorten(before->w, before->v, n->from);
	if (after != NULL && after->from < n->to)
		n->to = after->from > n->through ? after->from : n->through;
	return true;
}

/* A row with its counters moved on by what another adds. */
static void
late_merge(const struct apart *into, const char *const *v, const int64_t *adds)
{
	const char *values[VALUES];
	char text[SIM_FIELDS][24];
	char *line;

	memcpy(values, into->v, sizeof(values));
	for (size_t f = 0; f < SIM_FIELDS; f++) {
		(void)snprintf(text[f], sizeof(text[f]), "%lld",
		    (long long)(number(into->v[AT_SUMS + f]) + adds[f]));
		values[AT_SUMS + f] = text[f];
		values[AT_RAW + f] = v[AT_RAW + f];
	}
	line = window_line(into->w, values, values[AT_SIMULATED][0] == 't');
	free(into->w->line);
	into->w->line = line;
}

static bool
all_zero(const int64_t *adds)
{
	for (size_t f = 0; f < SIM_FIELDS; f++)
		if (adds[f] != 0)
			return false;
	return true;
}

static const char *
late_take(struct late *l)
{
	const char *turn = l->v[AT_TURN];
	const struct apart *into = NULL;
	bool resets = number(l->v[AT_RESETS]) > 0;
	bool same = l->own != NULL && strcmp(l->own->v[AT_TURN], turn) == 0;
	bool ours = same && l->n.through <= l->own->w->to;

	if ((same && l->own->w->through >= l->n.through) ||
	    (!l->live && all_zero(l->adds)))
		return "covered";
	if (!l->live && !run_over(l->db, &l->n, l->v, l->all, l->count))
		return "waits";
	for (size_t f = 0; ours && !resets && f < SIM_FIELDS; f++)
		l->adds[f] += number(l->own->v[AT_SUMS + f]);
	if (ours && l->own->w->to < l->n.to)
		l->n.to = l->own->w->to;
	if (!ours && !late_place(l, &into)) {
		late_merge(into, l->v, l->adds);
		return "taken";
	}
	late_write(l->db, &l->n, l->v, l->adds);
	return "taken";
}

/* A row of ours ends where the one that follows it begins. */
static void
late_cut(struct late *l)
{
	if (l->own != NULL && strcmp(l->own->v[AT_TURN], l->v[AT_TURN]) == 0 &&
	    l->own->w->through <= l->n.through)
		window_shorten(l->own->w, l->own->v, l->n.to);
}

static bool
late_put(struct db *db, const char *const *v, const char **answer, struct err *e)
{
	struct late l = { .db = db, .v = v };
	const char *const *const *values;
	bool unsure;
	bool others = false;

	if (!window_check(&l.n, v, e))
		return false;
	l.live = sim_lease_live(db->leases, number(v[AT_TURN]));
	l.count = apart_all(resource_of(db, l.n.rid), &l.all, &values);
	for (size_t i = 0; i < l.count; i++) {
		if (l.all[i].w->from == l.n.from && l.all[i].w->account == l.n.account)
			l.own = &l.all[i];
		others = others ||
		    (strcmp(l.all[i].v[AT_TURN], v[AT_TURN]) != 0 &&
			l.all[i].w->through > l.n.from);
	}
	unsure = !l.live && others &&
	    (number(v[AT_RESETS]) > 0 || strchr(v[AT_EPOCH], '!') != NULL);
	if (!unsure) {
		late_cut(&l);
		sim_late_adds(v, values, l.count, l.adds);
		*answer = late_take(&l);
	}
	apart_free(l.all, l.count, values);
	return !unsure || refuse(e, "its counter fell while another counted it too");
}

/* ---- gaps and refusals: by their keys */

static struct noted *
noted_find(struct noted *list, size_t count, const char *key)
{
	/* Mostly it is one of the last. */
	for (size_t i = count; i > 0; i--)
		if (strcmp(list[i - 1].key, key) == 0)
			return &list[i - 1];
	return NULL;
}

static bool
gap_check(const char *const *v, struct instant t[2], struct err *e)
{
	if (!not_null(v, 0, 5, e) || !integer(v[0], INT64_MAX, e) ||
	    !integer(v[1], INT64_MAX, e) || !instant_parse(&t[0], v[2], e) ||
	    !instant_parse(&t[1], v[3], e))
		return false;
	return t[1].ns / NS_PER_US > t[0].ns / NS_PER_US ||
	    refuse(e, "gap_to must be after gap_from");
}

static void
gap_put(struct db *db, const char *const *v, const struct instant t[2])
{
	char *key = mem_printf("%s\t%s\t%lld", v[0], v[1],
	    (long long)(t[0].ns / NS_PER_US));
	struct noted *g;

	if (noted_find(db->gaps, db->gap_count, key) != NULL) {
		free(key);
		return;
	}
	g = ADD(db->gaps, db->gap_count);
	*g = (struct noted){ key,
		mem_printf("%lld\t%s", (long long)(t[1].ns / NS_PER_US), v[4]), 1 };
}

static void
refused_put(struct db *db, const char *const *v)
{
	char *key = mem_printf("%s\t%s", v[0], v[1]);
	struct noted *n = noted_find(db->refused, db->refused_count, key);

	if (n == NULL) {
		n = ADD(db->refused, db->refused_count);
		n->key = mem_strdup(key);
	}
	free(key);
	free(n->rest);
	n->rest = mem_strdup(v[2]);
	n->count++;
}

/* ---- base/db.h */

static bool
away(const struct db *db, struct err *e)
{
	sim_touch();
	if (db->mood != SIM_DB_AWAY)
		return false;
	(void)err_set(e, ERR_GONE, "database: does not answer");
	return true;
}

/* What was done stays done: only the answer is lost. */
static bool
answered(const struct db *db, struct err *e)
{
	sim_touch();
	return db->mood != SIM_DB_LOST ||
	    err_set(e, ERR_GONE, "database: the connection was lost");
}

static bool
write_check(struct db *db, unsigned stmt, const char *const *v, struct err *e)
{
	struct window w;
	struct instant t[2];

	if (stmt == STMT_METER_WINDOW_PUT)
		return window_check(&w, v, e);
	if (stmt == STMT_METER_GAP_PUT)
		return gap_check(v, t, e);
	if (stmt == STMT_METER_FENCE)
		return sim_lease_fence(db->leases, number(v[0]), v[1], e);
	return true;
}

/* What answers with a row of its own, and may refuse. */
static bool
lease_do(struct db *db, unsigned stmt, const char *const *v, struct rows *r,
    struct err *e)
{
	int64_t out[6] = { 0 };
	const char *answer = "";
	bool ok = true;

	if (stmt == STMT_METER_BEAT)
		ok = sim_lease_beat(db->leases, v, db->now, out, e);
	else if (stmt == STMT_METER_TAKE)
		ok = sim_lease_take(db->leases, v, db->now, out, e);
	else if (stmt == STMT_METER_WINDOW_LATE)
		ok = late_put(db, v, &answer, e);
	else {
		if (stmt == STMT_METER_GIVE)
			sim_lease_give(db->leases, number(v[0]), v[1]);
		return true;
	}
	if (!ok)
		return false;
	row_add(r);
	for (size_t i = 0; i < r->columns; i++)
		cell_number(r, i, out[i]);
	if (stmt == STMT_METER_WINDOW_LATE)
		cell_text(r, 0, answer);
	return true;
}

static void
write_do(struct db *db, unsigned stmt, const char *const *v)
{
	struct err ignored = ERR_INIT;
	struct window w;
	struct instant t[2];

	if (stmt == STMT_METER_WINDOW_PUT && window_check(&w, v, &ignored))
		window_put(db, &w, v);
	else if (stmt == STMT_METER_GAP_PUT && gap_check(v, t, &ignored))
		gap_put(db, v, t);
	else if (stmt == STMT_METER_REFUSED_PUT)
		refused_put(db, v);
}

static const size_t columns_of[] = { [STMT_METER_HOSTS] = 8,
	[STMT_METER_ZONES] = 4,
	[STMT_METER_ACCOUNTS] = 4,
	[STMT_METER_CUTS] = 3,
	[STMT_METER_INVENTORY] = 11,
	[STMT_METER_LAST_ROWS] = VALUES,
	[STMT_METER_BEAT] = 6,
	[STMT_METER_TAKE] = 1,
	[STMT_METER_FENCE] = 1,
	[STMT_METER_WINDOW_LATE] = 1,
	[STMT_METER_PARTITION] = 2 };

static void
query_do(struct db *db, unsigned stmt, const char *const *v, struct rows *r)
{
	if (stmt == STMT_METER_HOSTS)
		hosts_query(db, r, number(v[0]));
	else if (stmt == STMT_METER_ZONES)
		zones_query(db, r);
	else if (stmt == STMT_METER_ACCOUNTS)
		accounts_query(db, r);
	else if (stmt == STMT_METER_CUTS)
		cuts_query(db, r);
	else if (stmt == STMT_METER_INVENTORY)
		inventory_query(db, r, number(v[0]));
	else if (stmt == STMT_METER_LAST_ROWS)
		last_rows_query(db, r, v[0]);
}

bool
db_query(struct db *db, unsigned stmt, size_t unused_count unused,
    const char *const *values, struct rows **out, struct err *e)
{
	struct rows *r;

	if (away(db, e))
		return false;
	if (!write_check(db, stmt, values, e))
		return false;
	write_do(db, stmt, values);
	r = rows_new(stmt < ARRAY_LEN(columns_of) ? columns_of[stmt] : 0);
	query_do(db, stmt, values, r);
	if (!lease_do(db, stmt, values, r, e) || !answered(db, e)) {
		rows_free(r);
		return false;
	}
	*out = r;
	return true;
}

bool
db_run(struct db *db, unsigned stmt, size_t count, const char *const *values,
    uint64_t *affected, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (affected != NULL)
		*affected = 1;
	return db_query(db, stmt, count, values, &r, e);
}

bool
db_exec(struct db *db, const char *unused_sql unused, struct err *e)
{
	return !away(db, e);
}

bool
db_transaction(struct db *db, db_work work, void *context, struct err *e)
{
	return work(db, context, e);
}

static void
staged_clear(struct db *db)
{
	for (size_t i = 0; i < db->staged_count; i++) {
		for (size_t k = 0; k < db->staged[i].count; k++)
			free(db->staged[i].values[k]);
		free(db->staged[i].values);
	}
	free(db->staged);
	db->staged = NULL;
	db->staged_count = 0;
}

bool
db_pipeline_begin(struct db *db, struct err *e)
{
	staged_clear(db);
	return !away(db, e);
}

bool
db_pipeline_add(struct db *db, unsigned stmt, size_t count, const char *const *values,
    struct err *unused_e unused)
{
	struct staged *s = ADD(db->staged, db->staged_count);

	s->stmt = stmt;
	s->count = count;
	s->values = mem_array(VALUES, sizeof(*s->values));
	for (size_t i = 0; i < count; i++)
		s->values[i] = mem_strdup(values[i]);
	return true;
}

bool
db_pipeline_run(struct db *db, uint64_t *affected, struct err *e)
{
	bool ok = !away(db, e);

	if (affected != NULL)
		*affected = db->staged_count;
	for (size_t i = 0; ok && i < db->staged_count; i++)
		ok = write_check(db, db->staged[i].stmt,
		    (const char *const *)(uintptr_t)db->staged[i].values, e);
	for (size_t i = 0; ok && i < db->staged_count; i++)
		write_do(db, db->staged[i].stmt,
		    (const char *const *)(uintptr_t)db->staged[i].values);
	staged_clear(db);
	return ok && answered(db, e);
}

const char *
db_instant(struct instant t, char out[CLOCK_TEXT_MAX])
{
	return instant_text(t, out);
}

const char *
db_number(int64_t value, char out[24])
{
	(void)snprintf(out, 24, "%lld", (long long)value);
	return out;
}

/* ---- for the driver */

void
sim_db_newest(struct db *db, FILE *out)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (const struct resource *r = db->resources[b]; r != NULL; r = r->next)
			if (r->windows != NULL)
				(void)fprintf(out, "D %lld %lld db %lld\n",
				    (long long)r->rid, (long long)r->windows->through,
				    (long long)r->windows->to);
}

void
sim_db_print(struct db *db, FILE *out)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (const struct resource *r = db->resources[b]; r != NULL; r = r->next)
			for (const struct window *w = r->windows; w != NULL; w = w->next)
				(void)fprintf(out, "W %s\n", w->line);
	for (size_t i = 0; i < db->gap_count; i++)
		(void)fprintf(out, "P %s\t%s\n", db->gaps[i].key, db->gaps[i].rest);
	for (size_t i = 0; i < db->refused_count; i++)
		(void)fprintf(out, "X %s\t%s\n", db->refused[i].key, db->refused[i].rest);
}
