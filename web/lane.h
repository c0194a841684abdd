/* SPDX-License-Identifier: Apache-2.0 */
/* lane: a few threads for work that waits, so that nobody waits behind it */
#pragma once
#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>

struct lane;

#define LANE_STACK ((size_t)256 * 1024)

struct lane *lane_new(size_t threads, size_t most_waiting) must_check;
/* false: too much waits already. */
must_check bool lane_add(struct lane *l, void (*work)(void *context), void *context);
/* Does what waits, then ends the threads; lane_add() says no from then on. */
void lane_end(struct lane *l);
void lane_free(struct lane *l); /* after lane_end() */
