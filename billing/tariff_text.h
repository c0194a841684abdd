/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_text: price lists as people write them, and back (docs/tariffs.md) */
#pragma once
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "billing/json_place.h"

#define TARIFF_TEXT_LINES_MAX 20000

/* What is wrong, where, and what to do. */
struct tariff_fault {
	struct text_at at; /* line 0: of the whole */
	char reason[512];
	char remedy[512];
};

/* What made which place of the document: "prices[2].model.price" -> line 17, 10. */
struct tariff_place {
	const char *path;
	struct text_at at;
};
struct tariff_places {
	struct tariff_place *list;
	size_t count;
	size_t capacity;
};

/* The text as a document; paths are of the arena, list with free(). */
must_check bool tariff_text_read(struct buf *json_out, struct tariff_places *places,
    struct arena *a, const char *text, size_t length, struct tariff_fault *fault);
/* A document (that tariff_read() takes) as text; reading it gives the same prices. */
void tariff_text_write(struct buf *out, const struct jval *document);
/* Parts of it: what holds for all prices, one price, and what tells it from others. */
void tariff_text_head(struct buf *out, const struct jval *document);
void tariff_text_price(struct buf *out, const struct jval *price);
void tariff_text_name(struct buf *out, const struct jval *price);

/* The word for a divisor of things that are counted in a unit: "GB"; NULL: none. */
const char *tariff_measure(const char *divisor, const char *unit);

/* The place that is nearest to a path; line 0: none. */
struct text_at tariff_places_find(const struct tariff_places *p, const char *path);
bool tariff_fault_set(struct tariff_fault *f, struct text_at at, const char *reason,
    const char *remedy); /* answers false */
