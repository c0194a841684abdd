/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: what one receiver is still owed, in which order, and when it may be tried */
#pragma once
#include "snmp/notice.h"

/*
 * Decides only: no socket, no clock, no disk.  Times are those of clock_mono() in
 * nanoseconds.  A change that must survive raises the notice's revision.
 *
 * While all is well many letters are out at once.  After a failure the oldest one alone
 * is sent as a probe, with a wait of 1, 2, 4 ... 30 s between tries, until it settles.
 */
struct outbox_rules {
	bool answered; /* the receiver confirms each letter (informs) */
	bool stream;   /* a connection: it being open shows that somebody is there */
	/* Without answers: no complaint for this long means that the letter went. */
	int64_t settle_ns;
	size_t window; /* letters out at once */
};

struct outbox {
	struct outbox_rules rules;
	struct letters queue; /* by sequence number */
	size_t count, out;
	int failures; /* in a row, as far as they make the wait longer */
	bool silent;  /* the last of them was no answer at all */
	int64_t not_before_ns;
	uint64_t dropped;
};

enum { OUTBOX_LETTERS_MOST = 16384 };

void outbox_init(struct outbox *o, const struct outbox_rules *rules);
void outbox_put(struct outbox *o, struct letter *l); /* at its place by number */

/*
 * The letter that may go now, or NULL.  With answers, letters about one object go one
 * after the other: a datagram that is lost and repeated would be overtaken by the next.
 */
struct letter *outbox_next(const struct outbox *o, int64_t now_ns);
void outbox_went(struct outbox *o, struct letter *l, int64_t now_ns);

/* The receiver has it; a late answer counts as well. */
void outbox_confirmed(struct outbox *o, struct letter *l, struct instant at);
/* No answer to this letter. */
void outbox_silent(struct outbox *o, struct letter *l, int64_t now_ns, const char *why);
/* Likewise to all that are out. */
void outbox_silent_all(struct outbox *o, int64_t now_ns, const char *why);
/* Nobody is there (ICMP, a closed connection): all that is out comes back, copies too. */
void outbox_refused(struct outbox *o, int64_t now_ns, const char *why);
/* Without answers: settles what is out for long enough; answers how many. */
size_t outbox_settle(struct outbox *o, int64_t now_ns, struct instant at);

/* While it is silent: letters that have no copy yet, those that wait included. */
struct letter *outbox_next_copy(const struct outbox *o);
void outbox_copied(struct letter *l, int64_t now_ns);

/*
 * Keeps at most `most` letters: those go that have a newer one about the same, then
 * the oldest.  Answers how many were dropped.
 */
size_t outbox_shrink(struct outbox *o, size_t most, struct instant at);
