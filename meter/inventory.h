/* SPDX-License-Identifier: Apache-2.0 */
/* inventory: which hosts and guests there are, as the provisioning core keeps them */
#pragma once
#include "base/db.h"
#include "meter/read.h"
#include "meter/series.h"

enum { INVENTORY_DEVICES_MOST = READ_DEVICES_MOST };

struct meter_host {
	struct meter_host *next;
	int64_t id;
	char uuid[READ_UUID_MAX];
	char name[128];
	char *uri;
	bool simulated, listed;
	bool contact_dirty;
	struct instant last_ok, failing_since; /* ns 0: not failing */
	int64_t latency_us;
	char error[512];
	char blocked[READ_UUID_MAX]; /* the guest whose channel is taken, or "" */
};

struct meter_vm {
	struct meter_vm *next;
	char uuid[READ_UUID_MAX];
	int64_t host_id;
	bool listed;
	bool begun; /* its running lifetime is written: fresh or adopted is known */
	uint64_t memory_kib;
	struct series *vm;
	struct series *nics[INVENTORY_DEVICES_MOST];
	char macs[INVENTORY_DEVICES_MOST][DOMAIN_MAC_MAX];
	size_t nic_count;
	struct series *volumes[INVENTORY_DEVICES_MOST];
	char targets[INVENTORY_DEVICES_MOST][READ_NAME_MAX];
	size_t volume_count;
};

enum { INVENTORY_BUCKETS = 4096 };

struct inventory {
	struct meter_host *hosts;
	struct meter_vm *buckets[INVENTORY_BUCKETS];
	size_t host_count, vm_count;
	/* Called before a series changes its owner, so that its row is written first. */
	void (*leaving)(void *context, struct series *s);
	void *context;
};

/* Reads the tables; a resource that is new goes on where its last row ends. */
must_check bool inventory_refresh(struct inventory *in, struct db *db, struct err *e);
struct meter_vm *inventory_vm(struct inventory *in, const char *uuid);
/* The card's series by its address, or NULL. */
struct series *inventory_nic(struct meter_vm *v, const char *mac);
struct meter_host *inventory_host(struct inventory *in, int64_t id);
/* Calls visit for each series there is. */
void inventory_each(struct inventory *in, void (*visit)(void *context, struct series *s),
    void *context);
