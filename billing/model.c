/* SPDX-License-Identifier: Apache-2.0 */
/* model: how a quantity becomes a price */
#include "billing/model.h"

void
model_init(struct model *m)
{
	*m = (struct model){ .type = MODEL_UNIT };
	mpq_inits(m->price, m->size, m->units, m->overage, m->free_units, m->discount_pct,
	    m->minimum, m->maximum, NULL);
}

void
model_done(struct model *m)
{
	mpq_clears(m->price, m->size, m->units, m->overage, m->free_units,
	    m->discount_pct, m->minimum, m->maximum, NULL);
	for (size_t i = 0; i < m->tier_count; i++)
		mpq_clears(m->tiers[i].up_to, m->tiers[i].price, m->tiers[i].flat, NULL);
	for (size_t i = 0; i < m->band_count; i++)
		mpq_clear(m->bands[i].price);
}

/* Each tier's share at its own price; its flat fee as soon as it is entered. */
static void
graduated_total(mpq_t out, const struct model *m, const mpq_t q)
{
	scoped_exact mpq_t lower;
	scoped_exact mpq_t share;

	mpq_inits(lower, share, NULL);
	mpq_set_ui(out, 0, 1);
	for (size_t i = 0; i < m->tier_count; i++) {
		const struct tier *tier = &m->tiers[i];

		if (mpq_cmp(q, lower) <= 0)
			break;
		mpq_set(share, q);
		if (!tier->open)
			exact_min(share, tier->up_to);
		mpq_sub(share, share, lower);
		exact_add_product(out, share, tier->price);
		exact_add(out, tier->flat);
		mpq_set(lower, tier->up_to);
	}
}

static const struct tier *
volume_tier(const struct model *m, const mpq_t q)
{
	for (size_t i = 0; i < m->tier_count; i++)
		if (m->tiers[i].open || mpq_cmp(q, m->tiers[i].up_to) <= 0)
			return &m->tiers[i];
	return &m->tiers[m->tier_count - 1];
}

static void
volume_total(mpq_t out, const struct model *m, const mpq_t q)
{
	const struct tier *tier = volume_tier(m, q);

	mpq_mul(out, q, tier->price);
	if (mpq_sgn(q) > 0)
		exact_add(out, tier->flat);
}

static void
package_total(mpq_t out, const struct model *m, const mpq_t q)
{
	mpq_div(out, q, m->size);
	mpz_cdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));
	mpz_set_ui(mpq_denref(out), 1);
	mpq_mul(out, out, m->price);
}

/* The commitment is owed from the first unit on, and also without one. */
static void
commit_total(mpq_t out, const struct model *m, const mpq_t q)
{
	scoped_exact mpq_t over;

	mpq_init(over);
	mpq_mul(out, m->units, m->price);
	if (mpq_cmp(q, m->units) <= 0)
		return;
	mpq_sub(over, q, m->units);
	exact_add_product(out, over, m->overage);
}

void
model_after_free(mpq_t out, const struct model *m, const mpq_t q)
{
	mpq_sub(out, q, m->free_units);
	if (mpq_sgn(out) < 0)
		mpq_set_ui(out, 0, 1);
}

void
model_discount(mpq_t amount, const struct model *m)
{
	scoped_exact mpq_t kept;

	mpq_init(kept);
	mpq_set_ui(kept, 100, 1);
	mpq_sub(kept, kept, m->discount_pct);
	mpq_mul(amount, amount, kept);
	mpq_set_ui(kept, 1, 100);
	mpq_canonicalize(kept);
	mpq_mul(amount, amount, kept);
}

void
model_total(mpq_t out, const struct model *m, const mpq_t q)
{
	scoped_exact mpq_t charged;

	mpq_init(charged);
	model_after_free(charged, m, q);
	switch (m->type) {
	case MODEL_GRADUATED:
		graduated_total(out, m, charged);
		break;
	case MODEL_VOLUME:
		volume_total(out, m, charged);
		break;
	case MODEL_PACKAGE:
		package_total(out, m, charged);
		break;
	case MODEL_COMMIT:
		commit_total(out, m, charged);
		break;
	case MODEL_UNIT:
	case MODEL_TOU:
	default:
		mpq_mul(out, charged, m->price);
		break;
	}
	model_discount(out, m);
	if (m->has_maximum)
		exact_min(out, m->maximum);
}

const mpq_t *
model_band_price(const struct model *m, const struct band *band)
{
	return band == NULL ? &m->price : &band->price;
}
