/* SPDX-License-Identifier: Apache-2.0 */
/* sim: the simulated world around the collector: time, hosts, database, disk */
#pragma once
#include "base/clock.h"
#include "base/db.h"
#include "meter/meter.h"
#include <stdio.h>

/* ---- scenario.c: what scenario.py writes; all times are ns of true time */

enum { SIM_NAME = 40, SIM_WORDS = 8, SIM_BUCKETS = 16384 };

struct sim_value {
	uint64_t v, rate; /* rate: per ms */
	bool has;
};

struct sim_piece {
	int64_t at;
	size_t count;
	struct sim_value *values;
};

struct sim_part {
	char kind; /* v process, n card, d disk */
	int64_t rid;
	char name[SIM_NAME], port[SIM_NAME];
	int64_t begin, end;
	struct sim_piece *pieces;
	size_t count, at; /* at: the piece that held when it was last asked */
};

struct sim_guest {
	struct sim_guest *next; /* same bucket */
	int64_t rid;
	char uuid[SIM_NAME];
};

struct sim_run {
	struct sim_guest *guest;
	int64_t host_id, domid, begin, end;
	struct sim_part *parts;
	size_t count;
	struct sim_run *next; /* on its host, while it is there */
};

/* A row change of the provisioning core: its words as they stand in the scenario. */
struct sim_statement {
	char *words[SIM_WORDS];
	size_t count;
};

struct sim_tx {
	int64_t at;
	struct sim_statement *statements;
	size_t count;
};

/* Something that holds for a while, or happens at `from`. */
struct sim_fault {
	char word[12];
	int64_t who;
	char uuid[SIM_NAME], how[SIM_NAME];
	int64_t from, to, more, most;
};

struct sim_zone {
	char name[SIM_NAME];
	int64_t since, shift;
};

struct sim_account {
	int64_t id;
	char zone[SIM_NAME];
};

struct sim_host {
	int64_t id;
	char uuid[SIM_NAME], uri[SIM_NAME];
	bool simulated;
	struct sim_run *runs; /* what libvirt shows there now */
};

/* Arrays with their lengths. */
struct scenario {
	int64_t seed, start, until;
	int64_t collectors; /* side by side; 1 if nothing is said */
	struct meter_settings settings;
	struct sim_zone *zones;
	struct sim_account *accounts;
	struct sim_host *hosts;
	struct sim_guest *guests[SIM_BUCKETS]; /* by uuid */
	struct sim_run **runs;
	struct sim_tx *txs; /* in the order in which they are committed */
	struct sim_fault *faults;
	size_t zone_count, account_count, host_count, run_count, tx_count, fault_count;
};

must_check bool scenario_read(struct scenario *s, FILE *f, struct err *e);
struct sim_host *scenario_host(struct scenario *s, int64_t id);
struct sim_guest *scenario_guest(struct scenario *s, const char *uuid);
/* The first fault of that kind and thing (0: any) that holds at t, or NULL. */
const struct sim_fault *scenario_fault(const struct scenario *s, const char *word,
    int64_t who, int64_t t);
/* What the wall clock shows then. */
struct instant scenario_wall(const struct scenario *s, int64_t t);

/* ---- leases.c: who asks which host */

struct sim_leases;

struct sim_leases *sim_leases_new(const struct scenario *s) must_check;
bool sim_lease_live(struct sim_leases *l, int64_t turn);
bool sim_lease_holds(const struct sim_leases *l, int64_t turn, int64_t host);
/* Each that may still write has written what it saw until then. */
bool sim_leases_clean(const struct sim_leases *l, int64_t since, int64_t now);
must_check bool sim_lease_fence(struct sim_leases *l, int64_t turn, const char *session,
    struct err *e);
/* Values as in sql/query/meter.sql; now in us; out: turn, known, alive, rank, hosts, held
 */
must_check bool sim_lease_beat(struct sim_leases *l, const char *const *v, int64_t now,
    int64_t out[6], struct err *e);
must_check bool sim_lease_take(struct sim_leases *l, const char *const *v, int64_t now,
    int64_t *got, struct err *e);
void sim_lease_give(struct sim_leases *l, int64_t turn, const char *ids);

/* ---- late.c: rows of a turn that is over */

enum { SIM_FIELDS = 8 };

/* What of a row (its values) no other row of its resource has, counter by counter. */
void sim_late_adds(const char *const *v, const char *const *const *others, size_t count,
    int64_t adds[SIM_FIELDS]);

/* ---- world.c: what a host answers; the round's memory is its own */

void world_fast(const struct sim_host *h, int64_t t, struct instant at,
    const struct read_want *wants, size_t count, struct read_round *out);
/* False: it does not run there. */
must_check bool world_guest(const struct sim_host *h, const char *uuid, int64_t t,
    struct instant at, struct read_round *out);

/* ---- tables.c: the database, as base/db.h says; or real.c: a real one */

enum sim_db_mood {
	SIM_DB_FINE,
	SIM_DB_AWAY, /* nothing is done, ERR_GONE */
	SIM_DB_LOST, /* everything is done, and the answer is lost: ERR_GONE */
};

struct db *sim_db_new(struct scenario *s) must_check;
void sim_db_mood(struct db *db, enum sim_db_mood mood);
/* The provisioning core commits; now is the database's wall clock from here on. */
void sim_db_commit(struct db *db, const struct sim_tx *tx);
void sim_db_now(struct db *db, struct instant now);
/* The newest row's through of each resource: "D resource ns" lines. */
void sim_db_newest(struct db *db, FILE *out);
/* All rows of usage, gaps and refusals. */
void sim_db_print(struct db *db, FILE *out);

/* ---- disk.c: files in memory under SQLite's real code, which fill up and tear */

void disk_begin(void); /* once, before SQLite is used */
void disk_full(bool full);
/* The process died: its handles and locks are gone, what it wrote is not. */
void disk_died(const char *folder);
void disk_tear(const char *folder, const char *how);
/* What a restart would find in a spool file: "D resource ns" lines. */
void disk_newest(const char *path, FILE *out);

/* ---- play.c */

/* Called wherever the collector touches something outside itself: it may die here. */
void sim_touch(void);
