/* SPDX-License-Identifier: Apache-2.0 */
/* prop: what the files of this program share */
#pragma once
#include "base/buf.h"
#include "base/mem.h"
#include "billing/invoice.h"
#include "tests/prop/dice.h"

#define S NS_PER_S
#define DAY (INT64_C(86400) * NS_PER_S)
#define TEXT_MOST 48
#define NEVER INT64_MIN /* of an instant: not said */

/* ---- zone.c: by libc's zone rules; one zone at a time */
extern const struct calendar zone_calendar;
size_t zone_names(const char *const **out); /* every zone of this machine */

/* ---- world.c */
enum { TIERS_MOST = 4, BANDS_MOST = 3, VERSIONS_MOST = 4, PRICES_MOST = 8 };

struct w_tier {
	char up_to[TEXT_MOST]; /* "": open */
	char price[TEXT_MOST];
	char flat[TEXT_MOST]; /* "": none */
};
struct w_band {
	unsigned days; /* bits 1 to 7; 0: all */
	int from, to;  /* minutes */
	char price[TEXT_MOST];
};
/* Numbers as they stand in the document; "": not there. */
struct w_model {
	enum model_type type;
	char price[TEXT_MOST], size[TEXT_MOST], units[TEXT_MOST], overage[TEXT_MOST];
	char free_units[TEXT_MOST], discount[TEXT_MOST], minimum[TEXT_MOST],
	    maximum[TEXT_MOST];
	struct w_tier tiers[TIERS_MOST];
	size_t tier_count;
	struct w_band bands[BANDS_MOST];
	size_t band_count;
};
struct w_version {
	int64_t from, to, recorded_at; /* ns or NEVER */
	struct w_model model;
};
struct w_price {
	const char *sku;
	const char *offering; /* of its match, or NULL */
	int64_t priority;
	enum per per;
	enum granularity granularity;
	enum aggregate aggregate;
	int64_t min_seconds;
	const char *anchor; /* or NULL */
	char divisor[TEXT_MOST];
	bool by_resource, reduced;
	struct w_version versions[VERSIONS_MOST];
	size_t version_count;
};
struct world {
	uint64_t seed;
	struct dice dice; /* for what is done with it */
	const char *zone, *currency;
	enum rounding rounding;
	char increment[TEXT_MOST], fx[TEXT_MOST];
	int tax; /* 0 none, 1 exclusive, 2 inclusive */
	struct w_price prices[PRICES_MOST];
	size_t price_count;
	struct span window;
	struct instant known;
	struct usage_list usage;
	/* Made when first asked for. */
	struct tariff *tariff;
	char *plain; /* what it is rated as */
};

void world_make(struct world *w, uint64_t seed);
void world_done(struct world *w);
/* The price list; of price `twice`, if it is one, version `version` stands in two
 * halves that meet at cut. */
void world_tariff(struct buf *out, const struct world *w, size_t twice, size_t version,
    int64_t cut);
#define NO_PRICE SIZE_MAX
/* The whole as a vector of the form rating-vectors/1. */
void world_vector(struct buf *out, const struct world *w);

/* A copy of one item in another list. */
struct usage *usage_copy(struct usage_list *to, const struct usage *u);

/* ---- naive.c: what the first q units cost, limits apart */
void naive_total(mpq_t out, const struct w_model *m, const mpq_t q);
/* F(b) - F(a) with minimum and maximum of a price whose one version is m. */
void naive_limits(mpq_t q, const struct w_model *m);

/* ---- properties.c */
struct property {
	const char *name; /* the sentence */
	/* false: broken, and why says how. */
	bool (*holds)(struct world *w, struct buf *why);
};
extern const struct property properties[];
extern const size_t property_count;
/* Of all zones, not of a world: so many random units of each. */
bool full_units_measure_one(uint64_t seed, int units, struct buf *why);
/* Of numbers alone. */
bool rounding_is_symmetric(uint64_t seed, int numbers, struct buf *why);
