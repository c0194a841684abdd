/* SPDX-License-Identifier: Apache-2.0 */
/* hv: a hypervisor as the provisioning core sees it; only hv_libvirt.c knows libvirt */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HV_UUID_MAX 37

enum hv_state { HV_STOPPED, HV_RUNNING, HV_PAUSED, HV_PAUSED_BY_FAULT };

struct hv_domain {
	char uuid[HV_UUID_MAX];
	char *name;
	int64_t id; /* of this run; -1 when it does not run */
	enum hv_state state;
	bool crashed; /* why it is stopped */
	int vcpus;
	uint64_t memory_bytes;
};

struct hv_facts {
	char *capabilities; /* XML: the evidence of the socket count */
	char type[16];      /* "QEMU", "TEST", ... */
	char libvirt_version[32];
	char hv_version[32];
	uint64_t memory_bytes;
};

/*
 * One connection; the calls may come from any thread.  A connection that breaks gives
 * ERR_GONE from then on: close it and open another.
 */
struct hv;

/* Called from libvirt's event thread: a domain started, stopped, ... at about `at`. */
typedef void (*hv_event)(void *context, const char *uuid, struct instant at);

/* Once per process: the thread that runs libvirt's events and keep-alive. */
must_check bool hv_init(struct err *e);
must_check bool hv_open(struct hv **out, const char *uri, hv_event event, void *context,
    struct err *e);
void hv_close(struct hv *hv); /* NULL is fine */
bool hv_alive(struct hv *hv); /* false: the connection broke */

must_check bool hv_facts(struct hv *hv, struct hv_facts *out, struct err *e);
void hv_facts_done(struct hv_facts *f);

/* All domains, defined or running.  One that can't be read is left out, its trouble
 * logged. */
must_check bool hv_domains(struct hv *hv, struct hv_domain **list, size_t *count,
    struct err *e);
void hv_domains_free(struct hv_domain *list, size_t count);
must_check bool hv_domain_get(struct hv *hv, const char *uuid, struct hv_domain *out,
    struct err *e);
void hv_domain_done(struct hv_domain *d);
/* Caller frees. */
must_check bool hv_domain_xml(struct hv *hv, const char *uuid, char **xml, struct err *e);

/*
 * The size of a disk as the guest sees it, which needs no right on the file.  ERR_AGAIN
 * while the guest's control channel is taken: what then asks would hang with it.
 */
must_check bool hv_disk_size(struct hv *hv, const char *uuid, const char *target,
    int64_t *bytes, struct err *e);

must_check bool hv_define(struct hv *hv, const char *xml, struct err *e);
must_check bool hv_undefine(struct hv *hv, const char *uuid, struct err *e);
must_check bool hv_start(struct hv *hv, const char *uuid, struct err *e);
must_check bool hv_shutdown(struct hv *hv, const char *uuid,
    struct err *e); /* asks the guest */
must_check bool hv_destroy(struct hv *hv, const char *uuid, struct err *e); /* at once */
must_check bool hv_reset(struct hv *hv, const char *uuid, struct err *e);

/* Pools and volumes.  The path is the caller's to free. */
must_check bool hv_pool_ensure(struct hv *hv, const char *pool, const char *path,
    struct err *e);
must_check bool hv_volume_ensure(struct hv *hv, const char *pool, const char *xml,
    const char *name, char **path, struct err *e);
must_check bool hv_volume_delete(struct hv *hv, const char *pool, const char *name,
    struct err *e);
bool hv_network_active(struct hv *hv, const char *name);
