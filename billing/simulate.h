/* SPDX-License-Identifier: Apache-2.0 */
/* simulate: what a past period would have cost by another price list; nothing is stored
 */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "base/db.h"

struct simulate_ask {
	int64_t account_id;
	const char *month;    /* "2026-03", or NULL: the last period that is over */
	const char *document; /* the other price list, as tariff_parse() takes it */
	struct instant now;   /* charged up to here */
};

/*
 * {account, period, currency, skus:[{sku, was, would_be, difference}], was:{subtotal,
 * tax, total}, would_be:{...}, unrated:[sku]}: the same usage by the lists that hold
 * for it and by the other one.  difference is left out where the currencies differ.
 * Needs an open transaction of a connection with billing_statements.
 */
must_check bool simulate(struct buf *json_out, struct db *db,
    const struct simulate_ask *ask, struct err *e);
