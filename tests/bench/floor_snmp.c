/* SPDX-License-Identifier: Apache-2.0 */
/* floor_snmp PORT: net-snmp sending v2c traps with as many objects as an alarm has */
/* net-snmp's headers are not as strict as ours. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#pragma GCC diagnostic pop
#include "base/attr.h"
#include "tests/bench/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 9 };

static uint64_t
trap_round(void *context)
{
	static const oid uptime_oid[] = { 1, 3, 6, 1, 2, 1, 1, 3, 0 };
	static const oid trap_oid[] = { 1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0 };
	oid name[] = { 1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 7531, 1, 5, 3, 0, 0 };
	static const char text[] = "host kvm07: no answer for 31 s, since 2026-11-21";
	netsnmp_session *link = context;
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_TRAP2);
	u_long uptime = 1;

	if (pdu == NULL)
		return 0;
	(void)snmp_pdu_add_variable(pdu, uptime_oid, ARRAY_LEN(uptime_oid), ASN_TIMETICKS,
	    &uptime, sizeof(uptime));
	(void)snmp_pdu_add_variable(pdu, trap_oid, ARRAY_LEN(trap_oid), ASN_OBJECT_ID,
	    name, sizeof(name));
	for (oid i = 1; i <= TEXTS; i++) {
		name[13] = i;
		(void)snmp_pdu_add_variable(pdu, name, ARRAY_LEN(name), ASN_OCTET_STR,
		    text, sizeof(text) - 1);
	}
	if (snmp_send(link, pdu) != 0)
		return 1;
	snmp_free_pdu(pdu);
	snmp_perror("floor_snmp");
	return 0;
}

int
main(int argc, char **argv)
{
	netsnmp_session session;
	netsnmp_session *link;
	char peer[64];
	char community[] = "public";

	if (argc != 2) {
		(void)fprintf(stderr, "usage: floor_snmp PORT\n");
		return 2;
	}
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS,
	    1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
	    1);
	init_snmp("floor");
	snmp_sess_init(&session);
	(void)snprintf(peer, sizeof(peer), "127.0.0.1:%s", argv[1]);
	session.version = SNMP_VERSION_2c;
	session.peername = peer;
	session.community = (u_char *)community;
	session.community_len = strlen(community);
	link = snmp_open(&session);
	if (link == NULL) {
		snmp_perror("floor_snmp");
		return 1;
	}
	return bench_serve(trap_round, link, 0);
}
