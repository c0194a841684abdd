/* SPDX-License-Identifier: Apache-2.0 */
/* series: one resource's counters over time, and its open usage window */
#pragma once
#include "base/clock.h"
#include "base/counter.h"
#include "meter/window.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum series_kind { SERIES_VM, SERIES_NIC, SERIES_VOLUME };

/* The counters of a wide row; vCPU time is kept apart, since vCPUs come and go. */
enum series_field {
	FIELD_CPU,
	FIELD_NET_RX,
	FIELD_NET_TX,
	FIELD_DISK_READ,
	FIELD_DISK_WRITE,
	FIELD_DISK_READ_REQ,
	FIELD_DISK_WRITE_REQ,
	FIELD_COUNT
};

/* What was last seen of things that go up and down; of a VM the first three, of a volume
 * the last three: bytes. */
enum series_gauge {
	GAUGE_MEMORY,
	GAUGE_MEMORY_RSS,
	GAUGE_MEMORY_UNUSED,
	GAUGE_CAPACITY,
	GAUGE_ALLOCATION,
	GAUGE_PHYSICAL,
	GAUGE_COUNT
};

enum {
	SERIES_VCPUS_MOST = 256,
	SERIES_EPOCH_MAX = 128,
	SERIES_COUNTERS_MOST = 4, /* of one kind */
	SERIES_GAUGES_MOST = 3,
};

/* The name of a run (series_epoch), one text for all series that were read in it. */
struct epoch {
	uint32_t users;
	char text[];
};

/* What was counted since the open window began, and the last reading. */
struct series_counter {
	uint64_t sum, raw;
};

/* There are several of each VM, for as long as it lives: see docs/decisions/056. */
struct series {
	struct series *next_by_id; /* the inventory's table */
	int64_t account_id, resource_id, vm_id;
	const struct window_rule *rule; /* of its account; NULL: UTC hours */
	/* the open window */
	struct instant from, to, through;
	struct instant sent; /* through of the row that the database has */
	struct mono refused_until;
	struct epoch *epoch; /* NULL: never sampled */
	uint32_t samples, resets;
	uint32_t round; /* of writing, in which it was last sent */
	uint32_t turn;  /* of its row: of the collector that wrote it (0: before turns) */
	uint16_t vcpu_count;
	uint8_t has, has_gauge; /* bits: what was ever read */
	enum series_kind kind : 8;
	bool simulated : 1;
	bool fresh : 1;   /* begun under our eyes: the first value counts whole */
	bool loaded : 1;  /* where it left off is known, or that it never began */
	bool asked : 1;   /* the database is being asked for that */
	bool sampled : 1; /* there is a last reading */
	bool dirty : 1;   /* the row has changed since it was kept on this machine */
	bool foreign : 1; /* its row is of another turn, or may be: nothing is added to it
			   */
	/* From here on only as far as its kind needs it (series_size). */
	struct series_counter counter[SERIES_COUNTERS_MOST]; /* series_counter() */
	uint64_t gauge[SERIES_GAUGES_MOST];                  /* series_gauge() */
	uint64_t vcpu_sum;
	uint64_t *vcpu_raw; /* of the last reading: vcpu_count of them */
};

/* The bytes that must be there of a series: a card's ends after two counters. */
size_t series_size(enum series_kind kind);

/* NULL: a series of its kind has none. */
struct series_counter *series_counter(struct series *s, enum series_field f);
uint64_t *series_gauge(struct series *s, enum series_gauge g);

struct series_reading {
	struct instant at;
	const char *epoch;
	struct epoch *like; /* of another series, which may have the same; or NULL */
	bool simulated;     /* a test driver made these numbers up */
	/* The epoch's begin is a guess (ns 0: it is known): readings since then were of
	 * the same run, although their epoch could not say so. */
	struct instant guessed;
	uint64_t value[FIELD_COUNT];
	bool has[FIELD_COUNT];
	size_t vcpu_count;
	const uint64_t *vcpu_ns;
	uint64_t gauge[GAUGE_COUNT];
	bool has_gauge[GAUGE_COUNT];
	uint64_t delta[FIELD_COUNT]; /* out: what was counted since the last one */
};

/*
 * Whether r belongs into another row, so that the open one must be kept before: its time
 * is over, or a border was put into it after the last reading, or r is of another run (a
 * row is of one run: it says from where to where it counted), or the row is foreign.
 * series_end() then sets its end, which must come before the row is kept and before
 * series_take().  What follows another run or a foreign row begins with r: what is still
 * to come of those lies before it.
 */
bool series_full(const struct series *s, const struct series_reading *r);
void series_end(struct series *s, const struct series_reading *r);

/*
 * Takes a reading in: begins a new window when the old one is over (its row must have
 * been kept by then).  A reading that is not later than the last one changes nothing.
 * Answers whether a counter went down within its run, which it never does by itself.
 */
bool series_take(struct series *s, struct series_reading *r);

/* "" before the first reading. */
const char *series_epoch_text(const struct series *s);
void series_epoch_set(struct series *s, const char *text);

/* When a run of a guest's process began: as the lifetimes say, or as we found. */
struct series_run {
	struct instant begun;
	bool own; /* we found it by its counters */
};

/*
 * The name of a run, for the epoch: libvirt's ids begin anew with libvirtd, so its begin
 * belongs to it; port tells a card that was plugged out and in again, "" for everything
 * else.
 */
void series_epoch(char out[SERIES_EPOCH_MAX], const char *host_uuid, int64_t domain_id,
    const struct series_run *run, const char *port);

/*
 * The resource changes its owner, or its disk hangs on another VM.  series_part(): its
 * row ends where the last reading was; it is kept then, under the old owner.
 * series_move(): the same counters go on in a new row that begins there, so that one who
 * gets it back within the hour has two rows.
 */
void series_part(struct series *s);
void series_move(struct series *s, int64_t account_id);

/* Whether there is a row: none before the first reading, nor between a change of the
 * owner and the next one. */
bool series_has_row(const struct series *s);

void series_done(struct series *s);
