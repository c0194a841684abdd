/* SPDX-License-Identifier: Apache-2.0 */
/* model: how a quantity becomes a price */
#pragma once
#include "base/json.h"
#include "base/mem.h"
#include "billing/exact.h"

#define MODEL_TIERS_MAX 200
#define MODEL_BANDS_MAX 50

enum model_type {
	MODEL_UNIT,
	MODEL_GRADUATED,
	MODEL_VOLUME,
	MODEL_PACKAGE,
	MODEL_COMMIT,
	MODEL_TOU
};

/* (the bound before, up_to]; the last one may be open. */
struct tier {
	bool open;
	mpq_t up_to;
	mpq_t price;
	mpq_t flat;
};

/* A part of the local day: minutes of the wall clock; to <= from goes past midnight. */
struct band {
	const char *name;
	unsigned days; /* bit 1 Monday .. bit 7 Sunday: the day on which it begins */
	int from;
	int to;
	mpq_t price;
};

struct model {
	enum model_type type;
	mpq_t price;   /* unit, package, commit, tou outside its bands */
	mpq_t size;    /* package */
	mpq_t units;   /* commit */
	mpq_t overage; /* commit */
	struct tier *tiers;
	size_t tier_count;
	const char *default_name; /* tou */
	struct band *bands;
	size_t band_count;
	/* Modifiers, in this order. */
	mpq_t free_units;
	mpq_t discount_pct;
	bool has_minimum;
	bool has_maximum;
	mpq_t minimum;
	mpq_t maximum;
};

void model_init(struct model *m);
void model_done(struct model *m);
/* m must be initialised; texts go to the arena. Errors as in billing/form.h. */
must_check bool model_read(struct model *m, struct arena *a, const struct jval *object,
    const char *path, struct err *e);

/*
 * F(q): what the first q units of the period cost (billing-rules 2.7), with free
 * units, discount and maximum, without minimum.  A window costs F(b) - F(a).
 * Not for tou, whose price depends on when.
 */
void model_total(mpq_t out, const struct model *m, const mpq_t q);
/* Of tou: the price in a band (NULL: outside of all). */
const mpq_t *model_band_price(const struct model *m, const struct band *band);
/* After free units, before maximum: q' = max(0, q - free), amount x (1 - discount). */
void model_after_free(mpq_t out, const struct model *m, const mpq_t q);
void model_discount(mpq_t amount, const struct model *m);
