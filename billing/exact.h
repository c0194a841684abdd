/* SPDX-License-Identifier: Apache-2.0 */
/* exact: rationals that clean up after themselves */
#pragma once
#include "base/rat.h"
#include <stddef.h>

/* scoped_exact mpq_t q; mpq_init(q); */
static inline void
exact_clear(mpq_t *q)
{
	mpq_clear(*q);
}
#define scoped_exact scoped(exact_clear)

mpq_t *exact_array(size_t count) must_check; /* all zero; exact_array_free() */
void exact_array_free(mpq_t *list, size_t count);

void exact_add(mpq_t sum, const mpq_t more);                     /* sum += more */
void exact_add_product(mpq_t sum, const mpq_t a, const mpq_t b); /* sum += a x b */
void exact_min(mpq_t q, const mpq_t most);                       /* q = min(q, most) */
void exact_max(mpq_t q, const mpq_t least);                      /* q = max(q, least) */
/* q x numerator / denominator, denominator > 0 */
void exact_scale(mpq_t out, const mpq_t q, int64_t numerator, int64_t denominator);
/* 1/10^places: the minor unit of a currency */
void exact_minor(mpq_t out, unsigned places);
