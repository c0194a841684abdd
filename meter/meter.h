/* SPDX-License-Identifier: Apache-2.0 */
/* meter: the collector's state and its rounds, as functions of the time */
#pragma once
#include "meter/inventory.h"
#include "meter/keep.h"
#include "meter/read.h"
#include "meter/rrd.h"
#include "meter/store.h"

struct meter;

/* Now, on both clocks: samples are stamped with the wall's, waiting is by the other. */
struct moment {
	struct instant wall;
	struct mono mono;
};

struct meter_settings {
	int64_t step_ns;     /* fast lane */
	int64_t guarded_ns;  /* disks and balloon of a guest */
	int64_t deadline_ns; /* of one call */
	/* among the collectors that share the hosts; session: of this process */
	const char *name, *machine, *session;
};

/* A host is to be asked by one lane; all of it lives until ask returns. */
struct meter_question {
	int64_t ticket;
	int64_t host_id;
	const char *uri;
	enum meter_lane_kind lane;
	bool suspect; /* may hang: such ones get at most half of the workers */
	const struct read_want *wants; /* fast lane: none means all guests */
	size_t want_count;
};

/* How far a question is: the guest it is at, and since when. */
struct meter_progress {
	size_t guest;
	struct mono since;
	bool connecting; /* which may take longer than an answer */
	size_t together; /* so many guests from that one on are asked by one call */
};

enum meter_answer_kind {
	ANSWER_ROUND,    /* readings; more may follow */
	ANSWER_BUSY,     /* a guest's control channel is taken since busy_ms */
	ANSWER_IDLE,     /* it is not (to READ_LOOK only) */
	ANSWER_SITE,     /* pools, networks, capabilities */
	ANSWER_OVER,     /* the last one: ok, or why not */
	ANSWER_RETURNED, /* a call that was given up came back: its worker is gone */
};
struct meter_answer {
	enum meter_answer_kind kind;
	int64_t ticket;
	int64_t host_id;
	enum meter_lane_kind lane;
	struct read_round round;
	struct read_site site;
	char uuid[READ_UUID_MAX];
	unsigned busy_ms;
	bool ok;
	int64_t latency_us;
	char error[512];
};

/*
 * The world outside.  The real one has threads behind ask and store, whose answers come
 * later by meter_take() and meter_stored(); a simulated one may answer at any time, but
 * never from inside a call.
 */
struct meter_ports {
	void *context;
	void (*ask)(void *context, const struct meter_question *q);
	/* False: no worker has taken it up yet. */
	bool (*progress)(void *context, int64_t ticket, struct meter_progress *out);
	/* Its answers are not wanted any more, but for ANSWER_RETURNED. */
	void (*abandon)(void *context, int64_t ticket);
	/* The host is no more: its connections may go. */
	void (*forget)(void *context, int64_t host_id);
	void (*store)(void *context, struct store_job *job);
	void (*alert)(void *context, const char *rule, const char *object, bool raised,
	    const char *text);
	void (*status)(void *context, const char *text);
};

/* keep and rrd NULL: nothing is kept on this machine, nothing is drawn. */
struct meter *meter_new(const struct meter_settings *settings,
    const struct meter_ports *ports, struct keep *keep, struct rrd_store *rrd) must_check;
void meter_free(struct meter *m); /* NULL is fine; nothing may be under way */

/* Does what is due, and answers when it must be called again. */
struct mono meter_tick(struct meter *m, struct moment now);

void meter_take(struct meter *m, struct meter_answer *answer, struct moment now);
/* job is the collector's own, back with its answer. */
void meter_stored(struct meter *m, struct store_job *job, struct moment now);
/* libvirt says that something became of a guest. */
void meter_event(struct meter *m, int64_t host_id, const char *uuid, struct moment now);
/* A NOTIFY: sample this VM (its uuid) or all, draw now. */
void meter_hint(struct meter *m, const char *channel, const char *payload,
    struct moment now);
