/* SPDX-License-Identifier: Apache-2.0 */
/* server: HTTP by libmicrohttpd, which no other file knows */
#pragma once
#include "base/err.h"
#include "web/request.h"

/*
 * A pool of four threads with small stacks, and a lane of two for what waits.  Every
 * connection has deadlines: 30 s to send a request, 60 s to take the answer, ten minutes
 * for a file; a body has 1 MiB at most.  Both calls come from several threads at once.
 */
#define SERVER_BODY_MAX ((size_t)1024 * 1024)

struct server_calls {
	/* Looks at a complete request; true: answer() may wait, run it in the lane. */
	bool (*prepare)(void *context, struct request *r);
	void (*answer)(void *context, struct request *r, struct reply *out);
	void *context;
};

struct server;

/* Takes listen_fd over. */
must_check bool server_start(struct server **out, int listen_fd,
    const struct server_calls *calls, struct err *e);
/* Once a second: cuts off connections that are over their time. */
void server_tick(struct server *s);
void server_stop(struct server *s); /* NULL is fine */
