/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what libvirt's record of a guest's statistics says, looked through once */
#pragma once
#include "meter/read.h"
#include <libvirt/libvirt.h>

/* A card as the host names it; without both counters it is none (user mode has none). */
struct stats_nic {
	const char *target; /* the record's; NULL: not said */
	struct read_value rx, tx;
};

/* A disk; without its name and all four counters it is none. */
struct stats_disk {
	const char *target; /* the record's; NULL: not said */
	struct read_value read_bytes, write_bytes, read_requests, write_requests;
	struct read_value capacity, allocation, physical;
};

/* Only the first READ_DEVICES_MOST of a kind; what was not said has no value. */
struct stats {
	size_t nic_count, disk_count;
	struct read_memory memory; /* bytes, but for major_faults */
	struct read_value steal_ns;
	struct read_value perf[PERF_COUNT];
	struct stats_nic nics[READ_DEVICES_MOST];
	struct stats_disk disks[READ_DEVICES_MOST];
};

/* out points into the record. */
void stats_read(struct stats *out, const virTypedParameter *params, int count);
