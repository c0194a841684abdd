/* SPDX-License-Identifier: Apache-2.0 */
/* CloudStack's XML form of an answer: whatever text the answer holds, it is XML that a
 * parser reads, with the same text in it */
#include "base/json.h"
#include "tests/fuzz/fuzz.h"
#include "web/xml.h"
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

/* The text of all strings and numbers, in order; tags hold none of it. */
static void
json_words(struct buf *to, const struct jval *v)
{
	if (json_type(v) == JSON_STRING || json_type(v) == JSON_NUMBER)
		buf_puts(to, json_text(v));
	if (json_type(v) == JSON_BOOL)
		buf_puts(to, json_bool(v, false) ? "true" : "false");
	for (const struct jval *m = json_first(v); m != NULL; m = json_next(m))
		json_words(to, m);
}

/* XML has no such characters, and a parser makes line feeds of carriage returns. */
static bool
has_a_place(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\t' && *p != '\n') ||
		    (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe))
			return false;
	return true;
}

static void
xml_check(const struct buf *xml, const struct jval *root)
{
	struct buf words = BUF_INIT;
	xmlDocPtr doc = xmlReadMemory(xml->data, (int)xml->length, NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_HUGE);

	must(doc != NULL, "no XML: %s", buf_text(xml));
	xmlChar *text = xmlNodeGetContent((const xmlNode *)xmlDocGetRootElement(doc));
	json_words(&words, json_first(root));
	if (has_a_place(buf_text(&words)))
		must(strcmp((const char *)text, buf_text(&words)) == 0, "%s became %s",
		    buf_text(&words), (const char *)text);
	xmlFree(text);
	xmlFreeDoc(doc);
	buf_done(&words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf xml = BUF_INIT;
	struct err e = ERR_INIT;
	struct json *doc = NULL;

	/* An answer is one object with one object in it: {"listzonesresponse":{..}} */
	if (!json_parse(&doc, (const char *)data, size, &e))
		return 0;
	if (json_count(json_root(doc)) == 1 &&
	    json_type(json_first(json_root(doc))) == JSON_OBJECT &&
	    json_type(json_root(doc)) == JSON_OBJECT) {
		must(xml_from_json(&xml, (const char *)data, size, "4.20.0.0", &e), "%s",
		    e.text);
		xml_check(&xml, json_root(doc));
	}
	json_free(doc);
	buf_done(&xml);
	return 0;
}
