/* SPDX-License-Identifier: Apache-2.0 */
/* pack: samples of one object, gathered in as few bytes as they need */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACK_VALUES_MOST = 16 };

/* One sample: when, which of its values are there, the values. */
struct pack_sample {
	int64_t second;
	uint32_t has;
	uint64_t values[PACK_VALUES_MOST];
};

/* Zeroed: none were added yet. */
struct pack {
	unsigned char *bytes;
	int64_t last; /* second of the sample added last; 0: none was */
	uint16_t length, room;
	uint8_t count;
};

/* Up to 255 samples, each later than the one before. */
void pack_add(struct pack *p, const struct pack_sample *s);
/* The time of the first one; there must be one. */
int64_t pack_first(const struct pack *p);
void pack_begin(struct pack *p); /* its bytes belong to another copy: begins anew */
void pack_done(struct pack *p);

/* From the first to the last, in the order in which they were added. */
struct pack_walk {
	size_t at;
	struct pack_sample first;
};
#define PACK_WALK_INIT                                                                   \
	{                                                                                \
		.at = 0                                                                  \
	}
bool pack_next(const struct pack *p, struct pack_walk *walk, struct pack_sample *out);
