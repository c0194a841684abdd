/* SPDX-License-Identifier: Apache-2.0 */
/* cost_table: costs in groups whose rounded amounts add up to what was charged */
#pragma once
#include "billing/exact.h"
#include "billing/keys.h"
#include <stdbool.h>
#include <stdint.h>

/* What a row can be about; the order in which they are asked for is that of the rows. */
enum cost_by { BY_DAY, BY_ACCOUNT, BY_PROJECT, BY_SKU, BY_RESOURCE, BY_TAG, BY_COUNT };
const char *cost_by_name(enum cost_by by);

/* What an amount is; the last two pay and are no part of a total. */
enum cost_kind {
	COST_CHARGE,
	COST_ADJUSTMENT,   /* what became known about an earlier period */
	COST_CREDIT_NOTE,  /* given back */
	COST_TAX_INCLUDED, /* below zero: the tax that is in the charges */
	COST_TAX,
	COST_CREDIT,  /* below zero: credits that were used */
	COST_PREPAID, /* below zero: what had been paid in advance */
	COST_KINDS
};
const char *cost_kind_name(enum cost_kind kind);

/* Where an amount belongs; texts are kept by the table, NULL is "". */
struct cost_place {
	enum cost_kind kind;
	const char
	    *by[BY_COUNT]; /* day, account, project, sku, resource's id, tag's value */
	const char *account_uuid;
	const char *resource_name;
	const char *currency;
	bool hidden; /* left out by a filter: it counts, and is not shown */
};
struct cost_row {
	struct cost_place place; /* only what was asked for; else "" */
	mpq_t amount;
};

/* Amounts of one document that a reader can tell from no other: split together. */
struct cost_pool;

struct cost_table {
	enum cost_by order[BY_COUNT]; /* what rows are told apart by */
	size_t order_count;
	struct keys row_keys;
	struct cost_row *rows; /* by number of their key */
	size_t row_capacity;
	struct keys pool_keys; /* of the document at hand */
	struct cost_pool *pools;
	size_t pool_capacity;
	struct keys cell_keys;
	struct cost_cell *cells;
	size_t cell_capacity;
	mpq_t shown; /* of the document at hand, once it is closed: what counts in its
			total */
	mpq_t left_out;
};

/* order is copied. */
void cost_table_init(struct cost_table *t, const enum cost_by *order, size_t count);
void cost_table_done(struct cost_table *t);
bool cost_table_by(const struct cost_table *t, enum cost_by by);

/*
 * Adds a rounded amount to what is split together (key: any text), and weights to where
 * its parts belong.  A pool without any weight needs at least one place (weight 0).
 */
size_t cost_pool_add(struct cost_table *t, const char *key, const mpq_t amount);
void cost_cell_add(struct cost_table *t, size_t pool, const struct cost_place *place,
    const mpq_t weight);
/* Splits what one document's pools hold into the rows; minor: of its currency. */
void cost_document_close(struct cost_table *t, const mpq_t minor);
/* Forgets the document at hand, whose rows then have nothing of it. */
void cost_document_drop(struct cost_table *t);
/* Rows that are shown and not nothing, in order; free() the list. */
const struct cost_row **cost_table_rows(struct cost_table *t, size_t *count);
