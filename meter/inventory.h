/* SPDX-License-Identifier: Apache-2.0 */
/* inventory: which hosts and guests there are, as the provisioning core keeps them */
#pragma once
#include "meter/due.h"
#include "meter/read.h"
#include "meter/series.h"

enum { INVENTORY_NAME_MAX = 32 };
enum meter_lane_kind { LANE_FAST, LANE_GUARDED, LANE_SITE, LANE_COUNT };

struct meter_host;

/* One way of asking a host: its own connection, at most one question under way. */
struct meter_lane {
	struct due_item due; /* first, so that the queue's item is the lane */
	struct meter_host *host;
	enum meter_lane_kind kind;
	int64_t ticket; /* of the question under way; 0: none */
	struct meter_lane *next_asked, **asked_link; /* those with a ticket */
	unsigned failures;                           /* in a row */
	unsigned abandoned; /* calls that never came back so far */
	struct mono turn;   /* its next regular turn; due may be earlier */
	bool again;         /* wanted again as soon as this one is over */
	struct read_want *wants;
	size_t want_count;
};

struct meter_host {
	struct meter_host *next;
	struct meter_host *next_by_id; /* same bucket */
	int64_t id;
	char uuid[READ_UUID_MAX];
	char name[128];
	char *uri;
	bool simulated, listed;
	bool leaving, given; /* another is to ask it; the database has been told so */
	bool contact_dirty;
	struct instant last_ok, failing_since; /* ns 0: not failing */
	int64_t latency_us;
	char *error; /* while it is failing */
	struct meter_lane lanes[LANE_COUNT];
	struct meter_vm *vms; /* those on it */
	size_t vm_count;
	uint64_t cpu_total_ns;      /* of its CPUs since it was booted; 0: not known */
	struct instant rebooted_at; /* seen by us; ns 0: not */
	uint64_t capabilities_hash; /* of the evidence that was written */
	int sockets;                /* as it says; 0: not known */
	/* of its guests together since this program began, for the graphs only */
	uint64_t cpu_ns, rx_bytes, tx_bytes;
};

/* A network card (named by its address) or a disk (named by its target). */
struct meter_device {
	struct meter_device *next;
	bool listed;
	char name[INVENTORY_NAME_MAX];
	struct series series; /* the last: only as much of it as its kind needs */
};

/* The run of the guest's process that the provisioning core has written down. */
enum { RUN_NEVER = -1, RUN_ELSEWHERE = -2 };
struct meter_run {
	int64_t domain_id;           /* on its host; or one of these */
	struct instant begun, ended; /* ended.ns 0: it still runs */
};

struct meter_vm {
	struct meter_vm *next;         /* same bucket */
	struct meter_vm *next_on_host; /* same host */
	char uuid[READ_UUID_MAX];
	bool listed : 1, quarantined : 1, has_rss : 1, has_guest_free : 1;
	bool alone : 1; /* a call hung that was about it and others */
	uint8_t urgent; /* bits of the lanes that should ask it at once */
	int64_t host_id;
	struct meter_run run;
	struct series vm;
	struct meter_device *nics, *volumes;
	struct instant unmetered_since; /* told; ns 0: measured */
	/* the guarded lane: disks and balloon are due; the channel is taken */
	struct mono full_due;
	/* what it said of the guest's memory, which rides with the next fast reading */
	uint64_t rss, guest_free;
	struct instant blocked_since; /* told; ns 0: its channel is idle */
	struct instant blocked_until; /* when it was taken last */
};

struct inventory {
	struct meter_host *hosts;
	/* Tables of chains, as many as there are VMs or hosts: they grow with those. */
	size_t bucket_count;
	struct meter_vm **by_uuid;
	struct series **by_id;
	struct meter_host **host_by_id;
	struct account_rule *rules;
	size_t host_count, vm_count, unloaded;
	int64_t turn; /* of the collector, as the snapshot has it */
	/* Called before a series changes its owner or ends, so that its row is kept. */
	void (*leaving)(void *context, struct series *s);
	/* Called before a host or VM is forgotten. */
	void (*host_gone)(void *context, struct meter_host *h);
	void (*vm_gone)(void *context, struct meter_vm *v);
	void *context;
};

/*
 * Takes a snapshot in (store.h says what it looks like); a resource that is new is not
 * loaded yet.  ERR_INPUT for a text that is torn: nothing is changed.
 */
must_check bool inventory_apply(struct inventory *in, const char *snapshot,
    struct err *e);

/* Of what a snapshot says, but for the CPU time of its hosts, which always changes. */
uint64_t inventory_hash(const char *snapshot);

struct meter_vm *inventory_vm(struct inventory *in, const char *uuid);
struct meter_host *inventory_host(struct inventory *in, int64_t id);
struct series *inventory_series(struct inventory *in, int64_t resource_id);
/* The card or disk of that name, or NULL. */
struct series *inventory_device(struct meter_device *list, const char *name);

/*
 * Which run a sight of the guest belongs to: its begin, or ns 0 when the provisioning
 * core has not written that run down (yet): then counters wait, since nobody knows
 * whether they began under our eyes.
 */
struct instant inventory_run(const struct meter_vm *v, const struct meter_host *h,
    int64_t domain_id, struct instant at);

void inventory_done(struct inventory *in);

/* Calls visit for each series there is. */
void inventory_each(struct inventory *in, void (*visit)(void *context, struct series *s),
    void *context);
