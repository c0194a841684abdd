/* SPDX-License-Identifier: Apache-2.0 */
/* hv: the hypervisor by libvirt; the one file of this program that knows it */
#include "base/log.h"
#include "base/mem.h"
#include "provision/hv.h"
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEPALIVE_S = 5, KEEPALIVE_COUNT = 3, EVENT_STACK = 256 * 1024 };

struct hv {
	virConnectPtr link;
	char *uri;
	hv_event event;
	void *context;
	int callback;
};

static enum err_kind
kind_of(const virError *v)
{
	if (v == NULL)
		return ERR_INTERNAL;
	switch (v->code) {
	case VIR_ERR_NO_DOMAIN:
	case VIR_ERR_NO_STORAGE_POOL:
	case VIR_ERR_NO_STORAGE_VOL:
	case VIR_ERR_NO_NETWORK:
		return ERR_NOT_FOUND;
	case VIR_ERR_OPERATION_INVALID:
	case VIR_ERR_DOM_EXIST:
	case VIR_ERR_STORAGE_VOL_EXIST:
		return ERR_CONFLICT;
	case VIR_ERR_XML_ERROR:
	case VIR_ERR_XML_DETAIL:
	case VIR_ERR_CONFIG_UNSUPPORTED:
	case VIR_ERR_INVALID_ARG:
		return ERR_INPUT;
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_ACCESS_DENIED:
	case VIR_ERR_OPERATION_DENIED:
		return ERR_DENIED;
	case VIR_ERR_RPC:
	case VIR_ERR_NO_CONNECT:
	case VIR_ERR_INVALID_CONN:
	case VIR_ERR_SYSTEM_ERROR:
	case VIR_ERR_OPERATION_TIMEOUT:
	case VIR_ERR_INTERNAL_ERROR:
		return v->domain == VIR_FROM_RPC || v->domain == VIR_FROM_REMOTE ||
			v->code != VIR_ERR_INTERNAL_ERROR
		    ? ERR_GONE
		    : ERR_INTERNAL;
	default:
		return ERR_INTERNAL;
	}
}

static bool
fail(struct err *e, const char *what, const char *object)
{
	const virError *v = virGetLastError();

	return err_set(e, kind_of(v), "%s %s: %s", what, object,
	    v != NULL && v->message != NULL ? v->message : "libvirt does not say why");
}

/* Errors come back from each call; libvirt's own line on stderr would tell them twice. */
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

/* Without any timer libvirt's loop would sleep through handles added by other threads. */
static void
tick(int unused_timer unused, void *unused_context unused)
{
}

bool
hv_init(struct err *e)
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
	(void)pthread_attr_destroy(&attr); /* cannot fail for what init made */
	(void)pthread_detach(thread);
	return true;
}

static int
lifecycle(virConnectPtr unused_link unused, virDomainPtr domain, int unused_event unused,
    int unused_detail unused, void *context)
{
	struct hv *hv = context;
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (virDomainGetUUIDString(domain, uuid) == 0)
		hv->event(hv->context, uuid, clock_now());
	return 0;
}

bool
hv_open(struct hv **out, const char *uri, hv_event event, void *context, struct err *e)
{
	struct hv *hv = mem_alloc(sizeof(*hv));

	hv->link = virConnectOpen(uri);
	if (hv->link == NULL) {
		free(hv);
		return fail(e, "connecting to", uri);
	}
	/* The test driver knows neither keep-alive nor a socket to keep alive. */
	(void)virConnectSetKeepAlive(hv->link, KEEPALIVE_S, KEEPALIVE_COUNT);
	hv->uri = mem_strdup(uri);
	hv->event = event;
	hv->context = context;
	hv->callback = event == NULL
	    ? -1
	    : virConnectDomainEventRegisterAny(hv->link, NULL,
		  VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(lifecycle), hv,
		  NULL);
	*out = hv;
	return true;
}

void
hv_close(struct hv *hv)
{
	if (hv == NULL)
		return;
	if (hv->callback >= 0)
		(void)virConnectDomainEventDeregisterAny(hv->link, hv->callback);
	(void)virConnectClose(hv->link); /* what remains is libvirt's own */
	free(hv->uri);
	free(hv);
}

bool
hv_alive(struct hv *hv)
{
	return virConnectIsAlive(hv->link) == 1;
}

static void
version_text(char out[32], unsigned long v)
{
	(void)snprintf(out, 32, "%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
}

bool
hv_facts(struct hv *hv, struct hv_facts *out, struct err *e)
{
	virNodeInfo info;
	unsigned long version = 0;
	const char *type = virConnectGetType(hv->link);

	memset(out, 0, sizeof(*out));
	out->capabilities = virConnectGetCapabilities(hv->link);
	if (out->capabilities == NULL || type == NULL ||
	    virNodeGetInfo(hv->link, &info) < 0) {
		free(out->capabilities);
		return fail(e, "host", hv->uri);
	}
	(void)snprintf(out->type, sizeof(out->type), "%s", type);
	if (virConnectGetLibVersion(hv->link, &version) == 0)
		version_text(out->libvirt_version, version);
	version = 0;
	if (virConnectGetVersion(hv->link, &version) == 0)
		version_text(out->hv_version, version);
	out->memory_bytes = (uint64_t)info.memory * 1024;
	return true;
}

void
hv_facts_done(struct hv_facts *f)
{
	free(f->capabilities);
	f->capabilities = NULL;
}

static enum hv_state
state_of(int state, int reason)
{
	if (state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED ||
	    state == VIR_DOMAIN_SHUTDOWN || state == VIR_DOMAIN_PMSUSPENDED)
		return HV_RUNNING;
	if (state != VIR_DOMAIN_PAUSED)
		return HV_STOPPED;
	return reason == VIR_DOMAIN_PAUSED_IOERROR ? HV_PAUSED_BY_FAULT : HV_PAUSED;
}

static bool
domain_read(virDomainPtr d, struct hv_domain *out, struct err *e)
{
	virDomainInfo info;
	int state = 0;
	int reason = 0;
	const char *name = virDomainGetName(d);
	unsigned id;

	memset(out, 0, sizeof(*out));
	if (name == NULL || virDomainGetUUIDString(d, out->uuid) < 0 ||
	    virDomainGetState(d, &state, &reason, 0) < 0 ||
	    virDomainGetInfo(d, &info) < 0)
		return fail(e, "domain", name != NULL ? name : "(no name)");
	id = virDomainGetID(d);
	out->id = id == (unsigned)-1 ? -1 : (int64_t)id;
	out->name = mem_strdup(name);
	out->state = state_of(state, reason);
	out->crashed = state == VIR_DOMAIN_CRASHED ||
	    (state == VIR_DOMAIN_SHUTOFF &&
		(reason == VIR_DOMAIN_SHUTOFF_CRASHED ||
		    reason == VIR_DOMAIN_SHUTOFF_FAILED));
	out->vcpus = info.nrVirtCpu > 0 ? info.nrVirtCpu : 1;
	out->memory_bytes = (uint64_t)info.maxMem * 1024;
	return true;
}

bool
hv_domains(struct hv *hv, struct hv_domain **list, size_t *count, struct err *e)
{
	virDomainPtr *domains = NULL;
	int n = virConnectListAllDomains(hv->link, &domains, 0);
	size_t used = 0;

	if (n < 0)
		return fail(e, "domains of", hv->uri);
	*list = mem_array((size_t)n, sizeof(**list));
	for (int i = 0; i < n; i++) {
		struct err one = ERR_INIT;
		if (domain_read(domains[i], &(*list)[used], &one))
			used++;
		else if (one.kind != ERR_NOT_FOUND) /* gone meanwhile is no trouble */
			log_warning("%s: left out this time", one.text);
		(void)virDomainFree(domains[i]);
	}
	free(domains);
	*count = used;
	return true;
}

void
hv_domain_done(struct hv_domain *d)
{
	free(d->name);
	d->name = NULL;
}

void
hv_domains_free(struct hv_domain *list, size_t count)
{
	for (size_t i = 0; list != NULL && i < count; i++)
		hv_domain_done(&list[i]);
	free(list);
}

static virDomainPtr
domain_find(struct hv *hv, const char *uuid, struct err *e)
{
	virDomainPtr d = virDomainLookupByUUIDString(hv->link, uuid);

	if (d == NULL)
		(void)fail(e, "domain", uuid);
	return d;
}

bool
hv_domain_get(struct hv *hv, const char *uuid, struct hv_domain *out, struct err *e)
{
	virDomainPtr d = domain_find(hv, uuid, e);
	bool ok = d != NULL && domain_read(d, out, e);

	if (d != NULL)
		(void)virDomainFree(d);
	return ok;
}

bool
hv_domain_xml(struct hv *hv, const char *uuid, char **xml, struct err *e)
{
	virDomainPtr d = domain_find(hv, uuid, e);

	if (d == NULL)
		return false;
	*xml = virDomainGetXMLDesc(d, 0);
	(void)virDomainFree(d);
	return *xml != NULL || fail(e, "domain", uuid);
}

static bool
control_idle(virDomainPtr d, const char *uuid, struct err *e)
{
	virDomainControlInfo info;

	if (virDomainIsActive(d) != 1)
		return true;
	if (virDomainGetControlInfo(d, &info, 0) < 0)
		return fail(e, "control channel of domain", uuid);
	return info.state == VIR_DOMAIN_CONTROL_OK ||
	    err_set(e, ERR_AGAIN, "domain %s: its control channel is taken for %llu ms",
		uuid, info.stateTime);
}

bool
hv_disk_size(struct hv *hv, const char *uuid, const char *target, int64_t *bytes,
    struct err *e)
{
	virDomainPtr d = domain_find(hv, uuid, e);
	virDomainBlockInfo info;
	bool ok = d != NULL && control_idle(d, uuid, e);

	if (ok && virDomainGetBlockInfo(d, target, &info, 0) < 0)
		ok = fail(e, "size of disk", target);
	if (ok && info.capacity > INT64_MAX)
		ok = err_set(e, ERR_INPUT, "disk %s: its size makes no sense", target);
	if (ok)
		*bytes = (int64_t)info.capacity;
	if (d != NULL)
		(void)virDomainFree(d);
	return ok;
}

bool
hv_define(struct hv *hv, const char *xml, struct err *e)
{
	virDomainPtr d = virDomainDefineXMLFlags(hv->link, xml, 0);

	if (d == NULL)
		return fail(e, "defining a domain on", hv->uri);
	(void)virDomainFree(d);
	return true;
}

static int
call_start(virDomainPtr d)
{
	return virDomainCreateWithFlags(d, 0);
}

static int
call_shutdown(virDomainPtr d)
{
	return virDomainShutdownFlags(d, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
}

static int
call_shutdown_any(virDomainPtr d)
{
	return virDomainShutdown(d);
}

static int
call_destroy(virDomainPtr d)
{
	return virDomainDestroyFlags(d, 0);
}

static int
call_reset(virDomainPtr d)
{
	return virDomainReset(d, 0);
}

static int
call_undefine(virDomainPtr d)
{
	return virDomainUndefineFlags(d,
	    VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA);
}

static bool
domain_call(struct hv *hv, const char *uuid, const char *what, int (*call)(virDomainPtr),
    struct err *e)
{
	virDomainPtr d = domain_find(hv, uuid, e);
	bool ok;

	if (d == NULL)
		return false;
	ok = call(d) == 0 || fail(e, what, uuid);
	(void)virDomainFree(d);
	return ok;
}

bool
hv_undefine(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "undefining", call_undefine, e);
}

bool
hv_start(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "starting", call_start, e);
}

bool
hv_shutdown(struct hv *hv, const char *uuid, struct err *e)
{
	struct err first = ERR_INIT;

	return domain_call(hv, uuid, "shutting down", call_shutdown, &first) ||
	    domain_call(hv, uuid, "shutting down", call_shutdown_any, e);
}

bool
hv_destroy(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "destroying", call_destroy, e);
}

bool
hv_reset(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "resetting", call_reset, e);
}

bool
hv_pool_ensure(struct hv *hv, const char *pool, const char *path, struct err *e)
{
	scoped_free char *xml = mem_printf(
	    "<pool type='dir'><name>%s</name><target><path>%s</path></target></pool>",
	    pool, path);
	virStoragePoolPtr p = virStoragePoolLookupByName(hv->link, pool);
	bool ok;

	if (p == NULL)
		p = virStoragePoolDefineXML(hv->link, xml, 0);
	if (p == NULL)
		return fail(e, "storage pool", pool);
	ok = virStoragePoolIsActive(p) == 1 || virStoragePoolCreate(p, 0) == 0 ||
	    fail(e, "starting the storage pool", pool);
	(void)virStoragePoolSetAutostart(p,
	    1); /* a comfort only: we start it ourselves */
	(void)virStoragePoolFree(p);
	return ok;
}

/* Refreshed first: a volume made just before a crash may not be known yet. */
static virStorageVolPtr
volume_find(virStoragePoolPtr p, const char *name)
{
	virStorageVolPtr v = virStorageVolLookupByName(p, name);

	if (v == NULL && virStoragePoolRefresh(p, 0) == 0)
		v = virStorageVolLookupByName(p, name);
	return v;
}

bool
hv_volume_ensure(struct hv *hv, const char *pool, const char *xml, const char *name,
    char **path, struct err *e)
{
	virStoragePoolPtr p = virStoragePoolLookupByName(hv->link, pool);
	virStorageVolPtr v;

	if (p == NULL)
		return fail(e, "storage pool", pool);
	v = volume_find(p, name);
	if (v == NULL)
		v = virStorageVolCreateXML(p, xml, 0);
	if (v != NULL)
		*path = virStorageVolGetPath(v);
	bool ok = (v != NULL && *path != NULL) || fail(e, "making the volume", name);
	if (v != NULL)
		(void)virStorageVolFree(v);
	(void)virStoragePoolFree(p);
	return ok;
}

bool
hv_volume_delete(struct hv *hv, const char *pool, const char *name, struct err *e)
{
	virStoragePoolPtr p = virStoragePoolLookupByName(hv->link, pool);
	virStorageVolPtr v = p != NULL ? volume_find(p, name) : NULL;
	bool ok = true;

	if (p == NULL)
		return fail(e, "storage pool", pool);
	if (v != NULL) {
		ok = virStorageVolDelete(v, 0) == 0 ||
		    fail(e, "deleting the volume", name);
		(void)virStorageVolFree(v);
	}
	(void)virStoragePoolFree(p);
	return ok;
}

bool
hv_network_active(struct hv *hv, const char *name)
{
	virNetworkPtr n = virNetworkLookupByName(hv->link, name);
	bool active = n != NULL && virNetworkIsActive(n) == 1;

	if (n != NULL)
		(void)virNetworkFree(n);
	return active;
}
