/* SPDX-License-Identifier: Apache-2.0 */
/* expect: an invoice beside what a test vector expects of it */
#pragma once
#include "billing/invoice.h"
#include "billing/vector.h"

/*
 * "expect" names a subset: what is there must match.  Amounts are compared as text,
 * quantities and exact amounts as numbers.  A key that is not known here makes the
 * vector skipped, after all others matched.
 */
enum verdict expect_check(struct buf *why, const struct jval *expect,
    const struct tariff *tariff, const struct usage_list *usage,
    const struct period *period, const struct invoice *invoice);
