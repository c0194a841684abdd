/* SPDX-License-Identifier: Apache-2.0 */
/* xml: writing XML as XML, never with printf */
#include "provision/xml.h"
#include "base/mem.h"
#include <libxml/xmlwriter.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* libxml2's strings are unsigned; its own BAD_CAST would drop the const. */
#define TEXT (const xmlChar *)

struct xml {
	xmlBufferPtr buffer;
	xmlTextWriterPtr writer;
};

/* The writer fails only without memory, which ends the program anyway. */
struct xml *
xml_new(void)
{
	struct xml *x = mem_alloc(sizeof(*x));

	x->buffer = xmlBufferCreate();
	x->writer = x->buffer != NULL ? xmlNewTextWriterMemory(x->buffer, 0) : NULL;
	if (x->writer == NULL)
		abort();
	return x;
}

void
xml_open(struct xml *x, const char *name)
{
	(void)xmlTextWriterStartElement(x->writer, TEXT name);
}

void
xml_attribute(struct xml *x, const char *name, const char *value)
{
	if (value != NULL)
		(void)xmlTextWriterWriteAttribute(x->writer, TEXT name, TEXT value);
}

void
xml_text(struct xml *x, const char *text)
{
	(void)xmlTextWriterWriteString(x->writer, TEXT text);
}

void
xml_close(struct xml *x)
{
	(void)xmlTextWriterEndElement(x->writer);
}

void
xml_element(struct xml *x, const char *name, const char *text, ...)
{
	va_list ap;
	const char *key;

	xml_open(x, name);
	va_start(ap, text);
	while ((key = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);
		if (value != NULL && value[0] != '\0')
			xml_attribute(x, key, value);
	}
	va_end(ap);
	if (text != NULL)
		xml_text(x, text);
	xml_close(x);
}

void
xml_number(struct xml *x, const char *name, int64_t value, const char *unit)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	xml_element(x, name, text, "unit", unit != NULL ? unit : "", NULL);
}

char *
xml_take(struct xml *x)
{
	char *text;

	(void)xmlTextWriterEndDocument(x->writer);
	xmlFreeTextWriter(x->writer);
	text = mem_strdup((const char *)xmlBufferContent(x->buffer));
	xmlBufferFree(x->buffer);
	free(x);
	return text;
}
