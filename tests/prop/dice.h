/* SPDX-License-Identifier: Apache-2.0 */
/* dice: random numbers that a seed repeats */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t
dice_next(struct dice *d)
{
	uint64_t x = d->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* From least to most, both included. */
static inline int64_t
dice_range(struct dice *d, int64_t least, int64_t most)
{
	return least + (int64_t)(dice_next(d) % (uint64_t)(most - least + 1));
}

static inline bool
dice_chance(struct dice *d, int percent)
{
	return dice_range(d, 1, 100) <= percent;
}

#define DICE_PICK(d, list) ((list)[dice_range(d, 0, (int64_t)ARRAY_LEN(list) - 1)])
