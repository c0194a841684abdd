/* SPDX-License-Identifier: Apache-2.0 */
/* journal: alarms and undelivered notices on this machine's disk, whatever else is away
 */
#pragma once
#include "snmp/book.h"

/*
 * What is not in it is not sent: a notice is on disk before its first letter goes, so
 * that neither a kill nor a lost database loses it.  Records carry their revision;
 * writing one again changes nothing.
 */
struct journal;

must_check bool journal_open(struct journal **out, const char *path, struct err *e);
void journal_close(struct journal *j); /* NULL is fine */

/* Each record once, in the order in which they were written; what is read is given away.
 */
struct journal_visit {
	void (*alarm)(void *context, struct alarm *a);
	void (*notice)(void *context, struct notice *n);
	void *context;
};
must_check bool journal_load(struct journal *j, const struct journal_visit *v,
    struct err *e);

/* The next number of a notice.  A new journal starts at the time, never at a used one. */
int64_t journal_number(struct journal *j);

/* Brings to the disk, in one group, whatever changed since the last time. */
must_check bool journal_save(struct journal *j, const struct alarms *alarms,
    const struct notices *notices, struct err *e);
must_check bool journal_drop_alarm(struct journal *j, const struct alarm *a,
    struct err *e);
must_check bool journal_drop_notices(struct journal *j, struct notice *const *list,
    size_t count, struct err *e);
