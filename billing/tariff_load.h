/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_load: a price list as it comes from outside, in either form, checked as a whole
 */
#pragma once
#include "billing/tariff.h"
#include "billing/tariff_text.h"

/* A price list that may be stored. */
struct tariff_loaded {
	struct buf document; /* JSON: as it came, or made of the text */
	struct tariff *tariff;
	struct buf notes; /* lines, "12:7: what to look at" or without a place */
};

/*
 * JSON when it begins with {, else lines of text.  Beside what tariff_parse() refuses:
 * a zone or currency that is not there, prices that some usage would match equally well,
 * and prices of our own meters that count the wrong way (vm.running without per).
 * Refused as a whole, with place, reason and remedy.
 */
must_check bool tariff_load(struct tariff_loaded *out, const char *text, size_t length,
    struct tariff_fault *fault);
void tariff_loaded_done(struct tariff_loaded *l);
/* The same for callers that want one text: "line 12, column 7: reason; remedy". */
must_check bool tariff_load_err(struct tariff_loaded *out, const char *text,
    size_t length, struct err *e);

/* The list as lines of text that read back as the very same list, which is checked. */
must_check bool tariff_text_of(struct buf *out, const struct tariff_loaded *l,
    struct err *e);
