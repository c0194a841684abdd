/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_show: a price list's document as people write it */
#include "billing/sku.h"
#include "billing/tariff_text.h"
#include <string.h>

static const char *const day_words[] = { "mon", "tue", "wed", "thu", "fri", "sat",
	"sun" };

/* In quotes where blanks or a # would end it. */
static void
word_write(struct buf *b, const char *text)
{
	if (*text != '\0' && strpbrk(text, " \t\r#\"") == NULL) {
		buf_puts(b, text);
		return;
	}
	buf_putc(b, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_putc(b, '"');
		buf_putc(b, *text);
	}
	buf_putc(b, '"');
}

static const char *
text_at(const struct jval *v, const char *key)
{
	const char *text = json_text(json_get(v, key));

	return text == NULL ? "" : text;
}

static bool
has(const struct jval *v, const char *key)
{
	enum json_type type = json_type(json_get(v, key));

	return type != JSON_ABSENT && type != JSON_NULL;
}

/* " word VALUE" where the key is there. */
static void
option_write(struct buf *b, const struct jval *v, const char *key, const char *word)
{
	if (!has(v, key))
		return;
	buf_printf(b, " %s ", word);
	word_write(b, text_at(v, key));
}

static void
line_write(struct buf *b, const struct jval *v, const char *key, const char *word)
{
	if (!has(v, key))
		return;
	buf_printf(b, "%s ", word);
	word_write(b, text_at(v, key));
	buf_putc(b, '\n');
}

static void
tiers_write(struct buf *b, const struct jval *m, const char *word, const char *indent)
{
	const struct jval *list = json_get(m, "tiers");

	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		buf_printf(b, "%s%s ", indent, word);
		if (has(v, "up_to"))
			buf_printf(b, "to %s", text_at(v, "up_to"));
		else
			buf_puts(b, "above");
		buf_printf(b, " at %s", text_at(v, "price"));
		if (has(v, "flat"))
			buf_printf(b, " plus %s", text_at(v, "flat"));
		buf_putc(b, '\n');
	}
}

/* [1,2,3,4,5] as mon,tue,wed,thu,fri: short forms are for writing. */
static void
days_write(struct buf *b, const struct jval *days)
{
	bool first = true;

	for (const struct jval *v = json_first(days); v != NULL; v = json_next(v)) {
		int64_t day = 0;
		struct err e = ERR_INIT;

		if (!json_i64(&day, v, &e) || day < 1 || day > 7)
			continue;
		buf_printf(b, "%s%s", first ? " " : ",", day_words[day - 1]);
		first = false;
	}
}

static void
bands_write(struct buf *b, const struct jval *m, const char *indent)
{
	const struct jval *list = json_get(m, "bands");

	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		buf_printf(b, "%sband ", indent);
		word_write(b, text_at(v, "name"));
		buf_printf(b, " %s to %s", text_at(v, "from"), text_at(v, "to"));
		days_write(b, json_get(v, "days"));
		buf_printf(b, " at %s\n", text_at(v, "price"));
	}
	buf_printf(b, "%sotherwise", indent);
	if (has(m, "default_name")) {
		buf_putc(b, ' ');
		word_write(b, text_at(m, "default_name"));
	}
	buf_printf(b, " at %s\n", text_at(m, "price"));
}

static void
model_write(struct buf *b, const struct jval *m, const char *indent)
{
	static const char *const modifiers[][2] = { { "free_units", "free" },
		{ "discount_pct", "discount" }, { "minimum", "minimum" },
		{ "maximum", "maximum" } };
	const char *type = text_at(m, "type");

	if (strcmp(type, "unit") == 0)
		buf_printf(b, "%sunit %s\n", indent, text_at(m, "price"));
	if (strcmp(type, "graduated") == 0)
		tiers_write(b, m, "tier", indent);
	if (strcmp(type, "volume") == 0)
		tiers_write(b, m, "volume", indent);
	if (strcmp(type, "package") == 0)
		buf_printf(b, "%spackage %s at %s\n", indent, text_at(m, "size"),
		    text_at(m, "price"));
	if (strcmp(type, "commit") == 0)
		buf_printf(b, "%scommit %s at %s over %s\n", indent, text_at(m, "units"),
		    text_at(m, "price"), text_at(m, "overage"));
	if (strcmp(type, "tou") == 0)
		bands_write(b, m, indent);
	for (size_t i = 0; i < ARRAY_LEN(modifiers); i++)
		if (has(m, modifiers[i][0]))
			buf_printf(b, "%s%s %s\n", indent, modifiers[i][1],
			    text_at(m, modifiers[i][0]));
}

static void
versions_write(struct buf *b, const struct jval *p)
{
	const struct jval *list = json_get(p, "versions");

	if (has(p, "model"))
		model_write(b, json_get(p, "model"), "    ");
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v)) {
		bool bounded = has(v, "from") || has(v, "to") || has(v, "recorded_at");

		buf_puts(b, "   ");
		option_write(b, v, "from", "from");
		option_write(b, v, "to", "to");
		option_write(b, v, "recorded_at", "recorded");
		buf_puts(b, bounded ? "\n" : " always\n");
		model_write(b, json_get(v, "model"), "        ");
	}
}

static void
divisor_write(struct buf *b, const struct jval *p)
{
	const char *measure = tariff_measure(text_at(p, "divisor"),
	    sku_own_unit(text_at(p, "sku")));

	if (measure == NULL)
		option_write(b, p, "divisor", "divisor");
	else
		buf_printf(b, " in %s", measure);
}

/* Sorted: a list is written the same way whoever wrote it first. */
static void
match_write(struct buf *b, const struct jval *match)
{
	const struct jval *last = NULL;

	for (size_t n = json_count(match); n > 0; n--) {
		const struct jval *next = NULL;

		for (const struct jval *v = json_first(match); v != NULL;
		     v = json_next(v))
			if ((last == NULL || strcmp(json_name(v), json_name(last)) > 0) &&
			    (next == NULL || strcmp(json_name(v), json_name(next)) < 0))
				next = v;
		buf_puts(b, " where ");
		word_write(b, json_name(next));
		buf_putc(b, ' ');
		word_write(b, json_text(next));
		last = next;
	}
}

void
tariff_text_name(struct buf *b, const struct jval *price)
{
	buf_puts(b, "price ");
	word_write(b, text_at(price, "sku"));
	match_write(b, json_get(price, "match"));
	option_write(b, price, "priority", "priority");
}

void
tariff_text_price(struct buf *b, const struct jval *p)
{
	tariff_text_name(b, p);
	divisor_write(b, p);
	option_write(b, p, "per", "per");
	option_write(b, p, "anchor", "anchor");
	option_write(b, p, "granularity", "started");
	option_write(b, p, "min_seconds", "shortest");
	option_write(b, p, "aggregate", "take");
	option_write(b, p, "group_by", "by");
	option_write(b, p, "tax_class", "taxed");
	buf_putc(b, '\n');
	versions_write(b, p);
}

static void
tax_write(struct buf *b, const struct jval *tax)
{
	const struct jval *classes = json_get(tax, "classes");

	if (json_type(tax) != JSON_OBJECT)
		return;
	buf_printf(b, "tax%s%s", has(tax, "mode") ? " " : "", text_at(tax, "mode"));
	option_write(b, tax, "rounding", "rounding");
	buf_putc(b, '\n');
	for (const struct jval *v = json_first(classes); v != NULL; v = json_next(v)) {
		buf_puts(b, "class ");
		word_write(b, json_name(v));
		buf_printf(b, " %s\n", json_text(v));
	}
}

void
tariff_text_head(struct buf *out, const struct jval *document)
{
	const struct jval *fx = json_get(document, "fx");

	line_write(out, document, "currency", "currency");
	line_write(out, document, "timezone", "timezone");
	line_write(out, document, "rounding", "rounding");
	line_write(out, document, "increment", "increment");
	if (json_type(fx) == JSON_OBJECT)
		buf_printf(out, "fx %s %s\n", text_at(fx, "to"), text_at(fx, "rate"));
	tax_write(out, json_get(document, "tax"));
}

void
tariff_text_write(struct buf *out, const struct jval *document)
{
	const struct jval *prices = json_get(document, "prices");

	tariff_text_head(out, document);
	for (const struct jval *v = json_first(prices); v != NULL; v = json_next(v)) {
		buf_putc(out, '\n');
		tariff_text_price(out, v);
	}
}
