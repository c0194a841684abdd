/* SPDX-License-Identifier: Apache-2.0 */
/* state: what the collector's own files share: meter.c asks, take.c takes answers in,
 * write.c brings them to disk and database, lease.c says which hosts are ours */
#pragma once
#include "meter/meter.h"

enum {
	GAP_STEPS = 3,          /* so many steps without a sample are a gap */
	ABANDONED_PER_HOST = 4, /* calls that hang at a time: libvirtd has 20 workers */
	ABANDONED_MOST = 32,    /* on all hosts */
	HOST_CALLS_MOST = 2,    /* that are no guest's to blame, a lane */
	CONNECT_DEADLINES = 4,
	UNMETERED_MOST = 16, /* guests of a host that are told one by one */
	PAYLOAD_MAX = 256,
};

/* A row whose window is over, or that has no window: until the database has it. */
struct closed_row {
	struct keep_row row; /* line is ours */
	bool kept;
	bool sent; /* the database has it: only this machine's copy must go */
	bool cut;  /* another's row, which the database has, ends earlier */
};

/* Somebody waits for a sample of a guest, to be told when it is in the tables. */
struct wish {
	struct wish *next;
	char payload[PAYLOAD_MAX];
	char uuid[READ_UUID_MAX];
	struct instant since;
	struct mono until;
	bool fast, guarded; /* seen by that lane since */
	bool fulfilled;     /* or in vain: to be told */
	bool told;          /* that is among the rows under way */
};

/* A series' row that is under way. */
struct sent_row {
	int64_t resource_id, account_id;
	struct instant through;
};

/* What this machine knew when the program began, by resource. */
struct kept_line {
	int64_t resource_id, order;
	char *line;
};

/* The job under way and what it is about. */
struct flight {
	struct store_job *job; /* NULL: none */
	struct mono since;
	struct sent_row *sent;
	size_t sent_count;
	size_t closed_count;      /* the first so many of closed */
	struct keep_row *drained; /* rows of the disk in it */
	size_t drained_count;
	int64_t drain_place;
};

struct meter {
	struct meter_settings set;
	struct meter_ports ports;
	struct keep *keep;
	struct rrd_store *rrd;
	struct inventory in;
	struct due due;
	struct meter_lane *asked; /* those with a question under way */
	int64_t tickets;
	unsigned abandoned;
	struct moment now;
	struct instant started;

	/* leases: our turn (0: none yet), what the last sign of life answered */
	int64_t turn;
	size_t known, alive, held;
	struct mono beat,
	    beaten;          /* the next is due; the last was answered (ns 0: none) */
	struct mono settled; /* since then without a break */
	struct mono
	    clean;       /* what was seen before is in the database (ns 0: it may not) */
	bool superseded; /* another is called as we are; told */

	/* disk and database */
	struct flight flight;
	struct closed_row *closed;
	size_t closed_count, closed_room;
	struct kept_line *kept;
	size_t kept_count;
	bool kept_newest; /* the database has none that are newer */
	bool away;        /* the database, told once */
	bool behind;      /* rows on the disk that the database may not have */
	int64_t drain_place;
	bool keep_failing;
	uint64_t snapshot_hash;
	struct mono snapshot_at;
	bool changed;   /* there are rows that this machine's disk does not have */
	uint32_t round; /* of writing */
	struct mono retry, refresh, write, keep_at, keep_retry, watched, late_at;
	size_t refused;
	bool refused_told;
	struct mono refused_at;
	bool urgent; /* rows that somebody waits for */
	struct wish *wishes;
	size_t blocked; /* guests whose channel is taken */
};

/* ---- meter.c */
int64_t lane_step(const struct meter *m, enum meter_lane_kind kind);
void lane_wanted(struct meter *m, struct meter_lane *lane); /* before its turn */
void lanes_all_wanted(struct meter *m);
void host_failed(struct meter *m, struct meter_host *h, const char *why);
void host_answers(struct meter *m, struct meter_host *h, int64_t latency_us);
/* The guest's channel is taken for so long; or it is idle again. */
void guest_blocked(struct meter *m, struct meter_vm *v, const struct meter_host *h,
    int64_t for_ns);
void guest_idle(struct meter *m, struct meter_vm *v);

/* ---- take.c */
void round_take(struct meter *m, struct meter_host *h, struct read_round *round);
void site_take(struct meter *m, struct meter_host *h, const struct read_site *site);
void unmetered_watch(struct meter *m);
/* Keeps a copy of a row that must still be written although its series goes on or ends.
 */
void row_keep(void *context, struct series *s);
/* The same for one that is ours no more. */
void row_leave(void *context, struct series *s);

/* ---- lease.c */
/* What is due: a sign of life, or hosts to give away; NULL: nothing. */
struct store_job *lease_job(struct meter *m);
void lease_prove(const struct meter *m, struct store_job *job);
void lease_answer(struct meter *m, const struct store_job *job);
void lease_given(struct meter *m);
/* Our turn is over: no host is ours until the next sign of life is answered. */
void lease_lost(struct meter *m, const struct store_job *job);
/* The database is away: nobody takes over what we would give. */
void lease_stay(struct meter *m);

/* ---- kept.c */
void kept_load(struct meter *m);
void kept_forget(struct meter *m);
struct ids {
	struct buf text;
	size_t count;
};
void unloaded_add(void *ids, struct series *s);
void asked_mark(void *unused, struct series *s);
void load_answer(struct meter *m, struct store_job *job);
/* Those of which this machine has a row go on without the database. */
void load_one_kept(void *context, struct series *s);
void keep_trouble(struct meter *m, const char *why);
void keep_fine(struct meter *m);

/* ---- drain.c */
/* How a window's line goes to the database. */
enum store_kind window_kind(const struct meter *m, const char *line);
/* NULL: nothing in this stretch of the disk; more: there may be more behind it. */
struct store_job *drain_job(struct meter *m, bool *more);
void drain_written(struct meter *m, const struct store_job *job);
void drain_again(struct meter *m);

/* ---- wish.c */
/* A wish that nothing can fulfil any more, or that is fulfilled, is answered with the
 * next rows. */
void wishes_look(struct meter *m);
void wishes_add(struct meter *m, struct store_job *job);
void wishes_written(struct meter *m);

/* ---- write.c */
/* Takes the line over; NULL: there is no room for it. */
struct closed_row *closed_add(struct meter *m, enum store_kind kind, const char *key,
    int64_t order, char *line);
/* What is due of disk and database. */
void write_step(struct meter *m);
void write_done(struct meter *m, struct store_job *job);
void write_free(struct meter *m);
