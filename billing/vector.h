/* SPDX-License-Identifier: Apache-2.0 */
/* vector: one test vector of the form rating-vectors/1, run through the real rating */
#pragma once
#include "base/buf.h"
#include "base/json.h"
#include "billing/calendar.h"

enum verdict { VECTOR_PASSED, VECTOR_FAILED, VECTOR_SKIPPED };

/*
 * Answers what became of it; on anything but VECTOR_PASSED why says so: what was
 * expected and what came, or which feature is unknown here.  e is set only when the
 * calendar could not be asked (then the verdict means nothing).
 */
must_check bool vector_run(enum verdict *verdict, struct buf *why,
    const struct jval *vector, const struct calendar *calendar, struct err *e);
