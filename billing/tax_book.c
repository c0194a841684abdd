/* SPDX-License-Identifier: Apache-2.0 */
/* tax_book: tax of a statement whose lines may come from more than one price list */
#include "billing/tax_book.h"
#include <stdlib.h>
#include <string.h>

void
tax_book_init(struct tax_book *b)
{
	*b = (struct tax_book){ .arena = arena_new() };
}

static void
entry_init(struct tax_entry *x)
{
	mpq_inits(x->rate, x->minor, x->lines, x->net, x->tax, NULL);
}

static void
entry_done(struct tax_entry *x)
{
	mpq_clears(x->rate, x->minor, x->lines, x->net, x->tax, NULL);
}

void
tax_book_done(struct tax_book *b)
{
	for (size_t i = 0; i < b->count; i++)
		entry_done(&b->entries[i]);
	free(b->entries);
	arena_free(b->arena);
	*b = (struct tax_book){ .arena = NULL };
}

static bool
entry_fits(const struct tax_entry *a, const struct tax_entry *b)
{
	return a->taxed == b->taxed && strcmp(a->name, b->name) == 0 &&
	    (!a->taxed ||
		(a->inclusive == b->inclusive && a->rounding == b->rounding &&
		    mpq_equal(a->rate, b->rate)));
}

struct tax_entry *
tax_book_find(struct tax_book *b, const struct tax_entry *like)
{
	struct tax_entry *x;

	for (size_t i = 0; i < b->count; i++)
		if (entry_fits(&b->entries[i], like))
			return &b->entries[i];
	b->entries = mem_resize(b->entries, b->count + 1, sizeof(*b->entries));
	x = &b->entries[b->count++];
	*x = (struct tax_entry){ .name = arena_strdup(b->arena, like->name),
		.taxed = like->taxed,
		.inclusive = like->inclusive,
		.rounding = like->rounding };
	entry_init(x);
	mpq_set(x->rate, like->rate);
	mpq_set(x->minor, like->minor);
	return x;
}

struct tax_entry *
tax_book_entry(struct tax_book *b, const struct tariff *t, const char *tax_class)
{
	const struct tax_class *class = tariff_tax(t, tax_class);
	struct tax_entry like = { .name = class == NULL ? "" : class->name,
		.taxed = class != NULL,
		.inclusive = class != NULL && t->tax_inclusive,
		.rounding = t->tax_rounding };
	struct tax_entry *x;

	entry_init(&like);
	if (class != NULL)
		mpq_set(like.rate, class->rate);
	mpq_set(like.minor, t->minor);
	x = tax_book_find(b, &like);
	entry_done(&like);
	return x;
}

/* amount x rate, or the share rate/(1 + rate) of an amount that holds its tax. */
static void
entry_close(struct tax_entry *x)
{
	scoped_exact mpq_t gross;

	mpq_init(gross);
	mpq_set_ui(x->tax, 0, 1);
	mpq_set(x->net, x->lines);
	if (!x->taxed)
		return;
	mpq_mul(x->tax, x->lines, x->rate);
	if (x->inclusive) {
		mpq_set_ui(gross, 1, 1);
		exact_add(gross, x->rate);
		mpq_div(x->tax, x->tax, gross);
	}
	rat_round(x->tax, x->tax, x->minor, x->rounding);
	if (x->inclusive)
		mpq_sub(x->net, x->lines, x->tax);
}

void
tax_book_close(struct tax_book *b, struct totals *out)
{
	mpq_set_ui(out->subtotal, 0, 1);
	mpq_set_ui(out->tax, 0, 1);
	for (size_t i = 0; i < b->count; i++) {
		entry_close(&b->entries[i]);
		exact_add(out->subtotal, b->entries[i].net);
		exact_add(out->tax, b->entries[i].tax);
	}
	mpq_add(out->total, out->subtotal, out->tax);
}
