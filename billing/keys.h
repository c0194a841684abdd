/* SPDX-License-Identifier: Apache-2.0 */
/* keys: texts as small numbers, in the order in which they came */
#pragma once
#include "base/mem.h"

struct keys {
	struct arena *arena;
	const char **list; /* by number */
	size_t count;
	size_t *slots; /* number + 1; 0: free */
	size_t slot_count;
};

void keys_init(struct keys *k);
void keys_done(struct keys *k);
/* The number of a text, which is kept; one that is new gets the next number. */
size_t keys_number(struct keys *k, const char *text);
/* KEYS_NONE when it never came. */
#define KEYS_NONE ((size_t)-1)
size_t keys_find(const struct keys *k, const char *text);
