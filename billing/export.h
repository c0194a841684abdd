/* SPDX-License-Identifier: Apache-2.0 */
/* export: charges and usage of any range of time, streamed, account by account */
#pragma once
#include "billing/focus.h"

struct export_ask {
	const char *account; /* name or id; NULL: every one */
	struct instant from;
	struct instant to; /* exclusive */
	enum focus_version focus;
	bool closed_only; /* without what open periods have come to */
	bool json;        /* usage as JSON, else CSV */
	struct instant now;
};

/*
 * FOCUS: whole documents whose periods begin in the range, and what the periods that are
 * not closed have come to by now.  Nothing is kept in memory but a piece of one account.
 */
must_check bool export_focus(struct db *db, const struct export_ask *ask,
    const struct text_out *out, struct err *e);
/* Usage that reaches into the range, record by record, as import takes it. */
must_check bool export_usage(struct db *db, const struct export_ask *ask,
    const struct text_out *out, struct err *e);
