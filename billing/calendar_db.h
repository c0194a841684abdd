/* SPDX-License-Identifier: Apache-2.0 */
/* calendar_db: the calendar as PostgreSQL computes it from the IANA zones */
#pragma once
#include "base/db.h"
#include "billing/calendar.h"

/*
 * Each answer is remembered.  The connection must have been opened with
 * billing_statements and must outlive the calendar; keep: also write what was asked to
 * billing_calendar (the rater's right).
 */
struct calendar *calendar_db_new(struct db *db, bool keep) must_check;
void calendar_db_free(struct calendar *c); /* NULL is fine */
