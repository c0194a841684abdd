/* SPDX-License-Identifier: Apache-2.0 */
/* cost_write: a cost report as JSON and CSV, and what may be asked of it */
#include "base/json.h"
#include "billing/cost_report.h"
#include <stdlib.h>
#include <string.h>

/* ---- what may be asked */

static bool
by_add(struct cost_wish *w, struct arena *a, const char *word, struct err *e)
{
	const char *colon = strchr(word, ':');
	size_t length = colon == NULL ? strlen(word) : (size_t)(colon - word);
	size_t by = 0;

	while (by < BY_COUNT &&
	    (strlen(cost_by_name((enum cost_by)by)) != length ||
		strncmp(word, cost_by_name((enum cost_by)by), length) != 0))
		by++;
	if (by == BY_COUNT || (by == BY_TAG) != (colon != NULL && colon[1] != '\0'))
		return err_set(e, ERR_INPUT,
		    "by: \"%.80s\" is none of day, account, project, sku, resource, "
		    "tag:KEY",
		    word);
	for (size_t i = 0; i < w->by_count; i++)
		if (w->by[i] == (enum cost_by)by)
			return err_set(e, ERR_INPUT, "by: %s stands there twice",
			    cost_by_name((enum cost_by)by));
	if (by == BY_TAG)
		w->tag_key = arena_strdup(a, colon + 1);
	w->by[w->by_count++] = (enum cost_by)by;
	return true;
}

bool
cost_by_read(struct cost_wish *w, struct arena *a, const char *text, struct err *e)
{
	w->by_count = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, ",");

		if (!by_add(w, a, arena_strndup(a, text, n), e))
			return false;
		text += n + (text[n] == ',' ? 1 : 0);
	}
	return w->by_count > 0 ||
	    err_set(e, ERR_INPUT,
		"by: one or more of day, account, project, sku, resource, tag:KEY");
}

/* "2026-03-31"; that there is such a day is PostgreSQL's to say. */
static bool
day_check(const char *name, const char *day, struct err *e)
{
	bool ok = strlen(day) == 10 && day[4] == '-' && day[7] == '-' &&
	    strspn(day, "0123456789") == 4 && strspn(day + 5, "0123456789") == 2 &&
	    strspn(day + 8, "0123456789") == 2 && strncmp(day, "1990", 4) >= 0 &&
	    strncmp(day, "2100", 4) < 0 && strncmp(day + 5, "01", 2) >= 0 &&
	    strncmp(day + 5, "12", 2) <= 0 && strcmp(day + 8, "01") >= 0 &&
	    strcmp(day + 8, "31") <= 0;

	return ok ||
	    err_set(e, ERR_INPUT, "%s is \"%.20s\"; write a day as 2026-03-31", name,
		day);
}

bool
cost_wish_check(const struct cost_wish *w, struct err *e)
{
	if ((w->from != NULL && !day_check("startdate", w->from, e)) ||
	    (w->to != NULL && !day_check("enddate", w->to, e)))
		return false;
	if (w->from != NULL && w->to != NULL && strcmp(w->from, w->to) > 0)
		return err_set(e, ERR_INPUT, "startdate is after enddate");
	return w->statement == NULL || (w->from == NULL && w->to == NULL) ||
	    err_set(e, ERR_INPUT, "name a statement or days, not both");
}

/* ---- sums by currency */

struct sums {
	const char *currency;
	mpq_t kinds[COST_KINDS];
	mpq_t total;
	mpq_t due;
};

static struct sums *
sums_of(struct sums **list, size_t *count, const char *currency)
{
	struct sums *s;

	for (size_t i = 0; i < *count; i++)
		if (strcmp((*list)[i].currency, currency) == 0)
			return &(*list)[i];
	*list = mem_resize(*list, *count + 1, sizeof(**list));
	s = &(*list)[(*count)++];
	s->currency = currency;
	mpq_inits(s->total, s->due, NULL);
	for (size_t i = 0; i < COST_KINDS; i++)
		mpq_init(s->kinds[i]);
	return s;
}

static void
amount_write(struct jout *j, const char *key, const char *currency, const mpq_t amount)
{
	unsigned places = 2;
	struct err e = ERR_INIT;

	/* Rows come from documents, whose currencies were known. */
	(void)!currency_places(&places, currency, &e);
	scoped_free char *text = rat_decimal(amount, places);

	jout_string(j, key, text);
}

static void
sums_write(struct jout *j, const struct cost_row **rows, size_t count)
{
	struct sums *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		const struct cost_place *p = &rows[i]->place;
		struct sums *s = sums_of(&list, &n, p->currency);

		exact_add(s->kinds[p->kind], rows[i]->amount);
		exact_add(s->due, rows[i]->amount);
		if (p->kind != COST_CREDIT && p->kind != COST_PREPAID)
			exact_add(s->total, rows[i]->amount);
	}
	jout_open(j, "sums", '[');
	for (size_t i = 0; i < n; i++) {
		jout_open(j, NULL, '{');
		jout_string(j, "currency", list[i].currency);
		for (size_t k = 0; k < COST_KINDS; k++) {
			amount_write(j, cost_kind_name((enum cost_kind)k),
			    list[i].currency, list[i].kinds[k]);
			mpq_clear(list[i].kinds[k]);
		}
		amount_write(j, "total", list[i].currency, list[i].total);
		amount_write(j, "due", list[i].currency, list[i].due);
		mpq_clears(list[i].total, list[i].due, NULL);
		jout_close(j, '}');
	}
	jout_close(j, ']');
	free(list);
}

/* ---- rows and documents */

static const char *const
    id_names[BY_COUNT] = { [BY_ACCOUNT] = "accountid", [BY_RESOURCE] = "resourceid" };

static void
row_write(struct jout *j, const struct cost_report *r, const struct cost_row *row)
{
	const struct cost_place *p = &row->place;

	jout_open(j, NULL, '{');
	for (size_t i = 0; i < r->table.order_count; i++) {
		enum cost_by by = r->table.order[i];

		if (by == BY_RESOURCE) {
			if (p->by[by][0] != '\0') {
				jout_string(j, id_names[by], p->by[by]);
				jout_string(j, "resourcename", p->resource_name);
			}
			continue;
		}
		if (p->by[by][0] != '\0' || by == BY_TAG || by == BY_PROJECT)
			jout_string(j, cost_by_name(by), p->by[by]);
		if (by == BY_ACCOUNT)
			jout_string(j, id_names[by], p->account_uuid);
	}
	jout_string(j, "kind", cost_kind_name(p->kind));
	jout_string(j, "currency", p->currency);
	amount_write(j, "amount", p->currency, row->amount);
	jout_close(j, '}');
}

static void
document_write(struct jout *j, const struct cost_document *d)
{
	jout_open(j, NULL, '{');
	jout_string(j, "kind", d->kind);
	jout_string(j, "number", d->number);
	jout_string(j, "id", d->id);
	jout_string(j, "account", d->account);
	jout_string(j, "accountid", d->account_uuid);
	jout_string(j, "firstday", d->first_day);
	jout_string(j, "lastday", d->last_day);
	jout_string(j, "currency", d->currency);
	jout_string(j, "shown", d->shown);
	jout_string(j, "leftout", d->left_out);
	jout_string(j, "total", d->total);
	jout_string(j, "due", d->due);
	jout_close(j, '}');
}

bool
cost_report_json(struct buf *out, struct cost_report *r, size_t most, struct err *e)
{
	struct jout j = JOUT_INIT(out);
	size_t count = 0;
	const struct cost_row **rows = cost_table_rows(&r->table, &count);

	if (most != 0 && count > most) {
		free(rows);
		return err_set(e, ERR_LIMIT,
		    "that are %zu rows, and %zu at most are answered: group by less, "
		    "choose fewer days, or take the file (exportCosts)",
		    count, most);
	}
	jout_open(&j, NULL, '{');
	jout_open(&j, "by", '[');
	for (size_t i = 0; i < r->table.order_count; i++)
		jout_string(&j, NULL, cost_by_name(r->table.order[i]));
	jout_close(&j, ']');
	jout_string(&j, "tagkey", r->wish.tag_key);
	jout_open(&j, "rows", '[');
	for (size_t i = 0; i < count; i++)
		row_write(&j, r, rows[i]);
	jout_close(&j, ']');
	sums_write(&j, rows, count);
	jout_open(&j, "documents", '[');
	for (size_t i = 0; i < r->document_count; i++)
		document_write(&j, &r->documents[i]);
	jout_close(&j, ']');
	jout_open(&j, "troubles", '[');
	for (size_t i = 0; i < r->trouble_count; i++)
		jout_string(&j, NULL, r->troubles[i]);
	jout_close(&j, ']');
	jout_close(&j, '}');
	free(rows);
	return buf_ok(out) || err_set(e, ERR_LIMIT, "the report is too long");
}

static void
csv_names(struct buf *b, const struct cost_report *r)
{
	for (size_t i = 0; i < r->table.order_count; i++) {
		enum cost_by by = r->table.order[i];

		if (id_names[by] != NULL)
			csv_field(b, id_names[by], false);
		csv_field(b, by == BY_RESOURCE ? "resourcename" : cost_by_name(by),
		    false);
	}
	csv_field(b, "kind", false);
	csv_field(b, "currency", false);
	csv_field(b, "amount", true);
}

static void
csv_row(struct buf *b, const struct cost_report *r, const struct cost_row *row)
{
	const struct cost_place *p = &row->place;
	unsigned places = 2;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < r->table.order_count; i++) {
		enum cost_by by = r->table.order[i];

		if (id_names[by] != NULL)
			csv_field(b, by == BY_ACCOUNT ? p->account_uuid : p->by[by],
			    false);
		csv_field(b, by == BY_RESOURCE ? p->resource_name : p->by[by], false);
	}
	(void)!currency_places(&places, p->currency, &e);
	scoped_free char *amount = rat_decimal(row->amount, places);

	csv_field(b, cost_kind_name(p->kind), false);
	csv_field(b, p->currency, false);
	csv_field(b, amount, true);
}

bool
cost_report_csv(struct cost_report *r, const struct text_out *out, struct err *e)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	size_t count = 0;
	const struct cost_row **rows = cost_table_rows(&r->table, &count);
	bool ok = true;

	csv_names(&b, r);
	for (size_t i = 0; ok && i < count; i++) {
		csv_row(&b, r, rows[i]);
		ok = text_flush(out, &b, e);
	}
	free(rows);
	return ok && text_flush(out, &b, e);
}
