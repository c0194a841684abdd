/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's XML as libvirt hands it over, and the XML that we make of names from outside
 */
#include "base/mem.h"
#include "provision/domain_xml.h"
#include "tests/fuzz/fuzz.h"
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

/* It goes into the database: text, without control characters. */
static void
text_check(const char *text, size_t room)
{
	must(strlen(text) < room, "%zu bytes", strlen(text));
	must(fuzz_printable(text), "a control character: %s", text);
	must(fuzz_utf8(text, strlen(text)), "cut inside a character: %s", text);
}

static void
found_check(const struct domain_found *f)
{
	text_check(f->account_uuid, sizeof(f->account_uuid));
	must(f->disk_count <= XML_DISKS_MOST && f->nic_count <= XML_NICS_MOST, "%zu, %zu",
	    f->disk_count, f->nic_count);
	for (size_t i = 0; i < f->disk_count; i++) {
		text_check(f->disks[i].target, sizeof(f->disks[i].target));
		text_check(f->disks[i].path, sizeof(f->disks[i].path));
		text_check(f->disks[i].format, sizeof(f->disks[i].format));
	}
	for (size_t i = 0; i < f->nic_count; i++) {
		text_check(f->nics[i].mac, sizeof(f->nics[i].mac));
		text_check(f->nics[i].network, sizeof(f->nics[i].network));
		text_check(f->nics[i].tap, sizeof(f->nics[i].tap));
	}
}

static void
read_check(const char *xml)
{
	struct domain_found found;
	struct err e = ERR_INIT;

	memset(&found, 0x55, sizeof(found));
	if (domain_read(&found, xml, &e))
		found_check(&found);
	else
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
}

/* What of a text XML can carry: the checks of names let nothing else through. */
static bool
fits_xml(const char *text)
{
	return fuzz_printable(text) && fuzz_utf8(text, strlen(text)) &&
	    strstr(text, "\xef\xbf\xbe") == NULL && strstr(text, "\xef\xbf\xbf") == NULL;
}

static void
well_formed(const char *xml)
{
	xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

	must(doc != NULL, "no XML: %s", xml);
	xmlFreeDoc(doc);
}

/* Text of others in our XML stays text: it reads back, and nothing else is in it. */
static void
made_check(char *const word[5])
{
	struct domain_want want = {
		.uuid = "11111111-2222-4333-8444-555555555555",
		.name = word[0],
		.title = word[1],
		.domain_type = "qemu",
		.vcpus = 2,
		.vcpus_most = 2,
		.memory_bytes = INT64_C(96) << 20,
		.kernel = "/k",
		.initrd = "/i",
		.cmdline = word[2],
		.disk_count = 2,
		.disks = { { .target = "vda",
			       .path = word[3],
			       .format = "raw",
			       .serial = word[2] },
		    { .target = "vdb",
			.path = word[1],
			.format = "raw",
			.protocol = "rbd",
			.host = word[2],
			.port = "6789",
			.user = word[0] } },
		.nic_count = 1,
		.nics = { { .mac = "52:54:00:00:00:01",
		    .network = "default",
		    .filter = word[1],
		    .addresses = "192.0.2.7,2001:db8::7" } },
		.console_path = "/c",
		.account_uuid = word[4],
	};
	struct domain_found found;
	struct err e = ERR_INIT;
	scoped_free char *xml = domain_xml(&want);

	well_formed(xml);
	must(domain_read(&found, xml, &e), "%s: %s", e.text, xml);
	must(found.disk_count == 2 && found.nic_count == 1, "%zu disks, %zu cards: %s",
	    found.disk_count, found.nic_count, xml);
	if (strlen(word[3]) < XML_TEXT_MOST)
		must(strcmp(found.disks[0].path, word[3]) == 0, "%s became %s", word[3],
		    found.disks[0].path);
	if (strlen(word[4]) < sizeof(found.account_uuid))
		must(strcmp(found.account_uuid, word[4]) == 0, "%s became %s", word[4],
		    found.account_uuid);
}

/* The small documents, from the same words. */
static void
others_check(char *const word[5])
{
	const char *const others[] = { word[1], word[2] };
	const struct want_pool pool = { .name = word[0],
		.kind = "netfs",
		.target = word[1],
		.host = word[2],
		.source = word[3],
		.user = word[4] };
	char *list[] = { volume_xml(word[0], 1 << 20, "qcow2", word[1], word[2]),
		pool_xml(&pool), snapshot_xml(word[0], true),
		secret_xml(word[0], word[1]), backup_xml(word[0], word[3], others, 2),
		memory_xml(INT64_C(1) << 30) };

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		well_formed(list[i]);
		free(list[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *word[5] = { NULL };
	bool fit = true;

	if (fuzz_choice(&data, &size, 2) == 0) {
		scoped_free char *xml = fuzz_text(data, size);
		read_check(xml);
		return 0;
	}
	for (size_t i = 0; i < 5; i++) {
		word[i] = fuzz_piece(&data, &size);
		fit = fit && fits_xml(word[i]);
	}
	if (fit) {
		made_check(word);
		others_check(word);
	}
	for (size_t i = 0; i < 5; i++)
		free(word[i]);
	return 0;
}
