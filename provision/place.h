/* SPDX-License-Identifier: Apache-2.0 */
/* place: which host a VM goes to: filters say where it may, a strategy in which order */
#pragma once
#include "base/buf.h"
#include "base/db.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct candidate {
	int64_t id;
	char name[128];
	int64_t zone_id, pod_id, cluster_id;
	bool up, enabled, simulated, ha_only;
	char tags[256];
	int64_t dedicated_account, dedicated_domain; /* 0: to nobody */
	bool dedicated_to_us;                        /* by account or a domain above */
	int64_t memory_room, memory_used;
	int64_t vcpus_room, vcpus_used;
	int64_t own_vms; /* of the same account */
	bool holds;      /* the VM holds its room there already */
	enum { AFFINITY_NONE, AFFINITY_MEMBER, AFFINITY_ENEMY } affinity;
	bool soft_enemy, soft_friend; /* of groups that only wish */
};

struct place_request {
	int64_t memory_bytes, vcpus;
	int64_t zone_id, pod_id, cluster_id; /* 0: any */
	int64_t host_id;                     /* 0: any; else only this */
	int64_t avoid_host_id;               /* 0: none */
	char tags[256];     /* that the host must have, "a,b"; "": none */
	bool for_ha;        /* hosts that are kept empty for failures are open */
	bool simulated_too; /* there is no real host */
	bool keep_together; /* some member of its affinity group is placed already */
	uint32_t dice;
};

/*
 * Pure: puts the hosts that pass all filters into order, best first, and says how many
 * there are.  explain (may be NULL) gets how many each filter took out, as
 * "12 hosts: 3 in maintenance, 9 without 4096 MiB of free memory".  strategy NULL or
 * unknown: "simple".
 */
size_t place_order(const char *strategy, const struct place_request *want,
    struct candidate *list, size_t count, struct buf *explain);
/* "simple", "chance", ... or NULL past the end. */
const char *place_strategy_at(size_t index);

/*
 * Finds a host for the VM and holds its room there, in one transaction per try, so that
 * nobody else can take it.  strategy NULL: setting provision.placement.  ERR_LIMIT tells
 * which filter took out how many.
 */
struct place_vm {
	int64_t account_id, vm_id;
	const char *strategy;
	struct place_request want;
	bool moves; /* it keeps what it holds where it is, until it is there */
};
must_check bool place_choose(struct db *db, struct place_vm *p, int64_t *host_id,
    struct err *e);
/* Why it may not go to that host; NULL: it may, as far as can be said before it is tried.
 */
must_check bool place_why_not(struct db *db, struct place_vm *p, int64_t host_id,
    const char **says, struct err *e);
/* The hosts that it could go to, best first, without taking one; caller frees *list. */
must_check bool place_look(struct db *db, struct place_vm *p, struct candidate **list,
    size_t *count, struct buf *explain, struct err *e);
