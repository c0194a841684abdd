/* SPDX-License-Identifier: Apache-2.0 */
/* host: the hosts that this program drives, and their turn to be looked at */
#pragma once
#include "base/clock.h"
#include "base/conf.h"
#include "base/db.h"
#include "base/err.h"
#include "provision/hv.h"
#include <pthread.h>

enum { HOST_EVENTS_MOST = 256, HOST_LEFT_MOST = 64 };

struct seen_event {
	char uuid[HV_UUID_MAX];
	struct instant at;
};

struct host {
	struct host *next;
	int64_t id, account_id;
	char uuid[HV_UUID_MAX];
	char name[128];
	char *uri;
	char domain_type[8];
	bool simulated;
	bool listed; /* still in the database */
	bool busy;   /* a worker looks at it */
	bool facts_known;
	struct mono due;
	int failures;
	struct hv *hv;
	struct hosts *all;
	struct seen_event
	    events[HOST_EVENTS_MOST]; /* ring: instants of libvirt's events */
	size_t event_count;
	/* ring: guests whose run goes on elsewhere, and since when; "": none */
	struct seen_event left[HOST_LEFT_MOST];
	size_t left_next;
};

/* All hosts; the lock guards the list, busy, due and events, never a libvirt call. */
struct hosts {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct host *first;
	const struct conf *conf;
};

void hosts_init(struct hosts *all, const struct conf *conf);
/* Reads the table; new ones are due at once, removed ones are let go when idle. */
must_check bool hosts_refresh(struct hosts *all, struct db *db, struct err *e);
/* The next due host, made busy, or NULL after a short wait. */
struct host *hosts_take(struct hosts *all);
void hosts_give_back(struct hosts *all, struct host *h, int64_t again_ns);
/* The instant of the last event for that domain, forgotten by asking; false: none. */
bool host_event_take(struct host *h, const char *uuid, struct instant *at);
/* libvirt said that this domain left for another host, and it did not come back. */
bool host_left(struct host *h, const char *uuid, struct instant *at);

void host_events_forget(struct host *h, struct instant until);

/* Connects if need be and keeps sockets, cores and memory true. */
must_check bool host_connect(struct host *h, struct db *db, struct err *e);
/* Adds a host: connects, reads its facts, writes the row and its licence lifetime. */
struct host_place {
	const char *zone_uuid, *cluster_uuid; /* NULL: the first */
	const char *tags;                     /* "ssd,gpu" or NULL */
};
must_check bool host_add(struct db *db, const struct conf *conf,
    const struct host_place *at, const char *uri, const char *name,
    char uuid[HV_UUID_MAX], struct err *e);
/* At start, where there is none: the hypervisor that this machine has. */
must_check bool host_find_first(struct db *db, const struct conf *conf, struct err *e);
