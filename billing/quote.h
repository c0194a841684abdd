/* SPDX-License-Identifier: Apache-2.0 */
/* quote: what a virtual machine that is not there yet will cost, by the code that bills
 */
#pragma once
#include "base/buf.h"
#include "base/db.h"
#include "billing/exact.h"

#define QUOTE_DISKS_MOST 32
#define QUOTE_ADDRESSES_MOST 256

/* What is thought of; zero and NULL: not of that. */
struct quote_ask {
	int64_t account_id;
	struct instant now;
	struct instant start; /* from when on */
	const char *offering; /* its name, as tags of prices say it */
	int64_t vcpus;
	int64_t memory_bytes;
	int64_t disks[QUOTE_DISKS_MOST]; /* bytes */
	size_t disk_count;
	int64_t addresses;
	int64_t sockets; /* of a host that is kept for it */
	int64_t cores;
	int64_t hours;  /* running hours of a whole period, from its begin; 0: always */
	bool traffic;   /* the two below are said */
	mpq_t received; /* bytes of a whole period, evenly */
	mpq_t sent;
};

/*
 * {account, currency, tariff, start, hour:{start, end, exact, shown}, day:{...},
 * first:{start, end, lines:[{sku, resourcename, band, quantity, quantity_shown, unit,
 * exact, amount}], exact, subtotal, tax, total}, month:{...}, unrated:[sku],
 * notcounted:[sku]}.  Each is the difference of two bills of the account, with it and
 * without: so free units and tiers are as they stand, and a line's amount is what the
 * bill's lines will grow by.  hour: the first one; day: the first whole one of the
 * account's calendar; first: from the start to the end of its period; month: the next
 * whole period.  notcounted: skus that have a price and hang on use that was not said.
 * Nothing is written.  Needs an open transaction of a connection with
 * billing_statements; errors as bill_make(), and ERR_INPUT.
 */
must_check bool quote(struct buf *json_out, struct db *db, const struct quote_ask *ask,
    struct err *e);
