/* SPDX-License-Identifier: Apache-2.0 */
/* move: a running guest on its way to another host, so that its last byte is counted */
#pragma once
#include "base/conf.h"
#include "provision/hv.h"

/* ---- when what is done: pure */

enum move_deed {
	MOVE_WAIT,
	MOVE_SPEED, /* set it */
	MOVE_HOLD,  /* so little is left that the guest may stand still for it */
};
struct move_flight {
	bool stands;      /* its owner has paused it */
	int64_t pause_ns; /* that it may stand still */
	bool late;        /* it has to, however much is left */
	uint64_t best;    /* bytes a second, the most that was seen */
	uint64_t speed;   /* MiB a second as it was set; 0: all */
	bool speed_known;
};
/*
 * After each look.  The nearer the end the slower, so that it can't be over between two
 * looks; *mib_s with MOVE_SPEED.
 */
enum move_deed move_decide(struct move_flight *f, const struct hv_move_look *l,
    uint64_t *mib_s);

/* ---- the moves of this process */

struct move_want {
	const char *uuid; /* of the VM */
	int64_t account_id, vm_id;
	const char *from_uri, *to_uri; /* of the hosts */
	struct hv_move how;            /* but for its host */
	bool stands;
};
/*
 * Goes on in threads of its own, also while the database is away: the guest is copied; it
 * is stopped for the last of it, its counters are read then, and it runs on there.
 * Whatever goes wrong, it does not stay paused.  ERR_CONFLICT: it is on its way already.
 */
must_check bool move_begin(const struct conf *conf, const struct move_want *want,
    struct err *e);

struct move_state {
	bool known; /* else this process moves no such guest */
	bool ended;
	unsigned percent;
	/* When it has ended: */
	bool moved;
	bool stood;              /* we paused it ... */
	bool sampled;            /* ... and its final counters are in its usage */
	struct instant paused;   /* when; 0: never */
	struct instant released; /* its last sample was in, or its time was over */
	struct instant carried;  /* whole there, and no more here */
	struct instant resumed;  /* where it now is */
	struct err why;          /* it did not move */
	char missing[256];       /* "": nothing; else what could be, at most */
};
void move_look(const char *uuid, struct move_state *out);
/* One that has ended, and whose end is written down. */
void move_forget(const char *uuid);
