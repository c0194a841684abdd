/* SPDX-License-Identifier: Apache-2.0 */
/* take: readings into series, rows and graphs */
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counters of idle time may step back a little by themselves. */
#define BOOT_SLACK_NS ((uint64_t)(60 * NS_PER_S))

void
row_keep(void *context, struct series *s)
{
	struct meter *m = context;
	bool sent = !s->dirty && s->through.ns == s->sent.ns;
	struct closed_row *c;
	char key[160];

	if (!series_has_row(s) || (sent && m->keep == NULL))
		return;
	keep_key(key, s);
	/* What is over comes after the same row while it was open: its end may be nearer.
	 */
	c = closed_add(m, STORE_WINDOW, key, s->through.ns + 1,
	    sent ? mem_strdup("") : store_line(s));
	if (c != NULL) {
		c->kept = c->sent = sent;
		c->cut = s->foreign;
	}
	s->dirty = false;
}

/* Where others collect too, one of them may go on with it: its row ends where ours does.
 */
void
row_leave(void *context, struct series *s)
{
	struct meter *m = context;

	if (m->alive > 1 && s->loaded && !s->foreign)
		series_part(s);
	row_keep(context, s);
}

/* One look at a guest. */
struct sight {
	struct meter_host *host;
	const struct read_vm *vm;
	struct instant at;     /* whole microseconds, as a row keeps them */
	struct instant known;  /* when its run began, as the lifetimes say */
	struct series_run run; /* the same, or a guess: a run that nobody saw begin */
	bool simulated;
};

/* ---- which run of the guest's process it is */

/*
 * A counter that goes down within a run, or a host that was booted anew, says that the
 * run is another one that nobody saw begin: all of the guest's counters began anew with
 * it, also those that are higher by now.  It is taken to have begun just after the last
 * reading of the old one; that guess ("!") stands in the epoch of the guest's own row, so
 * it is known after a restart too, and stays when provision notices later: nothing is
 * counted twice.  Until that row is known its cards and disks wait with it.
 */
static void
run_find(struct sight *g, const struct meter_vm *v)
{
	const char *epoch = series_epoch_text(&v->vm);
	char prefix[READ_UUID_MAX + 24];
	size_t length;
	struct instant found;
	char *end = NULL;

	if (!v->vm.sampled || strchr(epoch, '!') == NULL)
		return;
	(void)snprintf(prefix, sizeof(prefix), "%s/%lld/", g->host->uuid,
	    (long long)g->vm->domain_id);
	length = strlen(prefix);
	if (strncmp(epoch, prefix, length) != 0)
		return;
	found.ns = (int64_t)strtoll(epoch + length, &end, 10) * NS_PER_US;
	if (*end == '!')
		g->run = (struct series_run){ found, true };
}

static void
epoch_of(char out[SERIES_EPOCH_MAX], const struct sight *g, const char *port)
{
	series_epoch(out, g->host->uuid, g->vm->domain_id, &g->run, port);
}

/* Its CPU time falls with the process only; with its host all processes do. */
static void
fall_find(struct sight *g, struct meter_vm *v)
{
	struct series *s = &v->vm;
	char epoch[SERIES_EPOCH_MAX];
	bool booted = g->host->rebooted_at.ns > s->through.ns;

	if ((s->has & 1U << FIELD_CPU) == 0 || g->at.ns <= s->through.ns ||
	    (!booted && g->vm->cpu_ns >= series_counter(s, FIELD_CPU)->raw))
		return;
	epoch_of(epoch, g, "");
	if (strcmp(series_epoch_text(s), epoch) != 0)
		return;
	log_warning("vm %s: %s: a run that nobody saw begin", v->uuid,
	    booted ? "its host was booted anew" : "its CPU time went down");
	/* Later than the old one's begin also where the clock was set back. */
	if (s->through.ns > g->run.begun.ns)
		g->run.begun.ns = s->through.ns;
	g->run.begun.ns += NS_PER_US;
	g->run.own = true;
}

/* ---- one reading */

static void
reading_set(struct series_reading *r, enum series_field f, uint64_t value)
{
	r->value[f] = value;
	r->has[f] = true;
}

static struct series_reading
reading_of(const struct sight *g, const char *epoch)
{
	struct series_reading r = { .at = g->at,
		.epoch = epoch,
		.simulated = g->simulated };

	if (g->run.own)
		r.guessed = g->run.begun;
	return r;
}

static void
gauge_set(struct series_reading *r, enum series_gauge g, const struct read_value *v)
{
	r->gauge[g] = v->value;
	r->has_gauge[g] = v->has;
}

static void
gap_put(struct meter *m, const struct series *s, struct instant from, struct instant to,
    const char *why)
{
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];
	char key[160];

	line_number(&b, s->account_id);
	line_number(&b, s->resource_id);
	line_text(&b, instant_text(from, when));
	(void)snprintf(key, sizeof(key), "gap/%lld/%s", (long long)s->resource_id, when);
	line_text(&b, instant_text(to, when));
	line_text(&b, why);
	(void)closed_add(m, STORE_GAP, key, to.ns, buf_take(&b)); /* told if not */
}

/* A run that goes on (as the lifetimes say, wherever) without having been looked at:
 * told, never guessed. */
static void
gap_note(struct meter *m, const struct series *s, const struct series_reading *r,
    struct instant begun, int64_t step_ns, const char *why)
{
	if (s->sampled && s->through.ns >= begun.ns &&
	    r->at.ns - s->through.ns > GAP_STEPS * step_ns)
		gap_put(m, s, s->through, r->at, why);
}

static void
take(struct meter *m, struct series *s, struct series_reading *r)
{
	/* Where it left off must be known first: counters wait. */
	if (!s->loaded)
		return;
	if (r->at.ns > s->through.ns && series_full(s, r)) {
		series_end(s, r);
		row_keep(m, s);
	}
	/* What another saw before, if it comes late, lies before this. */
	if (!s->sampled && m->known > 1)
		s->foreign = true;
	if (r->at.ns > s->through.ns)
		s->turn = (uint32_t)m->turn;
	if (series_take(s, r))
		log_warning("resource %lld: a counter went down within its run",
		    (long long)s->resource_id);
	m->changed = m->changed || s->dirty;
}

static void
nics_take(struct meter *m, struct meter_vm *v, const struct sight *g)
{
	for (size_t i = 0; i < g->vm->nic_count; i++) {
		const struct read_nic *n = &g->vm->nics[i];
		struct series *card = inventory_device(v->nics, n->mac);
		char epoch[SERIES_EPOCH_MAX];
		struct series_reading r = reading_of(g, epoch);
		if (card == NULL || !v->vm.loaded)
			continue; /* plugged in just now: the tables follow */
		epoch_of(epoch, g, n->port);
		reading_set(&r, FIELD_NET_RX, n->rx_bytes);
		reading_set(&r, FIELD_NET_TX, n->tx_bytes);
		r.like = v->vm.epoch;
		take(m, card, &r);
		g->host->rx_bytes += r.delta[FIELD_NET_RX];
		g->host->tx_bytes += r.delta[FIELD_NET_TX];
	}
}

static void
measured(struct meter *m, struct meter_vm *v)
{
	/* One that could not be taken in proves nothing. */
	if (v->unmetered_since.ns == 0 || v->vm.through.ns <= v->unmetered_since.ns)
		return;
	v->unmetered_since.ns = 0;
	m->ports.alert(m->ports.context, "vm.unmetered", v->uuid, false,
	    "it is sampled again");
}

static void
take_fast(struct meter *m, struct meter_vm *v, struct sight *g)
{
	const struct read_value memory = { g->vm->memory_kib * 1024, true };
	char epoch[SERIES_EPOCH_MAX];
	struct series_reading r;

	fall_find(g, v);
	epoch_of(epoch, g, "");
	r = reading_of(g, epoch);
	r.vcpu_count = g->vm->vcpu_count;
	r.vcpu_ns = g->vm->vcpu_ns;
	reading_set(&r, FIELD_CPU, g->vm->cpu_ns);
	gauge_set(&r, GAUGE_MEMORY, &memory);
	gauge_set(&r, GAUGE_MEMORY_RSS, &(struct read_value){ v->rss, v->has_rss });
	gauge_set(&r, GAUGE_MEMORY_UNUSED,
	    &(struct read_value){ v->guest_free, v->has_guest_free });
	gap_note(m, &v->vm, &r, g->known, m->set.step_ns,
	    "not sampled; its counters went on and are billed at the end");
	take(m, &v->vm, &r);
	g->host->cpu_ns += r.delta[FIELD_CPU];
	nics_take(m, v, g);
	measured(m, v);
}

static void
disk_reading(struct series_reading *r, const struct read_disk *d)
{
	reading_set(r, FIELD_DISK_READ, d->read_bytes);
	reading_set(r, FIELD_DISK_WRITE, d->write_bytes);
	reading_set(r, FIELD_DISK_READ_REQ, d->read_requests);
	reading_set(r, FIELD_DISK_WRITE_REQ, d->write_requests);
	gauge_set(r, GAUGE_CAPACITY, &d->capacity);
	gauge_set(r, GAUGE_ALLOCATION, &d->allocation);
	gauge_set(r, GAUGE_PHYSICAL, &d->physical);
}

static void
memory_seen(struct meter_vm *v, const struct read_memory *now)
{
	if (now->rss.has)
		v->rss = now->rss.value;
	if (now->guest_free.has)
		v->guest_free = now->guest_free.value;
	v->has_rss = v->has_rss || now->rss.has;
	v->has_guest_free = v->has_guest_free || now->guest_free.has;
}

static void
take_guarded(struct meter *m, struct meter_vm *v, const struct sight *g)
{
	const struct read_vm *vm = g->vm;
	char epoch[SERIES_EPOCH_MAX];

	epoch_of(epoch, g, "");
	for (size_t i = 0; i < vm->disk_count; i++) {
		struct series *s = inventory_device(v->volumes, vm->disks[i].target);
		struct series_reading r = reading_of(g, epoch);
		if (s == NULL || !v->vm.loaded)
			continue;
		r.like = v->vm.epoch;
		disk_reading(&r, &vm->disks[i]);
		gap_note(m, s, &r, g->known, m->set.guarded_ns,
		    v->blocked_since.ns != 0 || v->blocked_until.ns > s->through.ns
			? "its guest's control channel was taken; counted at the end"
			: "not sampled; its counters went on and are billed at the end");
		take(m, s, &r);
	}
	memory_seen(v, &vm->memory);
	if (vm->disk_count > 0 || v->volumes == NULL)
		v->full_due.ns = m->now.mono.ns + m->set.guarded_ns -
		    lane_step(m, LANE_GUARDED) / 2;
}

/* ---- graphs */

#define KNOWN(n)                                                                         \
	{                                                                                \
		(n), true                                                                \
	}

static struct rrd_value
known(const struct read_value *v)
{
	return (struct rrd_value){ v->value, v->has };
}

/* Only of guests for which somebody switched them on. */
static void
draw_perf(struct meter *m, const struct read_vm *vm)
{
	struct rrd_value values[PERF_COUNT];
	bool any = false;

	for (int i = 0; i < PERF_COUNT; i++) {
		values[i] = known(&vm->perf[i]);
		any = any || values[i].has;
	}
	if (any)
		rrd_add(m->rrd, RRD_VM_PERF, vm->uuid, vm->at, values, PERF_COUNT);
}

static void
draw_guarded(struct meter *m, const struct read_vm *vm)
{
	const struct read_memory *mem = &vm->memory;
	uint64_t sum[4] = { 0 };
	struct rrd_value physical = { 0, false };
	bool disks = vm->disk_count > 0;

	for (size_t i = 0; i < vm->disk_count; i++) {
		const struct read_disk *d = &vm->disks[i];
		sum[0] += d->read_bytes;
		sum[1] += d->write_bytes;
		sum[2] += d->read_requests;
		sum[3] += d->write_requests;
		physical.value += d->physical.value;
		physical.has = physical.has || d->physical.has;
	}
	const struct rrd_value values[] = { { sum[0], disks }, { sum[1], disks },
		{ sum[2], disks }, { sum[3], disks }, physical, known(&mem->rss),
		known(&mem->guest_free), known(&vm->steal_ns), known(&mem->major_faults),
		known(&mem->swap_in), known(&mem->swap_out) };
	rrd_add(m->rrd, RRD_VM_DISK, vm->uuid, vm->at, values, ARRAY_LEN(values));
}

static void
draw_fast(struct meter *m, const struct read_vm *vm)
{
	uint64_t rx = 0;
	uint64_t tx = 0;
	bool cards = vm->nic_count > 0;

	for (size_t i = 0; i < vm->nic_count; i++) {
		rx += vm->nics[i].rx_bytes;
		tx += vm->nics[i].tx_bytes;
	}
	const struct rrd_value values[] = { KNOWN(1), KNOWN(vm->cpu_ns),
		KNOWN(vm->memory_kib * 1024), { rx, cards }, { tx, cards },
		{ vm->vcpu_count, vm->vcpu_count > 0 } };
	rrd_add(m->rrd, RRD_VM, vm->uuid, vm->at, values, ARRAY_LEN(values));
}

static void
draw_host(struct meter *m, const struct meter_host *h, const struct read_round *round)
{
	const struct read_host *n = &round->host;
	const struct rrd_value values[] = { KNOWN(round->before + round->count),
		KNOWN(h->cpu_ns), KNOWN(h->rx_bytes), KNOWN(h->tx_bytes),
		known(&n->user_ns), known(&n->kernel_ns), known(&n->idle_ns),
		known(&n->iowait_ns), known(&n->memory_total), known(&n->memory_free),
		{ (uint64_t)h->latency_us, h->latency_us > 0 } };

	rrd_add(m->rrd, RRD_HOST, h->uuid, m->now.wall, values, ARRAY_LEN(values));
}

/* ---- a round */

static void
wish_seen(struct meter *m, const struct read_vm *vm)
{
	for (struct wish *w = m->wishes; w != NULL; w = w->next) {
		if (strcmp(w->uuid, vm->uuid) != 0 || vm->at.ns < w->since.ns)
			continue;
		w->fast = w->fast || vm->fast;
		w->guarded = w->guarded || vm->guarded;
	}
}

/* False: not known yet (provision adopts it within seconds), or shown by two hosts while
 * it migrates (its own counts), or its run is not written down yet: counters wait. */
static bool
one_take(struct meter *m, struct meter_host *h, const struct read_vm *vm, bool simulated)
{
	struct meter_vm *v = inventory_vm(&m->in, vm->uuid);
	struct sight g = { .host = h, .vm = vm, .simulated = simulated };

	if (v == NULL)
		return false;
	/* Cut once, here: what is compared later is the same before and after a restart.
	 */
	g.at = instant_floor(vm->at, NS_PER_US);
	g.run.begun = g.known = inventory_run(v, h, vm->domain_id, g.at);
	if (g.known.ns == 0)
		return false;
	run_find(&g, v);
	if (vm->fast)
		take_fast(m, v, &g);
	else
		take_guarded(m, v, &g);
	wish_seen(m, vm);
	return true;
}

/* Its CPUs count since it was booted: less than before is another boot. */
static void
boot_watch(struct meter *m, struct meter_host *h, const struct read_host *n)
{
	uint64_t total = n->user_ns.value + n->kernel_ns.value + n->idle_ns.value +
	    n->iowait_ns.value;

	if (!n->user_ns.has || !n->idle_ns.has)
		return;
	if (total + BOOT_SLACK_NS < h->cpu_total_ns) {
		log_warning("host %s: was booted anew, and its guests' counters with it",
		    h->name);
		h->rebooted_at = m->now.wall;
	}
	h->cpu_total_ns = total;
}

void
round_take(struct meter *m, struct meter_host *h, struct read_round *round)
{
	h->simulated = h->simulated || round->simulated;
	if (round->all && !h->simulated)
		boot_watch(m, h, &round->host);
	for (size_t i = 0; i < round->count; i++) {
		const struct read_vm *vm = &round->list[i];
		if (!one_take(m, h, vm, h->simulated) || m->rrd == NULL)
			continue;
		if (vm->fast)
			draw_fast(m, vm);
		else {
			draw_guarded(m, vm);
			draw_perf(m, vm);
		}
	}
	if (round->all && !round->more && m->rrd != NULL)
		draw_host(m, h, round);
}

/* ---- pools, networks, capabilities */

static void
pool_take(struct meter *m, const struct meter_host *h, const struct read_pool *p)
{
	const struct rrd_value values[] = { KNOWN(p->capacity), KNOWN(p->allocation),
		KNOWN(p->available) };
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];
	char key[160];

	line_number(&b, h->id);
	line_text(&b, p->uuid);
	line_text(&b, p->name);
	line_text(&b, p->state);
	line_u64(&b, p->capacity);
	line_u64(&b, p->allocation);
	line_u64(&b, p->available);
	line_text(&b, instant_text(m->now.wall, when));
	(void)snprintf(key, sizeof(key), "pool/%lld/%s", (long long)h->id, p->uuid);
	(void)closed_add(m, STORE_POOL, key, m->now.wall.ns, buf_take(&b));
	if (m->rrd != NULL)
		rrd_add(m->rrd, RRD_POOL, p->uuid, m->now.wall, values,
		    ARRAY_LEN(values));
}

static void
network_take(struct meter *m, const struct meter_host *h, const struct read_network *n)
{
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];
	char key[160];

	line_number(&b, h->id);
	line_text(&b, n->uuid);
	line_text(&b, n->name);
	line_text(&b, n->bridge);
	line_text(&b, n->active ? "t" : "f");
	line_u64_or_null(&b, n->leases.value, n->leases.has);
	line_text(&b, instant_text(m->now.wall, when));
	(void)snprintf(key, sizeof(key), "network/%lld/%s", (long long)h->id, n->uuid);
	(void)closed_add(m, STORE_NETWORK, key, m->now.wall.ns, buf_take(&b));
}

static void
cell_take(struct meter *m, const struct meter_host *h, const struct read_cell *c)
{
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];
	char key[160];

	line_number(&b, h->id);
	line_number(&b, c->id);
	line_u64(&b, c->total);
	line_u64(&b, c->free);
	line_text(&b, instant_text(m->now.wall, when));
	(void)snprintf(key, sizeof(key), "cell/%lld/%d", (long long)h->id, c->id);
	(void)closed_add(m, STORE_CELL, key, m->now.wall.ns, buf_take(&b));
}

static void
sockets_watch(struct meter *m, struct meter_host *h, const struct topology *t)
{
	char text[256];

	if (h->sockets != 0 && h->sockets != t->sockets) {
		(void)snprintf(text, sizeof(text),
		    "host %s: has %d sockets now, had %d: its licences change; both "
		    "capabilities are kept in host_evidence",
		    h->name, t->sockets, h->sockets);
		log_warning("%s", text);
		m->ports.alert(m->ports.context, "host.sockets.changed", h->name, true,
		    text);
	}
	h->sockets = t->sockets;
}

/* The text that sockets are counted from is kept each time that it says something else.
 */
static void
evidence_take(struct meter *m, struct meter_host *h, const char *capabilities)
{
	scoped_free char *facts = topology_facts(capabilities);
	uint64_t hash = counter_epoch(facts);
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct topology t;
	char when[CLOCK_TEXT_MAX];
	char key[160];

	if (hash == h->capabilities_hash)
		return;
	h->capabilities_hash = hash;
	if (!topology_read(&t, capabilities, &e)) {
		log_warning("host %s: %s", h->name, e.text);
		return;
	}
	sockets_watch(m, h, &t);
	line_number(&b, h->id);
	line_text(&b, instant_text(m->now.wall, when));
	line_number(&b, t.sockets);
	line_number(&b, t.cores);
	line_number(&b, t.threads);
	line_text(&b, capabilities);
	(void)snprintf(key, sizeof(key), "evidence/%lld/%s", (long long)h->id, when);
	(void)closed_add(m, STORE_EVIDENCE, key, m->now.wall.ns, buf_take(&b));
}

void
site_take(struct meter *m, struct meter_host *h, const struct read_site *site)
{
	for (size_t i = 0; i < site->pool_count; i++)
		pool_take(m, h, &site->pools[i]);
	for (size_t i = 0; i < site->network_count; i++)
		network_take(m, h, &site->networks[i]);
	for (size_t i = 0; i < site->cell_count; i++)
		cell_take(m, h, &site->cells[i]);
	if (site->capabilities != NULL)
		evidence_take(m, h, site->capabilities);
}

/* ---- guests that nobody looks at */

/* Its host answered meanwhile, and said nothing of it that counts. */
static bool
unmetered(const struct meter *m, const struct meter_vm *v, const struct meter_host *h,
    struct instant *since)
{
	const int64_t patience = GAP_STEPS * m->set.step_ns;

	*since = v->vm.through.ns > v->run.begun.ns ? v->vm.through : v->run.begun;
	if (since->ns < m->started.ns)
		*since = m->started; /* of before there is an alarm of its own */
	return v->run.begun.ns != 0 && v->run.ended.ns == 0 && h->failing_since.ns == 0 &&
	    h->last_ok.ns - since->ns > patience && m->now.wall.ns - since->ns > patience;
}

static void
unmetered_tell(struct meter *m, struct meter_vm *v, const struct meter_host *h,
    struct instant since)
{
	char when[CLOCK_TEXT_MAX];
	char text[256];

	v->unmetered_since = since;
	(void)snprintf(text, sizeof(text),
	    "vm %s on host %s: runs and is not sampled since %s", v->uuid, h->name,
	    instant_text(since, when));
	log_warning("%s", text);
	m->ports.alert(m->ports.context, "vm.unmetered", v->uuid, true, text);
}

/* A host that is away has an alarm of its own: its guests are not told one by one, and of
 * one that leaves many out a few tell enough. */
void
unmetered_watch(struct meter *m)
{
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next) {
		unsigned told = 0;
		for (struct meter_vm *v = h->vms; v != NULL; v = v->next_on_host) {
			struct instant since;
			told += v->unmetered_since.ns != 0;
			if (told >= UNMETERED_MOST || v->unmetered_since.ns != 0 ||
			    !unmetered(m, v, h, &since))
				continue;
			unmetered_tell(m, v, h, since);
			told++;
		}
	}
}
