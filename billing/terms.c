/* SPDX-License-Identifier: Apache-2.0 */
/* terms: what an account brings to its invoice: credits, a balance, credit notes */
#include "billing/terms.h"
#include "billing/form.h"

static const char *const account_keys[] = { "credits", "balance", "credit_limit", NULL };
static const char *const credit_keys[] = { "id", "amount", "expires", NULL };
static const char *const note_keys[] = { "sku", "percent", "amount", NULL };
static const char *const allocate_keys[] = { "tag", NULL };

void
terms_init(struct terms *t)
{
	*t = (struct terms){ .arena = arena_new() };
	mpq_init(t->funds);
}

void
terms_done(struct terms *t)
{
	for (size_t i = 0; i < t->credit_count; i++)
		mpq_clear(t->credits[i].amount);
	for (size_t i = 0; i < t->note_count; i++)
		mpq_clear(t->notes[i].value);
	mpq_clear(t->funds);
	arena_free(t->arena);
}

static bool
list_count(const struct jval *list, size_t *count, const char *path, struct err *e)
{
	*count = json_count(list);
	if (json_type(list) == JSON_ABSENT)
		return true;
	if (json_type(list) == JSON_ARRAY && *count <= TERMS_MAX)
		return true;
	return err_set(e, ERR_INPUT, "%s: a list of at most %d entries belongs here",
	    path, TERMS_MAX);
}

static bool
credit_read(struct terms *t, const struct jval *v, const char *path, struct err *e)
{
	struct credit *c = &t->credits[t->credit_count++];
	struct form f;

	*c = (struct credit){ .id = "", .expires = INSTANT_LAST };
	mpq_init(c->amount);
	return form_open(&f, v, path, credit_keys, e) &&
	    form_need(&f, "id", "\"promo\"", e) &&
	    form_text(&f, t->arena, "id", &c->id, e) &&
	    form_need(&f, "amount", "\"10\"", e) &&
	    form_exact_positive(&f, "amount", c->amount, e) &&
	    form_instant(&f, "expires", &c->expires, e);
}

static bool
credits_read(struct terms *t, const struct jval *list, struct err *e)
{
	size_t count;

	if (!list_count(list, &count, "account.credits", e))
		return false;
	t->credits = arena_alloc(t->arena, (count + 1) * sizeof(*t->credits));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v))
		if (!credit_read(t, v,
			arena_printf(t->arena, "account.credits[%zu]", t->credit_count),
			e))
			return false;
	return true;
}

static bool
account_read(struct terms *t, const struct jval *account, struct err *e)
{
	scoped_exact mpq_t limit;
	struct form f;

	mpq_init(limit);
	if (json_type(account) == JSON_ABSENT || json_type(account) == JSON_NULL)
		return true;
	if (!form_open(&f, account, "account", account_keys, e) ||
	    !form_exact(&f, "balance", t->funds, e) ||
	    !form_exact(&f, "credit_limit", limit, e))
		return false;
	t->prepaid = form_has(&f, "balance");
	exact_add(t->funds, limit);
	return credits_read(t, json_get(account, "credits"), e);
}

static bool
note_read(struct terms *t, const struct jval *v, const char *path, struct err *e)
{
	struct credit_note *n = &t->notes[t->note_count++];
	struct form f;

	*n = (struct credit_note){ .sku = "" };
	mpq_init(n->value);
	if (!form_open(&f, v, path, note_keys, e) ||
	    !form_need(&f, "sku", "\"vcpu\"", e) ||
	    !form_text(&f, t->arena, "sku", &n->sku, e))
		return false;
	n->is_percent = form_has(&f, "percent");
	if (n->is_percent == form_has(&f, "amount"))
		return err_set(e, ERR_INPUT, "%s: write either \"percent\" or \"amount\"",
		    path);
	return form_exact_positive(&f, n->is_percent ? "percent" : "amount", n->value, e);
}

static bool
notes_read(struct terms *t, const struct jval *list, struct err *e)
{
	size_t count;

	if (!list_count(list, &count, "credit_notes", e))
		return false;
	t->notes = arena_alloc(t->arena, (count + 1) * sizeof(*t->notes));
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v))
		if (!note_read(t, v,
			arena_printf(t->arena, "credit_notes[%zu]", t->note_count), e))
			return false;
	return true;
}

bool
terms_read(struct terms *t, const struct jval *account, const struct jval *notes,
    const struct jval *allocate, struct err *e)
{
	struct form f;

	if (!account_read(t, account, e) || !notes_read(t, notes, e))
		return false;
	if (json_type(allocate) == JSON_ABSENT || json_type(allocate) == JSON_NULL)
		return true;
	return form_open(&f, allocate, "allocate", allocate_keys, e) &&
	    form_need(&f, "tag", "\"project\"", e) &&
	    form_text(&f, t->arena, "tag", &t->allocate_tag, e);
}
