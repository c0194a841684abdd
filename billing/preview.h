/* SPDX-License-Identifier: Apache-2.0 */
/* preview: the running bill of an account as JSON, computed this moment */
#pragma once
#include "base/buf.h"
#include "base/conf.h"
#include "base/db.h"

/* A connection that bill_preview() can use, for web: db_open() with our statements. */
must_check bool preview_open(const struct conf *conf, const char *role, struct db **out,
    struct err *e);

/*
 * {account:{id,name}, currency, period:{start,end}, as_of, tariff:{id,name,version}|null,
 *  lines:[{sku, resource:{id,name}?, band?, quantity, quantity_shown, unit, exact,
 *  amount}], subtotal, tax, total, per_hour, unrated:[sku], usage:[{sku, received, rated,
 *  unrated, rejected, pending}]}
 * Amounts and quantities are strings; quantity and exact are exact ("10/3"),
 * quantity_shown is cut to 6 places for people.  Nothing is written.  account_id is
 * account.id; ERR_NOT_FOUND when there is none, ERR_INPUT when its tariff and its usage
 * don't fit together.
 */
must_check bool bill_preview(struct db *db, int64_t account_id, struct instant now,
    struct buf *json_out, struct err *e);
