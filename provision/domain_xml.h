/* SPDX-License-Identifier: Apache-2.0 */
/* domain_xml: libvirt's XML, built and read as XML */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_NAMESPACE "https://jeoul.dev/ns/vm/1"
enum { XML_DISKS_MOST = 32, XML_NICS_MOST = 16, XML_TEXT_MOST = 512 };

/* How a disk is reached; what is NULL is left out. */
struct want_disk {
	const char *target; /* "vda" */
	const char
	    *path; /* file, device or, on the network, its name; NULL: an empty drive */
	const char *format; /* "qcow2", "raw" */
	const char *serial; /* what the guest reads as the disk's serial number */
	bool block;         /* path is a device */
	bool cdrom;         /* read only, can be taken out */
	bool sata;          /* of a cdrom; else it hangs on virtio-scsi */
	bool scsi;          /* a disk on virtio-scsi */
	bool readonly;
	int boot;             /* place in the boot order from 1; 0: none */
	const char *protocol; /* "rbd", "iscsi": on the network, not in a file */
	const char *host, *port;
	const char *user, *secret_uuid;
};

struct want_nic {
	const char *mac;
	const char *network; /* libvirt network, or */
	const char *bridge;  /* a bridge of the host */
	const char *tap; /* device name on the host; the collector knows the card by it */
	bool openvswitch;
	int vlan;              /* 0: untagged */
	const char *filter;    /* nwfilter; NULL: none */
	const char *addresses; /* that the guest may use, comma separated; NULL: any */
};

enum { WANT_DISKS_MOST = 28, WANT_NICS_MOST = 8, HOTPLUG_PORTS = 12 };

struct domain_want {
	const char *uuid, *name, *title;
	const char *domain_type; /* "kvm" or "qemu" */
	int64_t vcpus, vcpus_most;
	int64_t memory_bytes, memory_most_bytes; /* most: for hot-add; 0: no hot-add */
	const char *kernel, *initrd, *cmdline;   /* NULL: boots from its disk */
	size_t disk_count;
	struct want_disk disks[WANT_DISKS_MOST];
	size_t nic_count;
	struct want_nic nics[WANT_NICS_MOST];
	const char *control_path; /* of the channel org.jeoul.ctl; NULL: none */
	const char *console_path;
	const char *account_uuid, *offering_uuid; /* ride in <metadata> */
};

/* Callers free what these answer. */
char *domain_xml(const struct domain_want *want) must_check;
char *disk_xml(const struct want_disk *disk) must_check;
char *nic_xml(const struct want_nic *nic) must_check;
/* A module of memory for hot-add. */
char *memory_xml(int64_t bytes) must_check;
/* A volume; backing NULL: empty, else an overlay over that file. */
char *volume_xml(const char *name, int64_t bytes, const char *format, const char *backing,
    const char *backing_format) must_check;
struct want_pool {
	const char *name, *kind;
	const char *target;               /* folder on the host */
	const char *host, *port, *source; /* of what is on the network, or a device */
	const char *user, *secret_uuid;
};
char *pool_xml(const struct want_pool *want) must_check;
char *secret_xml(const char *uuid, const char *type) must_check;
char *snapshot_xml(const char *name, bool memory) must_check;
/* A full copy of one disk of a running domain into a new file. */
char *backup_xml(const char *target, const char *path, const char *const *others,
    size_t other_count) must_check;

struct domain_found {
	size_t plugged_vcpus;  /* that were added while it ran */
	bool agent;            /* an agent in the guest has opened its channel */
	char account_uuid[64]; /* of our metadata; "" when there is none */
	size_t disk_count;
	struct {
		char target[32];
		char path[XML_TEXT_MOST];
		char format[16];
		bool cdrom;
	} disks[XML_DISKS_MOST];
	size_t nic_count;
	struct {
		char mac[32];
		char network[64];
		char tap[32];
	} nics[XML_NICS_MOST];
};

/* Refuses what is too large, too deep or no domain; extra disks and cards are left out.
 */
must_check bool domain_read(struct domain_found *out, const char *xml, struct err *e);

/*
 * A domain's XML for another host: the socket of our channel (NULL: as it is), and the
 * files of some disks.  Caller frees; NULL with an error.
 */
struct domain_move {
	const char *control_path;
	size_t disk_count;
	struct {
		const char *target, *path;
	} disks[XML_DISKS_MOST];
};
char *domain_moved(const char *xml, const struct domain_move *move,
    struct err *e) must_check;

struct topology {
	int sockets, cores, threads, numa_cells;
	char cpu_model[128]; /* as libvirt calls it; "" when it does not */
};

/* Counts distinct socket ids of capabilities XML (monitoring 1.3), never
 * virNodeGetInfo's. */
must_check bool topology_read(struct topology *out, const char *capabilities,
    struct err *e);
