/* SPDX-License-Identifier: Apache-2.0 */
/* account_usage: lifetimes and usage windows of an account as usage to be rated */
#pragma once
#include "base/db.h"
#include "billing/usage.h"

struct resource_name {
	const char *uuid;
	const char *name;
};

/* Texts belong to the list's arena. */
struct account_usage {
	struct usage_list list;
	struct resource_name *names; /* by uuid */
	size_t name_count;
	size_t name_capacity;
};

void account_usage_init(struct account_usage *u);
void account_usage_done(struct account_usage *u);
const char *account_usage_name(const struct account_usage *u,
    const char *uuid); /* NULL: unknown */

/*
 * Adds what the account used in a span.  by_window: consumption in its windows, for
 * prices that change in time; else as one sum per VM at the span's begin.
 */
must_check bool account_usage_read(struct account_usage *u, struct db *db,
    int64_t account_id, const struct span *span, bool by_window, struct err *e);
