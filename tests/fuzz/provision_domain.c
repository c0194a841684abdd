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

/* Text of others in our XML stays text: it reads back, and nothing else is in it. */
static void
made_check(char *const word[5])
{
	struct domain_want want = { .uuid = "11111111-2222-4333-8444-555555555555",
		.name = word[0],
		.title = word[1],
		.domain_type = "qemu",
		.vcpus = 2,
		.memory_bytes = INT64_C(96) << 20,
		.kernel = "/k",
		.initrd = "/i",
		.cmdline = word[2],
		.disk_path = word[3],
		.disk_format = "raw",
		.network = "default",
		.mac = "52:54:00:00:00:01",
		.console_path = "/c",
		.account_uuid = word[4] };
	struct domain_found found;
	struct err e = ERR_INIT;
	scoped_free char *xml = domain_xml(&want);
	xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

	must(doc != NULL, "no XML: %s", xml);
	xmlFreeDoc(doc);
	must(domain_read(&found, xml, &e), "%s: %s", e.text, xml);
	must(found.disk_count == 1 && found.nic_count == 1, "%zu disks, %zu cards: %s",
	    found.disk_count, found.nic_count, xml);
	if (strlen(word[3]) < XML_TEXT_MOST)
		must(strcmp(found.disks[0].path, word[3]) == 0, "%s became %s", word[3],
		    found.disks[0].path);
	if (strlen(word[4]) < sizeof(found.account_uuid))
		must(strcmp(found.account_uuid, word[4]) == 0, "%s became %s", word[4],
		    found.account_uuid);
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
	if (fit)
		made_check(word);
	for (size_t i = 0; i < 5; i++)
		free(word[i]);
	return 0;
}
