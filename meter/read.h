/* SPDX-License-Identifier: Apache-2.0 */
/* read: raw counters of a host's guests; only read.c knows libvirt */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "meter/domain.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	READ_UUID_MAX = 37,
	READ_VCPUS_MOST = 256,
	READ_DEVICES_MOST = 32,
	READ_NAME_MAX = 32
};

struct read_nic {
	char mac[DOMAIN_MAC_MAX];
	char port[37];               /* libvirt's uuid of this plugging in, or "" */
	uint64_t rx_bytes, tx_bytes; /* from the guest's point of view */
};

struct read_disk {
	char target[READ_NAME_MAX];
	uint64_t read_bytes, write_bytes, read_requests, write_requests;
};

/* What one lane saw of one guest; a lane that has no answer leaves its part out. */
struct read_vm {
	char uuid[READ_UUID_MAX];
	int64_t domain_id;
	struct instant at;
	bool fast;
	uint64_t cpu_ns;
	uint64_t memory_kib;
	size_t vcpu_count;
	uint64_t vcpu_ns[READ_VCPUS_MOST];
	size_t nic_count;
	struct read_nic nics[READ_DEVICES_MOST];
	bool guarded;
	size_t disk_count;
	struct read_disk disks[READ_DEVICES_MOST];
};

struct read_round {
	struct read_vm *list;
	size_t count;
};
void read_round_done(struct read_round *r);

/* A read-only connection, for one thread at a time. */
struct reader;
must_check bool reader_init(
    struct err *e); /* once: libvirt's event thread, for keep-alive */
must_check bool reader_open(struct reader **out, const char *uri, struct err *e);
void reader_close(struct reader *r); /* NULL is fine */

/* Fast lane: state, CPU, memory size, network of all running guests; never asks a guest's
 * monitor, so a hung guest can't hold it up (monitoring 1.1). */
must_check bool reader_fast(struct reader *r, struct read_round *out, struct err *e);

/*
 * Guarded lane: disks, only of guests whose control channel is idle.  blocked is called
 * for a guest whose channel is not, with for how long (ms).
 */
typedef void (*reader_blocked)(void *context, const char *uuid, unsigned ms);
must_check bool reader_guarded(struct reader *r, struct read_round *out,
    reader_blocked blocked, void *context, struct err *e);
