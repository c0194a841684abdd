/* SPDX-License-Identifier: Apache-2.0 */
/* link: the way to a syslog receiver: datagrams, or a connection that is kept open */
#pragma once
#include "base/err.h"
#include <event2/event.h>
#include <stddef.h>

struct link_events {
	void (*ready)(void *context); /* after link_ready() was false */
	void (*refused)(void *context, const char *why); /* nobody is there (any more) */
	void *context;
};

struct link;
struct tls_trust;

/*
 * "udp:192.0.2.7:514", "tcp:[2001:db8::7]:601" (octet counting, RFC 6587, 3.4.1),
 * "tls:192.0.2.7:6514,name=log.example" (RFC 5425) or "unix:/run/log".  Only reads the
 * words; nothing is opened.  trust: for tls, else NULL.
 */
must_check bool link_open(struct link **out, struct event_base *base, const char *target,
    struct tls_trust *trust, const struct link_events *events, struct err *e);
void link_close(struct link *l); /* NULL is fine */

bool link_is_stream(const struct link *l);
/* Opens what is closed; false: not yet, or not at all, and an event will tell. */
bool link_ready(struct link *l);
/* Only when ready.  A stream takes it in any case and passes it on as it can. */
must_check bool link_send(struct link *l, const char *line, size_t length, struct err *e);
/* A stream's bytes were all acknowledged by the other machine; datagrams: true. */
bool link_quiet(const struct link *l);
/* Closes the connection; the next link_ready() opens it again. */
void link_reset(struct link *l);
