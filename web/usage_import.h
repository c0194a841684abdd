/* SPDX-License-Identifier: Apache-2.0 */
/* usage_import: the one way in for usage that is told */
#pragma once
#include "web/usage_record.h"
#include "web/web.h"

/* What corrections of gaps are told under. */
#define USAGE_SOURCE_GAP "jeoul.gap"

/*
 * Takes in one record for a correction of a gap, by the rules of importUsage, in the
 * call's transaction.  Where it conflicts with what stands nothing is stored and c->late
 * is set: it answers after the commit of the event that says so.
 */
must_check bool usage_import_act(struct call *c, struct usage_record *r, struct err *e);
