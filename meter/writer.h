/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the thread that speaks to PostgreSQL, so that nothing else ever waits for it */
#pragma once
#include "base/conf.h"
#include "meter/store.h"
#include <event2/event.h>

struct writer;

struct writer_calls {
	void (*done)(void *context, struct store_job *job); /* in the loop's thread */
	void (*hint)(void *context, const char *channel, const char *payload);
	void *context;
};

struct writer *writer_new(const struct conf *conf, struct event_base *base,
    const struct writer_calls *calls) must_check;

/* Carried out in the order given; comes back through done, however long that takes. */
void writer_submit(struct writer *w, struct store_job *job);
