/* SPDX-License-Identifier: Apache-2.0 */
/* rrdcached: values to a caching daemon, many files a round trip (its BATCH) */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* Takes an "unix:/path" or a plain path apart; false: it is no such address. */
struct rrdcached;
must_check bool rrdcached_new(struct rrdcached **out, const char *address, struct err *e);
void rrdcached_free(struct rrdcached *c); /* NULL is fine */

/*
 * Gathers a command ("update PATH T:V:V T:V:V", "flush PATH"); a longer one than the
 * daemon takes is refused.  Sent by rrdcached_send().
 */
must_check bool rrdcached_add(struct rrdcached *c, const char *command, struct err *e);
/*
 * Sends what is gathered and reads how many commands failed; the first failure's words
 * go to `words`.  ERR_GONE: it does not answer; what was gathered stays, to be sent
 * again.
 */
must_check bool rrdcached_send(struct rrdcached *c, unsigned *failed, char words[160],
    struct err *e);
