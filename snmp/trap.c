/* SPDX-License-Identifier: Apache-2.0 */
/* trap: alarms as SNMP notifications; the one file that knows net-snmp */
/* net-snmp's headers come first and are not as strict as ours. */
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
#include "base/mem.h"
#include "snmp/trap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Sizes of JeoulText and SnmpAdminString in the MIB. */
enum { TEXT_MOST = 480, NAME_MOST = 255, OIDS_MOST = 64 };

static oid root_oid[OIDS_MOST];
static size_t root_length;

/* "1.3.6.1" -> numbers; net-snmp's own reader would look for MIB files. */
static bool
root_parse(const char *text)
{
	const char *p = text;
	char *end = NULL;

	for (root_length = 0; root_length < OIDS_MOST - 8;) {
		root_oid[root_length++] = strtoul(p, &end, 10);
		if (end == p)
			return false;
		if (*end == '\0')
			return root_length > 6;
		if (*end != '.')
			return false;
		p = end + 1;
	}
	return false;
}

bool
trap_init(const char *root, const char *state, struct err *e)
{
	if (!root_parse(root))
		return err_set(e, ERR_INPUT,
		    "snmp.root \"%.80s\" is no OID: write it as 1.3.6.1.4.1.N", root);
	(void)setenv("MIBS", "", 1); /* NOLINT(concurrency-mt-unsafe): no thread here */
	(void)setenv("SNMP_PERSISTENT_DIR", state, 1); /* NOLINT(concurrency-mt-unsafe) */
	(void)setenv("SNMPCONFPATH", state, 1);        /* NOLINT(concurrency-mt-unsafe) */
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS,
	    1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
	    1);
	snmp_disable_log();
	init_snmp("jeoul");
	return true;
}

/* Objects stand at ROOT.1.5.3.<column>.0, in the order of the notifications' OBJECTS. */
static void
add_value(netsnmp_pdu *pdu, oid column, u_char type, const void *value, size_t length)
{
	oid name[OIDS_MOST];
	const oid tail[] = { 1, 5, 3, column, 0 };

	memcpy(name, root_oid, root_length * sizeof(oid));
	memcpy(name + root_length, tail, sizeof(tail));
	(void)snmp_pdu_add_variable(pdu, name, root_length + ARRAY_LEN(tail), type, value,
	    length);
}

static void
add_text(netsnmp_pdu *pdu, oid column, const char *text, size_t most)
{
	size_t n = strnlen(text, most);

	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	add_value(pdu, column, ASN_OCTET_STR, text, n);
}

/* DateAndTime of SNMPv2-TC, always with the offset: 11 octets, UTC. */
static void
add_date(netsnmp_pdu *pdu, oid column, struct instant at)
{
	time_t seconds = (time_t)(at.ns / NS_PER_S);
	struct tm tm;
	unsigned char d[11];

	if (gmtime_r(&seconds, &tm) == NULL)
		return;
	d[0] = (unsigned char)((tm.tm_year + 1900) >> 8);
	d[1] = (unsigned char)(tm.tm_year + 1900);
	d[2] = (unsigned char)(tm.tm_mon + 1);
	d[3] = (unsigned char)tm.tm_mday;
	d[4] = (unsigned char)tm.tm_hour;
	d[5] = (unsigned char)tm.tm_min;
	d[6] = (unsigned char)tm.tm_sec;
	d[7] = (unsigned char)(at.ns % NS_PER_S / (NS_PER_S / 10));
	d[8] = '+';
	d[9] = 0;
	d[10] = 0;
	add_value(pdu, column, ASN_OCTET_STR, d, sizeof(d));
}

static void
fill(netsnmp_pdu *pdu, const struct notice *n)
{
	static const oid uptime_oid[] = { 1, 3, 6, 1, 2, 1, 1, 3, 0 };
	static const oid trap_oid[] = { 1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0 };
	oid which[OIDS_MOST];
	long severity = notice_severity(n);
	u_long uptime = (u_long)(clock_mono().ns / (NS_PER_S / 100));
	struct counter64 seq = { .high = (u_long)((uint64_t)n->seq >> 32),
		.low = (u_long)((uint64_t)n->seq & 0xffffffffU) };

	memcpy(which, root_oid, root_length * sizeof(oid));
	which[root_length] = 0;
	which[root_length + 1] = strcmp(n->kind, "raise") == 0 ? 1
	    : strcmp(n->kind, "clear") == 0                    ? 3
							       : 2;
	(void)snmp_pdu_add_variable(pdu, uptime_oid, ARRAY_LEN(uptime_oid), ASN_TIMETICKS,
	    &uptime, sizeof(uptime));
	(void)snmp_pdu_add_variable(pdu, trap_oid, ARRAY_LEN(trap_oid), ASN_OBJECT_ID,
	    which, (root_length + 2) * sizeof(oid));
	add_value(pdu, 1, ASN_COUNTER64, &seq, sizeof(seq));
	add_text(pdu, 2, n->alarm_uuid, NAME_MOST);
	add_value(pdu, 3, ASN_INTEGER, &severity, sizeof(severity));
	add_text(pdu, 4, n->object_kind, NAME_MOST);
	add_text(pdu, 5, n->object_uuid, NAME_MOST);
	add_text(pdu, 6, n->object_name, NAME_MOST);
	add_text(pdu, 7, n->rule, NAME_MOST);
	add_text(pdu, 8, n->text, TEXT_MOST);
	add_date(pdu, 9, n->at);
}

bool
trap_send(const char *receiver, const char *community, const struct notice *n,
    struct err *e)
{
	scoped_free char *peer = mem_printf("udp:%s", receiver);
	scoped_free char *secret = mem_strdup(community);
	netsnmp_session session;
	netsnmp_session *open;
	netsnmp_pdu *pdu;
	bool ok;

	snmp_sess_init(&session);
	session.version = SNMP_VERSION_2c;
	session.peername = peer;
	session.community = (u_char *)secret;
	session.community_len = strlen(secret);
	open = snmp_add(&session, netsnmp_transport_open_client("snmptrap", peer), NULL,
	    NULL);
	if (open == NULL)
		return err_set(e, ERR_GONE,
		    "snmp.trap %s can't be opened: write it as address:port", receiver);
	pdu = snmp_pdu_create(SNMP_MSG_TRAP2);
	fill(pdu, n);
	ok = snmp_send(open, pdu) != 0;
	if (!ok) {
		snmp_free_pdu(pdu);
		(void)err_set(e, ERR_GONE, "snmp.trap %s: %s", receiver,
		    snmp_api_errstring(open->s_snmp_errno));
	}
	(void)snmp_close(open);
	return ok;
}
