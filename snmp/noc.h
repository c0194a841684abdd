/* SPDX-License-Identifier: Apache-2.0 */
/* noc: the way of an alarm: condition, book, journal, receivers, tables */
#pragma once
#include "base/proc.h"
#include "snmp/book.h"
#include "snmp/desk.h"
#include "snmp/journal.h"
#include "snmp/receiver.h"

struct noc {
	struct proc *proc;
	const struct conf *conf;
	struct book book;
	struct notices
	    notices; /* by number; until told, and written down in the tables */
	struct receivers receivers;
	struct journal *journal; /* NULL: its file can't be used */
	struct desk *desk;
	int64_t number; /* without a journal */
	size_t fresh;   /* notices that no outbox has yet */
	bool journal_told;

	/* Of the tables. */
	bool adopted;         /* what they held at the start is known */
	bool away, away_told; /* PostgreSQL does not answer */
	char away_why[400];
	int64_t answering_ns; /* since when it does, 0: it does not */
	int64_t reported_ns;  /* another role missed it then, 0: none does */
};

must_check bool noc_open(struct noc *n, struct proc *p, struct err *e);
/* A program reports: "vm.monitor.blocked", its object, and whether it holds. */
void noc_report(struct noc *n, const char *rule, const char *object, bool raised,
    const char *text);
void noc_tick(struct noc *n, struct instant now);   /* four times a second */
void noc_second(struct noc *n, struct instant now); /* once a second */
