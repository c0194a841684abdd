/* SPDX-License-Identifier: Apache-2.0 */
/* answer: an invoice as JSON, in the words of billing-rules section 0 */
#include "billing/answer.h"
#include <stdlib.h>
#include <string.h>

/* A cash step finer than the minor unit shows its own places. */
static unsigned
places_shown(const struct tariff *t)
{
	unsigned places = t->places;
	scoped_exact mpq_t scaled;

	mpq_init(scaled);
	exact_minor(scaled, places);
	mpq_div(scaled, t->step, scaled);
	while (mpz_cmp_ui(mpq_denref(scaled), 1) != 0 && places < 18) {
		exact_scale(scaled, scaled, 10, 1);
		places++;
	}
	return places;
}

char *
amount_text(const struct tariff *t, const mpq_t amount)
{
	return rat_decimal(amount, places_shown(t));
}

void
answer_exact(struct jout *j, const char *key, const mpq_t q)
{
	scoped_free char *text = rat_text(q);

	jout_string(j, key, text);
}

void
answer_amount(struct jout *j, const char *key, const struct tariff *t, const mpq_t amount)
{
	scoped_free char *text = amount_text(t, amount);

	jout_string(j, key, text);
}

/* "2024-03-01T02:46:40Z": the form of the rules has whole seconds. */
static void
answer_instant(struct jout *j, const char *key, struct instant t)
{
	char text[CLOCK_TEXT_MAX];
	char *point = strchr(instant_text(t, text), '.');

	if (point != NULL)
		memcpy(point, "Z", 2);
	jout_string(j, key, text);
}

static void
line_write(struct jout *j, const struct tariff *t, const struct line *l)
{
	jout_open(j, NULL, '{');
	jout_string(j, "sku", l->sku);
	jout_string(j, "resource", l->resource);
	jout_string(j, "band", l->band);
	answer_exact(j, "quantity", l->quantity);
	answer_exact(j, "exact", l->exact);
	answer_amount(j, "amount", t, l->amount);
	jout_close(j, '}');
}

static void
adjustment_write(struct jout *j, const struct tariff *t, const struct adjustment *a)
{
	jout_open(j, NULL, '{');
	jout_string(j, "sku", a->sku);
	answer_instant(j, "period_start", a->period_start);
	answer_amount(j, "amount", t, a->amount);
	jout_close(j, '}');
}

static void
totals_write(struct jout *j, const struct tariff *t, const char *net,
    const struct totals *totals)
{
	answer_amount(j, net, t, totals->subtotal);
	answer_amount(j, "tax", t, totals->tax);
	answer_amount(j, "total", t, totals->total);
}

/* The ids of the marked items, each once; of an item without id its sku. */
static void
marked_write(struct jout *j, const char *key, const struct usage_list *usage,
    const bool *marked)
{
	jout_open(j, key, '[');
	for (size_t i = 0; i < usage->count; i++) {
		const struct usage *u = &usage->items[i];
		const char *name = u->id == NULL ? u->sku : u->id;
		bool told = false;

		for (size_t k = 0; marked[i] && k < i && !told; k++)
			told = marked[k] &&
			    strcmp(usage->items[k].id == NULL ? usage->items[k].sku
							      : usage->items[k].id,
				name) == 0;
		if (marked[i] && !told)
			jout_string(j, NULL, name);
	}
	jout_close(j, ']');
}

static void
credits_write(struct jout *j, const struct tariff *t, const struct invoice *i)
{
	jout_open(j, "credits", '[');
	for (size_t k = 0; k < i->credit_count; k++) {
		jout_open(j, NULL, '{');
		jout_string(j, "id", i->credits[k].id);
		answer_amount(j, "used", t, i->credits[k].used);
		answer_amount(j, "left", t, i->credits[k].left);
		jout_close(j, '}');
	}
	jout_close(j, ']');
	answer_amount(j, "due", t, i->due);
}

static void
notes_write(struct jout *j, const struct tariff *t, const struct invoice *i)
{
	jout_open(j, "credit_notes", '[');
	for (size_t k = 0; k < i->note_count; k++) {
		jout_open(j, NULL, '{');
		jout_string(j, "sku", i->notes[k].sku);
		totals_write(j, t, "net", &i->notes[k].totals);
		jout_close(j, '}');
	}
	jout_close(j, ']');
	answer_amount(j, "after_credit_notes", t, i->after_notes);
}

static void
allocation_write(struct jout *j, const struct tariff *t, const struct invoice *i)
{
	jout_open(j, "allocation", '{');
	for (size_t k = 0; k < i->part_count; k++)
		answer_amount(j, i->parts[k].value, t, i->parts[k].amount);
	jout_close(j, '}');
}

static void
period_write(struct jout *j, const struct period *p)
{
	jout_open(j, "period", '{');
	answer_instant(j, "start", p->span.from);
	answer_instant(j, "end", p->span.to);
	jout_number(j, "seconds", (p->span.to.ns - p->span.from.ns) / NS_PER_S);
	jout_close(j, '}');
}

void
answer_write(struct buf *out, const struct tariff *tariff, const struct usage_list *usage,
    const struct period *period, const struct invoice *invoice)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '{');
	jout_open(&j, "lines", '[');
	for (size_t k = 0; k < invoice->rating.count; k++)
		line_write(&j, tariff, &invoice->rating.lines[k]);
	jout_close(&j, ']');
	jout_open(&j, "adjustments", '[');
	for (size_t k = 0; k < invoice->adjustment_count; k++)
		adjustment_write(&j, tariff, &invoice->adjustments[k]);
	jout_close(&j, ']');
	totals_write(&j, tariff, "subtotal", &invoice->totals);
	credits_write(&j, tariff, invoice);
	notes_write(&j, tariff, invoice);
	allocation_write(&j, tariff, invoice);
	marked_write(&j, "unrated", usage, invoice->rating.unrated);
	marked_write(&j, "rejected", usage, invoice->rating.rejected);
	jout_number(&j, "unmetered_seconds", invoice->rating.unmetered_s);
	if (invoice->locks)
		answer_instant(&j, "lock_at", invoice->lock_at);
	else
		jout_raw(&j, "lock_at", "null");
	period_write(&j, period);
	jout_close(&j, '}');
}
