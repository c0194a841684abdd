/* SPDX-License-Identifier: Apache-2.0 */
/* cost_table: costs in groups whose rounded amounts add up to what was charged */
#include "billing/cost_table.h"
#include "billing/split.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cost_pool {
	mpq_t amount;
};
/* A row's weight in a pool. */
struct cost_cell {
	size_t pool;
	size_t row;
	mpq_t weight;
};

const char *
cost_by_name(enum cost_by by)
{
	static const char *const names[BY_COUNT] = { "day", "account", "project", "sku",
		"resource", "tag" };

	return names[by];
}

const char *
cost_kind_name(enum cost_kind kind)
{
	static const char *const names[COST_KINDS] = { "charge", "adjustment",
		"credit_note", "tax_included", "tax", "credit", "prepaid" };

	return names[kind];
}

void
cost_table_init(struct cost_table *t, const enum cost_by *order, size_t count)
{
	*t = (struct cost_table){ .order_count = count };
	memcpy(t->order, order, count * sizeof(*order));
	keys_init(&t->row_keys);
	keys_init(&t->pool_keys);
	keys_init(&t->cell_keys);
	mpq_inits(t->shown, t->left_out, NULL);
}

static void
document_clear(struct cost_table *t)
{
	for (size_t i = 0; i < t->pool_keys.count; i++)
		mpq_clear(t->pools[i].amount);
	for (size_t i = 0; i < t->cell_keys.count; i++)
		mpq_clear(t->cells[i].weight);
	keys_done(&t->pool_keys);
	keys_done(&t->cell_keys);
}

void
cost_table_done(struct cost_table *t)
{
	document_clear(t);
	for (size_t i = 0; i < t->row_keys.count; i++)
		mpq_clear(t->rows[i].amount);
	keys_done(&t->row_keys);
	free(t->rows);
	free(t->pools);
	free(t->cells);
	mpq_clears(t->shown, t->left_out, NULL);
}

bool
cost_table_by(const struct cost_table *t, enum cost_by by)
{
	for (size_t i = 0; i < t->order_count; i++)
		if (t->order[i] == by)
			return true;
	return false;
}

/* Room for one more of a list that grows with its keys. */
#define ROOM(list, capacity, number)                                                     \
	do {                                                                             \
		if ((number) >= (capacity)) {                                            \
			(capacity) = (capacity) == 0 ? 64 : (capacity)*2;                \
			(list) = mem_resize((list), (capacity), sizeof(*(list)));        \
		}                                                                        \
	} while (0)

size_t
cost_pool_add(struct cost_table *t, const char *key, const mpq_t amount)
{
	size_t before = t->pool_keys.count;
	size_t n = keys_number(&t->pool_keys, key);

	if (n == before) {
		ROOM(t->pools, t->pool_capacity, n);
		mpq_init(t->pools[n].amount);
	}
	exact_add(t->pools[n].amount, amount);
	return n;
}

static const char *
or_nothing(const char *text)
{
	return text == NULL ? "" : text;
}

/* Only what was asked for tells rows apart; payments and the hidden are apart always. */
static char *
row_key(const struct cost_table *t, const struct cost_place *p)
{
	char *key = mem_printf("%c%d\x1f%s", p->hidden ? 'h' : 's', (int)p->kind,
	    or_nothing(p->currency));

	for (size_t i = 0; i < t->order_count && !p->hidden; i++) {
		char *longer = mem_printf("%s\x1f%s", key,
		    or_nothing(p->by[t->order[i]]));

		free(key);
		key = longer;
	}
	return key;
}

static size_t
row_of(struct cost_table *t, const struct cost_place *p)
{
	scoped_free char *key = row_key(t, p);
	size_t before = t->row_keys.count;
	size_t n = keys_number(&t->row_keys, key);
	struct arena *a = t->row_keys.arena;
	struct cost_row *r;

	if (n < before)
		return n;
	ROOM(t->rows, t->row_capacity, n);
	r = &t->rows[n];
	*r = (struct cost_row){ .place = { .kind = p->kind,
				    .hidden = p->hidden,
				    .currency = arena_strdup(a, or_nothing(p->currency)),
				    .account_uuid = "",
				    .resource_name = "" } };
	for (size_t i = 0; i < BY_COUNT; i++)
		r->place.by[i] = cost_table_by(t, (enum cost_by)i)
		    ? arena_strdup(a, or_nothing(p->by[i]))
		    : "";
	if (cost_table_by(t, BY_ACCOUNT))
		r->place.account_uuid = arena_strdup(a, or_nothing(p->account_uuid));
	if (cost_table_by(t, BY_RESOURCE))
		r->place.resource_name = arena_strdup(a, or_nothing(p->resource_name));
	mpq_init(r->amount);
	return n;
}

void
cost_cell_add(struct cost_table *t, size_t pool, const struct cost_place *place,
    const mpq_t weight)
{
	size_t row = row_of(t, place);
	char key[48];
	size_t before = t->cell_keys.count;
	size_t n;

	(void)snprintf(key, sizeof(key), "%zu|%zu", pool, row);
	n = keys_number(&t->cell_keys, key);
	if (n == before) {
		ROOM(t->cells, t->cell_capacity, n);
		t->cells[n].pool = pool;
		t->cells[n].row = row;
		mpq_init(t->cells[n].weight);
	}
	exact_add(t->cells[n].weight, weight);
}

/* ---- closing */

/* By pool, then by the key of the row: ties of a split go by it. */
static int
by_pool(const void *a, const void *b, void *context)
{
	const struct cost_cell *x = a;
	const struct cost_cell *y = b;
	const struct cost_table *t = context;

	if (x->pool != y->pool)
		return x->pool < y->pool ? -1 : 1;
	return strcmp(t->row_keys.list[x->row], t->row_keys.list[y->row]);
}

static void
part_take(struct cost_table *t, size_t row, const mpq_t part)
{
	struct cost_row *r = &t->rows[row];

	exact_add(r->amount, part);
	if (r->place.kind == COST_CREDIT || r->place.kind == COST_PREPAID)
		return;
	exact_add(r->place.hidden ? t->left_out : t->shown, part);
}

static void
pool_split(struct cost_table *t, const struct cost_cell *cells, size_t count,
    const mpq_t minor)
{
	mpq_t *weights = exact_array(count);
	mpq_t *parts = exact_array(count);

	for (size_t i = 0; i < count; i++)
		mpq_set(weights[i], cells[i].weight);
	split_amount(parts, weights, count, t->pools[cells->pool].amount, minor);
	for (size_t i = 0; i < count; i++)
		part_take(t, cells[i].row, parts[i]);
	exact_array_free(weights, count);
	exact_array_free(parts, count);
}

void
cost_document_drop(struct cost_table *t)
{
	document_clear(t);
	keys_init(&t->pool_keys);
	keys_init(&t->cell_keys);
}

void
cost_document_close(struct cost_table *t, const mpq_t minor)
{
	size_t count = t->cell_keys.count;

	mpq_set_ui(t->shown, 0, 1);
	mpq_set_ui(t->left_out, 0, 1);
	if (count > 1)
		qsort_r(t->cells, count, sizeof(*t->cells), by_pool, t);
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from + 1;
		     to < count && t->cells[to].pool == t->cells[from].pool; to++)
			;
		pool_split(t, t->cells + from, to - from, minor);
	}
	cost_document_drop(t);
}

/* ---- reading */

/* Charges first, then as they were asked for; a resource by its name. */
static int
by_place(const void *a, const void *b, void *context)
{
	const struct cost_place *x = &(*(const struct cost_row *const *)a)->place;
	const struct cost_place *y = &(*(const struct cost_row *const *)b)->place;
	const struct cost_table *t = context;
	int order = (int)x->kind - (int)y->kind;

	for (size_t i = 0; i < t->order_count && order == 0; i++) {
		enum cost_by by = t->order[i];

		if (by == BY_RESOURCE)
			order = strcmp(x->resource_name, y->resource_name);
		if (order == 0)
			order = strcmp(x->by[by], y->by[by]);
	}
	return order != 0 ? order : strcmp(x->currency, y->currency);
}

const struct cost_row **
cost_table_rows(struct cost_table *t, size_t *count)
{
	const struct cost_row **list = mem_array(t->row_keys.count + 1, sizeof(*list));

	*count = 0;
	for (size_t i = 0; i < t->row_keys.count; i++)
		if (!t->rows[i].place.hidden && mpq_sgn(t->rows[i].amount) != 0)
			list[(*count)++] = &t->rows[i];
	if (*count > 1)
		qsort_r(list, *count, sizeof(*list), by_place, t);
	return list;
}
