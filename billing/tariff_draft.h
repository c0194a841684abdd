/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_draft: a price list as its lines said it, before anything of it is checked */
#pragma once
#include "billing/tariff_text.h"

/* A key and its value as it stands in the document; raw: no quotes around it. */
struct entry {
	const char *key;
	const char *value;
	bool raw;
	struct text_at at;
};
struct entries {
	struct entry *list;
	size_t count;
};

/* A tier or band: its own entries. */
struct group {
	struct entries of;
	struct text_at at;
};
struct groups {
	struct group *list;
	size_t count;
};
struct draft_model {
	const char *type;
	struct entries of;
	struct groups tiers;
	struct groups bands;
	struct text_at at;
};
struct draft_version {
	struct entries of;
	struct draft_model model;
	struct text_at at;
};
struct draft_price {
	struct entries of;
	struct entries match;
	struct draft_version *versions;
	size_t version_count;
	bool versioned; /* "from" was written: else the one model holds always */
	struct text_at at;
};
/* Texts are of the arena of who reads. */
struct draft {
	struct entries of;
	struct entries fx;
	struct entries tax;
	struct entries classes;
	struct text_at fx_at;
	struct text_at tax_at;
	struct draft_price *prices;
	size_t price_count;
};

const char *entries_value(const struct entries *e, const char *key); /* NULL: none */
void entries_add(struct entries *e, const struct entry *one);
struct group *groups_add(struct groups *g, struct text_at at);
struct draft_version *draft_version_add(struct draft_price *p, struct text_at at);
struct draft_price *draft_price_add(struct draft *d, struct text_at at);

/* The document, and where each of its places was written. */
void draft_write(const struct draft *d, struct buf *json_out,
    struct tariff_places *places, struct arena *a);
void draft_done(struct draft *d);
