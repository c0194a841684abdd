/* SPDX-License-Identifier: Apache-2.0 */
/* child: a program run for one answer, with a deadline */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct child_ask {
	const char *program;
	const char *const *argv; /* NULL-terminated, argv[0] included */
	int deadline_ms;
	int allowed; /* an exit status that is good too, such as "nothing found" */
};

/*
 * Its standard output goes to out (whose limit holds); *status is how it ended.  ERR_GONE
 * when it is over its time (it is killed then), ERR_NOT_FOUND when there is no such
 * program, ERR_INTERNAL with its last words when it failed.
 */
must_check bool child_run(const struct child_ask *ask, int *status, struct buf *out,
    struct err *e);
