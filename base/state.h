/* SPDX-License-Identifier: Apache-2.0 */
/* state: the folder of everything that Jeoul keeps */
#pragma once
#include "base/conf.h"
#include "base/err.h"

#define STATE_FREE_LEAST (UINT64_C(64) << 20)

/*
 * Makes the folder and its parts with their owners; refuses a nearly full disk and a
 * folder that is not writable.  On failure what it has just made is removed again.
 */
must_check bool state_prepare(const struct conf *conf, struct err *e);

/* The one jeould of this folder: the open lock, or -1 with who holds it. */
int state_lock(const struct conf *conf, struct err *e);
