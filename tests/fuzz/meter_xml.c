/* SPDX-License-Identifier: Apache-2.0 */
/* XML of guests and hosts as the collector reads it */
#include "base/mem.h"
#include "meter/xml.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static void
nic_check(const struct domain_nics *nics, size_t i)
{
	const struct domain_nic *n = &nics->list[i];

	must(strlen(n->mac) < sizeof(n->mac) && strlen(n->target) < sizeof(n->target) &&
		strlen(n->port) < sizeof(n->port),
	    "card %zu", i);
	must(strpbrk(n->mac, "ABCDEF") == NULL, "%s is not lower case", n->mac);
	if (n->target[0] == '\0')
		return;
	const struct domain_nic *first = domain_nic_find(nics, n->target);
	must(first != NULL && strcmp(first->target, n->target) == 0, "%s is not found",
	    n->target);
}

static void
domain_check(const char *xml)
{
	struct domain_nics nics = { 0, NULL };
	struct err e = ERR_INIT;

	if (!domain_nics_read(&nics, xml, &e)) {
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
		must(nics.count == 0 && nics.list == NULL, "a refusal changes nothing");
		return;
	}
	must(nics.count <= DOMAIN_NICS_MOST, "%zu cards", nics.count);
	for (size_t i = 0; i < nics.count; i++)
		nic_check(&nics, i);
	must(domain_nic_find(&nics, "") == NULL, "a card without a name is nobody's");
	domain_nics_done(&nics);
}

static void
topology_check(const char *xml)
{
	struct topology t = { .sockets = -1 };
	struct err e = ERR_INIT;

	if (!topology_read(&t, xml, &e)) {
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
		return;
	}
	must(t.sockets >= 1 && t.sockets <= t.cores && t.cores <= t.threads,
	    "%d sockets, %d cores, %d threads", t.sockets, t.cores, t.threads);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *xml = fuzz_text(data, size);

	domain_check(xml);
	topology_check(xml);
	return 0;
}
