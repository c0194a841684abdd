/* SPDX-License-Identifier: Apache-2.0 */
/* explain: from a line of a bill to price, tiers, intervals, windows and raw counters */
#pragma once
#include "base/buf.h"
#include "base/db.h"
#include "billing/calendar.h"

#define EXPLAIN_ROWS_MOST 1000

/* A line of a statement, or lines of the running bill. */
struct explain_ask {
	int64_t account_id;
	const char *statement; /* its number or id; NULL: the running bill */
	int64_t line;          /* of the statement, from 1 */
	const char *sku;       /* of the running bill; then resource and band, or NULL */
	const char *resource; /* also: whose part of an account's line is shown closely */
	const char *band;
	struct instant now;
};

/*
 * {lines:[{line, tariff, price, resources:[{id, name, units}], usage:[{resource, name,
 * kind, from, to, quantity, units, records, acts:[{record, by, at, from,
 * to, reason}]}], units, changed}], account, currency, period, as_of,
 * statement, graph:{id, start, end}, charged:[{statement, n, kind, quantity, amount}],
 * charged_quantity, units_now, adjustment, windows:[{from, to, value, raw, epoch, ...}],
 * windows_sum, text}.  What adds up: units of usage = units; units - changed = quantity
 * of the line (changed: usage that came or went after it was closed); quantities x
 * prices of the line's parts = their amounts, whose sum (x fx) is exact; quantities of
 * charged = charged_quantity, which with an adjustment that is the last is units_now.
 * Lists are cut at EXPLAIN_ROWS_MOST, sums are about all.  text says it to people.
 * Needs an open transaction of a connection with billing_statements.
 * ERR_NOT_FOUND: no such line.
 */
must_check bool explain(struct buf *json_out, struct db *db, const struct calendar *c,
    const struct explain_ask *ask, struct err *e);
