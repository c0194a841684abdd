/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile: what libvirt shows against what the database says, level-triggered */
#pragma once
#include "provision/host.h"

/*
 * One look at a host: adopts unknown domains, closes and opens intervals where a guest
 * was started, stopped or lost behind our back.  Answers after how long to look again.
 */
int64_t reconcile_host(struct host *h, struct db *db);
