/* SPDX-License-Identifier: Apache-2.0 */
/* late: what became known about closed periods after their statements */
#pragma once
#include "billing/doc.h"

/* How long after its end a closed period is still looked at. */
#define LATE_NS (INT64_C(100) * 86400 * NS_PER_S)

/* Differences to what has been charged, and the periods that they settle. */
struct late {
	struct arena *arena;
	struct doc_adjustment *list; /* by period, sku, resource, band; none is nothing */
	size_t count;
	struct doc_settled *settled;
	size_t settled_count;
	struct tax_entry *taxes; /* by place in list; their minor unit is not set */
};

void late_init(struct late *l);
void late_done(struct late *l);
/*
 * Looks at every closed period of an account that ended less than LATE_NS before now:
 * where its usage is not what was charged, the whole period is rated again by the price
 * lists of its statement, and what was ever charged or given back for it is taken off.
 */
must_check bool late_find(struct late *l, struct db *db, const struct calendar *c,
    int64_t account_id, struct instant now, struct err *e);

/*
 * Once a day: where the usage of a closed period is not what it was when it was charged
 * or looked at last, the chain gets its new print, so that the change is on record
 * before the next statement settles it.  Writes; belongs into a fenced transaction.
 */
must_check bool late_look(struct db *db, int64_t account_id, struct instant now,
    struct err *e);
