/* SPDX-License-Identifier: Apache-2.0 */
/* focus_running: a period that is not closed as rows of FOCUS, as of this moment */
#include "billing/focus_running.h"
#include "billing/bill.h"
#include "billing/calendar_db.h"
#include "billing/doc.h"
#include "billing/parties.h"
#include "billing/periods.h"
#include <string.h>

/* Lines go out as a statement's would. */
struct running {
	struct bill *bill;
	struct parties parties;
	struct instant now;
	struct focus *focus;
	struct buf *out;
	struct json *head; /* as far as it is known before the last line */
	int64_t count;
};

static bool
head_make(struct running *r, const struct bill *b, struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct jout j = JOUT_INIT(&text);
	struct doc_body body = { .bill = b, .line_count = r->count };
	struct json *head = NULL;

	jout_open(&j, NULL, '{');
	parties_head(&j, &r->parties, "running", NULL, r->now);
	scoped(buf_done) struct buf inner = BUF_INIT;

	doc_body(&inner, &body);
	jout_raw(&j, "body", buf_text(&inner));
	jout_close(&j, '}');
	if (!json_parse(&head, buf_text(&text), text.length, e))
		return false;
	json_free(r->head);
	r->head = head;
	return true;
}

static bool
line_take(void *context, const struct bill *b, const struct bill_line *l, struct err *e)
{
	struct running *r = context;
	scoped(buf_done) struct buf text = BUF_INIT;
	const struct tax_entry *x = tax_book_entry(&r->bill->taxes, l->portion->tariff,
	    l->line->price->tax_class);
	struct doc_extra extra = { ++r->count, (size_t)(x - b->taxes.entries), NULL };
	struct json *line = NULL;
	bool ok;

	if (r->head == NULL) {
		if (!head_make(r, b, e))
			return false;
		focus_begin(r->focus, json_root(r->head));
	}
	doc_line(&text, b, l, &extra);
	ok = json_parse(&line, buf_text(&text), text.length, e) &&
	    focus_line(r->focus, r->out, json_root(line), e);
	json_free(line);
	return ok &&
	    (buf_ok(r->out) ||
		err_set(e, ERR_LIMIT, "account %s: its rows are too long",
		    b->account_name));
}

static bool
rows_make(struct running *r, struct db *db, const struct bill_ask *ask,
    const struct calendar *c, struct err *e)
{
	struct bill_sink sink = { r, line_take };
	struct bill b;
	bool ok;

	r->bill = &b;
	if (!bill_make(&b, db, c, ask, &sink, e))
		return false;
	/* Without a line there is nothing to tax. */
	ok = r->head == NULL ||
	    (head_make(r, &b, e) && focus_end(r->focus, r->out, json_root(r->head), e));
	bill_done(&b);
	return ok;
}

bool
focus_running(struct buf *out, struct db *db, int64_t account_id, struct instant within,
    struct instant now, enum focus_version version, struct err *e)
{
	struct running r = { .now = now, .out = out };
	struct parties_ask who = { .account_id = account_id };
	struct bill_ask ask = { .account_id = account_id,
		.now = now,
		.want_parts = true };
	struct calendar *c = calendar_db_new(db, false);
	bool ok = period_find(db, c, account_id, within, &ask.period, e) &&
	    parties_read(&r.parties, db, &who, now, e);

	if (ok) {
		r.focus = focus_new(version);
		ok = rows_make(&r, db, &ask, c, e);
		focus_free(r.focus);
		json_free(r.head);
		parties_done(&r.parties);
	}
	calendar_db_free(c);
	return ok;
}
