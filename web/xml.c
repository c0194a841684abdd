/* SPDX-License-Identifier: Apache-2.0 */
/* xml: CloudStack's XML form of an answer, made of its JSON form */
#include "web/xml.h"
#include "base/json.h"
#include <string.h>

void
xml_escape(struct buf *to, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '&')
			buf_puts(to, "&amp;");
		else if (*c == '<')
			buf_puts(to, "&lt;");
		else if (*c == '>')
			buf_puts(to, "&gt;");
		else if (*c == '"')
			buf_puts(to, "&quot;");
		else if (*c == '\'')
			buf_puts(to, "&apos;");
		else if ((unsigned char)*c < 32 && strchr("\t\n\r", *c) == NULL)
			buf_puts(to, "\xef\xbf\xbd");
		else if (strncmp(c, "\xef\xbf\xbe", 3) == 0 ||
		    strncmp(c, "\xef\xbf\xbf", 3) == 0) {
			buf_puts(to, "\xef\xbf\xbd"); /* XML has no U+FFFE, U+FFFF */
			c += 2;
		} else
			buf_putc(to, *c);
	}
}

static void element_write(struct buf *to, const char *name, const struct jval *v);

static void
content_write(struct buf *to, const struct jval *v)
{
	switch (json_type(v)) {
	case JSON_OBJECT:
		for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
			element_write(to, json_name(m), m);
		return;
	case JSON_BOOL:
		buf_puts(to, json_bool(v, false) ? "true" : "false");
		return;
	case JSON_STRING:
	case JSON_NUMBER:
		xml_escape(to, json_text(v));
		return;
	case JSON_ARRAY: /* an array in an array: CloudStack has none */
	case JSON_ABSENT:
	case JSON_NULL:
		return;
	}
}

/* Keys of free maps may be no XML names: what is none becomes '_'. */
static void
name_write(struct buf *to, const char *name)
{
	for (const char *c = name; *c != '\0'; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		    *c == '_';
		bool later = c != name &&
		    ((*c >= '0' && *c <= '9') || *c == '-' || *c == '.');
		char shown = '_';
		if (letter || later)
			shown = *c;
		buf_putc(to, shown);
	}
	if (name[0] == '\0')
		buf_putc(to, '_');
}

static void
element_write(struct buf *to, const char *name, const struct jval *v)
{
	if (json_type(v) == JSON_NULL)
		return;
	if (json_type(v) == JSON_ARRAY) {
		for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
			element_write(to, name, m);
		return;
	}
	buf_putc(to, '<');
	name_write(to, name);
	buf_putc(to, '>');
	content_write(to, v);
	buf_puts(to, "</");
	name_write(to, name);
	buf_putc(to, '>');
}

bool
xml_from_json(struct buf *to, const char *json, size_t length, const char *version,
    struct err *e)
{
	struct json *doc = NULL;
	const struct jval *top;

	if (!json_parse(&doc, json, length, e))
		return false;
	top = json_first(json_root(doc));
	buf_puts(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><");
	name_write(to, json_name(top));
	if (version != NULL)
		buf_printf(to, " cloud-stack-version=\"%s\"", version);
	buf_putc(to, '>');
	content_write(to, top);
	buf_puts(to, "</");
	name_write(to, json_name(top));
	buf_putc(to, '>');
	json_free(doc);
	return true;
}
