/* SPDX-License-Identifier: Apache-2.0 */
/* naive: what a quantity costs, as billing-rules 0 says it, step by step */
#include "tests/prop/prop.h"
#include <stdlib.h>

static void
number(mpq_t out, const char *text)
{
	struct err e = ERR_INIT;

	mpq_set_ui(out, 0, 1);
	if (*text != '\0' && !rat_parse(out, text, &e))
		abort();
}

/* out += a x text */
static void
add_times(mpq_t out, const mpq_t a, const char *text)
{
	scoped_exact mpq_t n;

	mpq_init(n);
	number(n, text);
	mpq_mul(n, n, a);
	mpq_add(out, out, n);
}

/* Fills one tier after the other; the fee of each that anything is put into. */
static void
graduated(mpq_t out, const struct w_model *m, const mpq_t q)
{
	scoped_exact mpq_t left, room, lower, one;

	mpq_inits(left, room, lower, one, NULL);
	mpq_set(left, q);
	mpq_set_ui(one, 1, 1);
	for (size_t i = 0; i < m->tier_count && mpq_sgn(left) > 0; i++) {
		const struct w_tier *t = &m->tiers[i];

		number(room, t->up_to);
		mpq_sub(room, room, lower);
		if (t->up_to[0] == '\0' || mpq_cmp(room, left) > 0)
			mpq_set(room, left);
		add_times(out, room, t->price);
		add_times(out, one, t->flat);
		mpq_sub(left, left, room);
		number(lower, t->up_to);
	}
}

static void
volume(mpq_t out, const struct w_model *m, const mpq_t q)
{
	scoped_exact mpq_t bound, one;

	mpq_inits(bound, one, NULL);
	mpq_set_ui(one, 1, 1);
	if (mpq_sgn(q) <= 0)
		return;
	for (size_t i = 0; i < m->tier_count; i++) {
		number(bound, m->tiers[i].up_to);
		if (m->tiers[i].up_to[0] != '\0' && mpq_cmp(q, bound) > 0)
			continue;
		add_times(out, q, m->tiers[i].price);
		add_times(out, one, m->tiers[i].flat);
		return;
	}
}

static void
package(mpq_t out, const struct w_model *m, const mpq_t q)
{
	scoped_exact mpq_t n;

	mpq_init(n);
	number(n, m->size);
	mpq_div(n, q, n);
	mpz_cdiv_q(mpq_numref(n), mpq_numref(n), mpq_denref(n));
	mpz_set_ui(mpq_denref(n), 1);
	add_times(out, n, m->price);
}

static void
commit(mpq_t out, const struct w_model *m, const mpq_t q)
{
	scoped_exact mpq_t units, over;

	mpq_inits(units, over, NULL);
	number(units, m->units);
	add_times(out, units, m->price);
	mpq_sub(over, q, units);
	if (mpq_sgn(over) > 0)
		add_times(out, over, m->overage);
}

void
naive_total(mpq_t out, const struct w_model *m, const mpq_t q)
{
	scoped_exact mpq_t charged, percent;

	mpq_inits(charged, percent, NULL);
	number(charged, m->free_units);
	mpq_sub(charged, q, charged);
	if (mpq_sgn(charged) < 0)
		mpq_set_ui(charged, 0, 1);
	mpq_set_ui(out, 0, 1);
	if (m->type == MODEL_UNIT)
		add_times(out, charged, m->price);
	if (m->type == MODEL_GRADUATED)
		graduated(out, m, charged);
	if (m->type == MODEL_VOLUME)
		volume(out, m, charged);
	if (m->type == MODEL_PACKAGE)
		package(out, m, charged);
	if (m->type == MODEL_COMMIT)
		commit(out, m, charged);
	number(percent, m->discount);
	mpq_set_ui(charged, 100, 1);
	mpq_sub(charged, charged, percent);
	mpq_mul(out, out, charged);
	mpq_set_ui(percent, 100, 1);
	mpq_div(out, out, percent);
}

void
naive_limits(mpq_t q, const struct w_model *m)
{
	scoped_exact mpq_t limit;

	mpq_init(limit);
	number(limit, m->minimum);
	if (m->minimum[0] != '\0' && mpq_cmp(q, limit) < 0)
		mpq_set(q, limit);
	number(limit, m->maximum);
	if (m->maximum[0] != '\0' && mpq_cmp(q, limit) > 0)
		mpq_set(q, limit);
}
