/* SPDX-License-Identifier: Apache-2.0 */
/* series: one resource's counters over time, and its open usage window */
#pragma once
#include "base/clock.h"
#include "base/counter.h"
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

enum { SERIES_VCPUS_MOST = 256, SERIES_EPOCH_MAX = 96 };

struct series {
	enum series_kind kind;
	int64_t account_id, resource_id, vm_id;
	bool simulated;
	bool fresh;   /* begun under our eyes: the first value counts whole */
	bool sampled; /* there is a last reading */
	bool dirty;   /* the row has changed since it was written */
	/* the open window */
	struct instant from, to, through;
	char epoch[SERIES_EPOCH_MAX];
	uint64_t sum[FIELD_COUNT];
	uint64_t vcpu_sum;
	int64_t samples, resets;
	/* the last reading */
	uint64_t raw[FIELD_COUNT];
	bool has[FIELD_COUNT];
	size_t vcpu_count;
	uint64_t *vcpu_raw; /* vcpu_count of them */
	/* since this program began: monotonic, for the graphs only */
	uint64_t total[FIELD_COUNT];
	uint64_t vcpu_total;
};

struct series_reading {
	struct instant at;
	const char *epoch;
	uint64_t value[FIELD_COUNT];
	bool has[FIELD_COUNT];
	size_t vcpu_count;
	const uint64_t *vcpu_ns;
};

/* The window that a delta seen at t belongs to: start < t <= end, UTC hours. */
void series_window(struct instant t, struct instant *from, struct instant *to);

/* Whether t lies beyond the open window, so that its row must be written before. */
bool series_full(const struct series *s, struct instant t);

/* Takes a reading in: begins a new window when the old one is over (its row must have
 * been written by then).  A reading that is not later than the last one changes nothing.
 */
void series_take(struct series *s, const struct series_reading *r);

/* The resource changed its owner: the same counters go on in a new row. */
void series_move(struct series *s, int64_t account_id);

void series_done(struct series *s);
