/* SPDX-License-Identifier: Apache-2.0 */
/* trap: alarms as SNMP notifications; the one file that knows net-snmp */
#pragma once
#include "base/err.h"
#include "snmp/notice.h"
#include <event2/event.h>

struct trap_setup {
	const char *root;   /* OID of JEOUL-MIB as "1.3.6.1.4...." */
	const char *folder; /* where the engine's number of starts is kept */
	const char *users; /* "name:SHA-256:password:AES:password", separated by blanks */
};

/*
 * Once.  With users: gives this engine its lasting id and counts the start on disk
 * before anything is sent, since receivers refuse an engine that starts twice alike
 * (RFC 3414, 2.2).
 */
must_check bool trap_init(const struct trap_setup *setup, struct err *e);

/* What becomes of informs; seq is the notice's. */
struct trap_events {
	void (*answered)(void *context, int64_t seq);
	void (*silent)(void *context, int64_t seq, const char *why);
	void (*forgotten)(void *context, const char *why); /* all that are under way */
	void (*refused)(void *context, const char *why);   /* ICMP: nobody is there */
	void (*ready)(void *context); /* after trap_ready() was false */
	void *context;
};

/* A receiver: its sockets, and for v3 what is known of its engine. */
struct trap_link;

/* address "192.0.2.7:162"; user NULL: v2c with the community. */
must_check bool trap_open(struct trap_link **out, struct event_base *base,
    const char *address, const char *community, const char *user,
    const struct trap_events *events, struct err *e);
void trap_close(struct trap_link *l); /* NULL is fine */

/* False while the receiver's engine is being asked who it is (v3 informs). */
bool trap_ready(const struct trap_link *l);
/* An inform is answered or silent later; a trap is just gone. */
must_check bool trap_send(struct trap_link *l, const struct notice *n, bool inform,
    struct err *e);
/* Forgets the informs that are under way. */
void trap_reset(struct trap_link *l);
/* Often: informs without an answer time out. */
void trap_tick(struct trap_link *l);
