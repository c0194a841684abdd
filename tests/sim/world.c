/* SPDX-License-Identifier: Apache-2.0 */
/* world: what libvirt on a simulated host would answer about its guests */
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <string.h>

/* A piece holds from its time on; time goes forward but for the odd answer out of order.
 */
static const struct sim_piece *
piece_at(struct sim_part *p, int64_t t)
{
	while (p->at + 1 < p->count && p->pieces[p->at + 1].at <= t)
		p->at++;
	while (p->at > 0 && p->pieces[p->at].at > t)
		p->at--;
	return &p->pieces[p->at];
}

static uint64_t
value_at(const struct sim_piece *p, size_t i, int64_t t)
{
	const struct sim_value *v = &p->values[i];
	uint64_t ms = (uint64_t)(t - p->at) / NS_PER_MS;
	uint64_t rest = (uint64_t)(t - p->at) % NS_PER_MS;

	return v->v + v->rate * ms + v->rate * rest / NS_PER_MS;
}

static struct read_value
gauge_at(const struct sim_piece *p, size_t i, int64_t t)
{
	if (!p->values[i].has)
		return (struct read_value){ 0, false };
	return (struct read_value){ value_at(p, i, t), true };
}

static bool
is_there(const struct sim_part *p, char kind, int64_t t)
{
	return p->kind == kind && p->begin <= t && t < p->end;
}

static size_t
parts_of(const struct sim_run *r, char kind, int64_t t)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += is_there(&r->parts[i], kind, t);
	return n;
}

static void
cards_read(struct sim_run *r, int64_t t, struct arena *a, struct read_vm *vm)
{
	vm->nics = arena_alloc(a, parts_of(r, 'n', t) * sizeof(*vm->nics));
	for (size_t i = 0; i < r->count; i++) {
		struct sim_part *p = &r->parts[i];
		struct read_nic *n = &vm->nics[vm->nic_count];
		const struct sim_piece *x;
		if (!is_there(p, 'n', t))
			continue;
		x = piece_at(p, t);
		vm->nic_count++;
		(void)snprintf(n->mac, sizeof(n->mac), "%.17s", p->name);
		if (p->port[0] != '-')
			(void)snprintf(n->port, sizeof(n->port), "%.36s", p->port);
		n->rx_bytes = value_at(x, 0, t);
		n->tx_bytes = value_at(x, 1, t);
	}
}

static void
disks_read(struct sim_run *r, int64_t t, struct arena *a, struct read_vm *vm)
{
	vm->disks = arena_alloc(a, parts_of(r, 'd', t) * sizeof(*vm->disks));
	for (size_t i = 0; i < r->count; i++) {
		struct sim_part *p = &r->parts[i];
		struct read_disk *d = &vm->disks[vm->disk_count];
		const struct sim_piece *x;
		if (!is_there(p, 'd', t))
			continue;
		x = piece_at(p, t);
		vm->disk_count++;
		(void)snprintf(d->target, sizeof(d->target), "%.31s", p->name);
		d->read_bytes = value_at(x, 0, t);
		d->write_bytes = value_at(x, 1, t);
		d->read_requests = value_at(x, 2, t);
		d->write_requests = value_at(x, 3, t);
		d->capacity = gauge_at(x, 4, t);
		d->allocation = gauge_at(x, 5, t);
		d->physical = gauge_at(x, 6, t);
	}
}

enum { VCPUS_FROM = 4 };

static void
process_read(struct sim_run *r, int64_t t, struct arena *a, struct read_vm *vm, bool fast)
{
	const struct sim_piece *x = piece_at(&r->parts[0], t);

	if (!fast) {
		vm->memory.current = gauge_at(x, 1, t);
		vm->memory.current.value *= 1024;
		vm->memory.rss = gauge_at(x, 2, t);
		vm->memory.guest_free = gauge_at(x, 3, t);
		return;
	}
	vm->cpu_ns = value_at(x, 0, t);
	vm->memory_kib = value_at(x, 1, t);
	vm->vcpu_count = x->count - VCPUS_FROM;
	vm->vcpu_ns = arena_alloc(a, vm->vcpu_count * sizeof(*vm->vcpu_ns));
	for (size_t i = 0; i < vm->vcpu_count; i++)
		vm->vcpu_ns[i] = value_at(x, VCPUS_FROM + i, t);
}

static void
guest_read(struct sim_run *r, int64_t t, struct instant at, struct read_round *out,
    bool fast)
{
	struct read_vm *vm = &out->list[out->count++];

	(void)snprintf(vm->uuid, sizeof(vm->uuid), "%.36s", r->guest->uuid);
	vm->domain_id = r->domid;
	vm->at = at;
	vm->fast = fast;
	vm->guarded = !fast;
	process_read(r, t, out->arena, vm, fast);
	if (fast)
		cards_read(r, t, out->arena, vm);
	else
		disks_read(r, t, out->arena, vm);
}

static bool
is_wanted(const char *uuid, const struct read_want *wants, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(wants[i].uuid, uuid) == 0)
			return true;
	return count == 0;
}

void
world_fast(const struct sim_host *h, int64_t t, struct instant at,
    const struct read_want *wants, size_t count, struct read_round *out)
{
	size_t most = 0;

	for (struct sim_run *r = h->runs; r != NULL; r = r->next)
		most++;
	*out = (struct read_round){ .arena = arena_new(),
		.simulated = h->simulated,
		.all = count == 0 };
	out->list = arena_alloc(out->arena, most * sizeof(*out->list));
	for (struct sim_run *r = h->runs; r != NULL; r = r->next)
		if (r->begin <= t && t < r->end &&
		    is_wanted(r->guest->uuid, wants, count))
			guest_read(r, t, at, out, true);
}

bool
world_guest(const struct sim_host *h, const char *uuid, int64_t t, struct instant at,
    struct read_round *out)
{
	struct sim_run *r = h->runs;

	while (r != NULL &&
	    (strcmp(r->guest->uuid, uuid) != 0 || t < r->begin || t >= r->end))
		r = r->next;
	if (r == NULL)
		return false;
	*out = (struct read_round){ .arena = arena_new(), .simulated = h->simulated };
	out->list = arena_alloc(out->arena, sizeof(*out->list));
	guest_read(r, t, at, out, false);
	return true;
}

void
read_round_done(struct read_round *r)
{
	arena_free(r->arena);
	*r = (struct read_round){ .list = NULL };
}
