/* SPDX-License-Identifier: Apache-2.0 */
/* supervise: starts the services and roles, watches them, starts them again */
#pragma once
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include <event2/event.h>

/*
 * Services (private PostgreSQL, private VM host) and roles as children.  A child that
 * dies is started at once, then after 1, 2, 4 ... 30 s; a minute of life forgives all.
 * Messages of the roles ("ready", "status ...", "alert ...") end here.
 */
struct supervise;

struct supervise_events {
	void (*all_ready)(void *context);               /* the first time only */
	void (*failed)(void *context, const char *why); /* can't be mended by waiting */
	void (*stopped)(void *context);                 /* after supervise_stop() */
	void *context;
};

must_check bool supervise_start(struct event_base *base, struct conf *conf,
    const char *program_folder, int listen_fd, const struct supervise_events *events,
    struct supervise **out, struct err *e);
/* Roles first, then the services; stopped() when all are gone, at the latest after 5 s.
 */
void supervise_stop(struct supervise *s);
/* New settings: all roles are started again with them, the web on that socket unless it
 * is -1.  Takes both over. */
void supervise_reload(struct supervise *s, struct conf *conf, int listen_fd);
/* The settings in force; valid until the next supervise_reload(). */
const struct conf *supervise_conf(const struct supervise *s);
/* One JSON object: {"ready":true,"children":[{"name":..,"pid":..,"state":..},...]} */
void supervise_status(const struct supervise *s, struct buf *out);
bool supervise_ready(const struct supervise *s);
