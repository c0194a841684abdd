/* SPDX-License-Identifier: Apache-2.0 */
/* split: a rounded amount in parts that add up to it, by exact weights */
#pragma once
#include "billing/exact.h"
#include <stddef.h>

/*
 * Largest remainder (billing-rules 2.3): each part is floored to a multiple of minor, the
 * units that are left over go to the largest remainders, among equals to the first; so
 * put the parts in order of their keys.  Weights that don't add up to the whole, because
 * it was rounded, are brought there in proportion to their size; they may be below zero.
 * The whole is a multiple of minor.  Without any weight all of it is the first one's;
 * count > 0.  Pure.
 */
void split_amount(mpq_t *parts, mpq_t *weights, size_t count, const mpq_t whole,
    const mpq_t minor);
