/* SPDX-License-Identifier: Apache-2.0 */
/* domain_xml: libvirt's XML, built and read as XML; the one file that knows libxml2 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_NAMESPACE "https://jeoul.dev/ns/vm/1"
enum { XML_DISKS_MOST = 32, XML_NICS_MOST = 16, XML_TEXT_MOST = 512 };

struct domain_want {
	const char *uuid, *name, *title;
	const char *domain_type; /* "kvm" or "qemu" */
	int64_t vcpus;
	int64_t memory_bytes;
	const char *kernel, *initrd, *cmdline; /* NULL: boots from its disk */
	const char *disk_path, *disk_format;   /* NULL: no disk */
	const char *network, *mac;             /* NULL: no network card */
	const char *control_path; /* of the channel org.jeoul.ctl; NULL: none */
	const char *console_path;
	const char *account_uuid, *offering_uuid; /* ride in <metadata> */
};

/* Caller frees. */
char *domain_xml(const struct domain_want *want) must_check;
/* A volume; backing NULL: empty, else an overlay over that file.  Caller frees. */
char *volume_xml(const char *name, int64_t bytes, const char *format, const char *backing,
    const char *backing_format) must_check;

struct domain_found {
	char account_uuid[64]; /* of our metadata; "" when there is none */
	size_t disk_count;
	struct {
		char target[32];
		char path[XML_TEXT_MOST];
		char format[16];
	} disks[XML_DISKS_MOST];
	size_t nic_count;
	struct {
		char mac[32];
		char network[64];
	} nics[XML_NICS_MOST];
};

/* Refuses what is too large, too deep or no domain; extra disks and cards are left out.
 */
must_check bool domain_read(struct domain_found *out, const char *xml, struct err *e);

struct topology {
	int sockets, cores, threads;
};

/* Counts distinct socket ids of capabilities XML (monitoring 1.3), never
 * virNodeGetInfo's. */
must_check bool topology_read(struct topology *out, const char *capabilities,
    struct err *e);
