/* SPDX-License-Identifier: Apache-2.0 */
/* hv: the hypervisor by libvirt; this file and hv_move.c know it */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/watch.h"
#include "provision/domain_xml.h"
#include "provision/guest.h"
#include "provision/hv_own.h"
#include "provision/seed.h"
#include <assert.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEEPALIVE_S = 5, KEEPALIVE_COUNT = 3, POOL_TRIES = 20 };

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
	case VIR_ERR_NO_DOMAIN_SNAPSHOT:
	case VIR_ERR_NO_NWFILTER:
	case VIR_ERR_NO_SECRET:
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
fail_as(struct err *e, const virError *v, const char *what, const char *object)
{
	return err_set(e, kind_of(v), "%s %s: %s", what, object,
	    v != NULL && v->message != NULL ? v->message : "libvirt does not say why");
}

bool
hv_fail(struct err *e, const char *what, const char *object)
{
	return fail_as(e, virGetLastError(), what, object);
}

/* Errors come back from each call; libvirt's own line on stderr would tell them twice. */
static void
silent(void *unused_context unused, virErrorPtr unused_error unused)
{
}

static_assert((int)WATCH_READ == VIR_EVENT_HANDLE_READABLE &&
	(int)WATCH_WRITE == VIR_EVENT_HANDLE_WRITABLE &&
	(int)WATCH_ERROR == VIR_EVENT_HANDLE_ERROR &&
	(int)WATCH_HANGUP == VIR_EVENT_HANDLE_HANGUP,
    "libvirt's bits are ours");

bool
hv_init(struct err *e)
{
	virSetErrorFunc(NULL, silent);
	if (virInitialize() < 0)
		return hv_fail(e, "libvirt", "initialisation");
	virEventRegisterImpl(watch_add, watch_change, watch_remove, watch_timer_add,
	    watch_timer_change, watch_timer_remove);
	return watch_start(e);
}

static int
lifecycle(virConnectPtr unused_link unused, virDomainPtr domain, int event, int detail,
    void *context)
{
	struct hv *hv = context;
	char uuid[VIR_UUID_STRING_BUFLEN];
	enum hv_change change = HV_CHANGED;

	/* The guest has switched itself off; its run ends with its process, which is told
	 * by another event, sometimes a second later. */
	if (event == VIR_DOMAIN_EVENT_SHUTDOWN)
		return 0;
	if (event == VIR_DOMAIN_EVENT_STARTED)
		change = HV_STARTED;
	else if (event == VIR_DOMAIN_EVENT_STOPPED &&
	    detail == VIR_DOMAIN_EVENT_STOPPED_MIGRATED)
		change = HV_LEFT;
	if (virDomainGetUUIDString(domain, uuid) == 0)
		hv->event(hv->context, uuid, clock_now(), change);
	return 0;
}

bool
hv_open(struct hv **out, const char *uri, hv_event event, void *context, struct err *e)
{
	struct hv *hv = mem_alloc(sizeof(*hv));

	hv->link = virConnectOpen(uri);
	if (hv->link == NULL) {
		free(hv);
		return hv_fail(e, "connecting to", uri);
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

const char *
hv_uri(const struct hv *hv)
{
	return hv->uri;
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
		return hv_fail(e, "host", hv->uri);
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
domain_fill(virDomainPtr d, struct hv_domain *out, struct err *e)
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
		return hv_fail(e, "domain", name != NULL ? name : "(no name)");
	id = virDomainGetID(d);
	out->id = id == (unsigned)-1 ? -1 : (int64_t)id;
	out->name = mem_strdup(name);
	out->state = state_of(state, reason);
	out->crashed = state == VIR_DOMAIN_CRASHED ||
	    (state == VIR_DOMAIN_SHUTOFF &&
		(reason == VIR_DOMAIN_SHUTOFF_CRASHED ||
		    reason == VIR_DOMAIN_SHUTOFF_FAILED));
	out->arriving = state == VIR_DOMAIN_PAUSED &&
	    (reason == VIR_DOMAIN_PAUSED_MIGRATION ||
		reason == VIR_DOMAIN_PAUSED_STARTING_UP);
	out->arrived = state == VIR_DOMAIN_RUNNING &&
	    reason == VIR_DOMAIN_RUNNING_MIGRATED;
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
		return hv_fail(e, "domains of", hv->uri);
	*list = mem_array((size_t)n, sizeof(**list));
	for (int i = 0; i < n; i++) {
		struct err one = ERR_INIT;
		if (domain_fill(domains[i], &(*list)[used], &one))
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

virDomainPtr
hv_domain_find(struct hv *hv, const char *uuid, struct err *e)
{
	virDomainPtr d = virDomainLookupByUUIDString(hv->link, uuid);

	if (d == NULL)
		(void)hv_fail(e, "domain", uuid);
	return d;
}

bool
hv_domain_get(struct hv *hv, const char *uuid, struct hv_domain *out, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	bool ok = d != NULL && domain_fill(d, out, e);

	if (d != NULL)
		(void)virDomainFree(d);
	return ok;
}

bool
hv_domain_xml(struct hv *hv, const char *uuid, char **xml, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);

	if (d == NULL)
		return false;
	*xml = virDomainGetXMLDesc(d, 0);
	(void)virDomainFree(d);
	return *xml != NULL || hv_fail(e, "domain", uuid);
}

static bool
control_idle(virDomainPtr d, const char *uuid, struct err *e)
{
	virDomainControlInfo info;

	if (virDomainIsActive(d) != 1)
		return true;
	if (virDomainGetControlInfo(d, &info, 0) < 0)
		return hv_fail(e, "control channel of domain", uuid);
	return info.state == VIR_DOMAIN_CONTROL_OK ||
	    err_set(e, ERR_AGAIN, "domain %s: its control channel is taken for %llu ms",
		uuid, info.stateTime);
}

/* ---- the agent in a guest */

static bool
agent_there(virDomainPtr d, bool *there, struct err *e)
{
	scoped_free char *xml = virDomainGetXMLDesc(d, 0);
	struct domain_found found;

	if (xml == NULL)
		return hv_fail(e, "domain", virDomainGetName(d));
	if (!domain_read(&found, xml, e))
		return false;
	*there = found.agent;
	return true;
}

static void
agent_take(struct guest_facts *out, const virTypedParameter *p)
{
	switch (p->type) {
	case VIR_TYPED_PARAM_STRING:
		guest_text(out, p->field, p->value.s);
		break;
	case VIR_TYPED_PARAM_UINT:
		guest_number(out, p->field, p->value.ui);
		break;
	case VIR_TYPED_PARAM_ULLONG:
		guest_number(out, p->field, p->value.ul);
		break;
	default:
		break; /* whether a disk is read-only, and the like */
	}
}

/* An agent that says nothing is no fault of the host's. */
static bool
agent_failed(struct err *e, const char *uuid)
{
	const virError *v = virGetLastError();
	bool silent = v != NULL &&
	    (v->code == VIR_ERR_AGENT_UNRESPONSIVE || v->code == VIR_ERR_AGENT_UNSYNCED ||
		v->domain == VIR_FROM_QEMU);

	return err_set(e, silent ? ERR_LIMIT : kind_of(v), "guest agent of %s: %s", uuid,
	    v != NULL && v->message != NULL ? v->message : "libvirt does not say why");
}

/*
 * Types 0: what an agent does not know it leaves out.  How long libvirt waits for it is
 * a setting of the domain, for everybody: it is put back to libvirt's own, since freezing
 * file systems may take longer.
 */
static bool
agent_ask(virDomainPtr d, const char *uuid, int wait_s, struct guest_facts *out,
    struct err *e)
{
	virTypedParameterPtr list = NULL;
	int n = 0;
	int got;

	if (virDomainAgentSetResponseTimeout(d, wait_s, 0) < 0)
		return agent_failed(e, uuid);
	got = virDomainGetGuestInfo(d, 0, &list, &n, 0);
	if (got < 0)
		(void)agent_failed(e, uuid);
	for (int i = 0; i < n; i++)
		agent_take(out, &list[i]);
	virTypedParamsFree(list, n);
	/* It fails with its connection, and then the next look puts it back. */
	(void)virDomainAgentSetResponseTimeout(d, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK,
	    0);
	return got >= 0;
}

bool
hv_agent_ask(struct hv *hv, const char *uuid, int wait_s, bool *there,
    struct guest_facts *out, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	bool ok;

	*there = false;
	if (d == NULL)
		return false;
	ok = virDomainIsActive(d) != 1 ||
	    (agent_there(d, there, e) &&
		(!*there ||
		    (control_idle(d, uuid, e) && agent_ask(d, uuid, wait_s, out, e))));
	(void)virDomainFree(d);
	return ok;
}

bool
hv_disk_size(struct hv *hv, const char *uuid, const char *target, int64_t *bytes,
    struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	virDomainBlockInfo info;
	bool ok = d != NULL && control_idle(d, uuid, e);

	if (ok && virDomainGetBlockInfo(d, target, &info, 0) < 0)
		ok = hv_fail(e, "size of disk", target);
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
		return hv_fail(e, "defining a domain on", hv->uri);
	(void)virDomainFree(d);
	return true;
}

struct ask {
	const char *text;
	int64_t number;
	virErrorPtr why; /* kept where freeing something would forget it */
};
typedef int (*domain_ask)(virDomainPtr d, struct ask *a);

static int
call_start(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainCreateWithFlags(d, 0);
}

static int
call_shutdown(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainShutdownFlags(d, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
}

static int
call_shutdown_any(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainShutdown(d);
}

static int
call_destroy(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainDestroyFlags(d, 0);
}

static int
call_reset(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainReset(d, 0);
}

static int
call_suspend(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainSuspend(d);
}

static int
call_resume(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainResume(d);
}

static int
call_undefine(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainUndefineFlags(d,
	    VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA);
}

static int
call_attach(virDomainPtr d, struct ask *a)
{
	return virDomainAttachDeviceFlags(d, a->text, VIR_DOMAIN_AFFECT_LIVE);
}

static int
call_detach(virDomainPtr d, struct ask *a)
{
	return virDomainDetachDeviceFlags(d, a->text, VIR_DOMAIN_AFFECT_LIVE);
}

static int
call_device_update(virDomainPtr d, struct ask *a)
{
	return virDomainUpdateDeviceFlags(d, a->text,
	    VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_DEVICE_MODIFY_FORCE);
}

static int
call_vcpus_set(virDomainPtr d, struct ask *a)
{
	return virDomainSetVcpusFlags(d, (unsigned)a->number, VIR_DOMAIN_AFFECT_LIVE);
}

static int
call_disk_resize(virDomainPtr d, struct ask *a)
{
	return virDomainBlockResize(d, a->text, (unsigned long long)a->number,
	    VIR_DOMAIN_BLOCK_RESIZE_BYTES);
}

static int
call_snapshot_make(virDomainPtr d, struct ask *a)
{
	virDomainSnapshotPtr s = virDomainSnapshotCreateXML(d, a->text, 0);

	if (s == NULL)
		return -1;
	return virDomainSnapshotFree(s);
}

/* Freeing would forget why the call before it failed. */
static int
snapshot_end(struct ask *a, virDomainSnapshotPtr s, int status)
{
	if (status < 0)
		a->why = virSaveLastError();
	(void)virDomainSnapshotFree(s);
	return status;
}

static int
call_snapshot_revert(virDomainPtr d, struct ask *a)
{
	virDomainSnapshotPtr s = virDomainSnapshotLookupByName(d, a->text, 0);

	if (s == NULL)
		return -1;
	return snapshot_end(a, s,
	    virDomainRevertToSnapshot(s, VIR_DOMAIN_SNAPSHOT_REVERT_FORCE));
}

static int
call_snapshot_delete(virDomainPtr d, struct ask *a)
{
	virDomainSnapshotPtr s = virDomainSnapshotLookupByName(d, a->text, 0);

	if (s == NULL)
		return -1;
	return snapshot_end(a, s, virDomainSnapshotDelete(s, 0));
}

static int
call_backup_begin(virDomainPtr d, struct ask *a)
{
	return virDomainBackupBegin(d, a->text, NULL, 0);
}

static int
call_job_abort(virDomainPtr d, struct ask *unused_a unused)
{
	return virDomainAbortJob(d);
}

static bool
asked_fail(const struct ask *a, const char *what, const char *uuid, struct err *e)
{
	if (a == NULL || a->why == NULL)
		return hv_fail(e, what, uuid);
	(void)fail_as(e, a->why, what, uuid);
	virFreeError(a->why);
	return false;
}

static bool
domain_call(struct hv *hv, const char *uuid, const char *what, domain_ask call,
    struct ask *a, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	bool ok;

	if (d == NULL)
		return false;
	ok = call(d, a) == 0 || asked_fail(a, what, uuid, e);
	(void)virDomainFree(d);
	return ok;
}

/* For what goes through the monitor: a guest that hangs would keep the caller with it. */
static bool
monitor_call(struct hv *hv, const char *uuid, const char *what, domain_ask call,
    struct ask *a, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	bool ok = d != NULL && control_idle(d, uuid, e);

	if (ok)
		ok = call(d, a) == 0 || asked_fail(a, what, uuid, e);
	if (d != NULL)
		(void)virDomainFree(d);
	return ok;
}

bool
hv_undefine(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "undefining", call_undefine, NULL, e);
}

bool
hv_start(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "starting", call_start, NULL, e);
}

bool
hv_shutdown(struct hv *hv, const char *uuid, struct err *e)
{
	struct err first = ERR_INIT;

	return monitor_call(hv, uuid, "shutting down", call_shutdown, NULL, &first) ||
	    monitor_call(hv, uuid, "shutting down", call_shutdown_any, NULL, e);
}

bool
hv_destroy(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "destroying", call_destroy, NULL, e);
}

bool
hv_reset(struct hv *hv, const char *uuid, struct err *e)
{
	return monitor_call(hv, uuid, "resetting", call_reset, NULL, e);
}

bool
hv_suspend(struct hv *hv, const char *uuid, struct err *e)
{
	return monitor_call(hv, uuid, "suspending", call_suspend, NULL, e);
}

bool
hv_resume(struct hv *hv, const char *uuid, struct err *e)
{
	return monitor_call(hv, uuid, "resuming", call_resume, NULL, e);
}

bool
hv_attach(struct hv *hv, const char *uuid, const char *xml, struct err *e)
{
	struct ask a = { .text = xml };

	return monitor_call(hv, uuid, "attaching a device to", call_attach, &a, e);
}

bool
hv_detach(struct hv *hv, const char *uuid, const char *xml, struct err *e)
{
	struct ask a = { .text = xml };

	return monitor_call(hv, uuid, "detaching a device from", call_detach, &a, e);
}

bool
hv_device_update(struct hv *hv, const char *uuid, const char *xml, struct err *e)
{
	struct ask a = { .text = xml };

	return monitor_call(hv, uuid, "changing a device of", call_device_update, &a, e);
}

bool
hv_vcpus_set(struct hv *hv, const char *uuid, int64_t vcpus, struct err *e)
{
	struct ask a = { .number = vcpus };

	return monitor_call(hv, uuid, "adding virtual CPUs to", call_vcpus_set, &a, e);
}

bool
hv_disk_resize(struct hv *hv, const char *uuid, const char *target, int64_t bytes,
    struct err *e)
{
	struct ask a = { .text = target, .number = bytes };

	return monitor_call(hv, uuid, "resizing a disk of", call_disk_resize, &a, e);
}

bool
hv_snapshot_make(struct hv *hv, const char *uuid, const char *xml, struct err *e)
{
	struct ask a = { .text = xml };

	return monitor_call(hv, uuid, "taking a snapshot of", call_snapshot_make, &a, e);
}

bool
hv_snapshot_known(struct hv *hv, const char *uuid, const char *name, bool *known,
    struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	virDomainSnapshotPtr s;
	const virError *v;

	if (d == NULL)
		return false;
	s = virDomainSnapshotLookupByName(d, name, 0);
	v = virGetLastError();
	*known = s != NULL;
	bool ok = s != NULL || (v != NULL && v->code == VIR_ERR_NO_DOMAIN_SNAPSHOT) ||
	    hv_fail(e, "snapshots of", uuid);
	if (s != NULL)
		(void)virDomainSnapshotFree(s);
	(void)virDomainFree(d);
	return ok;
}

bool
hv_snapshot_revert(struct hv *hv, const char *uuid, const char *name, struct err *e)
{
	struct ask a = { .text = name };

	return monitor_call(hv, uuid, "reverting", call_snapshot_revert, &a, e);
}

bool
hv_snapshot_delete(struct hv *hv, const char *uuid, const char *name, struct err *e)
{
	struct ask a = { .text = name };

	return monitor_call(hv, uuid, "deleting a snapshot of", call_snapshot_delete, &a,
	    e);
}

bool
hv_backup_begin(struct hv *hv, const char *uuid, const char *xml, struct err *e)
{
	struct ask a = { .text = xml };

	return monitor_call(hv, uuid, "copying a disk of", call_backup_begin, &a, e);
}

static enum hv_backup
backup_state(virDomainPtr d)
{
	virTypedParameterPtr params = NULL;
	int n = 0;
	int type = VIR_DOMAIN_JOB_NONE;
	int operation = 0;
	enum hv_backup state = HV_BACKUP_NONE;

	if (virDomainGetJobStats(d, &type, &params, &n, 0) == 0 &&
	    type != VIR_DOMAIN_JOB_NONE)
		state = HV_BACKUP_RUNS;
	virTypedParamsFree(params, n);
	params = NULL;
	n = 0;
	if (state != HV_BACKUP_RUNS &&
	    virDomainGetJobStats(d, &type, &params, &n,
		VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED) ==
		0 &&
	    virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation) == 1 &&
	    operation == VIR_DOMAIN_JOB_OPERATION_BACKUP)
		state = type == VIR_DOMAIN_JOB_COMPLETED ? HV_BACKUP_DONE
							 : HV_BACKUP_FAILED;
	virTypedParamsFree(params, n);
	return state;
}

bool
hv_backup_look(struct hv *hv, const char *uuid, enum hv_backup *state, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);

	if (d == NULL)
		return false;
	*state = backup_state(d);
	(void)virDomainFree(d);
	return true;
}

bool
hv_job_abort(struct hv *hv, const char *uuid, struct err *e)
{
	return domain_call(hv, uuid, "ending the work on", call_job_abort, NULL, e);
}

/* Defines the pool where it is not; another job may do the same at this moment. */
static virStoragePoolPtr
pool_made(struct hv *hv, const char *pool, const char *xml, struct err *e)
{
	virStoragePoolPtr p = virStoragePoolLookupByName(hv->link, pool);
	struct err why = ERR_INIT;

	if (p == NULL)
		p = virStoragePoolDefineXML(hv->link, xml, 0);
	if (p != NULL)
		return p;
	(void)hv_fail(&why, "storage pool", pool);
	p = virStoragePoolLookupByName(hv->link, pool);
	if (p == NULL)
		*e = why;
	return p;
}

/* Starts the pool where it is not; who comes second may find it half started. */
static bool
pool_started(virStoragePoolPtr p, unsigned int flags, const char *pool, struct err *e)
{
	const struct timespec moment = { .tv_nsec = 100 * NS_PER_MS };
	struct err why = ERR_INIT;

	for (int tries = 0; tries < POOL_TRIES; tries++) {
		if (virStoragePoolIsActive(p) == 1 ||
		    virStoragePoolCreate(p, flags) == 0 ||
		    (flags != 0 && virStoragePoolCreate(p, 0) == 0))
			return true;
		(void)hv_fail(&why, "starting the storage pool", pool);
		if (why.kind != ERR_CONFLICT)
			break;
		(void)nanosleep(&moment, NULL);
	}
	*e = why;
	return false;
}

bool
hv_pool_ensure(struct hv *hv, const char *pool, const char *path, struct err *e)
{
	scoped_free char *xml = mem_printf(
	    "<pool type='dir'><name>%s</name><target><path>%s</path></target></pool>",
	    pool, path);
	virStoragePoolPtr p = pool_made(hv, pool, xml, e);
	bool ok;

	if (p == NULL)
		return false;
	ok = pool_started(p, 0, pool, e);
	/* A comfort only: we start it ourselves. */
	(void)virStoragePoolSetAutostart(p, 1);
	(void)virStoragePoolFree(p);
	return ok;
}

bool
hv_pool_define(struct hv *hv, const char *pool, const char *xml, struct err *e)
{
	virStoragePoolPtr p = pool_made(hv, pool, xml, e);
	bool ok;

	if (p == NULL)
		return false;
	ok = pool_started(p, VIR_STORAGE_POOL_CREATE_WITH_BUILD, pool, e);
	(void)virStoragePoolFree(p);
	return ok;
}

bool
hv_pool_undefine(struct hv *hv, const char *pool, struct err *e)
{
	virStoragePoolPtr p = virStoragePoolLookupByName(hv->link, pool);
	bool ok;

	if (p == NULL)
		return true;
	ok = (virStoragePoolIsActive(p) != 1 || virStoragePoolDestroy(p) == 0) &&
	    virStoragePoolUndefine(p) == 0;
	if (!ok)
		(void)hv_fail(e, "undefining the storage pool", pool);
	(void)virStoragePoolFree(p);
	return ok;
}

/* cephx keys are base64 of what libvirt wants; others are taken as they are. */
static bool
secret_set(virSecretPtr s, const char *type, const char *value, const char *uuid,
    struct err *e)
{
	scoped_free unsigned char *bytes = mem_alloc(strlen(value) + 1);
	size_t count = strlen(value);

	memcpy(bytes, value, count);
	if (strcmp(type, "ceph") == 0 && !seed_base64(value, bytes, &count))
		return err_set(e, ERR_INPUT, "the key of the pool is no base64");
	return virSecretSetValue(s, bytes, count, 0) == 0 || hv_fail(e, "secret", uuid);
}

bool
hv_secret_ensure(struct hv *hv, const char *uuid, const char *type, const char *value,
    struct err *e)
{
	scoped_free char *xml = secret_xml(uuid, type);
	virSecretPtr s = virSecretLookupByUUIDString(hv->link, uuid);
	bool ok;

	if (s == NULL)
		s = virSecretDefineXML(hv->link, xml, 0);
	if (s == NULL)
		return hv_fail(e, "secret", uuid);
	ok = secret_set(s, type, value, uuid, e);
	(void)virSecretFree(s);
	return ok;
}

static virStoragePoolPtr
pool_find(struct hv *hv, const char *pool, struct err *e)
{
	virStoragePoolPtr p = virStoragePoolLookupByName(hv->link, pool);

	if (p == NULL)
		(void)hv_fail(e, "storage pool", pool);
	return p;
}

bool
hv_pool_space(struct hv *hv, const char *pool, struct hv_space *out, struct err *e)
{
	virStoragePoolPtr p = pool_find(hv, pool, e);
	virStoragePoolInfo info;
	bool ok;

	if (p == NULL)
		return false;
	(void)virStoragePoolRefresh(p, 0); /* while it is in use it can't: old figures */
	ok = virStoragePoolGetInfo(p, &info) == 0 || hv_fail(e, "storage pool", pool);
	if (ok) {
		out->capacity_bytes = info.capacity;
		out->used_bytes = info.allocation;
	}
	(void)virStoragePoolFree(p);
	return ok;
}

/* Files that came without this libvirtd are seen after a refresh only, and that it
 * refuses while it copies something. */
static bool
pool_refresh(virStoragePoolPtr p, struct err *e)
{
	if (virStoragePoolRefresh(p, 0) == 0)
		return true;
	return err_set(e, ERR_AGAIN, "the storage pool %s is busy",
	    virStoragePoolGetName(p));
}

/* NULL with ERR_NOT_FOUND when there is none. */
static virStorageVolPtr
volume_find(virStoragePoolPtr p, const char *name, struct err *e)
{
	virStorageVolPtr v = virStorageVolLookupByName(p, name);

	if (v == NULL && pool_refresh(p, e)) {
		v = virStorageVolLookupByName(p, name);
		if (v == NULL)
			(void)hv_fail(e, "volume", name);
	}
	return v;
}

static virStorageVolPtr
volume_in(struct hv *hv, const char *pool, const char *name, struct err *e)
{
	virStoragePoolPtr p = pool_find(hv, pool, e);
	virStorageVolPtr v;

	if (p == NULL)
		return NULL;
	v = volume_find(p, name, e);
	(void)virStoragePoolFree(p);
	return v;
}

static bool
volume_take(virStorageVolPtr v, const char *what, const char *name, char **path,
    struct err *e)
{
	if (v == NULL)
		return hv_fail(e, what, name);
	*path = virStorageVolGetPath(v);
	(void)virStorageVolFree(v);
	return *path != NULL || hv_fail(e, what, name);
}

/* Made anew, or from source; a file of that name that libvirt did not know of makes it
 * fail with ERR_CONFLICT. */
static virStorageVolPtr
volume_create(virStoragePoolPtr p, const char *xml, virStorageVolPtr source,
    const char *name, struct err *e)
{
	virStorageVolPtr v = source != NULL
	    ? virStorageVolCreateXMLFrom(p, xml, source, 0)
	    : virStorageVolCreateXML(p, xml, 0);

	if (v == NULL)
		(void)hv_fail(e, "making the volume", name);
	return v;
}

bool
hv_volume_ensure(struct hv *hv, const char *pool, const char *xml, const char *name,
    char **path, struct err *e)
{
	virStoragePoolPtr p = pool_find(hv, pool, e);
	struct err why = ERR_INIT;
	virStorageVolPtr v;

	if (p == NULL)
		return false;
	v = virStorageVolLookupByName(p, name);
	if (v == NULL)
		v = volume_create(p, xml, NULL, name, &why);
	if (v == NULL && why.kind == ERR_CONFLICT) {
		err_clear(&why);
		v = volume_find(p, name, &why);
	}
	(void)virStoragePoolFree(p);
	if (v == NULL) {
		*e = why;
		return false;
	}
	return volume_take(v, "making the volume", name, path, e);
}

static bool
volume_wipe(virStoragePoolPtr p, const char *name, bool refresh, struct err *e)
{
	struct err why = ERR_INIT;
	virStorageVolPtr v = refresh ? volume_find(p, name, &why)
				     : virStorageVolLookupByName(p, name);
	bool ok;

	if (v == NULL) {
		if (!refresh || why.kind == ERR_NOT_FOUND)
			return true;
		*e = why;
		return false;
	}
	ok = virStorageVolDelete(v, 0) == 0 || hv_fail(e, "deleting the volume", name);
	(void)virStorageVolFree(v);
	return ok;
}

/* What is there of that name goes; the pool is refreshed only when that is needed. */
static virStorageVolPtr
volume_replace(virStoragePoolPtr p, const char *xml, virStorageVolPtr source,
    const char *name, struct err *e)
{
	struct err why = ERR_INIT;
	virStorageVolPtr v = NULL;

	if (!volume_wipe(p, name, false, e))
		return NULL;
	v = volume_create(p, xml, source, name, &why);
	if (v != NULL)
		return v;
	if (why.kind == ERR_CONFLICT)
		return volume_wipe(p, name, true, e)
		    ? volume_create(p, xml, source, name, e)
		    : NULL;
	*e = why;
	return NULL;
}

bool
hv_volume_fresh(struct hv *hv, const char *pool, const char *xml, const char *name,
    char **path, struct err *e)
{
	virStoragePoolPtr p = pool_find(hv, pool, e);
	virStorageVolPtr v = p != NULL ? volume_replace(p, xml, NULL, name, e) : NULL;

	if (p != NULL)
		(void)virStoragePoolFree(p);
	return v != NULL && volume_take(v, "making the volume", name, path, e);
}

bool
hv_volume_clone(struct hv *hv, const char *pool, const char *xml, const char *name,
    const char *from, char **path, struct err *e)
{
	virStoragePoolPtr p = pool_find(hv, pool, e);
	virStorageVolPtr source = p != NULL ? volume_find(p, from, e) : NULL;
	virStorageVolPtr v = source != NULL ? volume_replace(p, xml, source, name, e)
					    : NULL;

	if (source != NULL)
		(void)virStorageVolFree(source);
	if (p != NULL)
		(void)virStoragePoolFree(p);
	return v != NULL && volume_take(v, "copying volume", from, path, e);
}

bool
hv_volume_delete(struct hv *hv, const char *pool, const char *name, struct err *e)
{
	virStoragePoolPtr p = pool_find(hv, pool, e);
	bool ok = p != NULL && volume_wipe(p, name, true, e);

	if (p != NULL)
		(void)virStoragePoolFree(p);
	return ok;
}

bool
hv_volume_get(struct hv *hv, const char *pool, const char *name, struct hv_volume *out,
    struct err *e)
{
	virStorageVolPtr v = volume_in(hv, pool, name, e);
	virStorageVolInfo info;
	bool ok = v != NULL &&
	    (virStorageVolGetInfo(v, &info) == 0 || hv_fail(e, "volume", name));

	if (ok) {
		out->capacity_bytes = info.capacity;
		out->used_bytes = info.allocation;
		out->path = virStorageVolGetPath(v);
	}
	if (v != NULL)
		(void)virStorageVolFree(v);
	return ok;
}

bool
hv_volume_resize(struct hv *hv, const char *pool, const char *name, int64_t bytes,
    struct err *e)
{
	virStorageVolPtr v = volume_in(hv, pool, name, e);
	bool ok = v != NULL &&
	    (virStorageVolResize(v, (unsigned long long)bytes, 0) == 0 ||
		hv_fail(e, "resizing the volume", name));

	if (v != NULL)
		(void)virStorageVolFree(v);
	return ok;
}

struct taker {
	hv_take take;
	void *context;
};

static int
stream_source(virStreamPtr unused_s unused, char *buffer, size_t room, void *context)
{
	struct taker *t = context;

	return t->take(t->context, buffer, room);
}

bool
hv_volume_write(struct hv *hv, const char *pool, const char *name, uint64_t bytes,
    hv_take take, void *context, struct err *e)
{
	struct taker t = { take, context };
	virStorageVolPtr v = volume_in(hv, pool, name, e);
	virStreamPtr s = v != NULL ? virStreamNew(hv->link, 0) : NULL;
	bool ok = s != NULL && virStorageVolUpload(v, s, 0, bytes, 0) == 0 &&
	    virStreamSendAll(s, stream_source, &t) == 0 && virStreamFinish(s) == 0;

	if (v != NULL && !ok) {
		(void)hv_fail(e, "writing the volume", name);
		if (s != NULL)
			(void)virStreamAbort(s);
	}
	if (s != NULL)
		(void)virStreamFree(s);
	if (v != NULL)
		(void)virStorageVolFree(v);
	return ok;
}

struct giver {
	hv_give give;
	void *context;
};

static int
stream_sink(virStreamPtr unused_s unused, const char *bytes, size_t count, void *context)
{
	struct giver *g = context;

	return g->give(g->context, bytes, count) ? (int)count : -1;
}

bool
hv_volume_read(struct hv *hv, const char *pool, const char *name, uint64_t from,
    uint64_t bytes, hv_give give, void *context, struct err *e)
{
	struct giver g = { give, context };
	virStorageVolPtr v = volume_in(hv, pool, name, e);
	virStreamPtr s = v != NULL ? virStreamNew(hv->link, 0) : NULL;
	bool ok = s != NULL && virStorageVolDownload(v, s, from, bytes, 0) == 0 &&
	    virStreamRecvAll(s, stream_sink, &g) == 0 && virStreamFinish(s) == 0;

	if (v != NULL && !ok) {
		(void)hv_fail(e, "reading the volume", name);
		if (s != NULL)
			(void)virStreamAbort(s);
	}
	if (s != NULL)
		(void)virStreamFree(s);
	if (v != NULL)
		(void)virStorageVolFree(v);
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
