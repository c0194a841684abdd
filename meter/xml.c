/* SPDX-License-Identifier: Apache-2.0 */
/* domain: which network card is which; the one file of the collector that knows libxml2
 */
#include "meter/xml.h"
#include "base/buf.h"
#include "base/mem.h"
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libxml2's strings are unsigned; its own BAD_CAST would drop the const. */
#define TEXT (const xmlChar *)

enum { XML_BYTES_MOST = 4 * 1024 * 1024, CPUS_MOST = 8192 };

static bool
is(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, TEXT name) == 1;
}

static xmlNodePtr
child(xmlNodePtr n, const char *name)
{
	for (xmlNodePtr c = n != NULL ? n->children : NULL; c != NULL; c = c->next)
		if (is(c, name))
			return c;
	return NULL;
}

static void
attribute(xmlNodePtr n, const char *name, char *out, size_t room)
{
	xmlChar *text = n != NULL ? xmlGetProp(n, TEXT name) : NULL;

	(void)snprintf(out, room, "%s", text != NULL ? (const char *)text : "");
	xmlFree(text);
}

void
domain_mac_copy(char out[DOMAIN_MAC_MAX], const char *mac)
{
	(void)snprintf(out, DOMAIN_MAC_MAX, "%s", mac);
	for (char *p = out; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
}

static void
nic_take(struct domain_nic *out, xmlNodePtr card)
{
	char mac[DOMAIN_MAC_MAX];

	attribute(child(card, "mac"), "address", mac, sizeof(mac));
	domain_mac_copy(out->mac, mac);
	attribute(child(card, "target"), "dev", out->target, sizeof(out->target));
	attribute(child(card, "source"), "portid", out->port, sizeof(out->port));
}

static xmlDocPtr
parse(const char *xml, const char *root, struct err *e)
{
	size_t length = strnlen(xml, XML_BYTES_MOST + 1);
	xmlDocPtr doc;

	if (length > XML_BYTES_MOST) {
		(void)err_set(e, ERR_INPUT, "XML of more than %d bytes", XML_BYTES_MOST);
		return NULL;
	}
	doc = xmlReadMemory(xml, (int)length, NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (doc != NULL && xmlGetIntSubset(doc) == NULL &&
	    is(xmlDocGetRootElement(doc), root))
		return doc;
	xmlFreeDoc(doc);
	(void)err_set(e, ERR_INPUT, "this is no XML of a %s", root);
	return NULL;
}

static size_t
cards_count(xmlNodePtr devices)
{
	size_t n = 0;

	for (xmlNodePtr c = devices != NULL ? devices->children : NULL; c != NULL;
	     c = c->next)
		n += is(c, "interface");
	return n < DOMAIN_NICS_MOST ? n : DOMAIN_NICS_MOST;
}

bool
domain_nics_read(struct domain_nics *out, const char *xml, struct err *e)
{
	struct domain_nics found = { 0, NULL };
	xmlDocPtr doc = parse(xml, "domain", e);
	xmlNodePtr devices;
	size_t most;

	if (doc == NULL)
		return false;
	devices = child(xmlDocGetRootElement(doc), "devices");
	most = cards_count(devices);
	found.list = mem_array(most, sizeof(*found.list));
	for (xmlNodePtr n = most > 0 ? devices->children : NULL;
	     n != NULL && found.count < most; n = n->next)
		if (is(n, "interface"))
			nic_take(&found.list[found.count++], n);
	xmlFreeDoc(doc);
	domain_nics_done(out);
	*out = found;
	return true;
}

void
domain_nics_done(struct domain_nics *nics)
{
	free(nics->list);
	*nics = (struct domain_nics){ 0, NULL };
}

const struct domain_nic *
domain_nic_find(const struct domain_nics *nics, const char *target)
{
	for (size_t i = 0; i < nics->count; i++)
		if (nics->list[i].target[0] != '\0' &&
		    strcmp(nics->list[i].target, target) == 0)
			return &nics->list[i];
	return NULL;
}

/* ---- topology */

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
	return (x->core > y->core) - (x->core < y->core);
}

static long
id_of(xmlNodePtr cpu, const char *name)
{
	char text[24];

	attribute(cpu, name, text, sizeof(text));
	return strtol(text, NULL, 10);
}

/* The CPUs of one NUMA cell; those that are not there now name no socket. */
static size_t
cell_add(xmlNodePtr cell, struct ids **list, size_t count)
{
	xmlNodePtr cpus = child(cell, "cpus");

	for (xmlNodePtr n = cpus != NULL ? cpus->children : NULL;
	     n != NULL && count < CPUS_MOST; n = n->next) {
		if (!is(n, "cpu") || xmlHasProp(n, TEXT "socket_id") == NULL)
			continue;
		*list = mem_resize(*list, count + 1, sizeof(**list));
		(*list)[count++] = (struct ids){ id_of(n, "socket_id"),
			id_of(n, "die_id"), id_of(n, "core_id") };
	}
	return count;
}

static void
topology_count(struct topology *out, struct ids *list, size_t count)
{
	qsort(list, count, sizeof(*list), ids_order);
	*out = (struct topology){ .threads = (int)count };
	for (size_t i = 0; i < count; i++) {
		bool new_socket = i == 0 || list[i].socket != list[i - 1].socket;
		out->sockets += new_socket;
		out->cores += new_socket || ids_order(&list[i], &list[i - 1]) != 0;
	}
}

bool
topology_read(struct topology *out, const char *capabilities, struct err *e)
{
	xmlDocPtr doc = parse(capabilities, "capabilities", e);
	struct ids *list = NULL;
	size_t count = 0;
	int numa = 0;
	xmlNodePtr cells;

	if (doc == NULL)
		return false;
	cells = child(child(child(xmlDocGetRootElement(doc), "host"), "topology"),
	    "cells");
	for (xmlNodePtr n = cells != NULL ? cells->children : NULL; n != NULL;
	     n = n->next)
		if (is(n, "cell")) {
			count = cell_add(n, &list, count);
			numa++;
		}
	xmlFreeDoc(doc);
	if (count > 0)
		topology_count(out, list, count);
	if (count > 0)
		out->cells = numa;
	free(list);
	return count > 0 ||
	    err_set(e, ERR_INPUT,
		"the capabilities name no CPU with a socket_id: its sockets can't be "
		"counted");
}

/* The amount in "<memory unit='KiB'>123</memory>" begins there; text's end if none is
 * left. */
static const char *
amount_find(const char *text)
{
	for (; (text = strchr(text, '<')) != NULL; text++) {
		bool sized = strncmp(text, "<memory ", 8) == 0 ||
		    strncmp(text, "<pages ", 7) == 0;
		const char *end = sized ? strchr(text, '>') : NULL;
		if (end != NULL && end[-1] != '/')
			return end + 1;
	}
	return NULL;
}

char *
topology_facts(const char *capabilities)
{
	struct buf b = BUF_INIT;
	const char *at = capabilities;
	const char *amount;

	while ((amount = amount_find(at)) != NULL) {
		buf_add(&b, at, (size_t)(amount - at));
		at = amount + strspn(amount, "0123456789");
	}
	buf_add(&b, at, strlen(at));
	return buf_take(&b);
}
