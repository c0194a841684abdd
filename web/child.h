/* SPDX-License-Identifier: Apache-2.0 */
/* child: a program run for one answer, with a deadline */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/*
 * Its standard output goes to out (whose limit holds).  ERR_GONE when it is over its time
 * (it is killed then), ERR_NOT_FOUND when there is no such program, ERR_INTERNAL with its
 * last words when its status is not 0.
 */
must_check bool child_run(const char *program, const char *const *argv, int deadline_ms,
    struct buf *out, struct err *e);
