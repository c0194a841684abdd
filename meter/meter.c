/* SPDX-License-Identifier: Apache-2.0 */
/* meter: the collector's state and its rounds */
#include "meter/meter.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spool.h"
#include "meter/inventory.h"
#include "meter/pool.h"
#include "meter/rrd.h"
#include "meter/store.h"
#include "meter_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP_STEPS = 3 };
#define DRAW_EVERY_NS (30 * NS_PER_S)

struct list {
	struct series **items;
	size_t count;
};

struct meter {
	struct proc *proc;
	const struct conf *conf;
	struct db *db;
	struct spool *spool;
	struct pool *pool;
	struct rrd_store *rrd;
	struct inventory in;
	struct list closed; /* copies of rows whose window is over, or whose owner left */
	bool away;          /* the database, told once */
	struct instant drawn, partitioned;
};

static void
list_add(struct list *l, struct series *s)
{
	l->items = mem_resize(l->items, l->count + 1, sizeof(struct series *));
	l->items[l->count++] = s;
}

/* A copy of a row that must still be written although its series goes on. */
static void
row_keep(void *context, struct series *s)
{
	struct meter *m = context;
	struct series *copy;

	if (!s->dirty)
		return;
	copy = mem_alloc(sizeof(*copy));
	*copy = *s;
	copy->vcpu_raw = mem_array(s->vcpu_count, sizeof(*copy->vcpu_raw));
	if (s->vcpu_count > 0)
		memcpy(copy->vcpu_raw, s->vcpu_raw,
		    s->vcpu_count * sizeof(*copy->vcpu_raw));
	list_add(&m->closed, copy);
	s->dirty = false;
}

struct meter *
meter_new(struct proc *p)
{
	struct meter *m = mem_alloc(sizeof(*m));
	struct err e = ERR_INIT;
	char path[STATE_PATH_MAX];

	m->proc = p;
	m->conf = proc_conf(p);
	m->in.leaving = row_keep;
	m->in.context = m;
	if (!spool_open(&m->spool, state_path(m->conf, path, "spool/meter/usage.db"), &e))
		log_error("%s: while the database is away usage is kept in memory only",
		    e.text);
	m->rrd = rrd_store_new(state_path(m->conf, path, "rrd"),
	    conf_span_ns(m->conf, CONF_METER_STEP),
	    conf_span_ns(m->conf, CONF_METER_GUARDED_STEP));
	m->pool = pool_new(m, p);
	return m;
}

/* ---- the database, and its absence */

static void
database_lost(struct meter *m, const struct err *why)
{
	if (!m->away)
		log_warning("%s: usage goes to the spool until it is back", why->text);
	if (!m->away)
		proc_alert(m->proc, "database.down", "database", true, why->text);
	m->away = true;
}

static bool
database_up(struct meter *m, struct err *e)
{
	if (m->db == NULL) {
		if (!db_open(m->conf, "meter", &meter_statements, &m->db, e))
			return false;
		if (!db_listen(m->db, "jeoul_sample", e) ||
		    !db_listen(m->db, "jeoul_graph", e))
			return false;
	}
	if (m->spool != NULL && !store_drain(m->spool, m->db, e))
		return false;
	if (m->away) {
		log_info("the database is back");
		proc_alert(m->proc, "database.down", "database", false,
		    "the database is back");
	}
	m->away = false;
	return true;
}

static void
partition_keep(struct meter *m, struct instant now)
{
	struct err e = ERR_INIT;

	if (now.ns - m->partitioned.ns < 3600 * NS_PER_S)
		return;
	m->partitioned = now;
	if (!db_run(m->db, STMT_METER_PARTITION, DB_ARGS(DB_INSTANT(now)), NULL, &e))
		log_warning("partition of the month: %s", e.text);
}

/* ---- asking */

static void
contact_failed(struct meter_host *h, struct instant now, const char *why)
{
	if (h->failing_since.ns == 0) {
		h->failing_since = now;
		log_warning("host %s: %s", h->name, why);
	}
	(void)snprintf(h->error, sizeof(h->error), "%s", why);
	h->contact_dirty = true;
}

static void
ask_all(struct meter *m, struct instant now, bool guarded)
{
	int64_t deadline = conf_span_ns(m->conf, CONF_METER_DEADLINE);

	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next) {
		int64_t since = 0;
		char why[128];
		if (!h->listed || pool_ask(m->pool, h->id, h->uri, guarded, &since) ||
		    guarded)
			continue;
		if (since < deadline)
			continue;
		(void)snprintf(why, sizeof(why), "no answer for %lld s",
		    (long long)(since / NS_PER_S));
		contact_failed(h, now, why);
	}
}

void
meter_fast_round(struct meter *m, struct instant now)
{
	struct err e = ERR_INIT;

	if (!database_up(m, &e) || !inventory_refresh(&m->in, m->db, &e))
		database_lost(m, &e);
	else
		partition_keep(m, now);
	ask_all(m, now, false);
	/* Also when no host answers: just then somebody must be told. */
	meter_write(m, now);
}

void
meter_guarded_round(struct meter *m, struct instant now)
{
	ask_all(m, now, true);
}

void
meter_hints(struct meter *m)
{
	if (m->db == NULL || m->away || !db_notified(m->db))
		return;
	meter_fast_round(m, clock_now());
	meter_guarded_round(m, clock_now());
	rrd_flush(m->rrd);
}

/* ---- taking in */

static void
gap_note(struct meter *m, const struct series *s, const struct series_reading *r)
{
	struct err e = ERR_INIT;
	int64_t step = conf_span_ns(m->conf, CONF_METER_STEP);

	if (!s->sampled || strcmp(s->epoch, r->epoch) != 0 ||
	    r->at.ns - s->through.ns <= GAP_STEPS * step)
		return;
	if (m->db != NULL && !m->away &&
	    !db_run(m->db, STMT_METER_GAP_PUT,
		DB_ARGS(DB_NUMBER(s->account_id), DB_NUMBER(s->resource_id),
		    DB_INSTANT(s->through), DB_INSTANT(r->at),
		    "not sampled; counters went on and are billed at its end"),
		NULL, &e))
		log_warning("gap of resource %lld: %s", (long long)s->resource_id,
		    e.text);
}

/*
 * Between the start of a guest and the commit of its lifetime nobody knows whether its
 * counters began under our eyes.  A first reading taken then would be a baseline and
 * lose them; one that waits is counted whole by the next.
 */
static void
take(struct meter *m, const struct meter_vm *v, struct series *s,
    const struct series_reading *r)
{
	if (!s->sampled && !v->begun)
		return;
	if (series_full(s, r->at))
		row_keep(m, s);
	series_take(s, r);
}

static void
reading_set(struct series_reading *r, enum series_field f, uint64_t value)
{
	r->value[f] = value;
	r->has[f] = true;
}

static void
take_fast(struct meter *m, struct meter_vm *v, const struct read_vm *vm,
    const char *epoch)
{
	struct series_reading r = { .at = vm->at,
		.epoch = epoch,
		.vcpu_count = vm->vcpu_count,
		.vcpu_ns = vm->vcpu_ns };

	v->memory_kib = vm->memory_kib;
	reading_set(&r, FIELD_CPU, vm->cpu_ns);
	gap_note(m, v->vm, &r);
	take(m, v, v->vm, &r);
	for (size_t i = 0; i < vm->nic_count; i++) {
		struct series_reading n = { .at = vm->at, .epoch = epoch };
		struct series *card = inventory_nic(v, vm->nics[i].mac);
		if (card == NULL)
			continue; /* plugged in just now: the tables follow */
		reading_set(&n, FIELD_NET_RX, vm->nics[i].rx_bytes);
		reading_set(&n, FIELD_NET_TX, vm->nics[i].tx_bytes);
		take(m, v, card, &n);
	}
}

static void
take_guarded(struct meter *m, struct meter_vm *v, const struct read_vm *vm,
    const char *epoch)
{
	for (size_t i = 0; i < vm->disk_count; i++)
		for (size_t k = 0; k < v->volume_count; k++) {
			struct series_reading r = { .at = vm->at, .epoch = epoch };
			const struct read_disk *d = &vm->disks[i];
			if (strcmp(v->targets[k], d->target) != 0)
				continue;
			reading_set(&r, FIELD_DISK_READ, d->read_bytes);
			reading_set(&r, FIELD_DISK_WRITE, d->write_bytes);
			reading_set(&r, FIELD_DISK_READ_REQ, d->read_requests);
			reading_set(&r, FIELD_DISK_WRITE_REQ, d->write_requests);
			take(m, v, v->volumes[k], &r);
		}
}

static void
draw(struct meter *m, const struct meter_vm *v, const struct read_vm *vm,
    uint64_t host[4])
{
	uint64_t rx = 0;
	uint64_t tx = 0;

	if (vm->guarded) {
		uint64_t rd = 0;
		uint64_t wr = 0;
		for (size_t i = 0; i < v->volume_count; i++) {
			rd += v->volumes[i]->total[FIELD_DISK_READ];
			wr += v->volumes[i]->total[FIELD_DISK_WRITE];
		}
		const uint64_t values[] = { rd, wr };
		rrd_add(m->rrd, RRD_VM_DISK, v->uuid, vm->at, values, 2);
		return;
	}
	for (size_t i = 0; i < v->nic_count; i++) {
		rx += v->nics[i]->total[FIELD_NET_RX];
		tx += v->nics[i]->total[FIELD_NET_TX];
	}
	const uint64_t values[] = { 1, v->vm->total[FIELD_CPU], v->memory_kib * 1024, rx,
		tx };
	rrd_add(m->rrd, RRD_VM, v->uuid, vm->at, values, 5);
	host[0]++;
	host[1] += v->vm->total[FIELD_CPU];
	host[2] += rx;
	host[3] += tx;
}

/* A guest whose channel is taken raises an alarm; the next idle answer clears it. */
static void
blocked_take(struct meter *m, struct meter_host *h, const struct meter_result *result)
{
	const char *uuid = result->blocked;
	char text[320];

	if (strcmp(uuid, h->blocked) == 0)
		return;
	if (h->blocked[0] != '\0')
		proc_alert(m->proc, "vm.monitor.blocked", h->blocked, false,
		    "its control channel is idle again");
	(void)snprintf(h->blocked, sizeof(h->blocked), "%s", uuid);
	if (uuid[0] == '\0')
		return;
	(void)snprintf(text, sizeof(text),
	    "vm %s on host %s: its control channel is taken for %u ms: "
	    "disks are not sampled meanwhile",
	    uuid, h->name, result->blocked_ms);
	proc_alert(m->proc, "vm.monitor.blocked", uuid, true, text);
}

static void
contact_ok(struct meter_host *h, const struct meter_result *result)
{
	if (h->failing_since.ns != 0)
		log_info("host %s: answers again", h->name);
	h->failing_since.ns = 0;
	h->last_ok = clock_now();
	h->latency_us = result->latency_us;
	h->contact_dirty = true;
}

void
meter_take(struct meter *m, struct meter_result *result)
{
	struct meter_host *h = inventory_host(&m->in, result->host_id);
	uint64_t host[4] = { 0 };

	if (h == NULL)
		return;
	if (!result->ok) {
		if (!result->guarded)
			contact_failed(h, clock_now(), result->error);
		return;
	}
	if (result->guarded)
		blocked_take(m, h, result);
	else
		contact_ok(h, result);
	for (size_t i = 0; i < result->round.count; i++) {
		const struct read_vm *vm = &result->round.list[i];
		struct meter_vm *v = inventory_vm(&m->in, vm->uuid);
		char epoch[SERIES_EPOCH_MAX];
		/* Not known yet: the provisioning core adopts it within seconds, counters
		 * wait.  While it migrates both hosts show it: its own counts. */
		if (v == NULL || v->vm == NULL || v->host_id != h->id)
			continue;
		(void)snprintf(epoch, sizeof(epoch), "%s/%lld", h->uuid,
		    (long long)vm->domain_id);
		if (vm->fast)
			take_fast(m, v, vm, epoch);
		else
			take_guarded(m, v, vm, epoch);
		draw(m, v, vm, host);
	}
	if (!result->guarded)
		rrd_add(m->rrd, RRD_HOST, h->uuid, clock_now(), host, 4);
	meter_write(m, clock_now());
}

/* ---- writing */

static void
dirty_collect(void *context, struct series *s)
{
	struct list *l = context;

	if (s->dirty)
		list_add(l, s);
}

static bool
contacts_write(struct meter *m, struct err *e)
{
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next) {
		bool ok;
		if (!h->contact_dirty || !h->listed)
			continue;
		if (h->failing_since.ns == 0)
			ok = db_run(m->db, STMT_METER_CONTACT_OK,
			    DB_ARGS(DB_NUMBER(h->id), DB_INSTANT(h->last_ok),
				DB_NUMBER(h->latency_us)),
			    NULL, e);
		else
			ok = db_run(m->db, STMT_METER_CONTACT_FAILED,
			    DB_ARGS(DB_NUMBER(h->id), DB_INSTANT(h->failing_since),
				h->error),
			    NULL, e);
		if (!ok)
			return false;
		h->contact_dirty = false;
	}
	return true;
}

static bool
rows_write(struct meter *m, const struct list *l, struct err *e)
{
	char **lines;
	bool ok;

	if (m->db == NULL || m->away)
		return err_set(e, ERR_GONE, "database: away");
	lines = mem_array(l->count, sizeof(*lines));
	for (size_t i = 0; i < l->count; i++)
		lines[i] = store_line(l->items[i]);
	ok = store_lines(m->db, lines, l->count, e) && contacts_write(m, e);
	for (size_t i = 0; i < l->count; i++)
		free(lines[i]);
	free(lines);
	return ok;
}

static void
closed_free(struct meter *m)
{
	for (size_t i = 0; i < m->closed.count; i++) {
		series_done(m->closed.items[i]);
		free(m->closed.items[i]);
	}
	free(m->closed.items);
	m->closed = (struct list){ NULL, 0 };
}

/* Neither the database nor the disk: the rows stay in memory, dirty, and are tried again.
 */
static bool
rows_spool(struct meter *m, const struct list *l)
{
	struct err e = ERR_INIT;

	if (m->spool != NULL &&
	    store_spool(m->spool, (const struct series *const *)(uintptr_t)l->items,
		l->count, &e))
		return true;
	log_error("%s: usage stays in memory", m->spool != NULL ? e.text : "no spool");
	return false;
}

void
meter_write(struct meter *m, struct instant now)
{
	struct list l = { NULL, 0 };
	struct err e = ERR_INIT;
	bool safe;

	for (size_t i = 0; i < m->closed.count; i++)
		list_add(&l, m->closed.items[i]);
	inventory_each(&m->in, dirty_collect, &l);
	safe = rows_write(m, &l, &e);
	if (!safe) {
		database_lost(m, &e);
		safe = l.count == 0 || rows_spool(m, &l);
	}
	for (size_t i = 0; safe && i < l.count; i++)
		l.items[i]->dirty = false;
	if (safe)
		closed_free(m);
	free(l.items);
	if (now.ns - m->drawn.ns >= DRAW_EVERY_NS) {
		m->drawn = now;
		rrd_flush(m->rrd);
	}
	proc_status(m->proc, "%zu VMs on %zu hosts%s", m->in.vm_count, m->in.host_count,
	    m->away ? ", database away: spooling" : "");
}
