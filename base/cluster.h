/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: the private PostgreSQL under the state folder, unix socket only */
#pragma once
#include "base/conf.h"
#include "base/err.h"
#include "base/spawn.h"

#define CLUSTER_USER "jeoul-db"

/*
 * Makes the cluster when there is none (in a temporary folder that is renamed at the end,
 * so that nothing half made is left), writes who may log in, checks versions, and takes
 * a dead server's lock away.  Needs STATE/pg to exist and belong to CLUSTER_USER.
 */
must_check bool cluster_prepare(const struct conf *conf, struct err *e);

/* How to start it; what it points to lives until the next call. */
void cluster_spawn(const struct conf *conf, int output_fd, struct spawn *out);

/* That server's own word in its lock file: it takes connections. */
bool cluster_ready(const struct conf *conf, pid_t pid);
