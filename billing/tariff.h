/* SPDX-License-Identifier: Apache-2.0 */
/* tariff: a price list as billing-rules section 0 writes it, checked to the last key */
#pragma once
#include "billing/model.h"
#include "billing/span.h"
#include "billing/tags.h"

#define TARIFF_PRICES_MAX 2000
#define TARIFF_VERSIONS_MAX 500

enum per {
	PER_NONE, /* of things that are counted, not held for a time */
	PER_SECOND,
	PER_MINUTE,
	PER_HOUR,
	PER_DAY, /* from here on: the real local unit, prorated */
	PER_MONTH,
	PER_YEAR,
};
const char *per_name(enum per per); /* "hour"; "" for PER_NONE */

enum granularity { GRAIN_NONE, GRAIN_HOUR, GRAIN_DAY, GRAIN_MONTH };
enum aggregate { AGGREGATE_SUM, AGGREGATE_MAX, AGGREGATE_P95 };

/* A model in force in [valid.from, valid.to), known since recorded_at. */
struct version {
	struct span valid;
	struct instant recorded_at;
	struct model model;
};

struct price {
	const char *sku;
	const char *unit; /* of imported usage, from its meter; NULL: sku.h knows */
	const char *tax_class;
	const char *anchor; /* date, or NULL: the calendar year */
	struct tags match;
	int64_t priority;
	enum per per;
	enum granularity granularity;
	enum aggregate aggregate;
	bool by_resource;
	int64_t min_ns;
	mpq_t divisor;
	struct version *versions;
	size_t version_count;
};

struct tax_class {
	const char *name;
	mpq_t rate;
};

struct tariff {
	struct arena *arena;
	const char *currency; /* of the prices */
	const char *invoiced; /* of the lines: currency, or what fx goes to */
	const char *timezone;
	mpq_t fx_rate;   /* 1 without fx */
	mpq_t step;      /* lines are rounded to it */
	mpq_t minor;     /* 10^-places of the invoiced currency */
	unsigned places; /* of the invoiced currency */
	enum rounding rounding;
	enum rounding tax_rounding;
	bool tax_inclusive;
	struct tax_class *taxes;
	size_t tax_count; /* 0: no tax */
	struct price *prices;
	size_t price_count;
};

/*
 * From a document's value.  ERR_INPUT: the document is wrong; ERR_NOT_FOUND: it uses a
 * key or word that this version does not know.  Messages name the place
 * ("prices[2].model.tiers[0].price") and what to write instead.
 */
must_check bool tariff_read(struct tariff **out, const struct jval *document,
    struct err *e);
/* The same from text, as it is stored and imported; always ERR_INPUT. */
must_check bool tariff_parse(struct tariff **out, const char *text, size_t length,
    struct err *e);
void tariff_free(struct tariff *t); /* NULL is fine */

/*
 * The price for usage with these tags: most tags matched, then highest priority.
 * *out is NULL when there is none; a tie is ERR_INPUT.
 */
must_check bool tariff_price(const struct tariff *t, const char *sku,
    const struct tags *tags, const struct price **out, struct err *e);

/* The rate of a class; NULL without tax. */
const struct tax_class *tariff_tax(const struct tariff *t, const char *name);
