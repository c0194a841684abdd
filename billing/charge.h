/* SPDX-License-Identifier: Apache-2.0 */
/* charge: quantities by segment become the lines of one price */
#pragma once
#include "billing/rate.h"

/* A commitment is owed by the account even when nothing was used. */
bool charge_without_usage(const struct price *p);

/*
 * Adds the lines of what was measured.  The position in tiers, packages and free units
 * runs through all segments of the period; each version and band has one line.
 * Minimum and maximum hold for the whole chain of lines.
 */
void charge_lines(struct rating *out, const struct measure *m, const char *resource);
/* What the units from a to b cost: F(b) - F(a); in a band by the band's price. */
void charge_window(mpq_t out, const struct segment *s, const mpq_t a, const mpq_t b);
