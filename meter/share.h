/* SPDX-License-Identifier: Apache-2.0 */
/* share: how many of the hosts a collector asks, so that all have as many but for one */
#pragma once
#include <stddef.h>

/*
 * Of so many hosts the part of the rank-th (from 0, by name) of the collectors that live.
 * One that comes or goes changes each share by its part of the hosts, and by one more at
 * most: nobody gives away more than that.
 */
size_t share_of(size_t hosts, size_t collectors, size_t rank);

/* What follows from what is held: so many more are wanted, or too many are held. */
size_t share_wanted(size_t share, size_t held);
size_t share_surplus(size_t share, size_t held);
