/* SPDX-License-Identifier: Apache-2.0 */
/* read: raw counters of a host's guests; the one file of the collector that knows libvirt
 */
#include "meter/read.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/watch.h"
#include "meter/stats.h"
#include <assert.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEPALIVE_S = 5, KEEPALIVE_COUNT = 3, WATCHES = 6 };

enum { KNOWN_BUCKETS_FIRST = 64 };

/* What need not be asked again about a guest; kept as long as it is seen. */
struct known {
	struct known *next;
	char uuid[READ_UUID_MAX];
	bool seen;
	int64_t domain_id; /* fast lane: of the run that nics is about */
	struct domain_nics nics;
	virDomainPtr guest; /* guarded lane: libvirt's handle */
};

struct reader {
	virConnectPtr link;
	char *uri;
	bool simulated;
	struct known **known; /* a table of so many buckets */
	size_t bucket_count, known_count, asked;
	int watches[WATCHES];               /* ids of the events asked for, -1: none */
	virVcpuInfo vcpus[READ_VCPUS_MOST]; /* and stats: of the guest looked at */
	struct stats stats;
	int cpu_stats, memory_stats, cell_stats; /* how many the host tells; 0: ask */
};

static bool
fail(struct err *e, const char *what, const char *object)
{
	const virError *v = virGetLastError();

	return err_set(e, ERR_GONE, "%s %s: %s", what, object,
	    v != NULL && v->message != NULL ? v->message : "libvirt does not say why");
}

static void
silent(void *unused_context unused, virErrorPtr unused_error unused)
{
}

static_assert((int)WATCH_READ == VIR_EVENT_HANDLE_READABLE &&
	(int)WATCH_WRITE == VIR_EVENT_HANDLE_WRITABLE &&
	(int)WATCH_ERROR == VIR_EVENT_HANDLE_ERROR &&
	(int)WATCH_HANGUP == VIR_EVENT_HANDLE_HANGUP,
    "libvirt's bits are ours");

/* Not libvirt's own loop, which each call of another thread wakes twice: that cost more
 * than the calls themselves. */
bool
reader_init(struct err *e)
{
	virSetErrorFunc(NULL, silent);
	if (virInitialize() < 0)
		return fail(e, "libvirt", "initialisation");
	virEventRegisterImpl(watch_add, watch_change, watch_remove, watch_timer_add,
	    watch_timer_change, watch_timer_remove);
	return watch_start(e);
}

/* Least rights: the read-only socket beside the one that is named, where there is one. */
static char *
read_only_uri(const char *uri)
{
	const char *socket = strstr(uri, "socket=");
	size_t length = strlen(uri);
	char *ro;

	if (socket == NULL ||
	    strcmp(uri + length - strlen("libvirt-sock"), "libvirt-sock") != 0)
		return mem_strdup(uri);
	ro = mem_printf("%s-ro", uri);
	if (access(ro + (socket - uri) + strlen("socket="), F_OK) == 0)
		return ro;
	free(ro);
	return mem_strdup(uri);
}

bool
reader_open(struct reader **out, const char *uri, struct err *e)
{
	scoped_free char *ro = read_only_uri(uri);
	virConnectPtr link = virConnectOpenReadOnly(ro);
	const char *type;
	struct reader *r;

	if (link == NULL)
		return fail(e, "connecting to", uri);
	(void)virConnectSetKeepAlive(link, KEEPALIVE_S,
	    KEEPALIVE_COUNT); /* test driver: none */
	r = mem_alloc(sizeof(*r));
	r->link = link;
	r->uri = mem_strdup(uri);
	type = virConnectGetType(link);
	r->simulated = type != NULL && strcmp(type, "TEST") == 0;
	for (size_t i = 0; i < WATCHES; i++)
		r->watches[i] = -1;
	*out = r;
	return true;
}

const char *
reader_uri(const struct reader *r)
{
	return r->uri;
}

static struct known **
known_bucket(const struct reader *r, const char *uuid)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (const char *p = uuid; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	return &r->known[hash % r->bucket_count];
}

static void
known_grow(struct reader *r)
{
	struct known **old = r->known;
	size_t old_count = r->bucket_count;

	r->bucket_count = old_count == 0 ? KNOWN_BUCKETS_FIRST : 2 * old_count;
	r->known = mem_array(r->bucket_count, sizeof(struct known *));
	for (size_t b = 0; b < old_count; b++)
		for (struct known *k = old[b]; k != NULL;) {
			struct known **to = known_bucket(r, k->uuid);
			struct known *next = k->next;
			k->next = *to;
			*to = k;
			k = next;
		}
	free(old);
}

static struct known *
known_of(struct reader *r, const char *uuid)
{
	struct known **bucket;
	struct known *k;

	if (r->known_count >= r->bucket_count)
		known_grow(r);
	bucket = known_bucket(r, uuid);
	for (k = *bucket; k != NULL && strcmp(k->uuid, uuid) != 0; k = k->next)
		continue;
	if (k == NULL) {
		k = mem_alloc(sizeof(*k));
		(void)snprintf(k->uuid, sizeof(k->uuid), "%s", uuid);
		k->next = *bucket;
		*bucket = k;
		r->known_count++;
	}
	k->seen = true;
	return k;
}

/* What was known of an earlier run is forgotten: names on the host's side come again. */
static struct known *
known_run(struct reader *r, const char *uuid, int64_t domain_id)
{
	struct known *k = known_of(r, uuid);

	if (k->domain_id != domain_id)
		domain_nics_done(&k->nics);
	k->domain_id = domain_id;
	return k;
}

static void
guest_forget(struct known *k)
{
	if (k->guest != NULL)
		(void)virDomainFree(k->guest);
	k->guest = NULL;
}

static void
known_free(struct reader *r, struct known *k)
{
	guest_forget(k);
	domain_nics_done(&k->nics);
	free(k);
	r->known_count--;
}

/* Forgets guests that were not seen since the last time. */
static void
known_drop(struct reader *r, bool all)
{
	for (size_t b = 0; b < r->bucket_count; b++)
		for (struct known **at = &r->known[b]; *at != NULL;) {
			struct known *k = *at;
			if (k->seen && !all) {
				k->seen = false;
				at = &k->next;
				continue;
			}
			*at = k->next;
			known_free(r, k);
		}
}

/* Each of some rounds asks for each guest once: who is not among them is gone. */
static struct known *
known_guest(struct reader *r, const char *uuid)
{
	struct known *k = known_of(r, uuid);

	if (++r->asked > 4 * r->known_count + KNOWN_BUCKETS_FIRST) {
		known_drop(r, false);
		r->asked = 0;
	}
	if (k->guest == NULL)
		k->guest = virDomainLookupByUUIDString(r->link, uuid);
	return k;
}

/* As virDomainGetUUIDString, which prints it byte by byte. */
static bool
uuid_of(virDomainPtr d, char out[READ_UUID_MAX])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[VIR_UUID_BUFLEN];

	if (virDomainGetUUID(d, raw) < 0)
		return false;
	for (size_t i = 0; i < VIR_UUID_BUFLEN; i++) {
		*out++ = hex[raw[i] >> 4];
		*out++ = hex[raw[i] & 15];
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*out++ = '-';
	}
	*out = '\0';
	return true;
}

void
reader_close(struct reader *r)
{
	if (r == NULL)
		return;
	known_drop(r, true);
	for (size_t i = 0; i < WATCHES; i++)
		if (r->watches[i] >= 0)
			(void)virConnectDomainEventDeregisterAny(r->link, r->watches[i]);
	(void)virConnectClose(r->link);
	free(r->known);
	free(r->uri);
	free(r);
}

void
read_round_done(struct read_round *r)
{
	arena_free(r->arena);
	free(r->list);
	*r = (struct read_round){ .list = NULL };
}

/* ---- events */

struct watch {
	reader_event event;
	void *context;
};

static void
tell(virDomainPtr d, const struct watch *w)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (virDomainGetUUIDString(d, uuid) == 0)
		w->event(w->context, uuid);
}

static int
lifecycle_came(virConnectPtr unused_link unused, virDomainPtr d, int unused_event unused,
    int unused_detail unused, void *context)
{
	tell(d, context);
	return 0;
}

static void
balloon_came(virConnectPtr unused_link unused, virDomainPtr d,
    unsigned long long unused_kib unused, void *context)
{
	tell(d, context);
}

static void
device_came(virConnectPtr unused_link unused, virDomainPtr d,
    const char *unused_alias unused, void *context)
{
	tell(d, context);
}

static void
job_came(virConnectPtr unused_link unused, virDomainPtr d,
    virTypedParameterPtr unused_params unused, int unused_count unused, void *context)
{
	tell(d, context);
}

void
reader_watch(struct reader *r, reader_event event, void *context)
{
	const struct {
		int id;
		virConnectDomainEventGenericCallback call;
	} wanted[] = {
		{ VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		    VIR_DOMAIN_EVENT_CALLBACK(lifecycle_came) },
		{ VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
		    VIR_DOMAIN_EVENT_CALLBACK(balloon_came) },
		{ VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
		    VIR_DOMAIN_EVENT_CALLBACK(device_came) },
		{ VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
		    VIR_DOMAIN_EVENT_CALLBACK(device_came) },
		{ VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
		    VIR_DOMAIN_EVENT_CALLBACK(job_came) },
	};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct watch *w = mem_alloc(sizeof(*w));
		*w = (struct watch){ event, context };
		/* libvirt frees it when no call of it can be under way any more. */
		r->watches[i] = virConnectDomainEventRegisterAny(r->link, NULL,
		    wanted[i].id, wanted[i].call, w, free);
		if (r->watches[i] < 0)
			free(w);
	}
}

/* ---- fast lane */

/* The cards as the guest's XML has them; asked again when a name is not known yet. */
static const struct domain_nic *
card_of(struct known *k, virDomainPtr d, const char *target)
{
	const struct domain_nic *n = domain_nic_find(&k->nics, target);
	struct err e = ERR_INIT;
	char *xml;

	if (n != NULL)
		return n;
	xml = virDomainGetXMLDesc(d, 0);
	if (xml == NULL || !domain_nics_read(&k->nics, xml, &e))
		log_debug("vm %s: its network cards are not known: %s", k->uuid,
		    xml != NULL ? e.text : "no XML");
	free(xml);
	return domain_nic_find(&k->nics, target);
}

/* A card without counters (user mode has none) is left out and hides no other. */
static bool
nic_take(struct known *k, struct read_nic *n, virDomainPtr d, const struct stats_nic *s)
{
	const struct domain_nic *card;

	if (s->target == NULL || !s->rx.has || !s->tx.has)
		return false;
	card = card_of(k, d, s->target);
	if (card == NULL)
		return false;
	memcpy(n->mac, card->mac, sizeof(n->mac));
	memcpy(n->port, card->port, sizeof(n->port));
	n->rx_bytes = s->rx.value;
	n->tx_bytes = s->tx.value;
	return true;
}

static void
nics_take(struct reader *r, struct arena *a, struct read_vm *vm,
    virDomainStatsRecordPtr record)
{
	const struct stats *s = &r->stats;
	struct known *k = known_run(r, vm->uuid, vm->domain_id);

	stats_read(&r->stats, record->params, record->nparams);
	vm->nics = s->nic_count > 0 ? arena_alloc(a, s->nic_count * sizeof(*vm->nics))
				    : NULL;
	for (size_t i = 0; i < s->nic_count; i++)
		if (nic_take(k, &vm->nics[vm->nic_count], record->dom, &s->nics[i]))
			vm->nic_count++;
}

static void
vcpus_take(struct reader *r, struct arena *a, struct read_vm *vm, virDomainPtr d)
{
	int n = virDomainGetVcpus(d, r->vcpus, READ_VCPUS_MOST, NULL, 0);

	vm->vcpu_ns = n > 0 ? arena_alloc(a, (size_t)n * sizeof(*vm->vcpu_ns)) : NULL;
	for (int i = 0; i < n; i++)
		vm->vcpu_ns[vm->vcpu_count++] = r->vcpus[i].cpuTime;
}

/* Asked last: of a process that ends meanwhile libvirt says 0 without an error. */
static bool
cpu_take(struct reader *r, struct read_vm *vm, virDomainPtr d)
{
	virDomainInfo info;

	if (virDomainGetInfo(d, &info) < 0 || info.state == VIR_DOMAIN_SHUTOFF ||
	    (info.cpuTime == 0 && !r->simulated))
		return false;
	vm->cpu_ns = info.cpuTime;
	vm->memory_kib = info.memory;
	return true;
}

/* False: it stopped while we looked, or says nothing: left out, which is never zero. */
static bool
fast_one(struct reader *r, struct arena *a, struct read_vm *vm, virDomainStatsRecordPtr s)
{
	unsigned id = virDomainGetID(s->dom);

	memset(vm, 0, sizeof(*vm));
	if (id == (unsigned)-1 || !uuid_of(s->dom, vm->uuid))
		return false;
	vm->domain_id = (int64_t)id;
	vcpus_take(r, a, vm, s->dom);
	if (!cpu_take(r, vm, s->dom))
		return false;
	nics_take(r, a, vm, s);
	vm->at = clock_now();
	vm->fast = true;
	return true;
}

static void
round_begin(struct reader *r, struct read_round *out, size_t room)
{
	*out = (struct read_round){ .arena = arena_new(),
		.list = mem_array(room, sizeof(*out->list)),
		.simulated = r->simulated };
}

static virDomainPtr *
domains_of(struct reader *r, const struct read_want *wants, size_t count)
{
	virDomainPtr *list = mem_array(count + 1, sizeof(virDomainPtr));
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		list[n] = virDomainLookupByUUIDString(r->link, wants[i].uuid);
		n += list[n] != NULL;
	}
	return list;
}

static void
domains_free(virDomainPtr *list)
{
	for (size_t i = 0; list[i] != NULL; i++)
		(void)virDomainFree(list[i]);
	free(list);
}

static int
fast_stats(struct reader *r, const struct read_want *wants, size_t count,
    virDomainStatsRecordPtr **list)
{
	const unsigned what = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_INTERFACE;
	virDomainPtr *domains;
	int n = 0;

	if (count == 0)
		return virConnectGetAllDomainStats(r->link, what, list,
		    VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
	domains = domains_of(r, wants, count);
	if (domains[0] != NULL)
		n = virDomainListGetStats(domains, what, list, 0);
	else if (virConnectIsAlive(r->link) != 1)
		n = -1;
	domains_free(domains);
	return n;
}

static void
node_value(const virNodeCPUStats *list, int n, const char *name, struct read_value *out)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].field, name) == 0)
			*out = (struct read_value){ list[i].value, true };
}

enum { NODE_STATS_MOST = 16 };

/* libvirt wants to be asked for just as many as there are, which it says if asked for 0.
 */
static bool
node_cpu(struct reader *r, struct read_host *out)
{
	virNodeCPUStats list[NODE_STATS_MOST];
	int n = r->cpu_stats;

	if (n == 0 &&
	    virNodeGetCPUStats(r->link, VIR_NODE_CPU_STATS_ALL_CPUS, NULL, &n, 0) != 0)
		return false;
	if (n <= 0 || n > NODE_STATS_MOST ||
	    virNodeGetCPUStats(r->link, VIR_NODE_CPU_STATS_ALL_CPUS, list, &n, 0) != 0)
		return false;
	r->cpu_stats = n;
	node_value(list, n, VIR_NODE_CPU_STATS_USER, &out->user_ns);
	node_value(list, n, VIR_NODE_CPU_STATS_KERNEL, &out->kernel_ns);
	node_value(list, n, VIR_NODE_CPU_STATS_IDLE, &out->idle_ns);
	node_value(list, n, VIR_NODE_CPU_STATS_IOWAIT, &out->iowait_ns);
	return true;
}

/* Of one NUMA cell, or of all. */
static bool
node_memory(struct reader *r, int cell, struct read_value *total, struct read_value *left)
{
	virNodeMemoryStats list[NODE_STATS_MOST];
	int *known = cell == VIR_NODE_MEMORY_STATS_ALL_CELLS ? &r->memory_stats
							     : &r->cell_stats;
	int n = *known;

	if (n == 0 && virNodeGetMemoryStats(r->link, cell, NULL, &n, 0) != 0)
		return false;
	if (n <= 0 || n > NODE_STATS_MOST ||
	    virNodeGetMemoryStats(r->link, cell, list, &n, 0) != 0)
		return false;
	*known = n;
	for (int i = 0; i < n; i++) {
		struct read_value v = { list[i].value * 1024, true };
		if (strcmp(list[i].field, VIR_NODE_MEMORY_STATS_TOTAL) == 0)
			*total = v;
		if (strcmp(list[i].field, VIR_NODE_MEMORY_STATS_FREE) == 0)
			*left = v;
	}
	return total->has && left->has;
}

static void
node_take(struct reader *r, struct read_host *out)
{
	if (!node_cpu(r, out))
		r->cpu_stats = 0; /* asked anew: another libvirtd may tell more */
	if (!node_memory(r, VIR_NODE_MEMORY_STATS_ALL_CELLS, &out->memory_total,
		&out->memory_free))
		r->memory_stats = 0;
}

/* So many of the records, in a round of their own. */
static void
piece_take(struct reader *r, const struct read_on *on, struct read_round *out,
    virDomainStatsRecordPtr *list, size_t count)
{
	round_begin(r, out, count);
	for (size_t i = 0; i < count; i++) {
		on->call(on->context);
		if (fast_one(r, out->arena, &out->list[out->count], list[i]))
			out->count++;
	}
}

/* A large host's guests are not held in memory together. */
static void
pieces_take(struct reader *r, const struct read_on *on, bool all,
    virDomainStatsRecordPtr *list, size_t count)
{
	struct read_host host = { .user_ns = { 0, false } };
	size_t before = 0;
	size_t i = 0;
	bool wanted;

	if (all)
		node_take(r, &host);
	do {
		size_t n = count - i < READ_PIECE ? count - i : READ_PIECE;
		struct read_round piece;
		size_t seen;
		piece_take(r, on, &piece, list + i, n);
		i += n;
		piece.before = before;
		piece.more = i < count;
		piece.all = all;
		piece.host = host;
		seen = piece.count;
		wanted = on->piece(on->context, &piece);
		before += seen;
	} while (wanted && i < count);
}

bool
reader_fast(struct reader *r, const struct read_want *wants, size_t count,
    const struct read_on *on, struct err *e)
{
	virDomainStatsRecordPtr *list = NULL;
	int n = fast_stats(r, wants, count, &list);

	if (n < 0)
		return fail(e, "statistics of", r->uri);
	pieces_take(r, on, count == 0, list, (size_t)n);
	virDomainStatsRecordListFree(list);
	if (count == 0)
		known_drop(r, false);
	return true;
}

/* ---- third lane: pools, networks, capabilities */

void
read_site_done(struct read_site *s)
{
	free(s->pools);
	free(s->networks);
	free(s->cells);
	free(s->capabilities);
	*s = (struct read_site){ .pools = NULL };
}

static void
name_copy(char *out, size_t room, const char *name)
{
	(void)snprintf(out, room, "%s", name != NULL ? name : "");
}

static const char *
pool_state(int state)
{
	switch (state) {
	case VIR_STORAGE_POOL_RUNNING:
		return "running";
	case VIR_STORAGE_POOL_BUILDING:
		return "building";
	case VIR_STORAGE_POOL_DEGRADED:
		return "degraded";
	case VIR_STORAGE_POOL_INACCESSIBLE:
		return "inaccessible";
	default:
		return "inactive";
	}
}

static bool
pool_take(struct read_pool *p, virStoragePoolPtr from)
{
	virStoragePoolInfo info;

	if (virStoragePoolGetUUIDString(from, p->uuid) < 0 ||
	    virStoragePoolGetInfo(from, &info) < 0)
		return false;
	name_copy(p->name, sizeof(p->name), virStoragePoolGetName(from));
	p->state = pool_state(info.state);
	p->capacity = info.capacity;
	p->allocation = info.allocation;
	p->available = info.available;
	return true;
}

static void
pools_take(struct reader *r, struct read_site *out)
{
	virStoragePoolPtr *list = NULL;
	int n = virConnectListAllStoragePools(r->link, &list, 0);

	out->pools = n > 0 ? mem_array((size_t)n, sizeof(*out->pools)) : NULL;
	for (int i = 0; i < n; i++) {
		out->pool_count += pool_take(&out->pools[out->pool_count], list[i]);
		(void)virStoragePoolFree(list[i]);
	}
	free(list);
}

static bool
network_take(struct read_network *n, virNetworkPtr from)
{
	virNetworkDHCPLeasePtr *leases = NULL;
	char *bridge = NULL;
	int count;

	if (virNetworkGetUUIDString(from, n->uuid) < 0)
		return false;
	name_copy(n->name, sizeof(n->name), virNetworkGetName(from));
	n->active = virNetworkIsActive(from) == 1;
	if (n->active)
		bridge = virNetworkGetBridgeName(from);
	name_copy(n->bridge, sizeof(n->bridge), bridge);
	free(bridge);
	count = n->active ? virNetworkGetDHCPLeases(from, NULL, &leases, 0) : -1;
	if (count >= 0)
		n->leases = (struct read_value){ (uint64_t)count, true };
	for (int i = 0; i < count; i++)
		virNetworkDHCPLeaseFree(leases[i]);
	free(leases);
	return true;
}

static void
networks_take(struct reader *r, struct read_site *out)
{
	virNetworkPtr *list = NULL;
	int n = virConnectListAllNetworks(r->link, &list, 0);

	out->networks = n > 0 ? mem_array((size_t)n, sizeof(*out->networks)) : NULL;
	for (int i = 0; i < n; i++) {
		out->network_count += network_take(&out->networks[out->network_count],
		    list[i]);
		(void)virNetworkFree(list[i]);
	}
	free(list);
}

static void
cells_take(struct reader *r, struct read_site *out)
{
	struct topology t = { .cells = 0 };
	struct err ignored = ERR_INIT;

	if (!topology_read(&t, out->capabilities, &ignored))
		return;
	out->cells = mem_array((size_t)t.cells, sizeof(*out->cells));
	for (int i = 0; i < t.cells; i++) {
		struct read_value total = { 0, false };
		struct read_value left = { 0, false };
		if (node_memory(r, i, &total, &left))
			out->cells[out->cell_count++] = (struct read_cell){ i,
				total.value, left.value };
	}
}

/* A driver without pools or networks has none. */
bool
reader_site(struct reader *r, struct read_site *out, struct err *e)
{
	*out = (struct read_site){ .pools = NULL };
	out->capabilities = virConnectGetCapabilities(r->link);
	if (out->capabilities == NULL)
		return fail(e, "capabilities of", r->uri);
	pools_take(r, out);
	networks_take(r, out);
	cells_take(r, out);
	if (virConnectIsAlive(r->link) == 1)
		return true;
	read_site_done(out);
	return fail(e, "pools of", r->uri);
}

/* ---- guarded lane */

/* No answer is never zero: a disk without counters is left out. */
static bool
disk_take(struct read_disk *d, const struct stats_disk *s)
{
	if (s->target == NULL || !s->read_bytes.has || !s->write_bytes.has ||
	    !s->read_requests.has || !s->write_requests.has)
		return false;
	(void)snprintf(d->target, sizeof(d->target), "%.31s", s->target);
	d->read_bytes = s->read_bytes.value;
	d->write_bytes = s->write_bytes.value;
	d->read_requests = s->read_requests.value;
	d->write_requests = s->write_requests.value;
	d->capacity = s->capacity;
	d->allocation = s->allocation;
	d->physical = s->physical;
	return true;
}

static void
disks_take(struct arena *a, struct read_vm *vm, const struct stats *s)
{
	vm->disks = s->disk_count > 0 ? arena_alloc(a, s->disk_count * sizeof(*vm->disks))
				      : NULL;
	for (size_t i = 0; i < s->disk_count; i++)
		if (disk_take(&vm->disks[vm->disk_count], &s->disks[i]))
			vm->disk_count++;
}

static void
guest_take(struct reader *r, struct read_round *out, const char *uuid,
    virDomainStatsRecordPtr record)
{
	const struct stats *s = &r->stats;
	struct read_vm *vm;

	round_begin(r, out, 1);
	vm = &out->list[0];
	memset(vm, 0, sizeof(*vm));
	(void)snprintf(vm->uuid, sizeof(vm->uuid), "%s", uuid);
	vm->domain_id = (int64_t)virDomainGetID(record->dom);
	stats_read(&r->stats, record->params, record->nparams);
	disks_take(out->arena, vm, s);
	vm->memory = s->memory;
	vm->steal_ns = s->steal_ns;
	memcpy(vm->perf, s->perf, sizeof(vm->perf));
	vm->at = clock_now();
	vm->guarded = true;
	out->count = 1;
}

size_t
reader_group(const struct read_want *wants, size_t count)
{
	size_t n = 1;

	if (wants[0].alone || wants[0].how == READ_LOOK)
		return 1;
	while (n < count && n < READ_GROUP && wants[n].how == wants[0].how &&
	    !wants[n].alone)
		n++;
	return n;
}

/* What libvirtd knows without asking the guest.  A background job leaves queries through.
 */
static void
guest_look(struct known *k, struct read_told *told)
{
	virDomainControlInfo control;

	if (k->guest == NULL || virDomainGetControlInfo(k->guest, &control, 0) != 0)
		return;
	told->busy_ms = (unsigned)control.stateTime;
	told->word = control.state == VIR_DOMAIN_CONTROL_OK ||
		control.state == VIR_DOMAIN_CONTROL_JOB
	    ? READ_DONE
	    : READ_BUSY;
}

static void
record_take(struct reader *r, const struct read_want *wants, size_t count,
    struct read_told *told, virDomainStatsRecordPtr record)
{
	char uuid[READ_UUID_MAX];
	size_t i = 0;

	if (!uuid_of(record->dom, uuid))
		return;
	while (i < count && strcmp(wants[i].uuid, uuid) != 0)
		i++;
	if (i == count)
		return;
	told[i].word = READ_DONE;
	if (wants[i].how == READ_FULL && virDomainGetID(record->dom) != (unsigned)-1)
		guest_take(r, &told[i].round, uuid, record);
}

/* Those that are idle; who is not in the answer is gone. */
static void
guests_ask(struct reader *r, const struct read_want *wants, size_t count,
    struct read_told *told, virDomainPtr *idle)
{
	virDomainStatsRecordPtr *list = NULL;
	const unsigned what = wants[0].how == READ_PULSE ? VIR_DOMAIN_STATS_DIRTYRATE
							 : VIR_DOMAIN_STATS_BLOCK |
		VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_PERF;
	int n;

	for (size_t i = 0; i < count; i++)
		if (told[i].word == READ_DONE)
			told[i].word = READ_GONE;
	n = virDomainListGetStats(idle, what, &list,
	    VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
	for (int i = 0; i < n; i++)
		record_take(r, wants, count, told, list[i]);
	if (n >= 0)
		virDomainStatsRecordListFree(list);
}

bool
reader_guests(struct reader *r, const struct read_want *wants, size_t count,
    struct read_told *told, struct err *e)
{
	struct known *known[READ_GROUP];
	virDomainPtr idle[READ_GROUP + 1] = { NULL };
	size_t n = 0;
	bool gone = false;

	for (size_t i = 0; i < count; i++) {
		told[i] = (struct read_told){ .word = READ_GONE,
			.round.simulated = r->simulated };
		known[i] = known_guest(r, wants[i].uuid);
		guest_look(known[i], &told[i]);
		if (told[i].word == READ_DONE)
			idle[n++] = known[i]->guest;
	}
	if (n > 0 && wants[0].how != READ_LOOK)
		guests_ask(r, wants, count, told, idle);
	for (size_t i = 0; i < count; i++) {
		if (told[i].word != READ_GONE)
			continue;
		guest_forget(known[i]);
		gone = true;
	}
	if (!gone || virConnectIsAlive(r->link) == 1)
		return true;
	for (size_t i = 0; i < count; i++)
		read_round_done(&told[i].round);
	return fail(e, "guests of", r->uri);
}
