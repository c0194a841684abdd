/* SPDX-License-Identifier: Apache-2.0 */
/* take: readings into series, rows and graphs */
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	c = closed_add(m, STORE_WINDOW, key, s->through.ns,
	    sent ? mem_strdup("") : store_line(s));
	if (c != NULL)
		c->kept = c->sent = sent;
	s->dirty = false;
}

/* ---- which run of the guest's process it is */

/* One look at a guest. */
struct sight {
	const struct meter_host *host;
	const struct read_vm *vm;
	struct instant at;    /* whole microseconds, as a row keeps them */
	struct instant known; /* when its run began, as the lifetimes say */
	struct instant begun; /* the same, or later: a run that nobody saw begin */
	bool simulated;
};

/* ---- which run of the guest's process it is */

/*
 * A counter that goes down within a run says that the run is another one, that nobody
 * saw begin: all of the guest's counters began anew with it, also those that are higher
 * by now.  It is taken to have begun just after the last reading of the old one; that
 * stands in the epoch of the guest's own row, so it is known after a restart too.
 */
static void
run_find(struct sight *g, const struct meter_vm *v)
{
	char prefix[READ_UUID_MAX + 24];
	size_t length;
	struct instant found;

	(void)snprintf(prefix, sizeof(prefix), "%s/%lld/", g->host->uuid,
	    (long long)g->vm->domain_id);
	length = strlen(prefix);
	if (!v->vm.sampled || strncmp(v->vm.epoch, prefix, length) != 0)
		return;
	found.ns = (int64_t)strtoll(v->vm.epoch + length, NULL, 10) * NS_PER_US;
	if (found.ns > g->begun.ns)
		g->begun = found;
}

static void
epoch_of(char out[SERIES_EPOCH_MAX], const struct sight *g, const char *port)
{
	series_epoch(out, g->host->uuid, g->vm->domain_id, g->begun, port);
}

/* Its CPU time falls with the process only. */
static void
fall_find(struct sight *g, const struct meter_vm *v)
{
	const struct series *s = &v->vm;
	char epoch[SERIES_EPOCH_MAX];

	epoch_of(epoch, g, "");
	if (!s->has[FIELD_CPU] || strcmp(s->epoch, epoch) != 0 ||
	    g->vm->cpu_ns >= s->raw[FIELD_CPU] || g->at.ns <= s->through.ns)
		return;
	log_warning("vm %s: its CPU time went down: a run that nobody saw begin",
	    v->uuid);
	g->begun.ns = (s->through.ns / NS_PER_US + 1) * NS_PER_US;
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

	if (g->begun.ns != g->known.ns)
		r.guessed = g->begun;
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
take(struct meter *m, struct series *s, const struct series_reading *r)
{
	/* Where it left off must be known first: counters wait. */
	if (!s->loaded)
		return;
	if (series_full(s, r->at) && r->at.ns > s->through.ns) {
		series_end(s, r->at);
		row_keep(m, s);
	}
	if (series_take(s, r))
		log_warning("resource %lld: a counter went down within its run",
		    (long long)s->resource_id);
}

static void
nics_take(struct meter *m, struct meter_vm *v, const struct sight *g)
{
	for (size_t i = 0; i < g->vm->nic_count; i++) {
		const struct read_nic *n = &g->vm->nics[i];
		struct series *card = inventory_device(v->nics, n->mac);
		char epoch[SERIES_EPOCH_MAX];
		struct series_reading r = reading_of(g, epoch);
		if (card == NULL)
			continue; /* plugged in just now: the tables follow */
		epoch_of(epoch, g, n->port);
		reading_set(&r, FIELD_NET_RX, n->rx_bytes);
		reading_set(&r, FIELD_NET_TX, n->tx_bytes);
		take(m, card, &r);
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
	gauge_set(&r, GAUGE_MEMORY_RSS, &v->rss);
	gauge_set(&r, GAUGE_MEMORY_UNUSED, &v->guest_free);
	gap_note(m, &v->vm, &r, g->known, m->set.step_ns,
	    "not sampled; its counters went on and are billed at the end");
	take(m, &v->vm, &r);
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
last_seen(struct read_value *out, const struct read_value *now)
{
	if (now->has)
		*out = *now;
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
		if (s == NULL)
			continue;
		disk_reading(&r, &vm->disks[i]);
		gap_note(m, s, &r, g->known, m->set.guarded_ns,
		    v->blocked_since.ns != 0
			? "its guest's control channel was taken; counted at the end"
			: "not sampled; its counters went on and are billed at the end");
		take(m, s, &r);
	}
	last_seen(&v->rss, &vm->memory.rss);
	last_seen(&v->guest_free, &vm->memory.guest_free);
	if (vm->disk_count > 0 || v->volumes == NULL)
		v->full_due.ns = m->now.mono.ns + m->set.guarded_ns -
		    lane_step(m, LANE_GUARDED) / 2;
}

/* ---- graphs */

static void
draw_disks(struct meter *m, const struct meter_vm *v, struct instant at)
{
	uint64_t rd = 0;
	uint64_t wr = 0;

	for (const struct meter_device *d = v->volumes; d != NULL; d = d->next) {
		rd += d->series.total[FIELD_DISK_READ];
		wr += d->series.total[FIELD_DISK_WRITE];
	}
	const uint64_t values[] = { rd, wr };
	rrd_add(m->rrd, RRD_VM_DISK, v->uuid, at, values, 2);
}

static void
draw(struct meter *m, const struct meter_vm *v, const struct read_vm *vm,
    uint64_t host[4])
{
	uint64_t rx = 0;
	uint64_t tx = 0;

	for (const struct meter_device *d = v->nics; d != NULL; d = d->next) {
		rx += d->series.total[FIELD_NET_RX];
		tx += d->series.total[FIELD_NET_TX];
	}
	const uint64_t values[] = { 1, v->vm.total[FIELD_CPU], vm->memory_kib * 1024, rx,
		tx };
	rrd_add(m->rrd, RRD_VM, v->uuid, vm->at, values, 5);
	host[0]++;
	host[1] += v->vm.total[FIELD_CPU];
	host[2] += rx;
	host[3] += tx;
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
	g.begun = g.known = inventory_run(v, h, vm->domain_id, g.at);
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

void
round_take(struct meter *m, struct meter_host *h, struct read_round *round)
{
	uint64_t host[4] = { 0 };
	bool whole = false;

	h->simulated = h->simulated || round->simulated;
	for (size_t i = 0; i < round->count; i++) {
		const struct read_vm *vm = &round->list[i];
		const struct meter_vm *v = inventory_vm(&m->in, vm->uuid);
		if (!one_take(m, h, vm, h->simulated) || m->rrd == NULL)
			continue;
		if (vm->fast)
			draw(m, v, vm, host);
		else
			draw_disks(m, v, vm->at);
		whole = whole || vm->fast;
	}
	if (whole && m->rrd != NULL && h->lanes[LANE_FAST].all)
		rrd_add(m->rrd, RRD_HOST, h->uuid, m->now.wall, host, 4);
}

/* ---- guests that nobody looks at */

static bool
unmetered(const struct meter *m, const struct meter_vm *v, const struct meter_host *h,
    struct instant *since)
{
	*since = v->vm.through.ns > v->run.begun.ns ? v->vm.through : v->run.begun;
	if (since->ns < m->started.ns)
		*since = m->started; /* of before there is an alarm of its own */
	return v->run.begun.ns != 0 && v->run.ended.ns == 0 && h != NULL &&
	    h->failing_since.ns == 0 &&
	    m->now.wall.ns - since->ns > GAP_STEPS * m->set.step_ns;
}

/* A host that is away has an alarm of its own: its guests are not told one by one. */
void
unmetered_watch(struct meter *m)
{
	for (struct meter_host *h = m->in.hosts; h != NULL; h = h->next)
		for (struct meter_vm *v = h->vms; v != NULL; v = v->next_on_host) {
			struct instant since;
			char when[CLOCK_TEXT_MAX];
			char text[256];
			if (v->unmetered_since.ns != 0 || !unmetered(m, v, h, &since))
				continue;
			v->unmetered_since = since;
			(void)snprintf(text, sizeof(text),
			    "vm %s on host %s: runs and is not sampled since %s", v->uuid,
			    h->name, instant_text(since, when));
			log_warning("%s", text);
			m->ports.alert(m->ports.context, "vm.unmetered", v->uuid, true,
			    text);
		}
}
