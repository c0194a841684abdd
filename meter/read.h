/* SPDX-License-Identifier: Apache-2.0 */
/* read: raw counters of a host's guests; only read.c knows libvirt */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "meter/xml.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	READ_UUID_MAX = 37,
	READ_VCPUS_MOST = 256,
	READ_DEVICES_MOST = 32,
	READ_NAME_MAX = 32,
	READ_PIECE = 64 /* guests of a round that are handed on together */
};

/* A value that may be missing: no answer is never zero. */
struct read_value {
	uint64_t value;
	bool has;
};

struct read_nic {
	char mac[DOMAIN_MAC_MAX];
	char port[37];               /* libvirt's uuid of this plugging in, or "" */
	uint64_t rx_bytes, tx_bytes; /* from the guest's point of view */
};

struct read_disk {
	char target[READ_NAME_MAX];
	uint64_t read_bytes, write_bytes, read_requests, write_requests;
	struct read_value capacity, allocation, physical; /* bytes */
};

/* Of the balloon and the host's view of the guest's memory; bytes and counts. */
struct read_memory {
	struct read_value current, rss, guest_free, usable;
	struct read_value swap_in, swap_out, major_faults; /* counters */
};

/* Counters of the CPU itself, where somebody switched them on (virsh perf). */
enum read_perf {
	PERF_INSTRUCTIONS,
	PERF_CYCLES,
	PERF_CACHE_REFERENCES,
	PERF_CACHE_MISSES,
	PERF_BRANCHES,
	PERF_BRANCH_MISSES,
	PERF_PAGE_FAULTS,
	PERF_SWITCHES,
	PERF_COUNT
};

/* What one lane saw of one guest; a lane that has no answer leaves its part out. */
struct read_vm {
	char uuid[READ_UUID_MAX];
	int64_t domain_id;
	struct instant at;
	bool fast; /* CPU, memory size, cards */
	uint64_t cpu_ns;
	uint64_t memory_kib;
	size_t vcpu_count;
	uint64_t *vcpu_ns;
	size_t nic_count;
	struct read_nic *nics;
	bool guarded; /* disks, balloon, waiting for the host */
	size_t disk_count;
	struct read_disk *disks;
	struct read_memory memory;
	struct read_value steal_ns; /* all vCPUs ready to run, and no core for them */
	struct read_value perf[PERF_COUNT];
};

/* The host itself: counters of all its CPUs together, memory in bytes. */
struct read_host {
	struct read_value user_ns, kernel_ns, idle_ns, iowait_ns;
	struct read_value memory_total, memory_free;
};

/* A round, or a piece of one; it owns all that its list points to. */
struct read_round {
	struct arena *arena;
	struct read_vm *list;
	size_t count;
	size_t before;  /* guests in the pieces before it */
	bool more;      /* other pieces follow */
	bool simulated; /* a test driver made all of it up */
	bool all;       /* of all guests; then host is set too, in each piece */
	struct read_host host;
};
void read_round_done(struct read_round *r);

/* A storage pool and a network of a host, as it last saw them itself. */
struct read_pool {
	char uuid[READ_UUID_MAX];
	char name[128];
	const char *state;                        /* "running", ... */
	uint64_t capacity, allocation, available; /* bytes */
};
struct read_network {
	char uuid[READ_UUID_MAX];
	char name[128];
	char bridge[READ_NAME_MAX];
	bool active;
	struct read_value leases; /* addresses that its own DHCP has given out */
};

/* A NUMA cell's memory, bytes. */
struct read_cell {
	int id;
	uint64_t total, free;
};

/* What a host has beside its guests. */
struct read_site {
	struct read_pool *pools;
	size_t pool_count;
	struct read_network *networks;
	size_t network_count;
	struct read_cell *cells;
	size_t cell_count;
	char *capabilities; /* XML */
};
void read_site_done(struct read_site *s);

/* One guest of a question, and how far to go with it. */
enum read_how {
	READ_LOOK,  /* only whether its control channel is idle */
	READ_PULSE, /* a word with its monitor too, the cheapest there is */
	READ_FULL,  /* all that needs its monitor */
};
struct read_want {
	char uuid[READ_UUID_MAX];
	bool alone; /* by a call of its own: one hung that it was asked in with others */
	enum read_how how;
};

/* A read-only connection, for one thread at a time. */
struct reader;
must_check bool reader_init(
    struct err *e); /* once: libvirt's event thread, for keep-alive */
must_check bool reader_open(struct reader **out, const char *uri, struct err *e);
void reader_close(struct reader *r); /* NULL is fine */
const char *reader_uri(const struct reader *r);

/*
 * Calls event from libvirt's own thread when a guest stops, starts, migrates or changes
 * its size; as long as the connection lives.  A host that knows no events is fine.
 */
typedef void (*reader_event)(void *context, const char *uuid);
void reader_watch(struct reader *r, reader_event event, void *context);

/*
 * Fast lane: state, CPU, memory size, network of all running guests, or (count > 0) of
 * those wanted; never asks a guest's monitor, so a hung guest can't hold it up
 * (monitoring 1.1).  It is many calls: on->call is told after each that it goes on.
 * on->piece gets the guests, some at a time and the last ones without more, and takes
 * over what the round owns; false: nobody wants the rest.
 */
struct read_on {
	void (*call)(void *context);
	bool (*piece)(void *context, struct read_round *round);
	void *context;
};
must_check bool reader_fast(struct reader *r, const struct read_want *wants, size_t count,
    const struct read_on *on, struct err *e);

/*
 * Third lane: pools, networks, capabilities.  A pool on a server that is away may hold
 * this call for long.
 */
must_check bool reader_site(struct reader *r, struct read_site *out, struct err *e);

/*
 * Guarded lane: what needs the monitors of some guests, of those whose control channel is
 * idle, by one call.  A guest that hangs just after it said so holds this call for as
 * long as it hangs: the caller must be able to do without this thread and this reader,
 * and asks the others alone (docs/decisions/056).  All are wanted alike.
 */
enum { READ_GROUP = 8 };
enum read_word {
	READ_DONE, /* the round has it, or nothing for a look or a pulse */
	READ_BUSY, /* its channel is taken since busy_ms: not asked */
	READ_GONE, /* it does not run here */
};
struct read_told {
	enum read_word word;
	unsigned busy_ms;
	struct read_round round; /* the receiver's */
};
/* How many of the wants, from the first on, may share a call. */
size_t reader_group(const struct read_want *wants, size_t count);
/* told gets an answer for each of them.  False: the connection is no more, e says why. */
must_check bool reader_guests(struct reader *r, const struct read_want *wants,
    size_t count, struct read_told *told, struct err *e);
