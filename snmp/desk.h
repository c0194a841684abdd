/* SPDX-License-Identifier: Apache-2.0 */
/* desk: the one thread that talks to PostgreSQL, so that no alarm ever waits for it */
#pragma once
#include "base/conf.h"
#include "base/db.h"
#include <event2/event.h>

enum { DESK_VALUES_MOST = 12, DESK_QUERIES_MOST = 16 };

/* A statement with its values; freed by desk_order_clear(). */
struct desk_call {
	unsigned stmt;
	size_t count;
	char *values[DESK_VALUES_MOST]; /* NULL: null */
};

/* Writes first, all or none of them; then the queries. */
struct desk_order {
	struct desk_call *writes;
	size_t write_count, write_room;
	struct desk_call queries[DESK_QUERIES_MOST];
	size_t query_count;
};
/* Values end with the count given; they are copied. */
struct desk_call *desk_write(struct desk_order *o, unsigned stmt);
struct desk_call *desk_query(struct desk_order *o, unsigned stmt);
void desk_value(struct desk_call *c, const char *text); /* NULL: null */
void desk_order_clear(struct desk_order *o);

struct desk_answer {
	bool ok;
	struct err why;                       /* ERR_GONE: PostgreSQL is away */
	struct rows *rows[DESK_QUERIES_MOST]; /* as the queries; freed after the call */
};

struct desk;

/* answered() is called in the loop of base. */
must_check bool desk_start(struct desk **out, const struct conf *conf,
    struct event_base *base, void (*answered)(void *context, const struct desk_answer *a),
    void *context, struct err *e);
bool desk_busy(const struct desk *d);
/* Takes the order over; only when not busy. */
void desk_give(struct desk *d, struct desk_order *o);
