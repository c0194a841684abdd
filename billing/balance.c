/* SPDX-License-Identifier: Apache-2.0 */
/* balance: how many records of usage came in, and what became of them, by sku */
#include "billing/balance.h"
#include "base/json.h"
#include "billing/sku.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

void
balance_done(struct balance *b)
{
	free(b->rows);
	*b = (struct balance){ NULL, 0 };
}

/* Kept in order of sku: there are a dozen of them. */
static struct balance_row *
row_of(struct balance *b, struct arena *a, const char *sku)
{
	size_t i = 0;

	while (i < b->count && strcmp(b->rows[i].sku, sku) < 0)
		i++;
	if (i < b->count && strcmp(b->rows[i].sku, sku) == 0)
		return &b->rows[i];
	b->rows = mem_resize(b->rows, b->count + 1, sizeof(*b->rows));
	memmove(&b->rows[i + 1], &b->rows[i], (b->count - i) * sizeof(*b->rows));
	b->rows[i] = (struct balance_row){ .sku = arena_strdup(a, sku) };
	b->count++;
	return &b->rows[i];
}

void
balance_add(struct balance *b, struct arena *a, const char *sku, enum fate fate,
    uint64_t records)
{
	struct balance_row *r = row_of(b, a, sku);
	uint64_t *const places[] = { [FATE_RATED] = &r->rated,
		[FATE_UNRATED] = &r->unrated,
		[FATE_REJECTED] = &r->rejected,
		[FATE_PENDING] = &r->pending,
		[FATE_CORRECTED] = &r->corrected };

	*places[fate] += records;
}

static void
balance_write(struct buf *out, const struct balance *b)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '[');
	for (size_t i = 0; i < b->count; i++) {
		jout_open(&j, NULL, '{');
		jout_string(&j, "sku", b->rows[i].sku);
		jout_number(&j, "rated", (int64_t)b->rows[i].rated);
		jout_number(&j, "unrated", (int64_t)b->rows[i].unrated);
		jout_number(&j, "rejected", (int64_t)b->rows[i].rejected);
		jout_number(&j, "pending", (int64_t)b->rows[i].pending);
		jout_close(&j, '}');
	}
	jout_close(&j, ']');
}

static void
balance_take(struct balance *b, struct arena *a, const struct rows *r, const char **lost)
{
	*lost = NULL;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct balance_row *row = row_of(b, a, rows_text(r, i, 0));

		row->received = (uint64_t)rows_i64(r, i, 1);
		row->rejected = (uint64_t)rows_i64(r, i, 4);
		row->pending = (uint64_t)rows_i64(r, i, 5);
		if (rows_bool(r, i, 6) && *lost == NULL)
			*lost = row->sku;
	}
}

bool
balance_put(struct balance *b, struct arena *a, struct db *db,
    const struct balance_of *of, const char **lost, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(buf_done) struct buf made = BUF_INIT;

	balance_write(&made, b);
	if (!db_query(db, of->look ? STMT_BALANCE_READ : STMT_BALANCE_PUT,
		DB_ARGS(DB_NUMBER(of->account_id), DB_INSTANT(of->period.from),
		    DB_INSTANT(of->through), DB_INSTANT(of->period.to), buf_text(&made),
		    SKUS_OPTIONAL, DB_NUMBER(of->now.ns / NS_PER_US),
		    of->summed.ns == INSTANT_FIRST.ns ? NULL : DB_INSTANT(of->summed)),
		&r, e))
		return false;
	balance_take(b, a, r, lost);
	return true;
}
