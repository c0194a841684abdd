/* SPDX-License-Identifier: Apache-2.0 */
/* account_usage: lifetimes and usage windows of an account as usage to be rated */
#pragma once
#include "base/db.h"
#include "billing/usage.h"

struct resource_name {
	const char *uuid;
	const char *name;
};
/* Filled by uuid; texts belong to the usage list's arena. */
struct resource_names {
	struct resource_name *list;
	size_t count;
	size_t capacity;
};
void resource_names_done(struct resource_names *n);
const char *resource_name(const struct resource_names *n, const char *uuid); /* or NULL */

/*
 * Adds what the account used in a span.  by_window: consumption in its windows, for
 * prices that change in time; else as one sum per VM at the span's begin.
 */
must_check bool account_usage_read(struct usage_list *l, struct resource_names *names,
    struct db *db, int64_t account_id, const struct span *span, bool by_window,
    struct err *e);
