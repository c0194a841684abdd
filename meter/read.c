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

enum { KEEPALIVE_S = 5, KEEPALIVE_COUNT = 3, EVENT_STACK = 256 * 1024 };

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
	struct known *known[KNOWN_BUCKETS];
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

	if (link == NULL)
		return fail(e, "connecting to", uri);
	(void)virConnectSetKeepAlive(link, KEEPALIVE_S,
	    KEEPALIVE_COUNT); /* test driver: none */
	*out = mem_alloc(sizeof(**out));
	(*out)->link = link;
	(*out)->uri = mem_strdup(uri);
	return true;
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
		k->nics.count = 0;
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
			free(k);
		}
}

void
reader_close(struct reader *r)
{
	if (r == NULL)
		return;
	known_drop(r, true);
	(void)virConnectClose(r->link);
	free(r->uri);
	free(r);
}

void
read_round_done(struct read_round *r)
{
	free(r->list);
	r->list = NULL;
	r->count = 0;
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

static const char *
text_field(virDomainStatsRecordPtr s, const char *name)
{
	const char *text = NULL;

	return virTypedParamsGetString(s->params, s->nparams, name, &text) == 1 ? text
										: NULL;
}

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
static void
nics_take(struct known *k, struct read_vm *vm, virDomainStatsRecordPtr s)
{
	uint64_t count = 0;
	char name[64];

	(void)field(s->params, s->nparams, "net.count", &count);
	for (size_t i = 0; i < count && vm->nic_count < READ_DEVICES_MOST; i++) {
		struct read_nic *n = &vm->nics[vm->nic_count];
		const struct domain_nic *card;
		const char *target;
		(void)snprintf(name, sizeof(name), "net.%zu.name", i);
		target = text_field(s, name);
		(void)snprintf(name, sizeof(name), "net.%zu.rx.bytes", i);
		if (target == NULL || !field(s->params, s->nparams, name, &n->rx_bytes))
			continue;
		(void)snprintf(name, sizeof(name), "net.%zu.tx.bytes", i);
		card = card_of(k, s->dom, target);
		if (card == NULL || !field(s->params, s->nparams, name, &n->tx_bytes))
			continue;
		(void)snprintf(n->mac, sizeof(n->mac), "%s", card->mac);
		(void)snprintf(n->port, sizeof(n->port), "%s", card->port);
		vm->nic_count++;
	}
}

static bool
vcpus_take(struct read_vm *vm, virDomainPtr d, int most)
{
	virVcpuInfo *info = mem_array((size_t)most, sizeof(*info));
	int n = virDomainGetVcpus(d, info, most, NULL, 0);

	for (int i = 0; i < n && i < READ_VCPUS_MOST; i++)
		vm->vcpu_ns[i] = info[i].cpuTime;
	vm->vcpu_count = n > 0 ? (size_t)(n < READ_VCPUS_MOST ? n : READ_VCPUS_MOST) : 0;
	free(info);
	return n >= 0;
}

/* False: it stopped while we looked, or says nothing: left out, which is never zero. */
static bool
fast_one(struct reader *r, struct read_vm *vm, virDomainStatsRecordPtr s)
{
	virDomainInfo info;
	unsigned id = virDomainGetID(s->dom);

	memset(vm, 0, sizeof(*vm));
	if (id == (unsigned)-1 || virDomainGetUUIDString(s->dom, vm->uuid) < 0 ||
	    virDomainGetInfo(s->dom, &info) < 0)
		return false;
	vm->domain_id = (int64_t)id;
	vm->cpu_ns = info.cpuTime;
	vm->memory_kib = info.memory;
	if (info.nrVirtCpu > 0)
		(void)vcpus_take(vm, s->dom,
		    info.nrVirtCpu); /* the test driver has none */
	nics_take(known_of(r, vm->uuid, vm->domain_id), vm, s);
	vm->at = clock_now();
	vm->fast = true;
	return true;
}

bool
reader_fast(struct reader *r, struct read_round *out, struct err *e)
{
	virDomainStatsRecordPtr *list = NULL;
	int n = virConnectGetAllDomainStats(r->link,
	    VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_INTERFACE, &list,
	    VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);

	if (n < 0)
		return fail(e, "statistics of", r->uri);
	out->list = mem_array((size_t)n, sizeof(*out->list));
	out->count = 0;
	for (int i = 0; i < n; i++)
		if (fast_one(r, &out->list[out->count], list[i]))
			out->count++;
	virDomainStatsRecordListFree(list);
	known_drop(r, false);
	return true;
}

static void
disks_take(struct read_vm *vm, virDomainStatsRecordPtr s)
{
	uint64_t count = 0;

	(void)field(s->params, s->nparams, "block.count", &count);
	for (size_t i = 0; i < count && i < READ_DEVICES_MOST; i++) {
		struct read_disk *d = &vm->disks[vm->disk_count];
		char name[64];
		const char *target = NULL;
		(void)snprintf(name, sizeof(name), "block.%zu.name", i);
		if (virTypedParamsGetString(s->params, s->nparams, name, &target) != 1)
			continue;
		(void)snprintf(name, sizeof(name), "block.%zu.rd.bytes", i);
		if (!field(s->params, s->nparams, name, &d->read_bytes))
			continue; /* no answer is never zero */
		(void)snprintf(d->target, sizeof(d->target), "%.31s", target);
		(void)snprintf(name, sizeof(name), "block.%zu.wr.bytes", i);
		(void)field(s->params, s->nparams, name, &d->write_bytes);
		(void)snprintf(name, sizeof(name), "block.%zu.rd.reqs", i);
		(void)field(s->params, s->nparams, name, &d->read_requests);
		(void)snprintf(name, sizeof(name), "block.%zu.wr.reqs", i);
		(void)field(s->params, s->nparams, name, &d->write_requests);
		vm->disk_count++;
	}
}

static bool
guarded_one(struct read_vm *vm, virDomainPtr d, reader_blocked blocked, void *context)
{
	virDomainControlInfo control;
	virDomainStatsRecordPtr *list = NULL;
	virDomainPtr one[2] = { d, NULL };
	unsigned id = virDomainGetID(d);
	bool ok = false;

	memset(vm, 0, sizeof(*vm));
	if (id == (unsigned)-1 || virDomainGetUUIDString(d, vm->uuid) < 0)
		return false;
	vm->domain_id = (int64_t)id;
	if (virDomainGetControlInfo(d, &control, 0) == 0 &&
	    control.state != VIR_DOMAIN_CONTROL_OK) {
		blocked(context, vm->uuid, (unsigned)control.stateTime);
		return false;
	}
	if (virDomainListGetStats(one, VIR_DOMAIN_STATS_BLOCK, &list,
		VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) == 1) {
		disks_take(vm, list[0]);
		vm->at = clock_now();
		vm->guarded = ok = vm->disk_count > 0;
	}
	virDomainStatsRecordListFree(list);
	return ok;
}

bool
reader_guarded(struct reader *r, struct read_round *out, reader_blocked blocked,
    void *context, struct err *e)
{
	virDomainPtr *domains = NULL;
	int n = virConnectListAllDomains(r->link, &domains,
	    VIR_CONNECT_LIST_DOMAINS_ACTIVE);

	if (n < 0)
		return fail(e, "domains of", r->uri);
	out->list = mem_array((size_t)n, sizeof(*out->list));
	out->count = 0;
	for (int i = 0; i < n; i++) {
		if (guarded_one(&out->list[out->count], domains[i], blocked, context))
			out->count++;
		(void)virDomainFree(domains[i]);
	}
	free(domains);
	return true;
}
