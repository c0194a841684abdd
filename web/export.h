/* SPDX-License-Identifier: Apache-2.0 */
/* export: files that are made by the code that bills, one at a time */
#pragma once
#include "billing/statement.h"
#include "web/web.h"

typedef bool (*export_make)(struct call *c, struct db *db, const struct text_out *out,
    struct err *e);
/*
 * Writes the file of a call (call_file()) in billing's own connection of this thread,
 * with the caller's accounts in sight only; ERR_LIMIT while another one is made.
 */
must_check bool export_alone(struct call *c, export_make make, struct err *e);
