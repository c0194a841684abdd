/* SPDX-License-Identifier: Apache-2.0 */
/* usage_record: usage that others tell, read from CSV or JSON and checked */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

#define USAGE_RECORDS_MAX 5000

/* One row: name, longest, whether each record must have it. */
#define USAGE_FIELDS(FIELD)                                                              \
	FIELD(source, 64, true)                                                          \
	FIELD(id, 128, true)                                                             \
	FIELD(account, 480, true)                                                        \
	FIELD(sku, 64, true)                                                             \
	FIELD(unit, 32, true)                                                            \
	FIELD(quantity, 40, true)                                                        \
	FIELD(at, 40, false)                                                             \
	FIELD(from, 40, false)                                                           \
	FIELD(to, 40, false)                                                             \
	FIELD(seq, 20, false)                                                            \
	FIELD(resource, 128, false)                                                      \
	FIELD(resource_name, 480, false)                                                 \
	FIELD(tags, 4096, false)                                                         \
	FIELD(corrects, 128, false)

enum usage_field {
#define FIELD(name, most, needed) USAGE_##name,
	USAGE_FIELDS(FIELD)
#undef FIELD
	    USAGE_FIELD_COUNT
};

const char *usage_field_name(enum usage_field f);

/* Texts are of the arena; values[tags] is a JSON object with its keys in order. */
struct usage_record {
	const char *place;                     /* "line 7", "records[6]" */
	const char *values[USAGE_FIELD_COUNT]; /* NULL: not given */
	bool lasts;                            /* from (and to), not at */
	bool open;                             /* lasts, and has no end yet */
	struct instant from;                   /* or at */
	struct instant to;
	int64_t account_id; /* for whoever looks it up */
};

struct usage_batch {
	struct arena *arena;
	struct usage_record *list;
	size_t count;
	int64_t first; /* index of the first in messages */
};

/*
 * From the text of a CSV file with a head line, or of JSON: a list of objects, or an
 * object whose member "records" is one.  source: for those that name none, or NULL;
 * first: the number of its first record's line or index in messages, -1: its own.
 * ERR_INPUT names the record's place, the field and what to do; whatever is given is
 * UTF-8 without control characters, exact, in bounds, and agrees with itself.
 */
must_check bool usage_batch_csv(struct usage_batch *b, struct arena *a, const char *text,
    const char *source, int64_t first, struct err *e);
must_check bool usage_batch_json(struct usage_batch *b, struct arena *a, const char *text,
    const char *source, int64_t first, struct err *e);

/* The same checks of a record whose place and values somebody else filled in; reads its
 * times. */
must_check bool usage_record_check(struct usage_record *r, struct err *e);

/* "line 7, field sku: ..." of kind ERR_INPUT; answers false. */
bool usage_refuse(struct err *e, const struct usage_record *r, enum usage_field f,
    const char *fmt, ...) printf_like(4, 5);

/* The batch as a JSON list, one object a record: n (its index), account_id, record (its
 * id), kind and the values under their names. */
void usage_batch_write(struct buf *to, const struct usage_batch *b);
