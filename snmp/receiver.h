/* SPDX-License-Identifier: Apache-2.0 */
/* receiver: a NOC's address with its outbox and the way to it */
#pragma once
#include "base/conf.h"
#include "snmp/outbox.h"
#include <event2/event.h>

/*
 * How an SNMP receiver is told.  An inform is answered, a trap is not.
 * auto: informs; a letter that meets with silence goes as a trap too, once, and the
 * inform is repeated until it is answered (docs/decisions/030).
 */
enum trap_mode { TRAP_AUTO, TRAP_TRAP, TRAP_INFORM };

struct receiver;
struct tls_trust;

/* Who is sent from: for the lines of syslog. */
struct sender {
	char hostname[65];
	char enterprise[16];
};

struct receivers {
	struct receiver **list;
	const char **names; /* "trap:192.0.2.7:162", "syslog:udp:192.0.2.7:514" */
	size_t count;
	struct sender sender;
	struct tls_trust *trust; /* of all that are reached by TLS */
};

/*
 * From snmp.trap ("192.0.2.7:162,inform,user=noc") and syslog.target, separated by
 * blanks.  settled() is called when letters ended, from the loop.
 */
must_check bool receivers_open(struct receivers *r, struct event_base *base,
    const struct conf *conf, struct err *e);

/* The letters of a notice go into the outboxes; those to nobody known are dropped. */
void receivers_take(struct receivers *r, struct notice *n);
/* Sends what may go now. */
void receivers_drive(struct receivers *r);
/* Every quarter of a second: settles, times out, sends. */
void receivers_tick(struct receivers *r);

const char *receiver_name(const struct receiver *r);
const struct outbox *receiver_outbox(const struct receiver *r);
