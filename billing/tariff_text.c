/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_text: price lists as people write them, line by line */
#include "base/rat.h"
#include "billing/tariff_draft.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 256

struct reader {
	struct arena *arena;
	struct tariff_fault *fault;
	size_t line;
	const char *source; /* the line as it came: columns are counted in it */
	char *copy;         /* the same, cut into words */
	size_t length;
	char *words[WORDS_MAX + 1];
	size_t count;
	struct draft draft;
};

bool
tariff_fault_set(struct tariff_fault *f, struct text_at at, const char *reason,
    const char *remedy)
{
	f->at = at;
	(void)snprintf(f->reason, sizeof(f->reason), "%s", reason);
	(void)snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	return false;
}

/* Where a word of the present line stands; of anything else the line's first word. */
static struct text_at
place_of(const struct reader *r, const char *word)
{
	struct text_at at = { r->line, 1 };
	const char *blank = r->source;

	if (word < r->copy || word > r->copy + r->length) {
		while (blank < r->source + r->length && (*blank == ' ' || *blank == '\t'))
			blank++;
		at.column += (size_t)(blank - r->source);
		return at;
	}
	at.column = text_column(r->source, (size_t)(word - r->copy));
	return at;
}

static bool
refuse_word(struct reader *r, const char *word, const char *reason, const char *remedy)
{
	return tariff_fault_set(r->fault, place_of(r, word), reason, remedy);
}

static bool
refuse(struct reader *r, const char *reason, const char *remedy)
{
	return refuse_word(r, NULL, reason, remedy);
}

/* ---- what was read */

/* Said twice is a mistake: which one was meant? */
static bool
entry_made(struct reader *r, struct entries *e, const struct entry *made,
    const char *word)
{
	struct entry one = { made->key, arena_strdup(r->arena, made->value), made->raw,
		place_of(r, word) };

	if (entries_value(e, made->key) != NULL)
		return refuse_word(r, word,
		    arena_printf(r->arena, "%s is said a second time", made->key),
		    "leave only one of them");
	entries_add(e, &one);
	return true;
}

static bool
entry_add(struct reader *r, struct entries *e, const char *key, const char *word)
{
	return entry_made(r, e, &(struct entry){ .key = key, .value = word }, word);
}

/* Another text than the word that said it; raw: without quotes in the document. */
static bool
entry_raw(struct reader *r, struct entries *e, const char *key, const char *value,
    const char *word)
{
	return entry_made(r, e,
	    &(struct entry){ .key = key, .value = value, .raw = true }, word);
}

/* The price that lines belong to: there is one before any of them is read. */
static struct draft_price *
price_now(struct reader *r)
{
	return &r->draft.prices[r->draft.price_count - 1];
}

static struct draft_version *
version_now(struct reader *r)
{
	struct draft_price *p = price_now(r);

	return &p->versions[p->version_count - 1];
}

/* ---- words */

/* Whether a line is text at all: UTF-8, without bytes that no editor shows. */
static bool
line_is_text(const char *p, size_t n)
{
	while (n > 0) {
		size_t c = utf8_length(p, n);

		if (c == 0 || ((unsigned char)*p < 0x20 && *p != '\t' && *p != '\r') ||
		    *p == 0x7f)
			return false;
		p += c;
		n -= c;
	}
	return true;
}

/* The word in quotes moves to where it began, without them; "" in it is one quote. */
static char *
quoted_end(char *word)
{
	char *to = word;

	for (char *p = word + 1; *p != '\0'; p++) {
		if (*p == '"' && p[1] != '"') {
			*to = '\0';
			return p + 1;
		}
		*to++ = *p;
		if (*p == '"')
			p++;
	}
	return NULL;
}

/* "a b" in quotes is one word; a # outside of quotes ends the line. */
static bool
words_split(struct reader *r)
{
	char *p = r->copy;

	r->count = 0;
	for (;;) {
		p += strspn(p, " \t\r");
		if (*p == '\0' || *p == '#')
			return true;
		if (r->count == WORDS_MAX)
			return refuse_word(r, p, "more words than any line needs",
			    "write one statement a line");
		if (*p == '"') {
			r->words[r->count++] = p;
			p = quoted_end(p);
			if (p == NULL)
				return refuse_word(r, r->words[r->count - 1],
				    "a quote has no end",
				    "close it with \" on the same line");
			continue;
		}
		r->words[r->count++] = p;
		p += strcspn(p, " \t\r#\"");
		if (*p == '"')
			return refuse_word(r, p, "a quote stands within a word",
			    "put the whole word in quotes, as in \"two words\"");
		if (*p == '\0')
			return true;
		if (*p == '#') {
			*p = '\0';
			return true;
		}
		*p++ = '\0';
	}
}

/* The word at a place, or NULL. */
static const char *
word(const struct reader *r, size_t i)
{
	return i < r->count ? r->words[i] : NULL;
}

static bool
word_is(const struct reader *r, size_t i, const char *text)
{
	return i < r->count && strcmp(r->words[i], text) == 0;
}

/* "19%" is a share of "0.19". */
static bool
share_text(struct reader *r, const char *text, const char **out)
{
	size_t n = strlen(text);
	char digits[RAT_DIGITS_MAX + 2] = "";
	struct err e = ERR_INIT;
	bool ok;
	mpq_t q;
	mpq_t hundred;

	*out = text;
	if (n == 0 || n > RAT_DIGITS_MAX || text[n - 1] != '%')
		return true;
	memcpy(digits, text, n - 1);
	mpq_inits(q, hundred, NULL);
	mpq_set_ui(hundred, 100, 1);
	ok = rat_parse(q, digits, &e);
	if (ok) {
		scoped_free char *share = NULL;

		mpq_div(q, q, hundred);
		share = rat_text(q);
		*out = arena_strdup(r->arena, share);
	}
	mpq_clears(q, hundred, NULL);
	return ok ||
	    refuse_word(r, text, arena_printf(r->arena, "%s is no percentage", text),
		"write it as 19% or as 0.19");
}

/* ---- statements of the whole list */

static bool
one_value(struct reader *r, struct entries *e, const char *key, const char *example)
{
	if (r->count != 2)
		return refuse(r, arena_printf(r->arena, "%s takes one word", r->words[0]),
		    arena_printf(r->arena, "write %s", example));
	return entry_add(r, e, key, r->words[1]);
}

static bool
currency_line(struct reader *r)
{
	return one_value(r, &r->draft.of, "currency", "currency USD");
}

static bool
timezone_line(struct reader *r)
{
	return one_value(r, &r->draft.of, "timezone", "timezone Europe/Berlin");
}

static bool
rounding_line(struct reader *r)
{
	return one_value(r, &r->draft.of, "rounding", "rounding half_even");
}

static bool
increment_line(struct reader *r)
{
	return one_value(r, &r->draft.of, "increment", "increment 0.05");
}

static bool
fx_line(struct reader *r)
{
	if (r->count != 3)
		return refuse(r, "fx takes a currency and a rate",
		    "write fx KRW 1387.25");
	r->draft.fx_at = place_of(r, NULL);
	return entry_add(r, &r->draft.fx, "to", r->words[1]) &&
	    entry_add(r, &r->draft.fx, "rate", r->words[2]);
}

static bool
tax_line(struct reader *r)
{
	size_t at = word_is(r, 1, "rounding") ? 1 : 2;
	bool rounding = r->count == at + 2 && word_is(r, at, "rounding");

	if (!rounding && r->count != 1 && r->count != 2)
		return refuse(r, "tax takes its mode, and its rounding if it has its own",
		    "write tax exclusive, or tax exclusive rounding down");
	r->draft.tax_at = place_of(r, NULL);
	return (at == 1 || r->count == 1 ||
		   entry_add(r, &r->draft.tax, "mode", r->words[1])) &&
	    (!rounding || entry_add(r, &r->draft.tax, "rounding", r->words[at + 1]));
}

static bool
class_line(struct reader *r)
{
	const char *rate = NULL;

	if (r->count != 3)
		return refuse(r, "class takes a name and a rate",
		    "write class standard 19%");
	if (r->draft.tax_at.line == 0)
		return refuse(r, "a tax class stands before its tax",
		    "write a line \"tax exclusive\" or \"tax inclusive\" above it");
	return share_text(r, r->words[2], &rate) &&
	    entry_made(r, &r->draft.classes,
		&(struct entry){ arena_strdup(r->arena, r->words[1]), rate, false,
		    { 0, 0 } },
		r->words[2]);
}

/* ---- options of a price, on its own line or below it */

struct option {
	const char *word;
	const char *key;
	size_t values; /* words that it takes */
};
static const struct option options[] = { { "per", "per", 1 }, { "by", "group_by", 1 },
	{ "priority", "priority", 1 }, { "taxed", "tax_class", 1 },
	{ "started", "granularity", 1 }, { "shortest", "min_seconds", 1 },
	{ "anchor", "anchor", 1 }, { "divisor", "divisor", 1 },
	{ "take", "aggregate", 1 }, { "in", "divisor", 1 }, { "where", NULL, 2 } };

/* "in GiB": the divisor that makes it of the raw unit. */
struct measure {
	const char *word;
	const char *divisor;
	const char *unit; /* what it is usual for */
};
static const struct measure measures[] = { { "KiB", "1024", "byte" },
	{ "MiB", "1048576", "byte" }, { "GiB", "1073741824", "byte" },
	{ "TiB", "1099511627776", "byte" }, { "kB", "1000", "byte" },
	{ "MB", "1000000", "byte" }, { "GB", "1000000000", "byte" },
	{ "TB", "1000000000000", "byte" }, { "hours", "3600", "vCPU-second" },
	{ "minutes", "60", "vCPU-second" }, { "thousands", "1000", "request" },
	{ "millions", "1000000", "request" } };

const char *
tariff_measure(const char *divisor, const char *unit)
{
	for (size_t i = 0; unit != NULL && i < ARRAY_LEN(measures); i++)
		if (strcmp(measures[i].divisor, divisor) == 0 &&
		    strcmp(measures[i].unit, unit) == 0)
			return measures[i].word;
	return NULL;
}

static const struct option *
option_find(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strcmp(options[i].word, text) == 0)
			return &options[i];
	return NULL;
}

/* Goes into the document as a number: no zeros before it. */
static bool
whole(const char *text)
{
	const char *digits = text + (*text == '-' ? 1 : 0);

	return *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0' &&
	    (*digits != '0' || digits[1] == '\0');
}

static bool
option_add(struct reader *r, struct draft_price *p, const struct option *o, size_t at)
{
	const char *value = r->words[at + 1];

	if (o->key == NULL)
		return entry_add(r, &p->match, arena_strdup(r->arena, value),
		    r->words[at + 2]);
	if (strcmp(o->key, "priority") == 0 && whole(value))
		return entry_raw(r, &p->of, o->key, value, value);
	if (strcmp(o->word, "in") != 0)
		return entry_add(r, &p->of, o->key, value);
	for (size_t i = 0; i < ARRAY_LEN(measures); i++)
		if (strcmp(measures[i].word, value) == 0)
			return entry_made(r, &p->of,
			    &(struct entry){ "divisor", measures[i].divisor, false,
				{ 0, 0 } },
			    value);
	return refuse_word(r, value, arena_printf(r->arena, "in %s is not known", value),
	    "use KiB, MiB, GiB, TiB, kB, MB, GB, TB, hours, minutes, thousands or "
	    "millions, or write divisor and a number");
}

static bool
options_read(struct reader *r, struct draft_price *p, size_t at)
{
	while (at < r->count) {
		const struct option *o = option_find(r->words[at]);

		if (o == NULL)
			return refuse_word(r, r->words[at],
			    arena_printf(r->arena, "%s is no option of a price",
				r->words[at]),
			    "use per, by, where, priority, taxed, started, shortest, "
			    "anchor, divisor, in, or take");
		if (at + o->values >= r->count)
			return refuse_word(r, r->words[at],
			    arena_printf(r->arena, "%s needs %zu word%s behind it",
				o->word, o->values, o->values == 1 ? "" : "s"),
			    "as in: price vcpu per hour by resource where offering "
			    "small");
		if (!option_add(r, p, o, at))
			return false;
		at += o->values + 1;
	}
	return true;
}

static bool
price_line(struct reader *r)
{
	struct draft_price *p;

	if (r->count < 2)
		return refuse(r, "a price needs the sku that it is for",
		    "write price vcpu per hour");
	p = draft_price_add(&r->draft, place_of(r, NULL));
	return entry_add(r, &p->of, "sku", r->words[1]) && options_read(r, p, 2);
}

/* ---- versions and models */

/* "from T to T recorded T", each if there is one; "always" without. */
static bool
version_line(struct reader *r)
{
	struct draft_price *p = price_now(r);
	size_t first = word_is(r, 0, "always") ? 1 : 0;
	static const char *const keys[][2] = { { "from", "from" }, { "to", "to" },
		{ "recorded", "recorded_at" } };

	if (p->version_count > 0 && !p->versioned)
		return refuse(r, "a version stands behind a model without one",
		    "write from, to or recorded above the first model");
	p->versioned = true;
	(void)draft_version_add(p, place_of(r, NULL));
	for (size_t i = first; i < r->count; i += 2) {
		const char *key = NULL;

		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			if (word_is(r, i, keys[k][0]))
				key = keys[k][1];
		if (key == NULL || i + 1 >= r->count)
			return refuse_word(r, word(r, i),
			    "a version says from, to or recorded, each with a time",
			    "write from 2026-07-01T00:00:00Z");
		if (!entry_add(r, &version_now(r)->of, key, r->words[i + 1]))
			return false;
	}
	return true;
}

/* The model that a line belongs to; each line of it must be of one type. */
static bool
model_now(struct reader *r, const char *type, struct draft_model **out)
{
	struct draft_price *p = price_now(r);
	struct draft_model *m;

	if (p->version_count == 0)
		(void)draft_version_add(p, place_of(r, NULL));
	m = &version_now(r)->model;
	if (m->at.line == 0)
		m->at = place_of(r, NULL);
	if (type != NULL && m->type != NULL && strcmp(m->type, type) != 0)
		return refuse(r,
		    arena_printf(r->arena,
			"this price is %s already, and can't be %s too", m->type, type),
		    "write a price of its own for it");
	if (type != NULL)
		m->type = type;
	*out = m;
	return true;
}

static bool
unit_line(struct reader *r)
{
	struct draft_model *m;

	return model_now(r, "unit", &m) && one_value(r, &m->of, "price", "unit 0.0060");
}

/* "tier to 100 at 0.05 plus 1" or "tier above at 0.03". */
static bool
tier_read(struct reader *r, const char *type)
{
	struct draft_model *m;
	struct group *g;
	bool above = word_is(r, 1, "above");
	size_t at = above ? 2 : 3;
	const char *flat = word(r, at + 3);

	if (!model_now(r, type, &m))
		return false;
	if ((!above && !word_is(r, 1, "to")) || !word_is(r, at, "at") ||
	    word(r, at + 1) == NULL ||
	    !(r->count == at + 2 || (r->count == at + 4 && word_is(r, at + 2, "plus"))))
		return refuse(r, "this is no tier",
		    arena_printf(r->arena,
			"write %s to 100 at 0.05, and for the last one %s above at 0.03",
			r->words[0], r->words[0]));
	g = groups_add(&m->tiers, place_of(r, NULL));
	return (above ? entry_raw(r, &g->of, "up_to", "null", r->words[1])
		      : entry_add(r, &g->of, "up_to", r->words[2])) &&
	    entry_add(r, &g->of, "price", r->words[at + 1]) &&
	    (r->count == at + 2 || entry_add(r, &g->of, "flat", flat));
}

static bool
tier_line(struct reader *r)
{
	return tier_read(r, "graduated");
}

static bool
volume_line(struct reader *r)
{
	return tier_read(r, "volume");
}

static bool
package_line(struct reader *r)
{
	struct draft_model *m;

	if (!model_now(r, "package", &m))
		return false;
	if (r->count != 4 || !word_is(r, 2, "at"))
		return refuse(r, "a package has a size and a price",
		    "write package 100 at 0.50");
	return entry_add(r, &m->of, "size", r->words[1]) &&
	    entry_add(r, &m->of, "price", r->words[3]);
}

static bool
commit_line(struct reader *r)
{
	struct draft_model *m;

	if (!model_now(r, "commit", &m))
		return false;
	if (r->count != 6 || !word_is(r, 2, "at") || !word_is(r, 4, "over"))
		return refuse(r, "a commitment has units, their price, and one for more",
		    "write commit 100 at 0.01 over 0.02");
	return entry_add(r, &m->of, "units", r->words[1]) &&
	    entry_add(r, &m->of, "price", r->words[3]) &&
	    entry_add(r, &m->of, "overage", r->words[5]);
}

static const char *const day_words[] = { "mon", "tue", "wed", "thu", "fri", "sat",
	"sun" };

static int
day_number(const char *text, size_t length)
{
	for (int i = 0; i < 7; i++)
		if (length == 3 && strncmp(text, day_words[i], 3) == 0)
			return i + 1;
	return 0;
}

/* "mon-fri" or "sat,sun" as "[1,2,3,4,5]". */
static bool
days_text(struct reader *r, const char *text, const char **out)
{
	struct buf b = BUF_INIT;
	const char *p = text;
	bool ok = true;

	buf_putc(&b, '[');
	while (ok && *p != '\0') {
		size_t n = strcspn(p, ",");
		const char *dash = memchr(p, '-', n);
		size_t first = dash == NULL ? n : (size_t)(dash - p);
		int from = day_number(p, first);
		int to = dash == NULL ? from : day_number(dash + 1, n - first - 1);

		ok = from > 0 && to >= from;
		for (int d = from; ok && d <= to; d++)
			buf_printf(&b, "%s%d", b.length > 1 ? "," : "", d);
		p += n + (p[n] == ',' ? 1 : 0);
	}
	buf_putc(&b, ']');
	*out = arena_strdup(r->arena, buf_text(&b));
	buf_done(&b);
	return ok ||
	    refuse_word(r, text, arena_printf(r->arena, "%s are no days", text),
		"write days as mon-fri or sat,sun");
}

/* "band night 22:00 to 06:00 mon-fri at 0.002" */
static bool
band_line(struct reader *r)
{
	struct draft_model *m;
	struct group *g;
	const char *days = NULL;
	size_t at = r->count == 8 ? 6 : 5;

	if (!model_now(r, "tou", &m))
		return false;
	if ((r->count != 7 && r->count != 8) || !word_is(r, 3, "to") ||
	    !word_is(r, at, "at"))
		return refuse(r,
		    "a band has a name, two times, perhaps days, and a price",
		    "write band night 22:00 to 06:00 at 0.002, or ... 06:00 mon-fri at "
		    "...");
	g = groups_add(&m->bands, place_of(r, NULL));
	return entry_add(r, &g->of, "name", r->words[1]) &&
	    (r->count == 7 ||
		(days_text(r, r->words[5], &days) &&
		    entry_raw(r, &g->of, "days", days, r->words[5]))) &&
	    entry_add(r, &g->of, "from", r->words[2]) &&
	    entry_add(r, &g->of, "to", r->words[4]) &&
	    entry_add(r, &g->of, "price", r->words[at + 1]);
}

static bool
otherwise_line(struct reader *r)
{
	struct draft_model *m;

	if (!model_now(r, "tou", &m))
		return false;
	if ((r->count != 3 && r->count != 4) || !word_is(r, r->count - 2, "at"))
		return refuse(r, "what holds outside of all bands has a name and a price",
		    "write otherwise day at 0.007");
	return (r->count == 3 || entry_add(r, &m->of, "default_name", r->words[1])) &&
	    entry_add(r, &m->of, "price", r->words[r->count - 1]);
}

static bool
modifier(struct reader *r, const char *key)
{
	struct draft_model *m;
	char *value;

	if (!model_now(r, NULL, &m))
		return false;
	if (r->count != 2)
		return refuse(r,
		    arena_printf(r->arena, "%s takes one number", r->words[0]),
		    arena_printf(r->arena, "write %s 10", r->words[0]));
	value = r->words[1];
	if (strcmp(key, "discount_pct") == 0 && *value != '\0' &&
	    value[strlen(value) - 1] == '%')
		value[strlen(value) - 1] = '\0';
	return entry_add(r, &m->of, key, value);
}

static bool
free_line(struct reader *r)
{
	return modifier(r, "free_units");
}

static bool
discount_line(struct reader *r)
{
	return modifier(r, "discount_pct");
}

static bool
minimum_line(struct reader *r)
{
	return modifier(r, "minimum");
}

static bool
maximum_line(struct reader *r)
{
	return modifier(r, "maximum");
}

struct statement_word {
	const char *word;
	bool of_price; /* stands below a price; else above all of them */
	bool (*read)(struct reader *r);
};
static const struct statement_word statements[] = { { "currency", false, currency_line },
	{ "timezone", false, timezone_line }, { "rounding", false, rounding_line },
	{ "increment", false, increment_line }, { "fx", false, fx_line },
	{ "tax", false, tax_line }, { "class", false, class_line },
	{ "from", true, version_line }, { "to", true, version_line },
	{ "recorded", true, version_line }, { "always", true, version_line },
	{ "unit", true, unit_line }, { "tier", true, tier_line },
	{ "volume", true, volume_line }, { "package", true, package_line },
	{ "commit", true, commit_line }, { "band", true, band_line },
	{ "otherwise", true, otherwise_line }, { "free", true, free_line },
	{ "discount", true, discount_line }, { "minimum", true, minimum_line },
	{ "maximum", true, maximum_line } };

static bool
statement_read(struct reader *r, const struct statement_word *s)
{
	if (s->of_price && r->draft.price_count == 0)
		return refuse(r,
		    arena_printf(r->arena, "%s stands before any price", s->word),
		    "write the price that it belongs to above it");
	if (!s->of_price && r->draft.price_count > 0)
		return refuse(r,
		    arena_printf(r->arena, "%s stands behind a price", s->word),
		    "what holds for the whole list stands above its prices");
	return s->read(r);
}

static bool
line_read(struct reader *r)
{
	const char *first = r->words[0];

	if (strcmp(first, "price") == 0)
		return price_line(r);
	for (size_t i = 0; i < ARRAY_LEN(statements); i++)
		if (strcmp(statements[i].word, first) == 0)
			return statement_read(r, &statements[i]);
	if (r->draft.price_count > 0 && option_find(first) != NULL)
		return options_read(r, price_now(r), 0);
	return refuse(r,
	    arena_printf(r->arena, "\"%.60s\" is no word of a price list", first),
	    "begin the line with currency, timezone, rounding, increment, fx, tax, "
	    "class, "
	    "price; or below a price with unit, tier, volume, package, commit, band, "
	    "otherwise, free, discount, minimum, maximum, from, to, recorded, always");
}

/* A price without a model, or with modifiers alone, would charge nothing. */
static bool
price_priced(const struct draft_price *p, struct text_at *at)
{
	*at = p->at;
	for (size_t i = 0; i < p->version_count; i++) {
		if (p->versioned)
			*at = p->versions[i].at;
		if (p->versions[i].model.type == NULL)
			return false;
	}
	return p->version_count > 0;
}

static bool
models_check(struct reader *r)
{
	struct text_at at;

	for (size_t i = 0; i < r->draft.price_count; i++) {
		const struct draft_price *p = &r->draft.prices[i];

		if (!price_priced(p, &at))
			return tariff_fault_set(r->fault, at,
			    arena_printf(r->arena,
				"the price of %s does not say what it costs",
				entries_value(&p->of, "sku")),
			    "write below it unit 0.01, or tier, volume, package, commit, "
			    "band");
	}
	return true;
}

static bool
lines_read(struct reader *r, const char *text, size_t length)
{
	const char *end = text + length;

	for (const char *p = text; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = newline == NULL ? (size_t)(end - p) : (size_t)(newline - p);

		r->source = p;
		r->length = n;
		r->copy = NULL;
		if (++r->line > TARIFF_TEXT_LINES_MAX)
			return refuse(r, "the list has too many lines",
			    "split it into several price lists");
		if (!line_is_text(p, n))
			return refuse(r, "bytes that are no text stand in this line",
			    "save the file as plain text in UTF-8");
		r->copy = arena_strndup(r->arena, p, n);
		if (!words_split(r) || (r->count > 0 && !line_read(r)))
			return false;
		p += n + 1;
	}
	return true;
}

bool
tariff_text_read(struct buf *json_out, struct tariff_places *places, struct arena *a,
    const char *text, size_t length, struct tariff_fault *fault)
{
	struct reader r = { .arena = a, .fault = fault };
	bool ok = lines_read(&r, text, length) && models_check(&r);

	if (ok)
		draft_write(&r.draft, json_out, places, a);
	draft_done(&r.draft);
	return ok;
}
