/* SPDX-License-Identifier: Apache-2.0 */
/* explain_text: an explanation as lines for people, in which every sum adds up */
#include "billing/explain_text.h"
#include "base/mem.h"
#include "base/rat.h"
#include <string.h>

#define ROWS_SHOWN 60
#define PLACES_SHOWN 6

static const char *
text_at(const struct jval *v, const char *key)
{
	const char *text = json_text(json_get(v, key));

	return text == NULL ? "" : text;
}

/* "10/3 (3.333333)": exact, and for the eye where that has no end. */
static void
number_text(struct buf *b, const struct jval *v, const char *key)
{
	const char *exact = text_at(v, key);
	struct err e = ERR_INIT;
	mpq_t q;

	buf_puts(b, exact);
	if (strchr(exact, '/') == NULL)
		return;
	mpq_init(q);
	if (rat_parse(q, exact, &e)) {
		scoped_free char *shown = rat_decimal(q, PLACES_SHOWN);

		buf_printf(b, " (%s)", shown);
	}
	mpq_clear(q);
}

/* "name (id)", or "the account". */
static void
resource_text(struct buf *b, const struct jval *line)
{
	const struct jval *r = json_get(line, "resource");

	if (r == NULL)
		buf_puts(b, "the account");
	else
		buf_printf(b, "%s (%s)", text_at(r, "name"), text_at(r, "id"));
}

static void
rest_text(struct buf *b, size_t count, size_t shown)
{
	if (count > shown)
		buf_printf(b, "    ... and %zu more\n", count - shown);
}

static void
usage_text(struct buf *b, const struct jval *item, const char *unit)
{
	const char *to = text_at(item, "to");

	buf_printf(b, "    %s", text_at(item, "from"));
	if (*to != '\0')
		buf_printf(b, " to %s, %s alive", to, text_at(item, "quantity"));
	if (*text_at(item, "name") != '\0')
		buf_printf(b, ", %s", text_at(item, "name"));
	buf_puts(b, ": ");
	number_text(b, item, "units");
	buf_printf(b, " %s", unit);
	for (const struct jval *v = json_first(json_get(item, "records")); v != NULL;
	     v = json_next(v))
		buf_printf(b, ", record %s", json_text(v));
	buf_puts(b, "\n");
	for (const struct jval *v = json_first(json_get(item, "acts")); v != NULL;
	     v = json_next(v))
		buf_printf(b, "      said by %s on %s of the gap from %s to %s: %s\n",
		    text_at(v, "by"), text_at(v, "at"), text_at(v, "from"),
		    text_at(v, "to"), text_at(v, "reason"));
}

/* Resources of an account's line, or the pieces of time of one resource. */
static void
measured_text(struct buf *b, const struct jval *item, const char *unit)
{
	const struct jval *resources = json_get(item, "resources");
	const struct jval *usage = json_get(item, "usage");
	size_t n = 0;

	buf_puts(b, "  measured\n");
	for (const struct jval *v = json_first(resources); v != NULL && n < ROWS_SHOWN;
	     v = json_next(v), n++) {
		buf_printf(b, "    %s (%s): ", text_at(v, "name"), text_at(v, "id"));
		number_text(b, v, "units");
		buf_printf(b, " %s\n", unit);
	}
	rest_text(b, json_count(resources), n);
	n = 0;
	if (json_count(resources) < 2)
		for (const struct jval *v = json_first(usage);
		     v != NULL && n < ROWS_SHOWN; v = json_next(v), n++)
			usage_text(b, v, unit);
	if (json_count(resources) < 2)
		rest_text(b, json_count(usage), n);
	buf_puts(b, "    sum: ");
	number_text(b, item, "units");
	buf_printf(b, " %s\n", unit);
	if (strcmp(text_at(item, "changed"), "0") != 0)
		buf_printf(b,
		    "    changed since it was closed: %s; the next statement has the "
		    "difference\n",
		    text_at(item, "changed"));
}

static void
part_text(struct buf *b, const struct jval *p)
{
	const char *tier = text_at(p, "tier");

	buf_printf(b, "    %s%s%s: ", text_at(p, "what"), *tier == '\0' ? "" : " ", tier);
	if (json_get(p, "quantity") != NULL) {
		number_text(b, p, "quantity");
		buf_printf(b, " x %s = ", text_at(p, "price"));
	} else if (json_get(p, "percent") != NULL) {
		buf_printf(b, "%s %%: ", text_at(p, "percent"));
	}
	number_text(b, p, "amount");
	buf_puts(b, "\n");
}

static void
priced_text(struct buf *b, const struct jval *item, const struct jval *line,
    const char *currency)
{
	const struct jval *tariff = json_get(item, "tariff");
	const struct jval *parts = json_get(line, "parts");
	const char *fx = text_at(tariff, "fx_rate");

	if (tariff != NULL)
		buf_printf(b, "  price list %s, version %s, prices[%s], versions[%s]\n",
		    text_at(tariff, "name"), text_at(tariff, "version"),
		    text_at(line, "price"), text_at(line, "version"));
	for (const struct jval *v = json_first(parts); v != NULL; v = json_next(v))
		part_text(b, v);
	if (*fx != '\0')
		buf_printf(b, "    x %s (%s to %s)\n", fx, text_at(tariff, "currency"),
		    currency);
	buf_puts(b, "    exact: ");
	number_text(b, line, "exact");
	buf_printf(b, " %s\n", currency);
	if (tariff != NULL)
		buf_printf(b, "    rounded %s to %s: ", text_at(tariff, "rounding"),
		    text_at(tariff, "step"));
	buf_printf(b, "%s %s\n", text_at(line, "amount"), currency);
}

static void
line_text(struct buf *b, const struct jval *root, const struct jval *item)
{
	const struct jval *line = json_get(item, "line");
	const char *n = text_at(line, "n");

	if (*text_at(root, "statement") != '\0' && strcmp(n, "0") != 0)
		buf_printf(b, "line %s of %s: ", n, text_at(root, "statement"));
	buf_printf(b, "%s", text_at(line, "sku"));
	if (*text_at(line, "band") != '\0')
		buf_printf(b, ", %s", text_at(line, "band"));
	buf_puts(b, ", ");
	resource_text(b, line);
	buf_puts(b, ": ");
	number_text(b, line, "quantity");
	buf_printf(b, " %s\n", text_at(line, "unit"));
	measured_text(b, item, text_at(line, "unit"));
	priced_text(b, item, line, text_at(root, "currency"));
}

/* The line and its corrections, where there is more than the line. */
static void
charged_text(struct buf *b, const struct jval *root)
{
	const struct jval *list = json_get(root, "charged");

	if (json_count(list) < 2)
		return;
	buf_puts(b, "charged for this in all\n");
	for (const struct jval *v = json_first(list); v != NULL; v = json_next(v))
		buf_printf(b, "    %s line %s, %s: %s for %s\n", text_at(v, "statement"),
		    text_at(v, "n"), text_at(v, "kind"), text_at(v, "quantity"),
		    text_at(v, "amount"));
	buf_printf(b, "    sum: %s; measured now: %s\n",
	    text_at(root, "charged_quantity"), text_at(root, "units_now"));
}

static void
windows_text(struct buf *b, const struct jval *root)
{
	const struct jval *list = json_get(root, "windows");
	size_t n = 0;

	if (list == NULL)
		return;
	buf_puts(b, "windows, and the counter at their end\n");
	for (const struct jval *v = json_first(list); v != NULL && n < ROWS_SHOWN;
	     v = json_next(v), n++)
		buf_printf(b, "    %s to %s: %s (counter %s, epoch %s)\n",
		    text_at(v, "from"), text_at(v, "to"), text_at(v, "value"),
		    text_at(v, "raw"), text_at(v, "epoch"));
	rest_text(b, json_count(list), n);
	buf_printf(b, "    sum: %s\n", text_at(root, "windows_sum"));
}

void
explain_text(struct buf *out, const struct jval *root)
{
	const struct jval *lines = json_get(root, "lines");

	for (const struct jval *v = json_first(lines); v != NULL; v = json_next(v))
		line_text(out, root, v);
	charged_text(out, root);
	windows_text(out, root);
}
