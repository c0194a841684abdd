/* SPDX-License-Identifier: Apache-2.0 */
/* usage: what was used, in the form that the price function takes */
#pragma once
#include "base/counter.h"
#include "billing/exact.h"
#include "billing/span.h"
#include "billing/tags.h"

#define USAGE_ITEMS_MAX 2000000
#define USAGE_SAMPLES_MAX 1000000

enum usage_kind { USAGE_INTERVAL, USAGE_EVENT, USAGE_COUNTER, USAGE_GAUGE };

struct gauge_sample {
	struct instant t;
	mpq_t value;
};

struct usage {
	enum usage_kind kind;
	const char *sku;
	const char *resource; /* never NULL; "" when there is none */
	const char *id;       /* NULL: none */
	struct tags tags;
	struct instant received_at; /* INSTANT_FIRST: always known */
	/*
	 * interval: alive in span, to INSTANT_LAST while it runs; gauge: the range in
	 * which samples were expected (INSTANT_FIRST and INSTANT_LAST: the period);
	 * event: span.from is its time.
	 */
	struct span span;
	int64_t seq;
	mpq_t qty;
	struct counter_rule counter;
	struct counter_reading *readings;
	struct gauge_sample *samples; /* sorted by time */
	size_t sample_count;          /* of readings or samples */
	int64_t max_gap_ns;
};

/* A growing list that owns its items and their texts. */
struct usage_list {
	struct arena *arena;
	struct usage *items;
	size_t count;
	size_t capacity;
};

void usage_list_init(struct usage_list *l);
void usage_list_done(struct usage_list *l);
void usage_list_reset(struct usage_list *l); /* empty again; items and texts are gone */
/* A new item, zero and initialised; valid until the next one is added. */
struct usage *usage_add(struct usage_list *l, enum usage_kind kind, const char *sku,
    const char *resource);

/* Whether any of it lies in a window. */
bool usage_touches(const struct usage *u, const struct span *window);

/* Adds the items of a JSON list (billing-rules section 0). Errors as in form.h. */
must_check bool usage_read(struct usage_list *l, const struct jval *list, struct err *e);

/*
 * What was known at an instant (received_at <= known), in order of arrival, each id
 * once.  keep[i] tells for items[i]; rejected[i]: its id had come with other content.
 * Both have list->count places.
 */
void usage_known(const struct usage_list *l, struct instant known, bool *keep,
    bool *rejected);
