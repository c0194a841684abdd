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

enum { SERIES_VCPUS_MOST = 256, SERIES_EPOCH_MAX = 128 };

struct series {
	struct series *next_by_id;   /* the inventory's table */
	struct series *next, **link; /* the inventory's list; link points here */
	enum series_kind kind;
	int64_t account_id, resource_id, vm_id;
	bool simulated;
	bool fresh;   /* begun under our eyes: the first value counts whole */
	bool loaded;  /* where it left off is known, or that it never began */
	bool asked;   /* the database is being asked for that */
	bool sampled; /* there is a last reading */
	bool dirty;   /* the row has changed since it was kept on this machine */
	const struct window_rule *rule; /* of its account; NULL: UTC hours */
	/* the open window */
	struct instant from, to, through;
	struct instant sent; /* through of the row that the database has */
	struct mono refused_until;
	uint64_t round; /* of writing, in which it was last sent */
	char epoch[SERIES_EPOCH_MAX];
	uint64_t sum[FIELD_COUNT];
	uint64_t vcpu_sum;
	int64_t samples, resets;
	/* the last reading */
	uint64_t raw[FIELD_COUNT];
	bool has[FIELD_COUNT];
	size_t vcpu_count;
	uint64_t *vcpu_raw; /* vcpu_count of them */
	uint64_t gauge[GAUGE_COUNT];
	bool has_gauge[GAUGE_COUNT];
};

struct series_reading {
	struct instant at;
	const char *epoch;
	bool simulated; /* a test driver made these numbers up */
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
 * Whether t lies beyond the open window, so that its row must be kept before: its time is
 * over, or a border was put into it after the last reading.  series_end() then sets its
 * end, which must come before the row is kept and before series_take().
 */
bool series_full(const struct series *s, struct instant t);
void series_end(struct series *s, struct instant t);

/*
 * Takes a reading in: begins a new window when the old one is over (its row must have
 * been kept by then).  A reading that is not later than the last one changes nothing.
 * Answers whether a counter went down within its run, which it never does by itself.
 */
bool series_take(struct series *s, struct series_reading *r);

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
