/* SPDX-License-Identifier: Apache-2.0 */
/* accrue: a bill written down as the running charges of its period */
#pragma once
#include "billing/bill.h"

/*
 * Absolute states: written twice they change nothing, and an older one never replaces a
 * newer.  now is the time of the rating: lines of an older generation than the
 * run's are void.  Belongs inside a fenced transaction.
 */
must_check bool accrue(struct db *db, const struct bill *b, struct instant now,
    struct err *e);
