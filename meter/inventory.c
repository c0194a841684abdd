/* SPDX-License-Identifier: Apache-2.0 */
/* inventory: which hosts and guests there are, as the provisioning core keeps them */
#include "meter/inventory.h"
#include "base/buf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 64, VALUES_MOST = 12 };
/* A last sample that was taken just before the stop may come in after it was written. */
#define RUN_END_SLACK_NS (2 * NS_PER_S)

/* How time is cut, by account; rebuilt with each snapshot. */
struct account_rule {
	struct account_rule *next;
	int64_t account_id; /* 0: a zone's */
	char zone[64];
	struct window_shift *shifts;
	struct instant *cuts;
	struct window_rule rule;
};

/* ---- tables: who is looked for is found in a chain of a few, however many there are */

static size_t
bucket_of(const struct inventory *in, const char *uuid)
{
	return (size_t)(counter_epoch(uuid) % in->bucket_count);
}

static size_t
bucket_of_id(const struct inventory *in, int64_t id)
{
	return (uint64_t)id % in->bucket_count;
}

static void
vm_link(struct inventory *in, struct meter_vm *v)
{
	struct meter_vm **bucket = &in->by_uuid[bucket_of(in, v->uuid)];

	v->next = *bucket;
	*bucket = v;
}

static void
series_link(struct inventory *in, struct series *s)
{
	struct series **bucket = &in->by_id[bucket_of_id(in, s->resource_id)];

	s->next_by_id = *bucket;
	*bucket = s;
}

static void
host_link(struct inventory *in, struct meter_host *h)
{
	struct meter_host **bucket = &in->host_by_id[bucket_of_id(in, h->id)];

	h->next_by_id = *bucket;
	*bucket = h;
}

static void
host_unlink(struct inventory *in, const struct meter_host *h)
{
	struct meter_host **at = &in->host_by_id[bucket_of_id(in, h->id)];

	while (*at != h)
		at = &(*at)->next_by_id;
	*at = h->next_by_id;
}

static void
tables_free(struct inventory *in)
{
	free(in->by_uuid);
	free(in->by_id);
	free(in->host_by_id);
	in->by_uuid = NULL;
	in->by_id = NULL;
	in->host_by_id = NULL;
	in->bucket_count = 0;
}

static void
tables_resize(struct inventory *in, size_t count)
{
	struct inventory fresh = *in;

	fresh.bucket_count = count;
	fresh.by_uuid = mem_array(count, sizeof(struct meter_vm *));
	fresh.by_id = mem_array(count, sizeof(struct series *));
	fresh.host_by_id = mem_array(count, sizeof(struct meter_host *));
	for (size_t b = 0; b < in->bucket_count; b++)
		for (struct meter_vm *v = in->by_uuid[b]; v != NULL;) {
			struct meter_vm *next = v->next;
			vm_link(&fresh, v);
			v = next;
		}
	for (size_t b = 0; b < in->bucket_count; b++)
		for (struct series *s = in->by_id[b]; s != NULL;) {
			struct series *next = s->next_by_id;
			series_link(&fresh, s);
			s = next;
		}
	for (struct meter_host *h = in->hosts; h != NULL; h = h->next)
		host_link(&fresh, h);
	tables_free(in);
	*in = fresh;
}

/* Before one more is linked. */
static void
tables_grow(struct inventory *in, size_t linked)
{
	if (in->bucket_count == 0)
		tables_resize(in, BUCKETS_FIRST);
	else if (linked >= in->bucket_count)
		tables_resize(in, 2 * in->bucket_count);
}

struct meter_vm *
inventory_vm(struct inventory *in, const char *uuid)
{
	struct meter_vm *v = in->bucket_count > 0 ? in->by_uuid[bucket_of(in, uuid)]
						  : NULL;

	while (v != NULL && strcmp(v->uuid, uuid) != 0)
		v = v->next;
	return v;
}

struct series *
inventory_series(struct inventory *in, int64_t resource_id)
{
	struct series *s = in->bucket_count > 0 ? in->by_id[bucket_of_id(in, resource_id)]
						: NULL;

	while (s != NULL && s->resource_id != resource_id)
		s = s->next_by_id;
	return s;
}

struct series *
inventory_device(struct meter_device *list, const char *name)
{
	for (struct meter_device *d = list; d != NULL; d = d->next)
		if (strcmp(d->name, name) == 0)
			return &d->series;
	return NULL;
}

struct meter_host *
inventory_host(struct inventory *in, int64_t id)
{
	struct meter_host *h = in->bucket_count > 0 ? in->host_by_id[bucket_of_id(in, id)]
						    : NULL;

	while (h != NULL && h->id != id)
		h = h->next_by_id;
	return h;
}

struct instant
inventory_run(const struct meter_vm *v, const struct meter_host *h, int64_t domain_id,
    struct instant at)
{
	const struct instant unknown = { 0 };

	if (v->host_id != h->id || v->run.domain_id != domain_id)
		return unknown;
	if (v->run.ended.ns != 0 && at.ns > v->run.ended.ns + RUN_END_SLACK_NS)
		return unknown;
	return v->run.begun;
}

/* ---- reading the snapshot */

static int64_t
number(const char *text)
{
	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static bool
flag(const char *text)
{
	return text != NULL && text[0] == 't';
}

/* Microseconds, as SQL gives them; null: 0. */
static struct instant
instant_of(const char *us)
{
	return (struct instant){ number(us) * NS_PER_US };
}

static void
text_copy(char *out, size_t room, const char *text)
{
	(void)snprintf(out, room, "%s", text != NULL ? text : "");
}

static struct meter_host *
host_new(struct inventory *in, int64_t id)
{
	struct meter_host *h = mem_alloc(sizeof(*h));

	tables_grow(in, in->host_count);
	h->id = id;
	h->next = in->hosts;
	in->hosts = h;
	host_link(in, h);
	for (int k = 0; k < LANE_COUNT; k++) {
		h->lanes[k].host = h;
		h->lanes[k].kind = (enum meter_lane_kind)k;
	}
	return h;
}

/* h id uuid name uri simulated cpu_total sockets */
static void
host_read(struct inventory *in, char **value)
{
	struct meter_host *h = inventory_host(in, number(value[1]));

	if (h == NULL)
		h = host_new(in, number(value[1]));
	text_copy(h->uuid, sizeof(h->uuid), value[2]);
	text_copy(h->name, sizeof(h->name), value[3]);
	if (h->uri == NULL || strcmp(h->uri, value[4]) != 0) {
		free(h->uri);
		h->uri = mem_strdup(value[4]);
	}
	h->simulated = h->simulated || flag(value[5]);
	if (h->cpu_total_ns == 0)
		h->cpu_total_ns = (uint64_t)number(value[6]);
	if (h->sockets == 0)
		h->sockets = (int)number(value[7]);
	h->listed = true;
	h->given = false; /* as the database has it */
	in->host_count++;
}

static struct account_rule *
rule_of(struct account_rule **list, int64_t account_id, const char *zone)
{
	struct account_rule *r = *list;

	while (r != NULL && (r->account_id != account_id || strcmp(r->zone, zone) != 0))
		r = r->next;
	if (r != NULL)
		return r;
	r = mem_alloc(sizeof(*r));
	r->account_id = account_id;
	text_copy(r->zone, sizeof(r->zone), zone);
	r->next = *list;
	*list = r;
	return r;
}

/* z zone since shift_s */
static void
zone_read(struct account_rule **list, char **value)
{
	struct account_rule *r = rule_of(list, 0, value[1]);
	size_t n = r->rule.shift_count++;

	r->shifts = mem_resize(r->shifts, n + 1, sizeof(*r->shifts));
	r->shifts[n] = (struct window_shift){ instant_of(value[2]),
		number(value[3]) * NS_PER_S };
	r->rule.shifts = r->shifts;
}

/* a account zone: what zone_read() found holds for it too; comes after all z lines */
static void
account_read(struct account_rule **list, char **value)
{
	struct account_rule *zone = rule_of(list, 0, value[2] != NULL ? value[2] : "");
	struct account_rule *r = rule_of(list, number(value[1]), "");

	r->rule.shifts = zone->rule.shifts;
	r->rule.shift_count = zone->rule.shift_count;
	r->rule.grain_ns = number(value[3]) * NS_PER_S;
}

/* c account at; ascending */
static void
cut_read(struct account_rule **list, char **value)
{
	struct account_rule *r = rule_of(list, number(value[1]), "");
	size_t n = r->rule.cut_count++;

	r->cuts = mem_resize(r->cuts, n + 1, sizeof(*r->cuts));
	r->cuts[n] = instant_of(value[2]);
	r->rule.cuts = r->cuts;
}

static const struct window_rule *
rule_find(struct account_rule *list, int64_t account_id)
{
	for (struct account_rule *r = list; r != NULL; r = r->next)
		if (r->account_id == account_id)
			return &r->rule;
	return NULL;
}

static void
rules_free(struct account_rule *list)
{
	while (list != NULL) {
		struct account_rule *next = list->next;
		free(list->shifts);
		free(list->cuts);
		free(list);
		list = next;
	}
}

static void
series_begin(struct inventory *in, struct series *s, enum series_kind kind, int64_t id,
    int64_t vm_id)
{
	s->kind = kind;
	s->resource_id = id;
	s->vm_id = vm_id;
	series_link(in, s);
	in->unloaded++;
}

static void
series_update(struct inventory *in, struct series *s, int64_t account_id, bool fresh,
    const struct window_rule *rule)
{
	if (!s->sampled)
		s->fresh = fresh;
	if (s->account_id != account_id && s->account_id != 0) {
		series_part(s);
		in->leaving(in->context, s);
		series_move(s, account_id);
	}
	s->account_id = account_id;
	s->rule = rule;
}

static struct meter_vm *
vm_new(struct inventory *in, const char *uuid, int64_t id)
{
	struct meter_vm *v = mem_alloc(sizeof(*v));

	tables_grow(in, in->vm_count);
	text_copy(v->uuid, sizeof(v->uuid), uuid);
	vm_link(in, v);
	in->vm_count++;
	series_begin(in, &v->vm, SERIES_VM, id, id);
	return v;
}

/* "host uuid/domain id", maybe with more behind another slash */
static int64_t
run_id(const char *epoch, const struct meter_host *h)
{
	size_t length = h != NULL ? strlen(h->uuid) : 0;
	char *end = NULL;
	long long id;

	if (epoch == NULL || epoch[0] == '\0')
		return RUN_NEVER;
	if (h == NULL || strncmp(epoch, h->uuid, length) != 0 || epoch[length] != '/')
		return RUN_ELSEWHERE;
	id = strtoll(epoch + length + 1, &end, 10);
	return id >= 0 && (*end == '\0' || *end == '/') ? (int64_t)id : RUN_ELSEWHERE;
}

/* v account id uuid host epoch begun ended fresh */
static struct meter_vm *
vm_read(struct inventory *in, char **value, const struct window_rule *rule)
{
	struct meter_vm *v = inventory_vm(in, value[3]);
	struct meter_host *h;

	if (v != NULL && v->vm.resource_id != number(value[2])) {
		v->uuid[0] = '\0'; /* removed and adopted anew since: another resource */
		v = NULL;
	}
	if (v == NULL)
		v = vm_new(in, value[3], number(value[2]));
	v->host_id = number(value[4]);
	v->listed = true;
	h = inventory_host(in, v->host_id);
	v->run.domain_id = run_id(value[5], h);
	v->run.begun = instant_of(value[6]);
	v->run.ended = instant_of(value[7]);
	if (h != NULL) {
		v->next_on_host = h->vms;
		h->vms = v;
		h->vm_count++;
	}
	series_update(in, &v->vm, number(value[1]), flag(value[8]), rule);
	return v;
}

static struct meter_device *
device_new(enum series_kind kind)
{
	return mem_alloc(offsetof(struct meter_device, series) + series_size(kind));
}

/* n|d account id vm_id name fresh */
static void
device_read(struct inventory *in, struct meter_vm *v, char **value,
    const struct window_rule *rule)
{
	bool card = value[0][0] == 'n';
	struct meter_device **list = card ? &v->nics : &v->volumes;
	struct meter_device *d = *list;
	int64_t id = number(value[2]);

	while (d != NULL && d->series.resource_id != id)
		d = d->next;
	if (d == NULL) {
		d = device_new(card ? SERIES_NIC : SERIES_VOLUME);
		d->next = *list;
		*list = d;
		series_begin(in, &d->series, card ? SERIES_NIC : SERIES_VOLUME, id,
		    number(value[3]));
	}
	d->listed = true;
	if (card)
		domain_mac_copy(d->name, value[4] != NULL ? value[4] : "");
	else
		text_copy(d->name, sizeof(d->name), value[4]);
	series_update(in, &d->series, number(value[1]), flag(value[5]), rule);
}

/* ---- what is no more */

static void
series_end_of_life(struct inventory *in, struct series *s)
{
	struct series **at = &in->by_id[bucket_of_id(in, s->resource_id)];

	in->leaving(in->context, s);
	while (*at != s)
		at = &(*at)->next_by_id;
	*at = s->next_by_id;
	if (!s->loaded)
		in->unloaded--;
	series_done(s);
}

static void
devices_drop(struct inventory *in, struct meter_device **list, bool all)
{
	for (struct meter_device **at = list; *at != NULL;) {
		struct meter_device *d = *at;
		if (d->listed && !all) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		series_end_of_life(in, &d->series);
		free(d);
	}
}

static void
vms_drop(struct inventory *in)
{
	for (size_t b = 0; b < in->bucket_count; b++)
		for (struct meter_vm **at = &in->by_uuid[b]; *at != NULL;) {
			struct meter_vm *v = *at;
			devices_drop(in, &v->nics, !v->listed);
			devices_drop(in, &v->volumes, !v->listed);
			if (v->listed) {
				at = &v->next;
				continue;
			}
			*at = v->next;
			in->vm_gone(in->context, v);
			series_end_of_life(in, &v->vm);
			free(v);
			in->vm_count--;
		}
}

static void
hosts_drop(struct inventory *in)
{
	for (struct meter_host **at = &in->hosts; *at != NULL;) {
		struct meter_host *h = *at;
		if (h->listed) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		host_unlink(in, h);
		in->host_gone(in->context, h);
		free(h->uri);
		free(h->error);
		free(h);
	}
}

static void
devices_unlist(struct meter_device *list)
{
	for (struct meter_device *d = list; d != NULL; d = d->next)
		d->listed = false;
}

static void
all_unlist(struct inventory *in)
{
	in->host_count = 0;
	for (struct meter_host *h = in->hosts; h != NULL; h = h->next) {
		h->listed = false;
		h->vms = NULL;
		h->vm_count = 0;
	}
	for (size_t b = 0; b < in->bucket_count; b++)
		for (struct meter_vm *v = in->by_uuid[b]; v != NULL; v = v->next) {
			v->listed = false;
			devices_unlist(v->nics);
			devices_unlist(v->volumes);
		}
}

/* ---- the whole */

/* How many values a line of each letter has. */
static size_t
values_of(char letter)
{
	static const struct {
		char letter;
		size_t count;
	} known[] = { { 't', 2 }, { 'h', 8 }, { 'z', 4 }, { 'a', 4 }, { 'c', 3 },
		{ 'v', 9 }, { 'n', 6 }, { 'd', 6 } };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].letter == letter)
			return known[i].count;
	return 0;
}

static void
line_read(struct inventory *in, struct account_rule **rules, struct meter_vm **vm,
    char **value)
{
	switch (value[0][0]) {
	case 't':
		in->turn = number(value[1]);
		break;
	case 'h':
		host_read(in, value);
		break;
	case 'z':
		zone_read(rules, value);
		break;
	case 'a':
		account_read(rules, value);
		break;
	case 'c':
		cut_read(rules, value);
		break;
	case 'v':
		*vm = vm_read(in, value, rule_find(*rules, number(value[1])));
		break;
	default:
		if (*vm != NULL && (*vm)->vm.resource_id == number(value[3]))
			device_read(in, *vm, value, rule_find(*rules, number(value[1])));
	}
}

/* A copy of the next line, which is split there: the text itself goes to the disk as it
 * is.  False: it was the last one. */
static bool
line_next(const char **rest, struct buf *line)
{
	size_t length = strcspn(*rest, "\n");

	buf_clear(line);
	buf_add(line, *rest, length);
	*rest += length + ((*rest)[length] == '\n');
	return length > 0;
}

bool
inventory_apply(struct inventory *in, const char *snapshot, struct err *e)
{
	size_t length = strlen(snapshot);
	struct account_rule *rules = NULL;
	struct meter_vm *vm = NULL;
	const char *rest = snapshot;
	struct buf line = BUF_INIT;

	/* The last line says that it is whole. */
	if (length < 4 || strcmp(snapshot + length - 4, "end\n") != 0)
		return err_set(e, ERR_INPUT, "the snapshot of the inventory is torn");
	all_unlist(in);
	while (line_next(&rest, &line)) {
		char *value[VALUES_MOST] = { NULL };
		size_t n = line_split(line.data, value, VALUES_MOST);
		if (value[0] != NULL && value[0][1] == '\0' &&
		    n == values_of(value[0][0]))
			line_read(in, &rules, &vm, value);
	}
	buf_done(&line);
	vms_drop(in);
	hosts_drop(in);
	rules_free(in->rules);
	in->rules = rules;
	return true;
}

/* FNV-1a, as counter_epoch(). */
uint64_t
inventory_hash(const char *snapshot)
{
	enum { CPU_TOTAL = 6 };
	uint64_t hash = UINT64_C(14695981039346656037);
	bool host = snapshot[0] == 'h';
	int value = 0;

	for (const char *p = snapshot; *p != '\0'; p++) {
		value += *p == '\t';
		if (*p == '\n') {
			host = p[1] == 'h';
			value = 0;
		}
		if (!host || value != CPU_TOTAL)
			hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	}
	return hash;
}

void
inventory_done(struct inventory *in)
{
	struct err e = ERR_INIT;

	if (!inventory_apply(in, "end\n", &e))
		log_error("%s", e.text); /* cannot be: it is whole */
	tables_free(in);
	rules_free(in->rules);
	in->rules = NULL;
}

void
inventory_each(struct inventory *in, void (*visit)(void *context, struct series *s),
    void *context)
{
	for (size_t b = 0; b < in->bucket_count; b++)
		for (struct series *s = in->by_id[b]; s != NULL; s = s->next_by_id)
			visit(context, s);
}
