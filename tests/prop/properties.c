/* SPDX-License-Identifier: Apache-2.0 */
/* properties: what must hold for every world (billing-rules 2.8) */
#include "billing/tariff_load.h"
#include "tests/prop/prop.h"
#include <stdlib.h>
#include <string.h>

/* ---- rating a world, and what came of it as text */

/* A world's price list and usage, perhaps told another way. */
struct told {
	const struct world *w;
	struct tariff *tariff;
	const struct usage_list *usage;
	struct span window;
	struct instant known;
	bool by_resource; /* fed one resource after the other */
};

static bool
tariff_of(struct tariff **out, const struct world *w, size_t twice, size_t version,
    int64_t cut, struct buf *why)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	world_tariff(&text, w, twice, version, cut);
	if (tariff_parse(out, buf_text(&text), text.length, &e))
		return true;
	buf_printf(why, "its price list is refused: %s", e.text);
	return false;
}

static bool
told_open(struct told *t, struct world *w, struct buf *why)
{
	*t = (struct told){ .w = w,
		.usage = &w->usage,
		.window = w->window,
		.known = w->known };
	if (w->tariff == NULL && !tariff_of(&w->tariff, w, NO_PRICE, NO_PRICE, 0, why))
		return false;
	t->tariff = w->tariff;
	return true;
}

static struct rate_job
job_of(const struct told *t)
{
	return (struct rate_job){ .tariff = t->tariff,
		.usage = t->usage,
		.calendar = &zone_calendar,
		.window = t->window,
		.known = t->known,
		.want_parts = true };
}

static bool
told_rate(struct rating *out, const struct told *t, struct buf *why)
{
	struct rate_job job = job_of(t);
	struct err e = ERR_INIT;

	if (rate(out, &job, &e))
		return true;
	buf_printf(why, "rating failed: %s", e.text);
	return false;
}

/* A set of lines of text, in an order of its own. */
struct lines {
	char **list;
	size_t count;
};

static void
lines_add(struct lines *l, char *line)
{
	l->list = mem_resize(l->list, l->count + 1, sizeof(*l->list));
	l->list[l->count++] = line;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
lines_join(struct lines *l)
{
	struct buf b = BUF_INIT;

	if (l->count > 1)
		qsort(l->list, l->count, sizeof(*l->list), by_text);
	for (size_t i = 0; i < l->count; i++) {
		/* That a sku is unrated is said once, whatever it was made of. */
		if (i == 0 || l->list[i][0] != '?' ||
		    strcmp(l->list[i], l->list[i - 1]) != 0)
			buf_printf(&b, "%s\n", l->list[i]);
	}
	for (size_t i = 0; i < l->count; i++)
		free(l->list[i]);
	free(l->list);
	*l = (struct lines){ NULL, 0 };
	return buf_take(&b);
}

static char *
line_text(const struct line *l, const struct tariff *t)
{
	char *quantity = mpq_get_str(NULL, 10, l->quantity);
	char *exact = mpq_get_str(NULL, 10, l->exact);
	char *amount = mpq_get_str(NULL, 10, l->amount);
	char *text = mem_printf("%s %s %zu.%zu %s: %s = %s ~ %s", l->sku,
	    l->resource == NULL ? "-" : l->resource, (size_t)(l->price - t->prices),
	    (size_t)(l->version - l->price->versions), l->band == NULL ? "-" : l->band,
	    quantity, exact, amount);

	free(quantity);
	free(exact);
	free(amount);
	return text;
}

static void
rating_lines(struct lines *out, const struct rating *r, const struct told *t)
{
	for (size_t i = 0; i < r->count; i++)
		lines_add(out, line_text(&r->lines[i], t->tariff));
	for (size_t i = 0; i < t->usage->count; i++) {
		const struct usage *u = &t->usage->items[i];

		if (r->unrated[i])
			lines_add(out, mem_printf("? unrated %s", u->sku));
		if (r->rejected[i])
			lines_add(out, mem_printf("rejected %s", u->id));
	}
}

static char *
told_text(const struct told *t, struct buf *why)
{
	struct lines l = { NULL, 0 };
	struct rating r;

	if (!told_rate(&r, t, why))
		return NULL;
	rating_lines(&l, &r, t);
	lines_add(&l, mem_printf("unmetered %lld", (long long)r.unmetered_s));
	rating_done(&r);
	return lines_join(&l);
}

/* Of the world as it is: made once. */
static char *
plain_text(struct world *w, struct buf *why)
{
	struct told t;

	if (w->plain == NULL && told_open(&t, w, why))
		w->plain = told_text(&t, why);
	return mem_strdup(w->plain);
}

static bool
same(struct buf *why, char *a, char *b)
{
	bool ok = a != NULL && b != NULL && strcmp(a, b) == 0;

	if (!ok && a != NULL && b != NULL)
		buf_printf(why, "one way:\n%sthe other:\n%s", a, b);
	free(a);
	free(b);
	return ok;
}

/* ---- 1, 2, 3: the same usage told another way */

typedef void (
    *retelling)(struct world *w, struct usage_list *out, const struct usage_list *in);

static bool
same_retold(struct world *w, const struct usage_list *first, retelling retell,
    struct buf *why)
{
	struct usage_list again;
	struct told t;
	char *a;
	char *b;
	bool ok;

	if (!told_open(&t, w, why))
		return false;
	usage_list_init(&again);
	retell(w, &again, first);
	t.usage = first;
	a = first == &w->usage ? plain_text(w, why) : told_text(&t, why);
	t.usage = &again;
	b = told_text(&t, why);
	ok = same(why, a, b);
	usage_list_done(&again);
	return ok;
}

static void
split(struct world *w, struct usage_list *out, const struct usage_list *in)
{
	for (size_t i = 0; i < in->count; i++) {
		const struct usage *u = &in->items[i];
		int64_t end = u->span.to.ns == INSTANT_LAST.ns
		    ? u->span.from.ns + INT64_C(90) * DAY
		    : u->span.to.ns;
		struct usage *copy = usage_copy(out, u);

		if (u->kind != USAGE_INTERVAL || u->span.from.ns >= end)
			continue;
		copy->span.to.ns = u->span.from.ns +
		    dice_range(&w->dice, 0, (end - u->span.from.ns) / S) * S;
		copy->id = NULL;
		end = copy->span.to.ns;
		copy = usage_copy(out, u);
		copy->span.from.ns = end;
		copy->id = NULL;
	}
}

static bool
splitting_an_interval_changes_nothing(struct world *w, struct buf *why)
{
	return same_retold(w, &w->usage, split, why);
}

static void
shuffle(struct world *w, struct usage_list *out, const struct usage_list *in)
{
	size_t *order = mem_array(in->count + 1, sizeof(*order));

	for (size_t i = 0; i < in->count; i++) {
		size_t k = (size_t)dice_range(&w->dice, 0, (int64_t)i);

		order[i] = order[k];
		order[k] = i;
	}
	for (size_t i = 0; i < in->count; i++)
		usage_copy(out, &in->items[order[i]]);
	free(order);
}

/* Some ids come a second time with other content, at another time: the first stands. */
static void
conflicts_add(struct world *w, struct usage_list *out, const struct usage_list *in)
{
	for (size_t i = 0; i < in->count; i++) {
		const struct usage *u = &in->items[i];
		struct usage *copy = usage_copy(out, u);

		if (u->id == NULL || !dice_chance(&w->dice, 30))
			continue;
		copy = usage_copy(out, u);
		copy->seq++;
		copy->received_at.ns = u->received_at.ns == INSTANT_FIRST.ns
		    ? w->window.from.ns
		    : u->received_at.ns + dice_range(&w->dice, -86400, 86400) * S + 1;
	}
}

static bool
any_order_of_arrival_gives_the_same(struct world *w, struct buf *why)
{
	struct usage_list conflicts;
	bool ok;

	usage_list_init(&conflicts);
	conflicts_add(w, &conflicts, &w->usage);
	ok = same_retold(w, &conflicts, shuffle, why);
	usage_list_done(&conflicts);
	return ok;
}

static void
twice(struct world *w, struct usage_list *out, const struct usage_list *in)
{
	struct usage_list doubled;

	usage_list_init(&doubled);
	for (size_t i = 0; i < in->count; i++) {
		usage_copy(&doubled, &in->items[i]);
		usage_copy(&doubled, &in->items[i]);
	}
	shuffle(w, out, &doubled);
	usage_list_done(&doubled);
}

static bool
delivered_twice_counts_once(struct world *w, struct buf *why)
{
	return same_retold(w, &w->usage, twice, why);
}

/* ---- 10: again is the same; resource by resource, as the rater does, is as all at once
 */

static bool
rating_twice_gives_the_same(struct world *w, struct buf *why)
{
	struct told t;
	char *a;
	char *b;

	if (!told_open(&t, w, why))
		return false;
	a = plain_text(w, why);
	b = told_text(&t, why);
	return same(why, a, b);
}

static void
resource_take(struct usage_list *out, const struct usage_list *in, const char *resource)
{
	usage_list_reset(out);
	for (size_t i = 0; i < in->count; i++)
		if (strcmp(in->items[i].resource, resource) == 0)
			usage_copy(out, &in->items[i]);
}

static bool
fed_text(char **out, const struct told *t, struct buf *why)
{
	static const char *const order[] = { "r3", "r1", "r4", "r2" };
	struct usage_list one;
	struct told fed = *t;
	struct rate_job job = job_of(t);
	struct rate_run *run = NULL;
	struct lines l = { NULL, 0 };
	struct err e = ERR_INIT;
	bool ok;

	usage_list_init(&one);
	fed.usage = job.usage = &one;
	ok = rate_begin(&run, &job, &e);
	for (size_t i = 0; ok && i < ARRAY_LEN(order); i++) {
		resource_take(&one, t->usage, order[i]);
		ok = rate_feed(run, &e);
		if (ok)
			rating_lines(&l, rate_run_rating(run), &fed);
		if (ok)
			rating_drop(rate_run_rating(run));
	}
	if (ok) {
		usage_list_reset(&one);
		rate_end(run);
		rating_lines(&l, rate_run_rating(run), &fed);
		lines_add(&l,
		    mem_printf("unmetered %lld",
			(long long)(rate_run_rating(run)->unmetered_s / S)));
	} else {
		buf_printf(why, "feeding failed: %s", e.text);
	}
	rate_run_free(run);
	usage_list_done(&one);
	*out = lines_join(&l);
	return ok;
}

static bool
resource_by_resource_is_as_all_at_once(struct world *w, struct buf *why)
{
	struct told t;
	char *a;
	char *b = NULL;

	if (!told_open(&t, w, why))
		return false;
	a = plain_text(w, why);
	if (!fed_text(&b, &t, why)) {
		free(b);
		b = NULL;
	}
	return same(why, a, b);
}

/* ---- 4: windows */

/* Of what is additive: a started unit, a run's minimum and a peak are of the whole. */
static bool
additive(const struct w_price *p)
{
	return p->aggregate == AGGREGATE_SUM && p->granularity == GRAIN_NONE &&
	    p->min_seconds == 0;
}

struct quantity {
	const char *resource;
	const char *band;
	size_t price;
	size_t version;
	mpq_t sum;
};
struct quantities {
	struct quantity *list;
	size_t count;
};

static struct quantity *
quantity_of(struct quantities *q, const struct line *l, const struct tariff *t)
{
	struct quantity key = { .resource = l->resource == NULL ? "" : l->resource,
		.band = l->band == NULL ? "" : l->band,
		.price = (size_t)(l->price - t->prices),
		.version = (size_t)(l->version - l->price->versions) };

	for (size_t i = 0; i < q->count; i++) {
		struct quantity *x = &q->list[i];

		if (strcmp(x->resource, key.resource) == 0 &&
		    strcmp(x->band, key.band) == 0 && x->price == key.price &&
		    x->version == key.version)
			return x;
	}
	q->list = mem_resize(q->list, q->count + 1, sizeof(*q->list));
	q->list[q->count] = key;
	mpq_init(q->list[q->count].sum);
	return &q->list[q->count++];
}

static void
quantities_done(struct quantities *q)
{
	for (size_t i = 0; i < q->count; i++)
		mpq_clear(q->list[i].sum);
	free(q->list);
}

static bool
windows_rate(struct quantities *q, int64_t *unmetered, struct told *t, struct world *w,
    struct buf *why)
{
	struct span whole = t->window;
	int64_t at = whole.from.ns;

	while (at < whole.to.ns) {
		int64_t left = (whole.to.ns - at) / S;
		struct rating r;

		t->window.from.ns = at;
		at += left > 1 && dice_chance(&w->dice, 70)
		    ? dice_range(&w->dice, 1, left) * S
		    : left * S;
		t->window.to.ns = at;
		if (!told_rate(&r, t, why))
			return false;
		for (size_t i = 0; i < r.count; i++)
			exact_add(quantity_of(q, &r.lines[i], t->tariff)->sum,
			    r.lines[i].quantity);
		*unmetered += r.unmetered_s;
		rating_done(&r);
	}
	t->window = whole;
	return true;
}

/* F of the quantities of all windows, by the second judge, is what one run charges. */
static bool
cost_is_naive(const struct line *l, const struct w_price *p, const mpq_t sum,
    const struct tariff *t, struct buf *why)
{
	const struct w_version *v = &p->versions[0];
	scoped_exact mpq_t cost;
	bool ok;

	mpq_init(cost);
	if (p->version_count > 1 || v->from != NEVER || v->to != NEVER ||
	    v->model.type == MODEL_TOU)
		return true;
	naive_total(cost, &v->model, sum);
	naive_limits(cost, &v->model);
	mpq_mul(cost, cost, t->fx_rate);
	ok = mpq_equal(cost, l->exact) != 0;
	if (!ok) {
		scoped_free char *line = line_text(l, t);
		scoped_free char *text = rat_text(cost);

		buf_printf(why, "%s, but the second judge says %s", line, text);
	}
	return ok;
}

static bool
windows_compare(struct quantities *q, const struct told *t, int64_t unmetered,
    struct buf *why)
{
	struct rating r;
	bool ok = true;

	if (!told_rate(&r, t, why))
		return false;
	for (size_t i = 0; ok && i < r.count; i++) {
		const struct line *l = &r.lines[i];
		const struct w_price *p = &t->w->prices[l->price - t->tariff->prices];
		const struct quantity *x = quantity_of(q, l, t->tariff);

		if (!additive(p))
			continue;
		ok = mpq_equal(x->sum, l->quantity) != 0;
		if (!ok) {
			scoped_free char *line = line_text(l, t->tariff);
			scoped_free char *text = rat_text(x->sum);

			buf_printf(why, "%s, but its windows sum up to %s", line, text);
		} else {
			ok = cost_is_naive(l, p, x->sum, t->tariff, why);
		}
	}
	if (ok && r.unmetered_s != unmetered) {
		buf_printf(why, "unmetered %lld s, but in windows %lld s",
		    (long long)r.unmetered_s, (long long)unmetered);
		ok = false;
	}
	rating_done(&r);
	return ok;
}

static bool
any_windows_give_what_one_run_gives(struct world *w, struct buf *why)
{
	struct quantities q = { NULL, 0 };
	struct told t;
	int64_t unmetered = 0;
	bool ok;

	if (!told_open(&t, w, why))
		return false;
	ok = windows_rate(&q, &unmetered, &t, w, why) &&
	    windows_compare(&q, &t, unmetered, why);
	quantities_done(&q);
	return ok;
}

/* ---- 5: versions */

/* Exact sums by price and resource. */
static char *
sums_text(const struct told *t, struct buf *why)
{
	struct quantities q = { NULL, 0 };
	struct lines l = { NULL, 0 };
	struct rating r;

	if (!told_rate(&r, t, why))
		return NULL;
	for (size_t i = 0; i < r.count; i++) {
		struct line key = r.lines[i];

		key.band = NULL;
		key.version = key.price->versions;
		exact_add(quantity_of(&q, &key, t->tariff)->sum, r.lines[i].exact);
	}
	for (size_t i = 0; i < q.count; i++) {
		char *sum = mpq_get_str(NULL, 10, q.list[i].sum);

		lines_add(&l,
		    mem_printf("%zu %s %s", q.list[i].price, q.list[i].resource, sum));
		free(sum);
	}
	quantities_done(&q);
	rating_done(&r);
	return lines_join(&l);
}

static bool
two_equal_versions_are_as_one(struct world *w, struct buf *why)
{
	size_t price = (size_t)dice_range(&w->dice, 0, (int64_t)w->price_count - 1);
	const struct w_price *p = &w->prices[price];
	size_t version = (size_t)dice_range(&w->dice, 0, (int64_t)p->version_count - 1);
	const struct w_version *v = &p->versions[version];
	int64_t cut = w->window.from.ns +
	    dice_range(&w->dice, 0, (w->window.to.ns - w->window.from.ns) / S) * S;
	struct told t;
	char *a;
	char *b;

	if ((v->from != NEVER && cut <= v->from) || (v->to != NEVER && cut >= v->to))
		return true; /* there is nothing of it on one side */
	/* Of versions recorded at once the later begun one holds: a half begins later. */
	for (size_t i = 0; i < p->version_count; i++)
		if (i != version && p->versions[i].recorded_at == v->recorded_at)
			return true;
	if (!told_open(&t, w, why))
		return false;
	a = sums_text(&t, why);
	if (!tariff_of(&t.tariff, w, price, version, cut, why)) {
		free(a);
		return false;
	}
	b = sums_text(&t, why);
	tariff_free(t.tariff);
	return same(why, a, b);
}

/* ---- 6: closed and adjusted is as if all had been known */

static char *
amounts_text(const struct told *t, const struct invoice *i, struct buf *why)
{
	struct quantities q = { NULL, 0 };
	struct lines l = { NULL, 0 };
	struct rating r;

	if (!told_rate(&r, t, why))
		return NULL;
	for (size_t k = 0; k < r.count; k++) {
		struct line key = { .sku = r.lines[k].sku,
			.resource = r.lines[k].sku,
			.band = r.lines[k].price->tax_class,
			.price = t->tariff->prices };

		key.version = key.price->versions;
		exact_add(quantity_of(&q, &key, t->tariff)->sum, r.lines[k].amount);
	}
	for (size_t k = 0; i != NULL && k < i->adjustment_count; k++) {
		struct line key = { .sku = i->adjustments[k].sku,
			.resource = i->adjustments[k].sku,
			.band = i->adjustments[k].tax_class,
			.price = t->tariff->prices };

		key.version = key.price->versions;
		exact_add(quantity_of(&q, &key, t->tariff)->sum,
		    i->adjustments[k].amount);
	}
	for (size_t k = 0; k < q.count; k++) {
		scoped_free char *sum = rat_text(q.list[k].sum);

		if (mpq_sgn(q.list[k].sum) != 0)
			lines_add(&l,
			    mem_printf("%s %s %s", q.list[k].resource, q.list[k].band,
				sum));
	}
	quantities_done(&q);
	rating_done(&r);
	return lines_join(&l);
}

static bool
invoice_of(struct invoice *out, const struct told *t, const struct period *p,
    const struct terms *terms, struct buf *why)
{
	struct invoice_job job = { t->tariff, t->usage, &zone_calendar, p, terms };
	struct err e = ERR_INIT;

	if (invoice_make(out, &job, &e))
		return true;
	buf_printf(why, "no invoice: %s", e.text);
	return false;
}

static bool
closed_and_adjusted_is_as_if_all_was_known(struct world *w, struct buf *why)
{
	struct closed_period closed = { w->window,
		{ w->window.to.ns + dice_range(&w->dice, -86400, 864000) * S } };
	struct period next = { .span = { w->window.to, { w->window.to.ns + 30 * DAY } },
		.as_of = w->known,
		.closed = &closed,
		.closed_count = 1 };
	struct terms terms;
	struct invoice i;
	struct told t;
	char *a = NULL;
	char *b = NULL;

	if (next.as_of.ns < closed.closed_at.ns)
		next.as_of = INSTANT_LAST;
	if (!told_open(&t, w, why))
		return false;
	terms_init(&terms);
	if (invoice_of(&i, &t, &next, &terms, why)) {
		t.known = closed.closed_at;
		a = amounts_text(&t, &i, why);
		t.known = next.as_of;
		b = amounts_text(&t, NULL, why);
		invoice_done(&i);
	}
	terms_done(&terms);
	return same(why, a, b);
}

/* ---- 7: parts and whole */

static bool
parts_are_the_whole(const struct invoice *i, struct buf *why)
{
	scoped_exact mpq_t sum;
	scoped_free char *whole = rat_text(i->totals.subtotal);

	mpq_init(sum);
	for (size_t k = 0; k < i->part_count; k++)
		exact_add(sum, i->parts[k].amount);
	if (mpq_equal(sum, i->totals.subtotal))
		return true;
	scoped_free char *parts = rat_text(sum);

	buf_printf(why, "%zu parts come to %s of %s", i->part_count, parts, whole);
	return false;
}

static bool
allocated_parts_are_the_whole(struct world *w, struct buf *why)
{
	struct period p = { .span = w->window, .as_of = w->known };
	struct terms terms;
	struct invoice i;
	struct told t;
	bool ok;

	if (!told_open(&t, w, why))
		return false;
	terms_init(&terms);
	terms.allocate_tag = "project";
	ok = invoice_of(&i, &t, &p, &terms, why);
	if (ok) {
		ok = parts_are_the_whole(&i, why);
		invoice_done(&i);
	}
	terms_done(&terms);
	return ok;
}

/* What a line was made of comes to the line. */
static bool
line_explains_itself(const struct line *l, const struct tariff *t, struct buf *why)
{
	scoped_exact mpq_t sum;
	bool ok;

	mpq_init(sum);
	parts_total(sum, &l->parts);
	mpq_mul(sum, sum, t->fx_rate);
	ok = mpq_equal(sum, l->exact) != 0;
	if (!ok) {
		scoped_free char *line = line_text(l, t);
		scoped_free char *text = rat_text(sum);

		buf_printf(why, "%s, but its parts come to %s", line, text);
	}
	return ok;
}

/* ---- 9: rounding */

static bool
rounded_well(const mpq_t rounded, const mpq_t exact, const mpq_t step, enum rounding mode)
{
	scoped_exact mpq_t off, twice_off, whole;
	bool half = mode == ROUND_HALF_EVEN || mode == ROUND_HALF_UP;
	int outward;

	mpq_inits(off, twice_off, whole, NULL);
	mpq_div(whole, rounded, step);
	if (mpz_cmp_ui(mpq_denref(whole), 1) != 0)
		return false;
	mpq_sub(off, rounded, exact);
	outward = mpq_sgn(off) * mpq_sgn(exact);
	mpq_abs(off, off);
	mpq_add(twice_off, off, off);
	if (half)
		return mpq_cmp(twice_off, step) < 0 ||
		    (mpq_equal(twice_off, step) &&
			(mode == ROUND_HALF_UP ? outward > 0
					       : mpz_even_p(mpq_numref(whole)) != 0));
	return mpq_cmp(off, step) < 0 && (mode == ROUND_UP ? outward >= 0 : outward <= 0);
}

static bool
lines_are_rounded_once_and_explain_themselves(struct world *w, struct buf *why)
{
	struct told t;
	struct rating r;
	bool ok;

	if (!told_open(&t, w, why))
		return false;
	ok = told_rate(&r, &t, why);
	for (size_t i = 0; ok && i < r.count; i++) {
		const struct line *l = &r.lines[i];

		ok = rounded_well(l->amount, l->exact, t.tariff->step,
			 t.tariff->rounding) &&
		    line_explains_itself(l, t.tariff, why);
		if (!ok && why->length == 0) {
			scoped_free char *line = line_text(l, t.tariff);

			buf_printf(why, "badly rounded: %s", line);
		}
	}
	if (ok)
		rating_done(&r);
	return ok;
}

bool
rounding_is_symmetric(uint64_t seed, int numbers, struct buf *why)
{
	static const unsigned long steps[][2] = { { 1, 1 }, { 1, 100 }, { 1, 1000 },
		{ 1, 20 } };
	struct dice d = { seed };
	scoped_exact mpq_t q, step, up, down;

	mpq_inits(q, step, up, down, NULL);
	for (int i = 0; i < numbers; i++) {
		const unsigned long *s = DICE_PICK(&d, steps);
		enum rounding mode = (enum rounding)dice_range(&d, 0, 3);

		mpq_set_ui(step, s[0], s[1]);
		/* A third are ties of that step. */
		mpq_set_si(q, dice_range(&d, 0, 2000000), i % 3 == 0 ? 2 * s[1] : 999983);
		mpq_canonicalize(q);
		rat_round(up, q, step, mode);
		mpq_neg(q, q);
		rat_round(down, q, step, mode);
		if (!rounded_well(down, q, step, mode)) {
			buf_printf(why, "number %d is badly rounded", i);
			return false;
		}
		mpq_neg(down, down);
		if (!mpq_equal(up, down)) {
			buf_printf(why, "number %d and its negative differ", i);
			return false;
		}
	}
	return true;
}

/* ---- 8: a full unit is one, in every zone */

static bool
unit_measures_one(const char *zone, enum per per, struct instant at, struct buf *why)
{
	static const enum calendar_unit units[] = { [PER_DAY] = UNIT_DAY,
		[PER_MONTH] = UNIT_MONTH,
		[PER_YEAR] = UNIT_YEAR };
	scoped(buf_done) struct buf text = BUF_INIT;
	struct usage_list list;
	struct rating r = { .lines = NULL };
	struct err e = ERR_INIT;
	struct rate_job job = { .usage = &list,
		.calendar = &zone_calendar,
		.known = INSTANT_LAST };
	struct tariff *t = NULL;
	bool ok;

	buf_printf(&text,
	    "{\"currency\":\"USD\",\"timezone\":\"%s\",\"prices\":[{\"sku\":\"a\","
	    "\"per\":"
	    "\"%s\",\"model\":{\"type\":\"unit\",\"price\":\"1\"}}]}",
	    zone, per_name(per));
	usage_list_init(&list);
	ok = zone_calendar.unit(NULL, zone, units[per], at, &job.window, &e) &&
	    tariff_parse(&t, buf_text(&text), text.length, &e);
	if (ok) {
		struct usage *u = usage_add(&list, USAGE_INTERVAL, "a", "r");

		u->span = (struct span){ { at.ns - 400 * DAY }, INSTANT_LAST };
		mpq_set_ui(u->qty, 1, 1);
		job.tariff = t;
		ok = rate(&r, &job, &e) && r.count == 1 &&
		    mpq_cmp_ui(r.lines[0].exact, 1, 1) == 0;
	}
	if (!ok)
		buf_printf(why, "a full %s in %s at %lld is not 1: %s", per_name(per),
		    zone, (long long)(at.ns / S), e.text);
	rating_done(&r);
	tariff_free(t);
	usage_list_done(&list);
	return ok;
}

bool
full_units_measure_one(uint64_t seed, int units, struct buf *why)
{
	const char *const *names;
	size_t count = zone_names(&names);
	struct dice d = { seed };

	if (count < 300) {
		buf_printf(why, "only %zu zones are known", count);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		for (int k = 0; k < units; k++) {
			struct instant at = { dice_range(&d, 0, INT64_C(2145916800)) *
				S };
			enum per per = (enum per)dice_range(&d, PER_DAY, PER_YEAR);

			if (!unit_measures_one(names[i], per, at, why))
				return false;
		}
	return true;
}

/* ---- more usage never costs less */

/* Not so where all units cost what the last one does, nor where usage under one version
 * carries that of the next into cheaper tiers.  sku NULL: of any. */
static bool
falls(const struct world *w, const char *sku)
{
	for (size_t i = 0; i < w->price_count; i++) {
		const struct w_price *p = &w->prices[i];

		if ((sku == NULL || strcmp(p->sku, sku) == 0) &&
		    (p->version_count > 1 || p->versions[0].model.type == MODEL_VOLUME))
			return true;
	}
	return false;
}

/* What is used beside the rest, by a resource of its own: from little to very much. */
static struct usage *
more(struct world *w, struct usage_list *out, const char *sku)
{
	bool event = strcmp(sku, "mail") == 0;
	struct usage *u;

	for (size_t i = 0; i < w->usage.count; i++)
		usage_copy(out, &w->usage.items[i]);
	u = usage_add(out, event ? USAGE_EVENT : USAGE_INTERVAL, sku, "r5");
	u->span.from.ns = w->window.from.ns +
	    dice_range(&w->dice, -86400, (w->window.to.ns - w->window.from.ns) / S) * S;
	u->span.to.ns = event ? u->span.from.ns
			      : u->span.from.ns + dice_range(&w->dice, 0, 864000) * S;
	mpq_set_ui(u->qty, (unsigned long)dice_range(&w->dice, 1, 9), 300);
	mpq_canonicalize(u->qty);
	return u;
}

static bool
total_of(mpq_t out, const struct told *t, struct buf *why)
{
	struct rating r;

	if (!told_rate(&r, t, why))
		return false;
	rating_exact(out, &r);
	rating_done(&r);
	return true;
}

/* Five steps, each seven times the one before. */
static bool
steps_rise(struct told *t, struct usage *u, struct buf *why)
{
	scoped_exact mpq_t less, greater, seven;

	mpq_inits(less, greater, seven, NULL);
	mpq_set_ui(seven, 7, 1);
	for (int i = 0; i < 5; i++) {
		mpq_set(less, greater);
		if (!total_of(greater, t, why))
			return false;
		if (mpq_cmp(greater, less) < 0) {
			scoped_free char *a = rat_text(less);
			scoped_free char *b = rat_text(greater);

			buf_printf(why, "%s, and with more usage only %s", a, b);
			return false;
		}
		mpq_mul(u->qty, u->qty, seven);
	}
	return true;
}

static bool
more_usage_never_costs_less(struct world *w, struct buf *why)
{
	static const char *const skus[] = { "run", "disk", "mail" };
	const char *sku = DICE_PICK(&w->dice, skus);
	struct usage_list added;
	struct told t;
	bool ok;

	if (falls(w, sku))
		return true;
	if (!told_open(&t, w, why))
		return false;
	usage_list_init(&added);
	t.usage = &added;
	ok = steps_rise(&t, more(w, &added, sku), why);
	usage_list_done(&added);
	return ok;
}

/* ---- price lists as text */

static bool
a_price_list_survives_its_text(struct world *w, struct buf *why)
{
	scoped(buf_done) struct buf document = BUF_INIT;
	scoped(buf_done) struct buf text = BUF_INIT;
	struct tariff_loaded l;
	struct tariff_loaded again;
	struct err e = ERR_INIT;
	struct told t;
	char *a;
	char *b;

	if (!dice_chance(&w->dice, 25))
		return true;
	world_tariff(&document, w, NO_PRICE, NO_PRICE, 0);
	if (!tariff_load_err(&l, buf_text(&document), document.length, &e) ||
	    !tariff_text_of(&text, &l, &e) ||
	    !tariff_load_err(&again, buf_text(&text), text.length, &e)) {
		buf_printf(why, "%s\n%s", e.text, buf_text(&text));
		return false;
	}
	t = (struct told){ .w = w,
		.tariff = l.tariff,
		.usage = &w->usage,
		.window = w->window,
		.known = w->known };
	a = plain_text(w, why);
	t.tariff = again.tariff;
	b = told_text(&t, why);
	tariff_loaded_done(&l);
	tariff_loaded_done(&again);
	return same(why, a, b);
}

/* ---- when prepaid funds end */

static bool
charged_at(mpq_t out, struct told *t, int64_t at, struct buf *why)
{
	struct rate_job job = job_of(t);
	struct rating r;
	struct err e = ERR_INIT;

	mpq_set_ui(out, 0, 1);
	if (at <= t->window.from.ns)
		return true;
	job.window.to.ns = at;
	job.events_at_end = true;
	if (!rate(&r, &job, &e)) {
		buf_printf(why, "%s", e.text);
		return false;
	}
	rating_exact(out, &r);
	rating_done(&r);
	return true;
}

static bool
lock_is_first(struct told *t, const struct invoice *i, const mpq_t funds, struct buf *why)
{
	scoped_exact mpq_t before, then;
	int64_t at = i->locks ? i->lock_at.ns : t->window.to.ns;

	mpq_inits(before, then, NULL);
	if (!charged_at(then, t, at, why) || !charged_at(before, t, at - S, why))
		return false;
	if (i->locks ? mpq_cmp(then, funds) >= 0 &&
		    (at == t->window.from.ns || mpq_cmp(before, funds) < 0)
		     : mpq_cmp(then, funds) < 0)
		return true;
	buf_printf(why, "funds do not end at %lld", (long long)(at / S));
	return false;
}

static bool
funds_end_in_the_first_second_that_reaches_them(struct world *w, struct buf *why)
{
	struct period p = { .span = w->window, .as_of = w->known };
	struct terms terms;
	struct invoice i;
	struct told t;
	bool ok;

	/* Some twenty ratings each: a few are enough. */
	if (falls(w, NULL) || !dice_chance(&w->dice, 4))
		return true;
	if (!told_open(&t, w, why))
		return false;
	terms_init(&terms);
	terms.prepaid = true;
	ok = total_of(terms.funds, &t, why);
	exact_scale(terms.funds, terms.funds, dice_range(&w->dice, 0, 120), 100);
	ok = ok && invoice_of(&i, &t, &p, &terms, why);
	if (ok) {
		ok = lock_is_first(&t, &i, terms.funds, why);
		invoice_done(&i);
	}
	terms_done(&terms);
	return ok;
}

#define PROPERTY(name)                                                                   \
	{                                                                                \
#name, name                                                              \
	}
const struct property properties[] = { PROPERTY(splitting_an_interval_changes_nothing),
	PROPERTY(any_order_of_arrival_gives_the_same),
	PROPERTY(delivered_twice_counts_once),
	PROPERTY(any_windows_give_what_one_run_gives),
	PROPERTY(two_equal_versions_are_as_one),
	PROPERTY(closed_and_adjusted_is_as_if_all_was_known),
	PROPERTY(allocated_parts_are_the_whole),
	PROPERTY(lines_are_rounded_once_and_explain_themselves),
	PROPERTY(rating_twice_gives_the_same),
	PROPERTY(resource_by_resource_is_as_all_at_once),
	PROPERTY(more_usage_never_costs_less), PROPERTY(a_price_list_survives_its_text),
	PROPERTY(funds_end_in_the_first_second_that_reaches_them) };
const size_t property_count = ARRAY_LEN(properties);
