/* SPDX-License-Identifier: Apache-2.0 */
/* guest: what a guest's agent tells of the guest, bounded and made harmless */
#pragma once
#include "base/attr.h"
#include "base/json.h"

enum {
	GUEST_LIST_MOST = 32,
	GUEST_ADDRESSES_MOST = 16,
	GUEST_TEXT_MAX = 128,
	GUEST_WORD_MAX = 64
};

struct guest_filesystem {
	char mountpoint[GUEST_TEXT_MAX], name[GUEST_WORD_MAX], type[GUEST_WORD_MAX];
	uint64_t total, used; /* bytes */
	bool sized;           /* the agent told both */
	bool told[2];         /* total, used */
};

struct guest_interface {
	char name[GUEST_WORD_MAX], mac[GUEST_WORD_MAX];
	struct {
		char text[GUEST_WORD_MAX];
		uint64_t prefix;
		bool has_prefix;
	} addresses[GUEST_ADDRESSES_MOST];
};

/*
 * All of it is the guest's word, which may lie, and is shown to people and kept in the
 * database: texts are whole UTF-8 characters without control characters, "" where there
 * is none; what is beyond the lists is left out.
 */
struct guest_facts {
	char hostname[GUEST_TEXT_MAX];
	char os_name[GUEST_TEXT_MAX], os_version[GUEST_TEXT_MAX], os_id[GUEST_WORD_MAX];
	char kernel[GUEST_TEXT_MAX], machine[GUEST_WORD_MAX];
	struct guest_filesystem filesystems[GUEST_LIST_MOST];
	struct guest_interface interfaces[GUEST_LIST_MOST];
};

/* One value under the name that libvirt gives it ("fs.0.mountpoint"); others are passed
 * over.  facts begin as zeroes. */
void guest_text(struct guest_facts *f, const char *name, const char *value);
void guest_number(struct guest_facts *f, const char *name, uint64_t value);

/* {hostname, osname, osversion, osid, kernel, machine, filesystems:[{mountpoint, name,
 * type, total, used}], interfaces:[{name, mac, addresses:["10.0.0.5/24"]}]}; what was not
 * told is left out, sizes are strings. */
void guest_facts_write(struct jout *j, const struct guest_facts *f);
