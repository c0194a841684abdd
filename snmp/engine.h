/* SPDX-License-Identifier: Apache-2.0 */
/* engine: who we are for SNMPv3, and how often we have started */
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct engine {
	unsigned char id[32];
	size_t length;
	uint32_t boots; /* RFC 3414, 2.2.2: this start's number, 1 and up */
};

/*
 * Reads FOLDER/engine, counts this start in it and brings that to the disk before it
 * answers.  No file, a damaged one or a count at its end: a new id is made, which
 * receivers of v3 traps must be told (logged).  root: its enterprise number makes the id.
 */
must_check bool engine_open(struct engine *out, const char *folder, const char *root,
    struct err *e);
/* "0x800003..." for createUser of the receiver. */
const char *engine_text(const struct engine *g, char out[2 + 2 * 32 + 1]);
