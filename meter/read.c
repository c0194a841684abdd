/* SPDX-License-Identifier: Apache-2.0 */
/* read: raw counters of a host's guests; the one file of the collector that knows libvirt
 */
#include "meter/read.h"
#include "base/log.h"
#include "base/mem.h"
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEPALIVE_S = 5, KEEPALIVE_COUNT = 3, EVENT_STACK = 256 * 1024, WATCHES = 6 };

enum { KNOWN_BUCKETS = 256 };

/* What XML told about a guest; kept as long as the connection. */
struct known {
	struct known *next;
	char uuid[READ_UUID_MAX];
	int64_t domain_id;
	bool seen;
	struct domain_nics nics;
};

struct reader {
	virConnectPtr link;
	char *uri;
	bool simulated;
	struct known *known[KNOWN_BUCKETS];
	int watches[WATCHES]; /* ids of the events asked for, -1: none */
	virVcpuInfo vcpus[READ_VCPUS_MOST];
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

static void *
event_thread(void *unused_context unused)
{
	for (;;)
		if (virEventRunDefaultImpl() < 0)
			log_warning("libvirt's event loop failed once, it goes on");
	return NULL;
}

static void
tick(int unused_timer unused, void *unused_context unused)
{
}

bool
reader_init(struct err *e)
{
	pthread_attr_t attr;
	pthread_t thread;

	virSetErrorFunc(NULL, silent);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ||
	    virEventAddTimeout(1000, tick, NULL, NULL) < 0)
		return fail(e, "libvirt", "initialisation");
	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, EVENT_STACK) != 0 ||
	    pthread_create(&thread, &attr, event_thread, NULL) != 0)
		return err_set(e, ERR_INTERNAL, "no thread for libvirt's events");
	(void)pthread_attr_destroy(&attr);
	(void)pthread_detach(thread);
	return true;
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
known_bucket(struct reader *r, const char *uuid)
{
	uint32_t hash = 0;

	for (const char *p = uuid; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char)*p;
	return &r->known[hash % KNOWN_BUCKETS];
}

/* What was known of an earlier run is forgotten: names on the host's side come again. */
static struct known *
known_of(struct reader *r, const char *uuid, int64_t domain_id)
{
	struct known **bucket = known_bucket(r, uuid);
	struct known *k = *bucket;

	while (k != NULL && strcmp(k->uuid, uuid) != 0)
		k = k->next;
	if (k == NULL) {
		k = mem_alloc(sizeof(*k));
		(void)snprintf(k->uuid, sizeof(k->uuid), "%s", uuid);
		k->next = *bucket;
		*bucket = k;
	}
	if (k->domain_id != domain_id)
		domain_nics_done(&k->nics);
	k->domain_id = domain_id;
	k->seen = true;
	return k;
}

/* Forgets guests that this round did not see. */
static void
known_drop(struct reader *r, bool all)
{
	for (size_t b = 0; b < KNOWN_BUCKETS; b++)
		for (struct known **at = &r->known[b]; *at != NULL;) {
			struct known *k = *at;
			if (k->seen && !all) {
				k->seen = false;
				at = &k->next;
				continue;
			}
			*at = k->next;
			domain_nics_done(&k->nics);
			free(k);
		}
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

/* An unsigned field of any of libvirt's widths; absent stays as it is. */
static bool
field(virTypedParameterPtr params, int n, const char *name, uint64_t *out)
{
	virTypedParameterPtr p = virTypedParamsGet(params, n, name);

	if (p == NULL)
		return false;
	switch (p->type) {
	case VIR_TYPED_PARAM_ULLONG:
		*out = p->value.ul;
		return true;
	case VIR_TYPED_PARAM_LLONG:
		*out = p->value.l < 0 ? 0 : (uint64_t)p->value.l;
		return true;
	case VIR_TYPED_PARAM_UINT:
		*out = p->value.ui;
		return true;
	case VIR_TYPED_PARAM_INT:
		*out = p->value.i < 0 ? 0 : (uint64_t)p->value.i;
		return true;
	default:
		return false;
	}
}

static bool
value_of(virDomainStatsRecordPtr s, const char *name, struct read_value *out)
{
	out->has = field(s->params, s->nparams, name, &out->value);
	return out->has;
}

/* libvirt's KiB as bytes. */
static void
kib_of(virDomainStatsRecordPtr s, const char *name, struct read_value *out)
{
	if (value_of(s, name, out))
		out->value *= 1024;
}

static const char *
text_field(virDomainStatsRecordPtr s, const char *name)
{
	const char *text = NULL;

	return virTypedParamsGetString(s->params, s->nparams, name, &text) == 1 ? text
										: NULL;
}

/* "net", 3, "rx.bytes" -> net.3.rx.bytes */
static const char *
numbered(char out[64], const char *group, size_t i, const char *what)
{
	(void)snprintf(out, 64, "%s.%zu.%s", group, i, what);
	return out;
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
nic_take(struct known *k, struct read_nic *n, virDomainStatsRecordPtr s, size_t i)
{
	char name[64];
	const char *target = text_field(s, numbered(name, "net", i, "name"));
	const struct domain_nic *card;

	if (target == NULL ||
	    !field(s->params, s->nparams, numbered(name, "net", i, "rx.bytes"),
		&n->rx_bytes) ||
	    !field(s->params, s->nparams, numbered(name, "net", i, "tx.bytes"),
		&n->tx_bytes))
		return false;
	card = card_of(k, s->dom, target);
	if (card == NULL)
		return false;
	(void)snprintf(n->mac, sizeof(n->mac), "%s", card->mac);
	(void)snprintf(n->port, sizeof(n->port), "%s", card->port);
	return true;
}

static void
nics_take(struct reader *r, struct arena *a, struct read_vm *vm,
    virDomainStatsRecordPtr s)
{
	struct known *k = known_of(r, vm->uuid, vm->domain_id);
	uint64_t count = 0;

	(void)field(s->params, s->nparams, "net.count", &count);
	if (count > READ_DEVICES_MOST)
		count = READ_DEVICES_MOST;
	vm->nics = count > 0 ? arena_alloc(a, count * sizeof(*vm->nics)) : NULL;
	for (size_t i = 0; i < count; i++)
		if (nic_take(k, &vm->nics[vm->nic_count], s, i))
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
	if (id == (unsigned)-1 || virDomainGetUUIDString(s->dom, vm->uuid) < 0)
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

static void
node_cpu(virConnectPtr link, struct read_host *out)
{
	virNodeCPUStats list[16];
	int n = 0;

	if (virNodeGetCPUStats(link, VIR_NODE_CPU_STATS_ALL_CPUS, NULL, &n, 0) != 0 ||
	    n <= 0 || n > (int)ARRAY_LEN(list) ||
	    virNodeGetCPUStats(link, VIR_NODE_CPU_STATS_ALL_CPUS, list, &n, 0) != 0)
		return;
	node_value(list, n, VIR_NODE_CPU_STATS_USER, &out->user_ns);
	node_value(list, n, VIR_NODE_CPU_STATS_KERNEL, &out->kernel_ns);
	node_value(list, n, VIR_NODE_CPU_STATS_IDLE, &out->idle_ns);
	node_value(list, n, VIR_NODE_CPU_STATS_IOWAIT, &out->iowait_ns);
}

/* Of one NUMA cell, or of all. */
static bool
node_memory(virConnectPtr link, int cell, struct read_value *total,
    struct read_value *left)
{
	virNodeMemoryStats list[16];
	int n = 0;

	if (virNodeGetMemoryStats(link, cell, NULL, &n, 0) != 0 || n <= 0 ||
	    n > (int)ARRAY_LEN(list) ||
	    virNodeGetMemoryStats(link, cell, list, &n, 0) != 0)
		return false;
	for (int i = 0; i < n; i++) {
		struct read_value v = { list[i].value * 1024, true };
		if (strcmp(list[i].field, VIR_NODE_MEMORY_STATS_TOTAL) == 0)
			*total = v;
		if (strcmp(list[i].field, VIR_NODE_MEMORY_STATS_FREE) == 0)
			*left = v;
	}
	return total->has && left->has;
}

bool
reader_fast(struct reader *r, const struct read_want *wants, size_t count,
    const struct read_on *on, struct read_round *out, struct err *e)
{
	virDomainStatsRecordPtr *list = NULL;
	int n = fast_stats(r, wants, count, &list);

	if (n < 0)
		return fail(e, "statistics of", r->uri);
	round_begin(r, out, (size_t)n);
	for (int i = 0; i < n; i++) {
		if (on->call != NULL)
			on->call(on->context);
		if (fast_one(r, out->arena, &out->list[out->count], list[i]))
			out->count++;
	}
	virDomainStatsRecordListFree(list);
	out->all = count == 0;
	if (out->all) {
		known_drop(r, false);
		node_cpu(r->link, &out->host);
		(void)node_memory(r->link, VIR_NODE_MEMORY_STATS_ALL_CELLS,
		    &out->host.memory_total, &out->host.memory_free);
	}
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
		if (node_memory(r->link, i, &total, &left))
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
disk_take(struct read_disk *d, virDomainStatsRecordPtr s, size_t i)
{
	char name[64];
	const char *target = text_field(s, numbered(name, "block", i, "name"));
	struct {
		const char *what;
		uint64_t *out;
	} fields[] = { { "rd.bytes", &d->read_bytes }, { "wr.bytes", &d->write_bytes },
		{ "rd.reqs", &d->read_requests }, { "wr.reqs", &d->write_requests } };

	if (target == NULL)
		return false;
	(void)snprintf(d->target, sizeof(d->target), "%.31s", target);
	for (size_t f = 0; f < ARRAY_LEN(fields); f++)
		if (!field(s->params, s->nparams,
			numbered(name, "block", i, fields[f].what), fields[f].out))
			return false;
	(void)value_of(s, numbered(name, "block", i, "capacity"), &d->capacity);
	(void)value_of(s, numbered(name, "block", i, "allocation"), &d->allocation);
	(void)value_of(s, numbered(name, "block", i, "physical"), &d->physical);
	return true;
}

static void
disks_take(struct arena *a, struct read_vm *vm, virDomainStatsRecordPtr s)
{
	uint64_t count = 0;

	(void)field(s->params, s->nparams, "block.count", &count);
	if (count > READ_DEVICES_MOST)
		count = READ_DEVICES_MOST;
	vm->disks = count > 0 ? arena_alloc(a, count * sizeof(*vm->disks)) : NULL;
	for (size_t i = 0; i < count; i++)
		if (disk_take(&vm->disks[vm->disk_count], s, i))
			vm->disk_count++;
}

static void
memory_take(struct read_memory *m, virDomainStatsRecordPtr s)
{
	kib_of(s, "balloon.current", &m->current);
	kib_of(s, "balloon.rss", &m->rss);
	kib_of(s, "balloon.unused", &m->guest_free);
	kib_of(s, "balloon.usable", &m->usable);
	kib_of(s, "balloon.swap_in", &m->swap_in);
	kib_of(s, "balloon.swap_out", &m->swap_out);
	(void)value_of(s, "balloon.major_fault", &m->major_faults);
}

/* How long its vCPUs were ready to run while the host had no core for them. */
static void
steal_take(struct read_value *steal, virDomainStatsRecordPtr s)
{
	uint64_t most = 0;
	char name[64];

	(void)field(s->params, s->nparams, "vcpu.maximum", &most);
	for (size_t i = 0; i < most && i < READ_VCPUS_MOST; i++) {
		uint64_t ns = 0;
		if (!field(s->params, s->nparams, numbered(name, "vcpu", i, "delay"),
			&ns))
			continue;
		steal->value += ns;
		steal->has = true;
	}
}

static void
perf_take(struct read_value perf[PERF_COUNT], virDomainStatsRecordPtr s)
{
	static const char *const names[PERF_COUNT] = { "perf.instructions",
		"perf.cpu_cycles", "perf.cache_references", "perf.cache_misses",
		"perf.branch_instructions", "perf.branch_misses", "perf.page_faults",
		"perf.context_switches" };

	for (int i = 0; i < PERF_COUNT; i++)
		(void)value_of(s, names[i], &perf[i]); /* mostly none is there */
}

static void
guest_take(struct read_round *out, int64_t id, const char *uuid,
    virDomainStatsRecordPtr s)
{
	struct read_vm *vm = &out->list[0];

	memset(vm, 0, sizeof(*vm));
	(void)snprintf(vm->uuid, sizeof(vm->uuid), "%s", uuid);
	vm->domain_id = id;
	disks_take(out->arena, vm, s);
	memory_take(&vm->memory, s);
	steal_take(&vm->steal_ns, s);
	perf_take(vm->perf, s);
	vm->at = clock_now();
	vm->guarded = true;
	out->count = 1;
}

/* Two guests never share a call: one that hangs would take the other with it. */
static enum read_word
guest_ask(struct reader *r, virDomainPtr d, const struct read_want *want,
    struct read_round *out)
{
	virDomainStatsRecordPtr *list = NULL;
	virDomainPtr one[2] = { d, NULL };
	unsigned id = virDomainGetID(d);
	const unsigned what = want->how == READ_PULSE ? VIR_DOMAIN_STATS_DIRTYRATE
						      : VIR_DOMAIN_STATS_BLOCK |
		VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_PERF;
	int n = virDomainListGetStats(one, what, &list,
	    VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);

	if (n == 1 && want->how == READ_FULL && id != (unsigned)-1) {
		round_begin(r, out, 1);
		guest_take(out, (int64_t)id, want->uuid, list[0]);
	}
	virDomainStatsRecordListFree(list);
	return n == 1 ? READ_DONE : READ_GONE;
}

enum read_word
reader_guest(struct reader *r, const struct read_want *want, struct read_round *out,
    unsigned *busy_ms, struct err *e)
{
	virDomainControlInfo control;
	virDomainPtr d = virDomainLookupByUUIDString(r->link, want->uuid);
	enum read_word word = READ_GONE;

	*out = (struct read_round){ .simulated = r->simulated };
	if (d != NULL && virDomainGetControlInfo(d, &control, 0) == 0) {
		/* A background job leaves queries through. */
		bool idle = control.state == VIR_DOMAIN_CONTROL_OK ||
		    control.state == VIR_DOMAIN_CONTROL_JOB;
		*busy_ms = (unsigned)control.stateTime;
		word = !idle                 ? READ_BUSY
		    : want->how == READ_LOOK ? READ_DONE
					     : guest_ask(r, d, want, out);
	}
	if (d != NULL)
		(void)virDomainFree(d);
	if (word == READ_GONE && virConnectIsAlive(r->link) != 1) {
		(void)fail(e, "guests of", r->uri);
		return READ_LOST;
	}
	return word;
}
