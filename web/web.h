/* SPDX-License-Identifier: Apache-2.0 */
/* web: what the files of this program know of one another */
#pragma once
#include "base/conf.h"
#include "base/db.h"
#include "web/operations.h"
#include "web/params.h"
#include "web/request.h"
#include <stdatomic.h>
#include <stdio.h>

#define UUID_TEXT 37
enum { CALL_SAYS_MOST = 8 };
#define CLOUDSTACK_VERSION "4.20.0.0"

/* One per program. */
struct web {
	const struct conf *conf;
	const char *program_folder; /* where jeoul-graph stands too */
	atomic_bool stopping;
};

/* One per thread: connections are not shared. */
struct worker {
	struct web *web;
	struct db *db;   /* NULL: not yet, or PostgreSQL was away */
	struct db *bill; /* with billing's statements; only where bills are made */
};
struct worker *worker_mine(struct web *web);
must_check bool worker_db(struct worker *w, struct db **out, struct err *e);
must_check bool worker_bill_db(struct worker *w, struct db **out, struct err *e);

/* Who calls. */
struct caller {
	bool known;
	bool by_session;
	int64_t user_id;
	int64_t account_id;
	const char *user_uuid;
	const char *user_name;
	const char *account_uuid;
	const char *account_name;
	const char *domain_uuid;
	const char *locale;
	const char *timezone;
	const char *token; /* of the session */
	bool provider;
	bool must_change;
};

enum face { FACE_CLOUDSTACK, FACE_REST };

/* One call of an operation, from parameters to answer. */
struct call {
	struct web *web;
	struct worker *worker;
	struct db *db;
	struct arena *arena;
	enum face face;
	const struct operation *op;
	const struct request *request;
	struct reply *reply; /* for cookies only */
	struct param_list *params;
	struct caller caller;

	/* whose rows: one account, or all that there are */
	int64_t scope; /* SCOPE_ALL, or account.id */
	int64_t owner; /* account.id that new things belong to */
	int64_t limit;
	int64_t offset;

	/* the answer: JSON objects separated by commas, or members of a flat one */
	struct buf items;
	struct jout out;
	int64_t total;
	struct {
		FILE *stream; /* of FORM_FILE, by call_file() */
		const char *name, *type;
		int fd; /* of the reply, when all is written */
		uint64_t length;
	} file;
	/* Of a graph that a collector elsewhere draws: who and where; NULL: it is here.
	 */
	struct {
		const char *collector, *machine;
	} graph_place;
	const char *object; /* uuid of what the call was about, for its event */
	/* What the handler adds to the request of its job: it wins over the caller's
	 * words. */
	struct {
		const char *key, *value;
	} says[CALL_SAYS_MOST];
	size_t says_count;
	/* Where CloudStack answers at once but a role must work first: the job that the
	 * call waits for, and what answers when it is done. */
	const char *wait_job;
	bool (*after)(struct call *c, struct err *e);
	bool (*late)(struct call *c,
	    struct err *e); /* after the commit, without database */
	int error_code; /* CloudStack's code of a failed job; 0: by the kind of the error
			 */
};
#define SCOPE_ALL INT64_C(-1)

/* A handler runs in a transaction that sees call->scope, maybe more than once. */
typedef bool (*call_handler)(struct call *c, struct err *e);

/* true: it may wait, so it belongs into the lane. */
bool call_slow(const struct operation *op);
/*
 * Checks, authorises and runs; the answer is in items and total.  ERR_DENIED also for
 * callers that are not known.
 */
must_check bool call_run(struct call *c, struct err *e);
void call_done(struct call *c);

/* ---- for handlers */

/* The parameter's value or NULL (check_value); name must be one of the operation's. */
const char *call_value(const struct call *c, const char *name);
int64_t call_number(const struct call *c, const char *name, int64_t otherwise);
bool call_true(const struct call *c, const char *name);
/* Rows become objects of the operation's response, or of another. */
void call_rows(struct call *c, const struct rows *r);
void call_row_as(struct call *c, const struct rows *r, size_t row, const char *response);
/* A statement with one uuid whose row is the answer; ERR_NOT_FOUND without one. */
must_check bool call_answer_one(struct call *c, unsigned stmt, const char *uuid,
    struct err *e);
/* CloudStack's text of an id that leads nowhere. */
bool call_not_found(const struct call *c, const char *param, const char *value,
    struct err *e);
/* The account that account+domainid or accountid name; 0 without them. */
must_check bool call_named_account(struct call *c, int64_t *id, const char **uuid,
    struct err *e);
must_check bool call_scope_set(struct call *c, int64_t scope, struct err *e);
/* Writes a job and wakes its role; the answer is the job's and object's ids. */
must_check bool call_job(struct call *c, const char *kind, const char *object_uuid,
    int64_t account_id, struct err *e);
/* The same for a job that the answer does not wait for nor name. */
must_check bool call_job_quiet(struct call *c, const char *kind, const char *object_uuid,
    int64_t account_id, struct err *e);
/* Before call_job(): something that only the handler knows; key is a literal, the value
 * is copied. */
void call_job_says(struct call *c, const char *key, const char *value);
/*
 * The answer of FORM_FILE: a file without a name, on disk and not in memory, that goes
 * out as one of this name and type (literals, or of the arena).  In `late`, once.
 */
must_check bool call_file(struct call *c, const char *name, const char *type,
    struct err *e);
/* After a success: that file, if there is one, becomes the reply. */
void call_file_reply(struct call *c, struct reply *out);
/* A date of the database as the face writes it; of the arena. */
const char *call_date(struct call *c, const char *text);
