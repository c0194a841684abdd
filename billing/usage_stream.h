/* SPDX-License-Identifier: Apache-2.0 */
/* usage_stream: what an account used, read from the database resource by resource */
#pragma once
#include "base/db.h"
#include "billing/usage.h"

/*
 * What to read.  Consumption is summed by stretch: between two edges no price changes,
 * and stretches that no price tells apart go into the first of them.
 */
struct usage_ask {
	int64_t account_id;
	struct span span;
	const struct instant *starts; /* of stretches in order; the first is the span's */
	const size_t *sum_in;         /* by stretch: the one whose sums it adds to */
	size_t count;
	bool few;              /* some hundred rows: no cursor is worth it */
	struct instant summed; /* what began before it is in kept sums (sums.h) */
};

/* What an item was made of. */
struct usage_origin {
	size_t records; /* rows of usage */
	/* Keys of imported ones, "source/id", a line each, the first TOLD_SHOWN of them;
	 * NULL: it was metered. */
	const char *told;
};
#define TOLD_SHOWN 20

/* Imported records that don't count: they are counted all the same. */
struct usage_aside {
	const char *sku;
	bool pending; /* what it corrects has not come; else it was corrected */
	size_t records;
};

struct usage_stream {
	struct db *db;
	struct rows *rows; /* fetched and not all given yet */
	size_t row;
	bool cursor; /* open; else all rows are fetched */
	/* The resource at hand; its usage and texts live until the next one. */
	struct usage_list list;
	const char *uuid;
	const char *name;             /* says "(simulated)" where that is so */
	struct usage_origin *origins; /* by item of list */
	size_t origin_capacity;
	struct usage_aside *asides;
	size_t aside_count;
	size_t aside_capacity;
};

/* The stretches as arrays of SQL: their begins, and which one each is added to, from 1.
 */
must_check bool usage_ask_text(struct buf *starts, struct buf *sum_in,
    const struct usage_ask *ask, struct err *e);

/* Needs an open transaction and a connection with billing_statements. */
must_check bool usage_stream_open(struct usage_stream *s, struct db *db,
    const struct usage_ask *ask, struct err *e);
/* *more false: there is no further resource. */
must_check bool usage_stream_next(struct usage_stream *s, bool *more, struct err *e);
must_check bool usage_stream_close(struct usage_stream *s, struct err *e);
void usage_stream_done(struct usage_stream *s); /* after any failure, too */

/* After the last resource: one that is in no table, and what it uses; texts are kept. */
void usage_stream_resource(struct usage_stream *s, const char *uuid, const char *name);
struct usage *usage_stream_item(struct usage_stream *s, enum usage_kind kind,
    const char *sku);
