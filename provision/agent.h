/* SPDX-License-Identifier: Apache-2.0 */
/* agent: asks the agents in guests what only they know, beside all other work */
#pragma once
#include "base/conf.h"
#include "base/db.h"

enum { AGENT_WORKERS = 2 }; /* hosts are shared out among them */

/*
 * Asks those agents whose turn it is, of the hosts of worker me, one after the other: one
 * that is silent costs its two seconds, and then comes less often.  Logs what goes wrong
 * with a host.
 */
must_check bool agents_round(struct db *db, const struct conf *conf, int me,
    struct err *e);
/* How long until the next round. */
int64_t agents_pause_ns(const struct conf *conf);
