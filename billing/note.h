/* SPDX-License-Identifier: Apache-2.0 */
/* note: credit notes: a part of what a closed statement charges is given back */
#pragma once
#include "base/db.h"

/*
 * Carries out the oldest request for a credit note: a numbered document of the
 * original's series, its postings, its link.  What can't be done is refused and says
 * why; that is no failure.  *any false: there is no request.  Belongs into a
 * transaction fenced by the numbering lease.
 *
 * The request: {"statement":NUMBER|ID, "reason":TEXT, "items":[{"sku":S,"percent":P} or
 * {"sku":S,"amount":A} or {"all":true}]}.  A note gives back at most what is left of a
 * sku; its tax is the tax of what was owed before less that of what is owed after, so
 * that notes over everything leave exactly nothing (billing-rules 2.3).
 */
must_check bool note_one(struct db *db, struct instant now, bool *any, struct err *e);
