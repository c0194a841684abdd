/* SPDX-License-Identifier: Apache-2.0 */
/* domain_xml: libvirt's XML, built and read as XML; the one file that knows libxml2 */
#include "provision/domain_xml.h"
#include "base/mem.h"
#include <libxml/parser.h>
#include <libxml/xmlwriter.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libxml2's strings are unsigned; its own BAD_CAST would drop the const. */
#define TEXT (const xmlChar *)

enum { XML_BYTES_MOST = 4 * 1024 * 1024, CPUS_MOST = 8192 };

/* The writer fails only without memory, which ends the program anyway. */
static void
open_tag(xmlTextWriterPtr w, const char *name)
{
	(void)xmlTextWriterStartElement(w, TEXT name);
}

static void
close_tag(xmlTextWriterPtr w)
{
	(void)xmlTextWriterEndElement(w);
}

static void
attribute(xmlTextWriterPtr w, const char *name, const char *value)
{
	(void)xmlTextWriterWriteAttribute(w, TEXT name, TEXT value);
}

/* A whole element: text may be NULL; then pairs of attribute name and value, then NULL.
 */
static void sentinel
element(xmlTextWriterPtr w, const char *name, const char *text, ...)
{
	va_list ap;
	const char *key;

	open_tag(w, name);
	va_start(ap, text);
	while ((key = va_arg(ap, const char *)) != NULL)
		attribute(w, key, va_arg(ap, const char *));
	va_end(ap);
	if (text != NULL)
		(void)xmlTextWriterWriteString(w, TEXT text);
	close_tag(w);
}

static void
number(xmlTextWriterPtr w, const char *name, int64_t value, const char *unit)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	if (unit != NULL)
		element(w, name, text, "unit", unit, NULL);
	else
		element(w, name, text, NULL);
}

static void
metadata(xmlTextWriterPtr w, const struct domain_want *want)
{
	open_tag(w, "metadata");
	open_tag(w, "j:vm");
	attribute(w, "xmlns:j", VM_NAMESPACE);
	attribute(w, "account", want->account_uuid);
	if (want->offering_uuid != NULL)
		attribute(w, "offering", want->offering_uuid);
	close_tag(w);
	close_tag(w);
}

static void
boot(xmlTextWriterPtr w, const struct domain_want *want)
{
	open_tag(w, "os");
	element(w, "type", "hvm", "arch", "x86_64", "machine", "q35", NULL);
	if (want->kernel != NULL) {
		element(w, "kernel", want->kernel, NULL);
		element(w, "initrd", want->initrd, NULL);
		element(w, "cmdline", want->cmdline != NULL ? want->cmdline : "", NULL);
	}
	close_tag(w);
	open_tag(w, "features");
	element(w, "acpi", NULL, NULL);
	close_tag(w);
	element(w, "on_crash", "destroy", NULL);
}

static void
disk(xmlTextWriterPtr w, const struct domain_want *want)
{
	open_tag(w, "disk");
	attribute(w, "type", "file");
	attribute(w, "device", "disk");
	element(w, "driver", NULL, "name", "qemu", "type", want->disk_format, "discard",
	    "unmap", NULL);
	element(w, "source", NULL, "file", want->disk_path, NULL);
	element(w, "target", NULL, "dev", "vda", "bus", "virtio", NULL);
	close_tag(w);
}

static void
channel(xmlTextWriterPtr w, const char *path)
{
	open_tag(w, "channel");
	attribute(w, "type", "unix");
	element(w, "source", NULL, "mode", "bind", "path", path, NULL);
	element(w, "target", NULL, "type", "virtio", "name", "org.jeoul.ctl", NULL);
	close_tag(w);
}

static void
devices(xmlTextWriterPtr w, const struct domain_want *want)
{
	open_tag(w, "devices");
	if (want->disk_path != NULL)
		disk(w, want);
	if (want->network != NULL) {
		open_tag(w, "interface");
		attribute(w, "type", "network");
		element(w, "mac", NULL, "address", want->mac, NULL);
		element(w, "source", NULL, "network", want->network, NULL);
		element(w, "model", NULL, "type", "virtio", NULL);
		close_tag(w);
	}
	open_tag(w, "serial");
	attribute(w, "type", "file");
	element(w, "source", NULL, "path", want->console_path, NULL);
	close_tag(w);
	if (want->control_path != NULL)
		channel(w, want->control_path);
	open_tag(w, "memballoon");
	attribute(w, "model", "virtio");
	element(w, "stats", NULL, "period", "10", NULL);
	close_tag(w);
	element(w, "controller", NULL, "type", "usb", "model", "none", NULL);
	close_tag(w);
}

char *
domain_xml(const struct domain_want *want)
{
	xmlBufferPtr b = xmlBufferCreate();
	xmlTextWriterPtr w = b != NULL ? xmlNewTextWriterMemory(b, 0) : NULL;
	char *text;

	if (w == NULL)
		abort(); /* out of memory: an ordinary death */
	open_tag(w, "domain");
	attribute(w, "type", want->domain_type);
	element(w, "name", want->name, NULL);
	element(w, "uuid", want->uuid, NULL);
	element(w, "title", want->title, NULL);
	metadata(w, want);
	number(w, "memory", want->memory_bytes / 1024, "KiB");
	number(w, "vcpu", want->vcpus, NULL);
	boot(w, want);
	devices(w, want);
	close_tag(w);
	(void)xmlTextWriterEndDocument(w);
	xmlFreeTextWriter(w);
	text = mem_strdup((const char *)xmlBufferContent(b));
	xmlBufferFree(b);
	return text;
}

char *
volume_xml(const char *name, int64_t bytes, const char *format, const char *backing,
    const char *backing_format)
{
	xmlBufferPtr b = xmlBufferCreate();
	xmlTextWriterPtr w = b != NULL ? xmlNewTextWriterMemory(b, 0) : NULL;
	char *text;

	if (w == NULL)
		abort(); /* out of memory: an ordinary death */
	open_tag(w, "volume");
	element(w, "name", name, NULL);
	number(w, "capacity", bytes, "bytes");
	number(w, "allocation", 0, "bytes");
	open_tag(w, "target");
	element(w, "format", NULL, "type", format, NULL);
	close_tag(w);
	if (backing != NULL) {
		open_tag(w, "backingStore");
		element(w, "path", backing, NULL);
		element(w, "format", NULL, "type", backing_format, NULL);
		close_tag(w);
	}
	close_tag(w);
	xmlFreeTextWriter(w);
	text = mem_strdup((const char *)xmlBufferContent(b));
	xmlBufferFree(b);
	return text;
}

/* No network, no entities, no output of libxml2's own; nesting is bounded by libxml2
 * (256). */
static xmlDocPtr
parse(const char *xml, const char *root, struct err *e)
{
	size_t length = strnlen(xml, XML_BYTES_MOST + 1);
	xmlDocPtr doc;

	if (length > XML_BYTES_MOST) {
		(void)err_set(e, ERR_INPUT, "XML of more than %d MiB",
		    XML_BYTES_MOST >> 20);
		return NULL;
	}
	doc = xmlReadMemory(xml, (int)length, "domain.xml", NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
		XML_PARSE_NOBLANKS);
	if (doc != NULL && xmlDocGetRootElement(doc) != NULL &&
	    strcmp((const char *)xmlDocGetRootElement(doc)->name, root) == 0)
		return doc;
	xmlFreeDoc(doc);
	(void)err_set(e, ERR_INPUT, "this is no <%s> XML that can be read", root);
	return NULL;
}

static xmlXPathContextPtr
context_of(xmlDocPtr doc)
{
	xmlXPathContextPtr c = xmlXPathNewContext(doc);

	if (c == NULL || xmlXPathRegisterNs(c, TEXT "j", TEXT VM_NAMESPACE) != 0)
		abort(); /* out of memory */
	return c;
}

/* Takes away the rest of a character that a cut went through: the database refuses it. */
static void
utf8_end(char *text)
{
	size_t n = strlen(text);
	size_t tail = 0;

	while (tail < n && tail < 3 && ((unsigned char)text[n - 1 - tail] & 0xc0) == 0x80)
		tail++;
	if (tail == n)
		return;
	unsigned char lead = (unsigned char)text[n - 1 - tail];
	size_t wanted = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (tail < wanted)
		text[n - 1 - tail] = '\0';
}

/* The string value of a path, cut to room and cleaned of control characters. */
static void
text_at(xmlXPathContextPtr c, const char *path, char *out, size_t room)
{
	xmlXPathObjectPtr o = xmlXPathEvalExpression(TEXT path, c);
	xmlChar *s = o != NULL ? xmlXPathCastToString(o) : NULL;

	(void)snprintf(out, room, "%s", s != NULL ? (const char *)s : "");
	utf8_end(out);
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	xmlFree(s);
	xmlXPathFreeObject(o);
}

static size_t
count_at(xmlXPathContextPtr c, const char *path, size_t most)
{
	xmlXPathObjectPtr o = xmlXPathEvalExpression(TEXT path, c);
	size_t n = o != NULL && o->nodesetval != NULL ? (size_t)o->nodesetval->nodeNr : 0;

	xmlXPathFreeObject(o);
	return n < most ? n : most;
}

#define DISKS "/domain/devices/disk[@device='disk' or not(@device)]"

bool
domain_read(struct domain_found *out, const char *xml, struct err *e)
{
	xmlDocPtr doc = parse(xml, "domain", e);
	xmlXPathContextPtr c;
	char path[160];

	if (doc == NULL)
		return false;
	c = context_of(doc);
	memset(out, 0, sizeof(*out));
	text_at(c, "string(/domain/metadata/j:vm/@account)", out->account_uuid,
	    sizeof(out->account_uuid));
	out->disk_count = count_at(c, DISKS, XML_DISKS_MOST);
	for (size_t i = 0; i < out->disk_count; i++) {
		(void)snprintf(path, sizeof(path), "string((" DISKS ")[%zu]/target/@dev)",
		    i + 1);
		text_at(c, path, out->disks[i].target, sizeof(out->disks[i].target));
		(void)snprintf(path, sizeof(path),
		    "string((" DISKS
		    ")[%zu]/source/@*[name()='file' or name()='dev' or name()='name'])",
		    i + 1);
		text_at(c, path, out->disks[i].path, sizeof(out->disks[i].path));
		(void)snprintf(path, sizeof(path),
		    "string((" DISKS ")[%zu]/driver/@type)", i + 1);
		text_at(c, path, out->disks[i].format, sizeof(out->disks[i].format));
	}
	out->nic_count = count_at(c, "/domain/devices/interface", XML_NICS_MOST);
	for (size_t i = 0; i < out->nic_count; i++) {
		(void)snprintf(path, sizeof(path),
		    "string((/domain/devices/interface)[%zu]/mac/@address)", i + 1);
		text_at(c, path, out->nics[i].mac, sizeof(out->nics[i].mac));
		(void)snprintf(path, sizeof(path),
		    "string((/domain/devices/interface)[%zu]/source/@*[name()='network' "
		    "or "
		    "name()='bridge'])",
		    i + 1);
		text_at(c, path, out->nics[i].network, sizeof(out->nics[i].network));
	}
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	return true;
}

struct ids {
	long socket, die, core;
};

static int
ids_order(const void *a, const void *b)
{
	const struct ids *x = a;
	const struct ids *y = b;

	if (x->socket != y->socket)
		return x->socket < y->socket ? -1 : 1;
	if (x->die != y->die)
		return x->die < y->die ? -1 : 1;
	return x->core < y->core ? -1 : x->core > y->core;
}

static long
id_of(xmlNodePtr cpu, const char *name)
{
	xmlChar *text = xmlGetProp(cpu, TEXT name);
	long id = text != NULL ? strtol((const char *)text, NULL, 10) : 0;

	xmlFree(text);
	return id;
}

static void
topology_count(struct topology *out, struct ids *list, int n)
{
	qsort(list, (size_t)n, sizeof(*list), ids_order);
	out->threads = n;
	for (int i = 0; i < n; i++) {
		bool new_socket = i == 0 || list[i].socket != list[i - 1].socket;
		out->sockets += new_socket;
		out->cores += new_socket || ids_order(&list[i], &list[i - 1]) != 0;
	}
}

bool
topology_read(struct topology *out, const char *capabilities, struct err *e)
{
	xmlDocPtr doc = parse(capabilities, "capabilities", e);
	xmlXPathContextPtr c;
	xmlXPathObjectPtr o;
	int n;

	if (doc == NULL)
		return false;
	c = context_of(doc);
	o = xmlXPathEvalExpression(TEXT
	    "/capabilities/host/topology/cells/cell/cpus/cpu[@socket_id]",
	    c);
	n = o != NULL && o->nodesetval != NULL ? o->nodesetval->nodeNr : 0;
	memset(out, 0, sizeof(*out));
	if (n > 0 && n <= CPUS_MOST) {
		struct ids *list = mem_array((size_t)n, sizeof(*list));
		for (int i = 0; i < n; i++) {
			xmlNodePtr cpu = o->nodesetval->nodeTab[i];
			list[i] = (struct ids){ id_of(cpu, "socket_id"),
				id_of(cpu, "die_id"), id_of(cpu, "core_id") };
		}
		topology_count(out, list, n);
		free(list);
	}
	xmlXPathFreeObject(o);
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	if (out->sockets > 0)
		return true;
	return err_set(e, ERR_INPUT,
	    "the capabilities name no CPU with a socket_id: its sockets "
	    "can't be counted");
}
