/* SPDX-License-Identifier: Apache-2.0 */
/* split: a rounded amount in parts that add up to it, by exact weights */
#include "billing/split.h"
#include "base/mem.h"
#include <stdlib.h>

struct rest {
	mpq_srcptr rest;
	size_t place;
};

/* Largest first, among equals the first one. */
static int
by_rest(const void *a, const void *b)
{
	const struct rest *x = a;
	const struct rest *y = b;
	int order = mpq_cmp(y->rest, x->rest);

	return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* What each should get: its weight, and of what is missing a share by its size. */
static void
targets_set(mpq_t *parts, mpq_t *weights, size_t count, const mpq_t whole)
{
	scoped_exact mpq_t missing;
	scoped_exact mpq_t sizes;
	scoped_exact mpq_t size;

	mpq_inits(missing, sizes, size, NULL);
	mpq_set(missing, whole);
	for (size_t i = 0; i < count; i++) {
		mpq_sub(missing, missing, weights[i]);
		mpq_abs(size, weights[i]);
		exact_add(sizes, size);
	}
	if (mpq_sgn(sizes) != 0)
		mpq_div(missing, missing, sizes);
	for (size_t i = 0; i < count; i++) {
		mpq_abs(size, weights[i]);
		mpq_set(parts[i], weights[i]);
		exact_add_product(parts[i], size, missing);
	}
	if (mpq_sgn(sizes) == 0)
		mpq_set(parts[0], whole);
}

/* In units of minor; what was cut off stays in rest. */
static void
part_floor(mpq_t part, mpq_t rest, const mpq_t minor)
{
	mpq_div(rest, part, minor);
	mpz_fdiv_q(mpq_numref(part), mpq_numref(rest), mpq_denref(rest));
	mpz_set_ui(mpq_denref(part), 1);
	mpq_sub(rest, rest, part);
	mpq_mul(part, part, minor);
}

void
split_amount(mpq_t *parts, mpq_t *weights, size_t count, const mpq_t whole,
    const mpq_t minor)
{
	mpq_t *rests = exact_array(count);
	struct rest *order = mem_array(count, sizeof(*order));
	scoped_exact mpq_t left;

	mpq_init(left);
	targets_set(parts, weights, count, whole);
	mpq_set(left, whole);
	for (size_t i = 0; i < count; i++) {
		part_floor(parts[i], rests[i], minor);
		mpq_sub(left, left, parts[i]);
		order[i] = (struct rest){ rests[i], i };
	}
	/* Fewer units are left than there are parts: each rest is less than one. */
	if (mpq_sgn(left) > 0)
		qsort(order, count, sizeof(*order), by_rest);
	for (size_t i = 0; i < count && mpq_sgn(left) > 0; i++) {
		exact_add(parts[order[i].place], minor);
		mpq_sub(left, left, minor);
	}
	free(order);
	exact_array_free(rests, count);
}
