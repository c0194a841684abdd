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
	STORE_KINDS
};

struct store_row {
	enum store_kind kind;
	char *line;
	bool refused; /* out: it was put aside; the others were written */
};

enum store_what {
	STORE_READ,  /* the snapshot of the inventory */
	STORE_LAST,  /* the newest window row of each of ids */
	STORE_WRITE, /* rows, all but refused ones in one transaction */
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
	bool ok;
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
/* The resource and window that a row of meter_window_put is about, "" for other lines. */
void store_key(const char *line, char out[128]);
