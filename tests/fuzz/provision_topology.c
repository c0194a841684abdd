/* SPDX-License-Identifier: Apache-2.0 */
/* A host's capabilities: sockets are licences, so their number is bounded by the CPUs
 * named */
#include "base/mem.h"
#include "provision/domain_xml.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static int
times(const char *text, const char *word)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *xml = fuzz_text(data, size);
	struct topology t = { .sockets = -1 };
	struct topology again = { .sockets = 0 };
	struct err e = ERR_INIT;

	if (!topology_read(&t, xml, &e)) {
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
		return 0;
	}
	must(t.sockets >= 1 && t.sockets <= t.cores && t.cores <= t.threads,
	    "%d sockets, %d cores, %d threads", t.sockets, t.cores, t.threads);
	if (strstr(xml, "<!ENTITY") == NULL)
		must(t.threads <= times(xml, "<cpu"), "%d threads of %d", t.threads,
		    times(xml, "<cpu"));
	must(topology_read(&again, xml, &e) && again.sockets == t.sockets &&
		again.cores == t.cores,
	    "counted twice it differs");
	return 0;
}
