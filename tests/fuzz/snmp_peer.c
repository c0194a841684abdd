/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers of alarms: a numeric address and port, which printed and read again is the
 * same */
#include "base/mem.h"
#include "snmp/peer.h"
#include "tests/fuzz/fuzz.h"
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = fuzz_text(data, size);
	struct peer p = { .length = 77 };
	struct peer back = { .length = 0 };
	struct err e = ERR_INIT;
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];

	if (!peer_parse(&p, text, &e)) {
		must(p.length == 77 && e.kind == ERR_INPUT && e.text[0] != '\0',
		    "a refusal changes nothing and says why");
		return 0;
	}
	must(p.address.ss_family == AF_INET || p.address.ss_family == AF_INET6,
	    "family %d", p.address.ss_family);
	must(getnameinfo((const struct sockaddr *)&p.address, p.length, host,
		 sizeof(host), port, sizeof(port),
		 NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM) == 0,
	    "%s can't be printed", text);
	scoped_free char *printed =
	    mem_printf(p.address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	must(peer_parse(&back, printed, &e), "%s: %s", printed, e.text);
	must(back.length == p.length && memcmp(&back.address, &p.address, p.length) == 0,
	    "%s became %s", text, printed);
	return 0;
}
