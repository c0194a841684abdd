/* SPDX-License-Identifier: Apache-2.0 */
/* exact: rationals that clean up after themselves */
#include "billing/exact.h"
#include "base/mem.h"
#include <stdlib.h>

mpq_t *
exact_array(size_t count)
{
	mpq_t *list = mem_array(count == 0 ? 1 : count, sizeof(*list));

	for (size_t i = 0; i < count; i++)
		mpq_init(list[i]);
	return list;
}

void
exact_array_free(mpq_t *list, size_t count)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		mpq_clear(list[i]);
	free(list);
}

void
exact_add(mpq_t sum, const mpq_t more)
{
	mpq_add(sum, sum, more);
}

void
exact_add_product(mpq_t sum, const mpq_t a, const mpq_t b)
{
	scoped_exact mpq_t product;

	mpq_init(product);
	mpq_mul(product, a, b);
	mpq_add(sum, sum, product);
}

void
exact_min(mpq_t q, const mpq_t most)
{
	if (mpq_cmp(q, most) > 0)
		mpq_set(q, most);
}

void
exact_max(mpq_t q, const mpq_t least)
{
	if (mpq_cmp(q, least) < 0)
		mpq_set(q, least);
}

void
exact_scale(mpq_t out, const mpq_t q, int64_t numerator, int64_t denominator)
{
	scoped_exact mpq_t factor;

	mpq_init(factor);
	rat_set_i64(factor, numerator, denominator);
	mpq_mul(out, q, factor);
}

void
exact_minor(mpq_t out, unsigned places)
{
	mpq_set_ui(out, 1, 1);
	mpz_ui_pow_ui(mpq_denref(out), 10, places);
}
