/* SPDX-License-Identifier: Apache-2.0 */
/* bill: what an account's period has come to, from the rows to the total */
#pragma once
#include "billing/balance.h"
#include "billing/rate.h"
#include "billing/sums.h"
#include "billing/tax_book.h"
#include "billing/told.h"
#include "billing/usage_stream.h"

/* The price list of one part of the period, and what it makes of the usage there. */
struct portion {
	struct span span;
	int64_t tariff_id;
	const char *tariff_uuid;
	const char *tariff_name;
	int64_t tariff_version;
	const char *tariff_sha256;
	struct tariff *tariff; /* NULL: a time without a price list */
	struct rate_job job;
	struct rate_run *run; /* NULL: begins after bill.through */
	struct rate_job later_job;
	struct rate_run *later; /* the same for an hour longer; only where asked for */
};

struct bill {
	struct arena *arena;
	int64_t account_id;
	const char *account_uuid;
	const char *account_name;
	const char *currency; /* of the amounts */
	const char *timezone;
	struct span period;
	struct instant through; /* charged up to here, a whole second */
	struct instant summed;  /* windows before it were taken from kept sums */
	bool planned;           /* the sums wait for sums_fill(): there is no line yet */
	struct usage_stream used;
	struct portion *portions;
	size_t portion_count;
	struct tax_book taxes;
	struct totals totals;
	struct balance balance;
	int64_t unmetered_s;
	mpq_t exact;    /* sum of the lines before rounding, before tax */
	mpq_t per_hour; /* what one more hour of what runs now adds, before tax */
};

/* A line as it comes; what it points to may be gone after the call. */
struct bill_line {
	const struct line *line;
	const struct portion *portion;
	size_t portion_index;
	const char *resource_name;    /* NULL: the account's line */
	const struct told_line *told; /* imported records in it; NULL: none */
};

/* Takes the lines of a bill; may use the connection, but not leave it busy. */
struct bill_sink {
	void *context;
	bool (*line)(void *context, const struct bill *b, const struct bill_line *l,
	    struct err *e);
};

/* Usage of what does not exist, for a quote: the n-th resource is put into s. */
struct bill_extra {
	void *context;
	bool (
	    *fill)(void *context, struct usage_stream *s, size_t n); /* false: no more */
};

/* Whose bill, of which period, as of when. */
struct bill_ask {
	int64_t account_id;
	struct span period;
	struct instant now;
	bool want_parts; /* lines say how they came to be */
	bool want_hour;  /* per_hour is computed */
	enum sums_use sums;
	/* A document instead of the account's price lists, for all of the period; or
	 * NULL. */
	const char *document;
	bool as_closed;   /* by the price lists that its statement names */
	const char *only; /* NULL, or the one sku that is looked at */
	const struct trace *trace;
	const struct bill_extra *extra; /* or NULL */
	/* Further instants at which sums of consumption are cut, or none. */
	const struct instant *edges;
	size_t edge_count;
};

/*
 * Reads and rates a period as far as ask->now, in an open transaction of a connection
 * with billing_statements.  Lines come resource by resource, those of the account at
 * the end; totals are there after.  sink NULL: only totals.  ERR_NOT_FOUND: no such
 * account; ERR_INPUT: its tariff can't rate its usage, the text says why.
 */
must_check bool bill_make(struct bill *out, struct db *db, const struct calendar *c,
    const struct bill_ask *ask, const struct bill_sink *sink, struct err *e);
void bill_done(struct bill *b);

/* An amount as it is shown, with the places of its currency. Caller frees. */
char *bill_amount_text(const struct bill *b, const mpq_t amount) must_check;
/* The last price list of the period; NULL without one. */
const struct portion *bill_portion(const struct bill *b);
