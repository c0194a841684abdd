/* SPDX-License-Identifier: Apache-2.0 */
/* part: how the amount of a line came to be, piece by piece */
#pragma once
#include "billing/model.h"

enum part_kind {
	PART_FREE,     /* free units, at nothing */
	PART_UNIT,     /* each at the price */
	PART_TIER,     /* units of a tier; index tells which, from 1 */
	PART_FLAT,     /* the fee of a tier that was entered */
	PART_PACKAGE,  /* started packages */
	PART_COMMIT,   /* the commitment, used or not */
	PART_OVERAGE,  /* what goes beyond it */
	PART_DISCOUNT, /* an amount, below zero; price is the percentage */
	PART_MINIMUM,  /* an amount: what was missing */
	PART_MAXIMUM,  /* an amount, below zero: what was above */
};
const char *part_name(enum part_kind kind); /* "free", "unit", "tier"... */

/* quantity x price = amount, but for discount, minimum and maximum (quantity 0). */
struct part {
	enum part_kind kind;
	size_t index; /* of a tier, from 1; 0: none */
	mpq_t quantity;
	mpq_t price;
	mpq_t amount; /* in the tariff's currency, before fx */
};
struct parts {
	struct part *list;
	size_t count;
};

void parts_done(struct parts *p);
/* Parts of the same kind, tier and price are one: quantities and amounts are summed. */
void parts_add(struct parts *p, enum part_kind kind, size_t index, const mpq_t quantity,
    const mpq_t price);
void parts_add_amount(struct parts *p, enum part_kind kind, const mpq_t price,
    const mpq_t amount);
void parts_total(mpq_t out, const struct parts *p);

/*
 * What makes cost = F(b) - F(a) of a model that is not tou: the units after the first a
 * up to b, then discount and maximum.
 */
void parts_window(struct parts *p, const struct model *m, const mpq_t a, const mpq_t b,
    const mpq_t cost);
/* F(0) of a commitment. */
void parts_commitment(struct parts *p, const struct model *m);
/* The same units in a band of tou. */
void parts_band(struct parts *p, const struct model *m, const struct band *band,
    const mpq_t a, const mpq_t b, const mpq_t cost);
