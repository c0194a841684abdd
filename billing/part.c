/* SPDX-License-Identifier: Apache-2.0 */
/* part: how the amount of a line came to be, piece by piece */
#include "billing/part.h"
#include <stdlib.h>

const char *
part_name(enum part_kind kind)
{
	static const char *const names[] = { [PART_FREE] = "free",
		[PART_UNIT] = "unit",
		[PART_TIER] = "tier",
		[PART_FLAT] = "flat",
		[PART_PACKAGE] = "package",
		[PART_COMMIT] = "commit",
		[PART_OVERAGE] = "overage",
		[PART_DISCOUNT] = "discount",
		[PART_MINIMUM] = "minimum",
		[PART_MAXIMUM] = "maximum" };

	return names[kind];
}

void
parts_done(struct parts *p)
{
	for (size_t i = 0; i < p->count; i++)
		mpq_clears(p->list[i].quantity, p->list[i].price, p->list[i].amount,
		    NULL);
	free(p->list);
	*p = (struct parts){ NULL, 0 };
}

static struct part *
part_for(struct parts *p, enum part_kind kind, size_t index, const mpq_t price)
{
	struct part *part;

	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].kind == kind && p->list[i].index == index &&
		    mpq_equal(p->list[i].price, price))
			return &p->list[i];
	p->list = mem_resize(p->list, p->count + 1, sizeof(*p->list));
	part = &p->list[p->count++];
	*part = (struct part){ .kind = kind, .index = index };
	mpq_inits(part->quantity, part->price, part->amount, NULL);
	mpq_set(part->price, price);
	return part;
}

void
parts_add(struct parts *p, enum part_kind kind, size_t index, const mpq_t quantity,
    const mpq_t price)
{
	struct part *part;

	if (mpq_sgn(quantity) == 0)
		return;
	part = part_for(p, kind, index, price);
	exact_add(part->quantity, quantity);
	exact_add_product(part->amount, quantity, price);
}

void
parts_add_amount(struct parts *p, enum part_kind kind, const mpq_t price,
    const mpq_t amount)
{
	if (mpq_sgn(amount) != 0)
		exact_add(part_for(p, kind, 0, price)->amount, amount);
}

void
parts_total(mpq_t out, const struct parts *p)
{
	mpq_set_ui(out, 0, 1);
	for (size_t i = 0; i < p->count; i++)
		exact_add(out, p->list[i].amount);
}

/* How much of (lower, upper] lies in (a, b]. */
static void
overlap(mpq_t out, const mpq_t lower, const struct tier *t, const mpq_t a, const mpq_t b)
{
	scoped_exact mpq_t from;

	mpq_init(from);
	mpq_set(from, a);
	exact_max(from, lower);
	mpq_set(out, b);
	if (!t->open)
		exact_min(out, t->up_to);
	mpq_sub(out, out, from);
	if (mpq_sgn(out) < 0)
		mpq_set_ui(out, 0, 1);
}

static void
graduated_parts(struct parts *p, const struct model *m, const mpq_t a, const mpq_t b)
{
	scoped_exact mpq_t lower;
	scoped_exact mpq_t share;
	scoped_exact mpq_t once;

	mpq_inits(lower, share, once, NULL);
	mpq_set_ui(once, 1, 1);
	for (size_t i = 0; i < m->tier_count; i++) {
		const struct tier *t = &m->tiers[i];

		overlap(share, lower, t, a, b);
		parts_add(p, PART_TIER, i + 1, share, t->price);
		if (mpq_cmp(a, lower) <= 0 && mpq_cmp(b, lower) > 0 &&
		    mpq_sgn(t->flat) != 0)
			parts_add(p, PART_FLAT, i + 1, once, t->flat);
		mpq_set(lower, t->up_to);
	}
}

/* All units at the price of the tier that q reaches, times sign. */
static void
volume_parts(struct parts *p, const struct model *m, const mpq_t q, int sign)
{
	size_t i = 0;
	scoped_exact mpq_t signed_q;
	scoped_exact mpq_t once;

	mpq_inits(signed_q, once, NULL);
	if (mpq_sgn(q) <= 0)
		return;
	while (i + 1 < m->tier_count && !m->tiers[i].open &&
	    mpq_cmp(q, m->tiers[i].up_to) > 0)
		i++;
	mpq_set_si(once, sign, 1);
	mpq_mul(signed_q, q, once);
	parts_add(p, PART_TIER, i + 1, signed_q, m->tiers[i].price);
	if (mpq_sgn(m->tiers[i].flat) != 0)
		parts_add(p, PART_FLAT, i + 1, once, m->tiers[i].flat);
}

static void
packages(mpq_t out, const struct model *m, const mpq_t q)
{
	mpq_div(out, q, m->size);
	mpz_cdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));
	mpz_set_ui(mpq_denref(out), 1);
}

static void
package_parts(struct parts *p, const struct model *m, const mpq_t a, const mpq_t b)
{
	scoped_exact mpq_t before;
	scoped_exact mpq_t after;

	mpq_inits(before, after, NULL);
	packages(before, m, a);
	packages(after, m, b);
	mpq_sub(after, after, before);
	parts_add(p, PART_PACKAGE, 0, after, m->price);
}

static void
overage_parts(struct parts *p, const struct model *m, const mpq_t a, const mpq_t b)
{
	scoped_exact mpq_t from;
	scoped_exact mpq_t over;

	mpq_inits(from, over, NULL);
	mpq_set(from, a);
	exact_max(from, m->units);
	mpq_sub(over, b, from);
	if (mpq_sgn(over) > 0)
		parts_add(p, PART_OVERAGE, 0, over, m->overage);
}

/* Free units first; a and b become positions after them. */
static void
free_parts(struct parts *p, const struct model *m, mpq_t a, mpq_t b)
{
	scoped_exact mpq_t given;
	scoped_exact mpq_t nothing;

	mpq_inits(given, nothing, NULL);
	mpq_sub(given, b, a);
	model_after_free(a, m, a);
	model_after_free(b, m, b);
	mpq_sub(given, given, b);
	exact_add(given, a);
	parts_add(p, PART_FREE, 0, given, nothing);
}

/* What stands between the plain units since `before` and the cost: percent, then cap. */
static void
limit_parts(struct parts *p, const struct model *m, const mpq_t before, const mpq_t cost)
{
	scoped_exact mpq_t plain;
	scoped_exact mpq_t cut;
	scoped_exact mpq_t nothing;

	mpq_inits(plain, cut, nothing, NULL);
	parts_total(plain, p);
	mpq_sub(plain, plain, before);
	mpq_set(cut, plain);
	model_discount(cut, m);
	mpq_sub(plain, cut, plain);
	parts_add_amount(p, PART_DISCOUNT, m->discount_pct, plain);
	mpq_sub(cut, cost, cut);
	parts_add_amount(p, PART_MAXIMUM, nothing, cut);
}

void
parts_window(struct parts *p, const struct model *m, const mpq_t a, const mpq_t b,
    const mpq_t cost)
{
	scoped_exact mpq_t from;
	scoped_exact mpq_t to;
	scoped_exact mpq_t before;

	mpq_inits(from, to, before, NULL);
	mpq_set(from, a);
	mpq_set(to, b);
	parts_total(before, p);
	free_parts(p, m, from, to);
	switch (m->type) {
	case MODEL_GRADUATED:
		graduated_parts(p, m, from, to);
		break;
	case MODEL_VOLUME:
		volume_parts(p, m, to, 1);
		volume_parts(p, m, from, -1);
		break;
	case MODEL_PACKAGE:
		package_parts(p, m, from, to);
		break;
	case MODEL_COMMIT:
		overage_parts(p, m, from, to);
		break;
	case MODEL_UNIT:
	case MODEL_TOU:
	default:
		mpq_sub(to, to, from);
		parts_add(p, PART_UNIT, 0, to, m->price);
		break;
	}
	limit_parts(p, m, before, cost);
}

void
parts_commitment(struct parts *p, const struct model *m)
{
	scoped_exact mpq_t nothing;
	scoped_exact mpq_t owed;
	scoped_exact mpq_t before;

	mpq_inits(nothing, owed, before, NULL);
	if (m->type != MODEL_COMMIT)
		return;
	parts_total(before, p);
	parts_add(p, PART_COMMIT, 0, m->units, m->price);
	model_total(owed, m, nothing);
	limit_parts(p, m, before, owed);
}

void
parts_band(struct parts *p, const struct model *m, const struct band *band, const mpq_t a,
    const mpq_t b, const mpq_t cost)
{
	scoped_exact mpq_t from;
	scoped_exact mpq_t to;
	scoped_exact mpq_t before;

	mpq_inits(from, to, before, NULL);
	mpq_set(from, a);
	mpq_set(to, b);
	parts_total(before, p);
	free_parts(p, m, from, to);
	mpq_sub(to, to, from);
	parts_add(p, PART_UNIT, 0, to, *model_band_price(m, band));
	limit_parts(p, m, before, cost);
}
