/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_diff: what differs between two price lists, for people */
#include "billing/tariff_diff.h"
#include "base/mem.h"
#include "billing/tariff_text.h"
#include <stdlib.h>
#include <string.h>

/* What stands above the prices, then price by price. */
struct part {
	char *name; /* "price vcpu where offering small priority 5": who it is for */
	char *text;
};
struct cut {
	struct part *parts;
	size_t count;
};

static void
cut_make(struct cut *c, const struct jval *document)
{
	const struct jval *prices = json_get(document, "prices");
	struct buf text = BUF_INIT;

	c->count = 0;
	c->parts = mem_array(json_count(prices) + 1, sizeof(*c->parts));
	tariff_text_head(&text, document);
	c->parts[c->count++] = (struct part){ mem_strdup(""), buf_take(&text) };
	for (const struct jval *v = json_first(prices); v != NULL; v = json_next(v)) {
		struct buf name = BUF_INIT;

		tariff_text_name(&name, v);
		tariff_text_price(&text, v);
		c->parts[c->count++] = (struct part){ buf_take(&name), buf_take(&text) };
	}
}

static void
cut_free(struct cut *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->parts[i].name);
		free(c->parts[i].text);
	}
	free(c->parts);
}

static const struct part *
part_find(const struct cut *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->parts[i].name, name) == 0)
			return &c->parts[i];
	return NULL;
}

static void
marked(struct buf *out, char mark, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		if (n > 0)
			buf_printf(out, "%c %.*s\n", mark, (int)n, text);
		text += n + (text[n] == '\n' ? 1 : 0);
	}
}

size_t
tariff_diff(struct buf *out, const struct jval *before, const struct jval *after)
{
	struct cut a;
	struct cut b;
	size_t differ = 0;

	cut_make(&a, before);
	cut_make(&b, after);
	for (size_t i = 0; i < a.count; i++) {
		const struct part *is = part_find(&b, a.parts[i].name);

		if (is != NULL && strcmp(a.parts[i].text, is->text) == 0)
			continue;
		differ++;
		marked(out, '-', a.parts[i].text);
		if (is != NULL)
			marked(out, '+', is->text);
	}
	for (size_t i = 0; i < b.count; i++) {
		if (part_find(&a, b.parts[i].name) != NULL)
			continue;
		differ++;
		marked(out, '+', b.parts[i].text);
	}
	cut_free(&a);
	cut_free(&b);
	return differ;
}
