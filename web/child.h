/* SPDX-License-Identifier: Apache-2.0 */
/* child: a program run for one answer, with a deadline */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/*
 * Its standard output goes to out (whose limit holds); *status is how it ended.  ERR_GONE
 * when it is over its time (it is killed then), ERR_NOT_FOUND when there is no such
 * program, ERR_INTERNAL with its last words when it was killed or ended with another
 * status than 0 and allowed.
 */
must_check bool child_run(const char *program, const char *const *argv, int deadline_ms,
    int allowed, int *status, struct buf *out, struct err *e);
