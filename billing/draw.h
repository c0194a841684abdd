/* SPDX-License-Identifier: Apache-2.0 */
/* draw: a period that is over becomes the lines and the body of its statement */
#pragma once
#include "base/db.h"
#include "billing/calendar.h"

/*
 * Rates the whole period, adds what became known about earlier ones, and writes the
 * lines and the draft; the number comes later (issue.h).  A period without any line
 * gets no statement.  Drawn up already: changes nothing.  Belongs at the head of a
 * fenced transaction of isolation "repeatable read", so that lines, prints and sums
 * are about the same usage.
 */
must_check bool draw_up(struct db *db, const struct calendar *c, int64_t account_id,
    const struct span *period, struct instant now, struct err *e);
