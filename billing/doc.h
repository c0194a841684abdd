/* SPDX-License-Identifier: Apache-2.0 */
/* doc: lines and bodies of statements as canonical JSON (docs/billing.md) */
#pragma once
#include "base/buf.h"
#include "billing/bill.h"

/* A number as decimal or "n/d", an amount with the places of the statement. */
void doc_exact(struct jout *j, const char *key, const mpq_t q);
void doc_instant(struct jout *j, const char *key, struct instant t);

/* What a line of a statement has beside what the bill knows. */
struct doc_extra {
	int64_t n;
	size_t tax;       /* place of its tax entry */
	const char *tags; /* of its resource as JSON, or NULL */
};
/*
 * One line of a bill: what, of which resource, how much, by which price, and the parts
 * that its exact amount is made of.
 */
void doc_line(struct buf *out, const struct bill *b, const struct bill_line *l,
    const struct doc_extra *x);

/* What became known about a closed period after its statement. */
struct doc_adjustment {
	const char *sku;
	const char *resource; /* NULL: the account's */
	const char *resource_name;
	const char *band;
	const char *unit;
	const char *statement; /* number of the original; NULL: there was none */
	struct span period;
	size_t tax;
	mpq_t quantity; /* more (or less) than was charged */
	mpq_t amount;
};
void doc_adjustment(struct buf *out, int64_t n, const struct bill *b,
    const struct doc_adjustment *a);

/* A closed period whose changed usage this statement settles. */
struct doc_settled {
	struct span period;
	const char *statement; /* NULL: none */
	const char *print;     /* of its usage as it is now */
};
struct doc_body {
	const struct bill *bill;
	int64_t line_count;
	const char *lines_sha256;
	const char *usage_sha256;
	const struct doc_settled *settled;
	size_t settled_count;
};
void doc_body(struct buf *out, const struct doc_body *d);
