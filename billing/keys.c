/* SPDX-License-Identifier: Apache-2.0 */
/* keys: texts as small numbers, in the order in which they came */
#include "billing/keys.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 64

void
keys_init(struct keys *k)
{
	*k = (struct keys){ .arena = arena_new(),
		.slot_count = SLOTS_FIRST,
		.slots = mem_array(SLOTS_FIRST, sizeof(size_t)) };
}

void
keys_done(struct keys *k)
{
	arena_free(k->arena);
	free(k->list);
	free(k->slots);
	*k = (struct keys){ .arena = NULL };
}

/* FNV-1a. */
static size_t
hash(const char *text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (size_t)(h ^ (h >> 32));
}

/* The slot of a text, or the free one where it belongs; some are always free. */
static size_t
slot_of(const struct keys *k, const char *text)
{
	size_t i = hash(text) & (k->slot_count - 1);

	while (k->slots[i] != 0 && strcmp(k->list[k->slots[i] - 1], text) != 0)
		i = (i + 1) & (k->slot_count - 1);
	return i;
}

static void
grow(struct keys *k)
{
	k->slot_count *= 2;
	free(k->slots);
	k->slots = mem_array(k->slot_count, sizeof(size_t));
	k->list = mem_resize(k->list, k->slot_count, sizeof(*k->list));
	for (size_t i = 0; i < k->count; i++)
		k->slots[slot_of(k, k->list[i])] = i + 1;
}

size_t
keys_find(const struct keys *k, const char *text)
{
	size_t found = k->slots[slot_of(k, text)];

	return found == 0 ? KEYS_NONE : found - 1;
}

size_t
keys_number(struct keys *k, const char *text)
{
	size_t found = keys_find(k, text);

	if (found != KEYS_NONE)
		return found;
	if (k->list == NULL || k->count * 2 >= k->slot_count)
		grow(k);
	k->list[k->count] = arena_strdup(k->arena, text);
	k->slots[slot_of(k, text)] = k->count + 1;
	return k->count++;
}
