/* SPDX-License-Identifier: Apache-2.0 */
/* store: what the collector asks of its database, as jobs that another thread carries out
 */
#pragma once
#include "base/db.h"
#include "meter/series.h"

/* A row to write: the values of its statement as a line (line.h). */
enum store_kind {
	STORE_WINDOW,
	STORE_GAP,
	STORE_CONTACT_OK,
	STORE_CONTACT_FAILED,
	STORE_POOL,
	STORE_NETWORK,
	STORE_CELL,
	STORE_EVIDENCE,
	STORE_SAMPLED, /* tells who asked that a sample is in; after the rows before it */
	STORE_LATE, /* a window of a turn that may be over: added is what nobody else has
		     */
	STORE_KINDS
};

struct store_row {
	enum store_kind kind;
	char *line;
	bool refused; /* out: it was put aside; the others were written */
	/* out, STORE_LATE: its run goes on, it must be tried again; or others had all of
	 * it
	 */
	bool waits, covered;
};

enum store_what {
	STORE_BEAT,  /* a sign of life, and hosts that nobody asks up to our share of them
		      */
	STORE_GIVE,  /* the hosts of ids go to others */
	STORE_READ,  /* the snapshot of the inventory */
	STORE_LAST,  /* the newest window row of each of ids */
	STORE_WRITE, /* rows, all but refused ones in one transaction */
};

/*
 * A collector that gives no sign of life for so long may be replaced; one is given that
 * often.  Together with what it takes to notice and to read rows it is less than 15 s.
 */
enum { STORE_LEASE_S = 8, STORE_BEAT_S = 2 };

/* Who asks; its turn is proved by each transaction that writes (docs/decisions/044). */
struct store_lease {
	const char *name, *machine, *session;
	int64_t turn; /* 0: none yet; out of STORE_BEAT */
	/* STORE_BEAT in: this process's first; those that are silent may be replaced */
	bool first, replace;
	size_t vms;
	int64_t clean_ms; /* of what was seen so long ago all is written */
	/* out: collectors that are known, that live; hosts that are ours, and more than
	 * our share */
	size_t known, alive, held, surplus;
};

/*
 * Who makes a job owns it, all the way.  Answers: ok, or why not (ERR_GONE: the database
 * does not answer).  text, for STORE_READ: lines as sql/query/meter.sql has them, letter
 * first, and "end" as the last; for STORE_LAST: a line of meter_window_put each.
 */
struct store_job {
	enum store_what what;
	char *ids; /* "12,13,14" */
	struct store_row *rows;
	size_t row_count;
	struct store_lease lease;
	bool ok;
	bool lost; /* not ok: our turn is over, nothing was written */
	struct err e;
	char *text;
	size_t refused; /* how many */
	char why[256];  /* what the database said of the last of them */
};

struct store_job *store_job_new(enum store_what what) must_check;
/* Takes the line over. */
void store_job_add(struct store_job *job, enum store_kind kind, char *line);
void store_job_free(struct store_job *job); /* NULL is fine */

/* Carries it out, however long it takes. */
void store_run(struct db *db, struct store_job *job);

/* The values of meter_window_put; caller frees. */
char *store_line(struct series *s) must_check;
/* Whose row it is, and of which VM. */
struct store_owner {
	int64_t account_id, vm_id;
};
/*
 * The way back: what a row says of its resource goes into s, but for whose it is now and
 * what is fresh; *was is whose it was.  ERR_INPUT: s is untouched.
 */
must_check bool store_parse(struct series *s, struct store_owner *was, char *line,
    struct err *e);
/* The turn of a row of meter_window_put; 0: of before there were any. */
int64_t store_turn(const char *line);
/* The resource and window that a row of meter_window_put is about, "" for other lines. */
void store_key(const char *line, char out[128]);
