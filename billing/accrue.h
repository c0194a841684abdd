/* SPDX-License-Identifier: Apache-2.0 */
/* accrue: a bill written down as the running charges of its period */
#pragma once
#include "billing/bill.h"

/*
 * Makes the bill of a period as of ask->now and writes it.  Absolute states: written
 * twice they change nothing, and an older one never replaces a newer.  Lines of an
 * older generation (ask->now in microseconds) than the run's are void.  Belongs inside
 * a fenced transaction.  The totals are in *out, for bill_done().
 */
must_check bool accrue(struct bill *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, struct err *e);
