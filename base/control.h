/* SPDX-License-Identifier: Apache-2.0 */
/* control: jeould's own socket in the state folder, for status and stop */
#pragma once
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include <event2/event.h>
#include <sys/types.h>

struct control_calls {
	void (*status)(void *context, struct buf *out);
	void (*stop)(void *context);
	void *context;
};

/* Only root and the user that runs jeould may connect (mode 0600). */
must_check bool control_open(struct event_base *base, const struct conf *conf,
    const struct control_calls *calls, struct err *e);

/*
 * The client side: sends one word ("status", "stop") and reads the answer to its end,
 * which for "stop" comes when jeould is gone.  ERR_GONE when no jeould runs there.
 */
must_check bool control_ask(const struct conf *conf, const char *word, int deadline_s,
    struct buf *answer, struct err *e);
