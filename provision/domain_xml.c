/* SPDX-License-Identifier: Apache-2.0 */
/* domain_xml: libvirt's XML, built and read as XML */
#include "provision/domain_xml.h"
#include "base/mem.h"
#include "provision/xml.h"
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_CHANNEL "org.qemu.guest_agent.0"

/* libxml2's strings are unsigned; its own BAD_CAST would drop the const. */
#define TEXT (const xmlChar *)

enum { XML_BYTES_MOST = 4 * 1024 * 1024, CPUS_MOST = 8192, MEMORY_SLOTS = 16 };

/* "%lld" in a buffer of the caller's block. */
static const char *
digits(int64_t n, char out[24])
{
	(void)snprintf(out, 24, "%lld", (long long)n);
	return out;
}
#define DIGITS(n) digits((n), (char[24]){ 0 })

static void
metadata(struct xml *x, const struct domain_want *want)
{
	xml_open(x, "metadata");
	xml_open(x, "j:vm");
	xml_attribute(x, "xmlns:j", VM_NAMESPACE);
	xml_attribute(x, "account", want->account_uuid);
	xml_attribute(x, "offering", want->offering_uuid);
	xml_close(x);
	xml_close(x);
}

static bool
boots_from_order(const struct domain_want *want)
{
	for (size_t i = 0; i < want->disk_count; i++)
		if (want->disks[i].boot > 0)
			return true;
	return false;
}

static void
boot(struct xml *x, const struct domain_want *want)
{
	xml_open(x, "os");
	xml_element(x, "type", "hvm", "arch", "x86_64", "machine", "q35", NULL);
	if (want->kernel != NULL) {
		xml_element(x, "kernel", want->kernel, NULL);
		xml_element(x, "initrd", want->initrd, NULL);
		xml_element(x, "cmdline", want->cmdline != NULL ? want->cmdline : "",
		    NULL);
	} else if (!boots_from_order(want))
		xml_element(x, "boot", NULL, "dev", "hd", NULL);
	xml_close(x);
	xml_open(x, "features");
	xml_element(x, "acpi", NULL, NULL);
	xml_element(x, "apic", NULL, NULL);
	xml_close(x);
	xml_element(x, "on_crash", "destroy", NULL);
}

/* Memory can be added to a running guest only when it has a NUMA cell to go to. */
static void
size(struct xml *x, const struct domain_want *want)
{
	int64_t most = want->vcpus_most > want->vcpus ? want->vcpus_most : want->vcpus;
	bool grows = want->memory_most_bytes > want->memory_bytes;
	char cpus[32];

	if (grows) {
		xml_open(x, "maxMemory");
		xml_attribute(x, "slots", DIGITS(MEMORY_SLOTS));
		xml_attribute(x, "unit", "KiB");
		xml_text(x, DIGITS(want->memory_most_bytes / 1024));
		xml_close(x);
	}
	xml_number(x, "memory", want->memory_bytes / 1024, "KiB");
	xml_element(x, "vcpu", DIGITS(most), "placement", "static", "current",
	    DIGITS(want->vcpus), NULL);
	if (!grows)
		return;
	(void)snprintf(cpus, sizeof(cpus), "0-%lld", (long long)most - 1);
	xml_open(x, "cpu");
	xml_open(x, "numa");
	xml_element(x, "cell", NULL, "id", "0", "cpus", most > 1 ? cpus : "0", "memory",
	    DIGITS(want->memory_bytes / 1024), "unit", "KiB", NULL);
	xml_close(x);
	xml_close(x);
}

static void
network_source(struct xml *x, const struct want_disk *d)
{
	xml_open(x, "source");
	xml_attribute(x, "protocol", d->protocol);
	xml_attribute(x, "name", d->path);
	if (d->host != NULL)
		xml_element(x, "host", NULL, "name", d->host, "port",
		    d->port != NULL ? d->port : "", NULL);
	if (d->user != NULL && d->secret_uuid != NULL) {
		xml_open(x, "auth");
		xml_attribute(x, "username", d->user);
		xml_element(x, "secret", NULL, "type",
		    strcmp(d->protocol, "rbd") == 0 ? "ceph" : "iscsi", "uuid",
		    d->secret_uuid, NULL);
		xml_close(x);
	}
	xml_close(x);
}

static void
disk(struct xml *x, const struct want_disk *d)
{
	xml_open(x, "disk");
	xml_attribute(x, "type",
	    d->protocol != NULL ? "network"
		: d->block      ? "block"
				: "file");
	xml_attribute(x, "device", d->cdrom ? "cdrom" : "disk");
	xml_element(x, "driver", NULL, "name", "qemu", "type",
	    d->format != NULL ? d->format : "raw", "discard", d->cdrom ? "" : "unmap",
	    NULL);
	if (d->protocol != NULL)
		network_source(x, d);
	else if (d->path != NULL)
		xml_element(x, "source", NULL, d->block ? "dev" : "file", d->path, NULL);
	xml_element(x, "target", NULL, "dev", d->target, "bus",
	    !d->cdrom && !d->scsi ? "virtio"
		: d->sata         ? "sata"
				  : "scsi",
	    NULL);
	if (d->readonly || d->cdrom)
		xml_element(x, "readonly", NULL, NULL);
	if (d->serial != NULL)
		xml_element(x, "serial", d->serial, NULL);
	if (d->boot > 0)
		xml_element(x, "boot", NULL, "order", DIGITS(d->boot), NULL);
	xml_close(x);
}

/* Each address that the guest may use is a parameter IP of the filter. */
static void
filter(struct xml *x, const struct want_nic *n)
{
	const char *p = n->addresses != NULL ? n->addresses : "";

	xml_open(x, "filterref");
	xml_attribute(x, "filter", n->filter);
	while (*p != '\0') {
		char one[64];
		size_t length = strcspn(p, ",");
		(void)snprintf(one, sizeof(one), "%.*s", (int)(length < 60 ? length : 60),
		    p);
		xml_element(x, "parameter", NULL, "name",
		    strchr(one, ':') != NULL ? "IPV6" : "IP", "value", one, NULL);
		p += length + (p[length] == ',');
	}
	xml_close(x);
}

static void
nic(struct xml *x, const struct want_nic *n)
{
	xml_open(x, "interface");
	xml_attribute(x, "type", n->network != NULL ? "network" : "bridge");
	xml_element(x, "mac", NULL, "address", n->mac, NULL);
	if (n->network != NULL)
		xml_element(x, "source", NULL, "network", n->network, NULL);
	else
		xml_element(x, "source", NULL, "bridge", n->bridge, NULL);
	if (n->openvswitch)
		xml_element(x, "virtualport", NULL, "type", "openvswitch", NULL);
	if (n->vlan > 0) {
		xml_open(x, "vlan");
		xml_element(x, "tag", NULL, "id", DIGITS(n->vlan), NULL);
		xml_close(x);
	}
	if (n->tap != NULL)
		xml_element(x, "target", NULL, "dev", n->tap, NULL);
	xml_element(x, "model", NULL, "type", "virtio", NULL);
	if (n->filter != NULL)
		filter(x, n);
	xml_close(x);
}

static void
channel(struct xml *x, const char *path)
{
	xml_open(x, "channel");
	xml_attribute(x, "type", "unix");
	xml_element(x, "source", NULL, "mode", "bind", "path", path, NULL);
	xml_element(x, "target", NULL, "type", "virtio", "name", "org.jeoul.ctl", NULL);
	xml_close(x);
}

/* Where an agent in the guest may answer; libvirt makes the socket itself. */
static void
agent_channel(struct xml *x)
{
	xml_open(x, "channel");
	xml_attribute(x, "type", "unix");
	xml_element(x, "target", NULL, "type", "virtio", "name", AGENT_CHANNEL, NULL);
	xml_close(x);
}

static void
devices(struct xml *x, const struct domain_want *want)
{
	xml_open(x, "devices");
	/* libvirt makes one spare port only: each further device that is plugged in while
	 * the guest runs needs one. */
	xml_element(x, "controller", NULL, "type", "pci", "index", "0", "model",
	    "pcie-root", NULL);
	for (int i = 1; i <= HOTPLUG_PORTS; i++)
		xml_element(x, "controller", NULL, "type", "pci", "index", DIGITS(i),
		    "model", "pcie-root-port", NULL);
	xml_element(x, "controller", NULL, "type", "scsi", "model", "virtio-scsi", NULL);
	for (size_t i = 0; i < want->disk_count; i++)
		disk(x, &want->disks[i]);
	for (size_t i = 0; i < want->nic_count; i++)
		nic(x, &want->nics[i]);
	xml_open(x, "serial");
	xml_attribute(x, "type", "file");
	xml_element(x, "source", NULL, "path", want->console_path, "append", "on", NULL);
	xml_close(x);
	if (want->control_path != NULL)
		channel(x, want->control_path);
	agent_channel(x);
	xml_open(x, "memballoon");
	xml_attribute(x, "model", "virtio");
	xml_element(x, "stats", NULL, "period", "10", NULL);
	xml_close(x);
	xml_element(x, "controller", NULL, "type", "usb", "model", "none", NULL);
	xml_close(x);
}

char *
domain_xml(const struct domain_want *want)
{
	struct xml *x = xml_new();

	xml_open(x, "domain");
	xml_attribute(x, "type", want->domain_type);
	xml_element(x, "name", want->name, NULL);
	xml_element(x, "uuid", want->uuid, NULL);
	xml_element(x, "title", want->title, NULL);
	metadata(x, want);
	size(x, want);
	boot(x, want);
	devices(x, want);
	xml_close(x);
	return xml_take(x);
}

char *
disk_xml(const struct want_disk *d)
{
	struct xml *x = xml_new();

	disk(x, d);
	return xml_take(x);
}

char *
nic_xml(const struct want_nic *n)
{
	struct xml *x = xml_new();

	nic(x, n);
	return xml_take(x);
}

char *
memory_xml(int64_t bytes)
{
	struct xml *x = xml_new();

	xml_open(x, "memory");
	xml_attribute(x, "model", "dimm");
	xml_open(x, "target");
	xml_number(x, "size", bytes / 1024, "KiB");
	xml_number(x, "node", 0, NULL);
	xml_close(x);
	xml_close(x);
	return xml_take(x);
}

char *
volume_xml(const char *name, int64_t bytes, const char *format, const char *backing,
    const char *backing_format)
{
	struct xml *x = xml_new();

	xml_open(x, "volume");
	xml_element(x, "name", name, NULL);
	xml_number(x, "capacity", bytes, "bytes");
	xml_number(x, "allocation", 0, "bytes");
	xml_open(x, "target");
	xml_element(x, "format", NULL, "type", format, NULL);
	xml_close(x);
	if (backing != NULL) {
		xml_open(x, "backingStore");
		xml_element(x, "path", backing, NULL);
		xml_element(x, "format", NULL, "type", backing_format, NULL);
		xml_close(x);
	}
	xml_close(x);
	return xml_take(x);
}

/* What stands in <source>: each kind of pool has its own words for it. */
static void
pool_source(struct xml *x, const struct want_pool *w)
{
	bool iscsi = strcmp(w->kind, "iscsi-direct") == 0;
	bool rbd = strcmp(w->kind, "rbd") == 0;

	xml_open(x, "source");
	if (w->host != NULL)
		xml_element(x, "host", NULL, "name", w->host, "port",
		    w->port != NULL ? w->port : "", NULL);
	if (strcmp(w->kind, "netfs") == 0) {
		xml_element(x, "dir", NULL, "path", w->source, NULL);
		xml_element(x, "format", NULL, "type", "auto", NULL);
	} else if (iscsi || strcmp(w->kind, "fs") == 0)
		xml_element(x, "device", NULL, "path", w->source, NULL);
	else if (rbd || strcmp(w->kind, "logical") == 0)
		xml_element(x, "name", w->source, NULL);
	if (iscsi) {
		xml_open(x, "initiator");
		xml_element(x, "iqn", NULL, "name", "iqn.2026-01.dev.jeoul:host", NULL);
		xml_close(x);
	}
	if (w->user != NULL && w->secret_uuid != NULL) {
		xml_open(x, "auth");
		xml_attribute(x, "type", rbd ? "ceph" : "chap");
		xml_attribute(x, "username", w->user);
		xml_element(x, "secret", NULL, "uuid", w->secret_uuid, NULL);
		xml_close(x);
	}
	xml_close(x);
}

char *
pool_xml(const struct want_pool *w)
{
	struct xml *x = xml_new();

	xml_open(x, "pool");
	xml_attribute(x, "type", w->kind);
	xml_element(x, "name", w->name, NULL);
	if (strcmp(w->kind, "dir") != 0)
		pool_source(x, w);
	if (w->target != NULL) {
		xml_open(x, "target");
		xml_element(x, "path", w->target, NULL);
		xml_close(x);
	}
	xml_close(x);
	return xml_take(x);
}

char *
secret_xml(const char *uuid, const char *type)
{
	struct xml *x = xml_new();
	scoped_free char *name = mem_printf("jeoul %s", uuid);

	xml_open(x, "secret");
	xml_attribute(x, "ephemeral", "no");
	xml_attribute(x, "private", "yes");
	xml_element(x, "uuid", uuid, NULL);
	xml_open(x, "usage");
	xml_attribute(x, "type", type);
	if (strcmp(type, "ceph") == 0)
		xml_element(x, "name", name, NULL);
	else
		xml_element(x, "target", name, NULL);
	xml_close(x);
	xml_close(x);
	return xml_take(x);
}

char *
snapshot_xml(const char *name, bool memory)
{
	struct xml *x = xml_new();

	xml_open(x, "domainsnapshot");
	xml_element(x, "name", name, NULL);
	xml_element(x, "memory", NULL, "snapshot", memory ? "internal" : "no", NULL);
	xml_close(x);
	return xml_take(x);
}

char *
backup_xml(const char *target, const char *path, const char *const *others,
    size_t other_count)
{
	struct xml *x = xml_new();

	xml_open(x, "domainbackup");
	xml_attribute(x, "mode", "push");
	xml_open(x, "disks");
	xml_open(x, "disk");
	xml_attribute(x, "name", target);
	xml_attribute(x, "backup", "yes");
	xml_attribute(x, "type", "file");
	xml_element(x, "driver", NULL, "type", "qcow2", NULL);
	xml_element(x, "target", NULL, "file", path, NULL);
	xml_close(x);
	for (size_t i = 0; i < other_count; i++)
		xml_element(x, "disk", NULL, "name", others[i], "backup", "no", NULL);
	xml_close(x);
	xml_close(x);
	return xml_take(x);
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
	out->plugged_vcpus = count_at(c,
	    "/domain/vcpus/vcpu[@hotpluggable='yes' and @enabled='yes']", CPUS_MOST);
	out->agent = count_at(c,
			 "/domain/devices/channel/target[@name='" AGENT_CHANNEL
			 "' and @state='connected']",
			 1) > 0;
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
		(void)snprintf(path, sizeof(path),
		    "string((/domain/devices/interface)[%zu]/target/@dev)", i + 1);
		text_at(c, path, out->nics[i].tap, sizeof(out->nics[i].tap));
	}
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	return true;
}

static void
attribute_set(xmlXPathContextPtr c, const char *path, const char *value)
{
	xmlXPathObjectPtr o = xmlXPathEvalExpression(TEXT path, c);
	int n = o != NULL && o->nodesetval != NULL ? o->nodesetval->nodeNr : 0;

	for (int i = 0; i < n; i++) {
		xmlNodePtr attribute = o->nodesetval->nodeTab[i];
		if (xmlSetProp(attribute->parent, attribute->name, TEXT value) == NULL)
			abort(); /* out of memory */
	}
	xmlXPathFreeObject(o);
}

static void
elements_drop(xmlXPathContextPtr c, const char *path)
{
	xmlXPathObjectPtr o = xmlXPathEvalExpression(TEXT path, c);
	int n = o != NULL && o->nodesetval != NULL ? o->nodesetval->nodeNr : 0;

	for (int i = 0; i < n; i++) {
		xmlUnlinkNode(o->nodesetval->nodeTab[i]);
		xmlFreeNode(o->nodesetval->nodeTab[i]);
		o->nodesetval->nodeTab[i] = NULL;
	}
	xmlXPathFreeObject(o);
}

char *
domain_moved(const char *xml, const struct domain_move *move, struct err *e)
{
	xmlDocPtr doc = parse(xml, "domain", e);
	xmlXPathContextPtr c;
	xmlChar *text = NULL;
	char path[160];
	char *out;
	int length = 0;

	if (doc == NULL)
		return NULL;
	c = context_of(doc);
	if (move->control_path != NULL)
		attribute_set(c,
		    "/domain/devices/channel[target/@name='org.jeoul.ctl']/source/@path",
		    move->control_path);
	for (size_t i = 0; i < move->disk_count; i++) {
		(void)snprintf(path, sizeof(path),
		    "/domain/devices/disk[target/@dev='%.15s']/source/"
		    "@*[name()='file' or name()='dev']",
		    move->disks[i].target);
		attribute_set(c, path, move->disks[i].path);
		/* The copy stands on no other file. */
		(void)snprintf(path, sizeof(path),
		    "/domain/devices/disk[target/@dev='%.15s']/backingStore",
		    move->disks[i].target);
		elements_drop(c, path);
	}
	xmlXPathFreeContext(c);
	xmlDocDumpMemory(doc, &text, &length);
	xmlFreeDoc(doc);
	if (text == NULL)
		abort(); /* out of memory */
	out = mem_strdup((const char *)text);
	xmlFree(text);
	return out;
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
	out->numa_cells = (int)count_at(c, "/capabilities/host/topology/cells/cell",
	    CPUS_MOST);
	text_at(c, "string(/capabilities/host/cpu/model)", out->cpu_model,
	    sizeof(out->cpu_model));
	xmlXPathFreeObject(o);
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	if (out->sockets > 0)
		return true;
	return err_set(e, ERR_INPUT,
	    "the capabilities name no CPU with a socket_id: its sockets "
	    "can't be counted");
}
