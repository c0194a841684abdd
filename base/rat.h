/* SPDX-License-Identifier: Apache-2.0 */
/* rat: exact rationals for money and quantities (GMP), decimal text at the borders */
#pragma once
#include "base/attr.h"
#include "base/err.h"
#include <gmp.h>
#include <stdbool.h>
#include <stdint.h>

/* billing-rules 2.2; all are symmetric about zero. */
enum rounding { ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN, ROUND_UP };

#define RAT_DIGITS_MAX 200 /* of a text that comes from outside */

/*
 * Reads "12.50", "-3", "n/d" (billing-rules section 0).  No exponent, no blanks,
 * no plus sign.  q must be initialised (mpq_init); untouched on failure.
 */
must_check bool rat_parse(mpq_t q, const char *text, struct err *e);

/* Exact: "12.5" when it terminates within 60 places, else "n/d".  Caller frees. */
char *rat_text(const mpq_t q) must_check;

/*
 * So many places, trailing zeros kept ("12.10", "4737"), cut toward zero: exact for
 * what rat_round made, for display only of anything else.  Caller frees.
 */
char *rat_decimal(const mpq_t q, unsigned places) must_check;

/* The one rounding (billing-rules 2.2): to a multiple of step (> 0), e.g. 0.01. */
void rat_round(mpq_t out, const mpq_t q, const mpq_t step, enum rounding mode);

void rat_set_i64(mpq_t q, int64_t numerator, int64_t denominator); /* denominator > 0 */
void rat_set_u64(mpq_t q, uint64_t value);

/* "half_even"... of a tariff document. */
must_check bool rounding_parse(enum rounding *mode, const char *word, struct err *e);
const char *rounding_name(enum rounding mode);

/* ISO 4217 minor units of a three-letter currency: 0, 2, 3 or 4 (billing-rules 2.2). */
must_check bool currency_places(unsigned *places, const char *currency, struct err *e);
