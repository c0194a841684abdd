/* SPDX-License-Identifier: Apache-2.0 */
/* balance: how many records of usage came in, and what became of them, by sku */
#include "billing/balance.h"
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
