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
#include "base/log.h"
#include "base/mem.h"
#include "snmp/engine.h"
#include "snmp/peer.h"
#include "snmp/trap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Sizes of JeoulText and SnmpAdminString in the MIB. */
enum { TEXT_MOST = 480, NAME_MOST = 255, OIDS_MOST = 64, USERS_MOST = 16 };
/* An inform is sent twice, then it counts as unanswered. */
enum { ANSWER_WAIT_US = 1500000, REPEATS = 1 };

struct user {
	char *name;
	oid *auth, *priv;
	size_t auth_length, priv_length;
	u_char auth_key[USM_AUTH_KU_LEN], priv_key[USM_PRIV_KU_LEN];
	size_t auth_key_length, priv_key_length;
};

/* One session: traps speak for our engine, informs for the receiver's (RFC 3414). */
struct door {
	struct trap_link *link;
	bool informs;
	struct session_list *session; /* net-snmp's handle of the single session API */
	struct event *readable;
};

struct trap_link {
	struct event_base *base;
	struct trap_events events;
	char *address, *community;
	struct peer peer;
	const struct user *user;
	struct door traps, informs;
	netsnmp_pdu *first; /* waits until the receiver's engine is known */
	bool asking, known, engine_changed;
};

static oid root_oid[OIDS_MOST];
static size_t root_length;
static struct user users[USERS_MOST];
static size_t user_count;
static struct engine engine;

/* ---- setup */

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

/* MD5 and DES are refused: who listens could read and forge them. */
static bool
protocols_set(struct user *u, const char *auth, const char *priv)
{
	int a = usm_lookup_auth_type(auth);
	int p = usm_lookup_priv_type(priv);
	oid *found;

	if (a <= 0 || p <= 0 || strcasecmp(auth, "MD5") == 0 ||
	    strncasecmp(priv, "DES", 3) == 0)
		return false;
	found = sc_get_auth_oid(a, &u->auth_length);
	u->auth = snmp_duplicate_objid(found, u->auth_length);
	found = sc_get_priv_oid(p, &u->priv_length);
	u->priv = snmp_duplicate_objid(found, u->priv_length);
	return u->auth != NULL && u->priv != NULL;
}

static bool
key_make(const struct user *u, const char *password, u_char *key, size_t *length)
{
	scoped_free char *copy = mem_strdup(password);

	return strlen(password) >= USM_LENGTH_P_MIN &&
	    generate_Ku(u->auth, (u_int)u->auth_length, (u_char *)copy, strlen(copy), key,
		length) == SNMPERR_SUCCESS;
}

/* "name:SHA-256:password:AES:password"; the message never shows more than the name. */
static bool
user_read(struct user *u, const char *word, size_t length, struct err *e)
{
	scoped_free char *text = mem_strndup(word, length);
	char *rest = text;
	const char *name = strsep(&rest, ":");
	const char *part[4] = { NULL };

	for (int i = 0; i < 4; i++)
		part[i] = strsep(&rest, ":");
	u->auth_key_length = sizeof(u->auth_key);
	u->priv_key_length = sizeof(u->priv_key);
	if (part[3] == NULL || rest != NULL || name[0] == '\0')
		return err_set(e, ERR_INPUT,
		    "snmp.users: \"%.32s\": write "
		    "name:SHA-256:password:AES:password, without blanks and colons",
		    name);
	if (!protocols_set(u, part[0], part[2]))
		return err_set(e, ERR_INPUT,
		    "snmp.users: user %.32s: %.16s with %.16s is not possible: "
		    "write SHA-256 (or SHA, SHA-224 ... SHA-512) and AES",
		    name, part[0], part[2]);
	if (!key_make(u, part[1], u->auth_key, &u->auth_key_length) ||
	    !key_make(u, part[3], u->priv_key, &u->priv_key_length))
		return err_set(e, ERR_INPUT,
		    "snmp.users: user %.32s: a password has fewer than %d characters",
		    name, USM_LENGTH_P_MIN);
	u->name = mem_strdup(name);
	return true;
}

static bool
users_read(const char *text, struct err *e)
{
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, " ");
		if (n != 0 && user_count == USERS_MOST)
			return err_set(e, ERR_INPUT, "snmp.users: more than %d",
			    (int)USERS_MOST);
		if (n != 0 && !user_read(&users[user_count], p, n, e))
			return false;
		user_count += n != 0;
		p += n + strspn(p + n, " ");
	}
	return true;
}

/* net-snmp counts starts only at a clean end, and sends the old count after a kill. */
static bool
engine_start(const struct trap_setup *setup, struct err *e)
{
	char before[24];

	if (!engine_open(&engine, setup->folder, setup->root, e))
		return false;
	(void)snprintf(before, sizeof(before), "%u", engine.boots - 1);
	set_exact_engineID(engine.id, engine.length);
	init_snmp("jeoul");
	engineBoots_conf("engineBoots", before); /* adds one */
	(void)set_enginetime(engine.id, (u_int)engine.length, engine.boots, 0, TRUE);
	return true;
}

bool
trap_init(const struct trap_setup *setup, struct err *e)
{
	if (!root_parse(setup->root))
		return err_set(e, ERR_INPUT,
		    "snmp.root \"%.80s\" is no OID: write it as 1.3.6.1.4.1.N",
		    setup->root);
	(void)setenv("MIBS", "", 1); /* NOLINT(concurrency-mt-unsafe): no thread here */
	(void)setenv("SNMP_PERSISTENT_DIR", setup->folder, 1); /* NOLINT(concurrency-*) */
	(void)setenv("SNMPCONFPATH", setup->folder, 1);        /* NOLINT(concurrency-*) */
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS,
	    1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
	    1);
	snmp_disable_log();
	if (setup->users[0] != '\0')
		return users_read(setup->users, e) && engine_start(setup, e);
	init_snmp("jeoul");
	return true;
}

/* ---- the message */

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
add_number(netsnmp_pdu *pdu, oid column, u_char type, long value)
{
	add_value(pdu, column, type, &value, sizeof(value));
}

static void
add_text(netsnmp_pdu *pdu, oid column, const char *text, size_t most)
{
	size_t n = strlen(text) < most ? strlen(text) : most;

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
add_head(netsnmp_pdu *pdu, enum notice_kind kind)
{
	static const oid uptime_oid[] = { 1, 3, 6, 1, 2, 1, 1, 3, 0 };
	static const oid trap_oid[] = { 1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0 };
	static const oid
	    numbers[] = { [NOTICE_RAISE] = 1, [NOTICE_CHANGE] = 2, [NOTICE_CLEAR] = 3 };
	u_long uptime = (u_long)(clock_mono().ns / (NS_PER_S / 100));
	oid which[OIDS_MOST];

	memcpy(which, root_oid, root_length * sizeof(oid));
	which[root_length] = 0;
	which[root_length + 1] = numbers[kind];
	(void)snmp_pdu_add_variable(pdu, uptime_oid, ARRAY_LEN(uptime_oid), ASN_TIMETICKS,
	    &uptime, sizeof(uptime));
	(void)snmp_pdu_add_variable(pdu, trap_oid, ARRAY_LEN(trap_oid), ASN_OBJECT_ID,
	    which, (root_length + 2) * sizeof(oid));
}

static void
fill(netsnmp_pdu *pdu, const struct notice *n)
{
	struct counter64 seq = { .high = (u_long)((uint64_t)n->seq >> 32),
		.low = (u_long)((uint64_t)n->seq & 0xffffffffU) };

	add_head(pdu, n->kind);
	add_value(pdu, 1, ASN_COUNTER64, &seq, sizeof(seq));
	add_text(pdu, 2, n->alarm_uuid, NAME_MOST);
	add_number(pdu, 3, ASN_INTEGER, (long)notice_severity(n));
	add_text(pdu, 4, n->object_kind, NAME_MOST);
	add_text(pdu, 5, n->object_uuid, NAME_MOST);
	add_text(pdu, 6, n->object_name, NAME_MOST);
	add_text(pdu, 7, n->rule, NAME_MOST);
	add_text(pdu, 8, n->text, TEXT_MOST);
	add_date(pdu, 9, n->at);
	add_text(pdu, 10, n->uuid, NAME_MOST);
	add_number(pdu, 11, ASN_GAUGE, n->times);
}

/* ---- sessions */

static void
door_close(struct door *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->session != NULL)
		(void)snmp_sess_close(d->session);
	d->readable = NULL;
	d->session = NULL;
}

static void
first_forget(struct trap_link *l)
{
	if (l->first != NULL)
		snmp_free_pdu(l->first);
	l->first = NULL;
	l->asking = false;
}

static void
link_forget_engine(struct trap_link *l)
{
	door_close(&l->informs);
	first_forget(l);
	l->known = false;
	l->engine_changed = false;
}

/* Set up anew, a receiver has another engine; some then say nothing at all. */
static void
engine_doubt(struct trap_link *l)
{
	if (!l->engine_changed)
		return;
	link_forget_engine(l);
	l->events.forgotten(l->events.context,
	    "no answer from the SNMPv3 engine that it had: it is asked again");
}

static int inform_ended(int what, netsnmp_session *s, int id, netsnmp_pdu *pdu,
    void *context);

/* The magic of a request is its notice's number: a letter may be gone when it ends. */
static bool
inform_out(struct trap_link *l, netsnmp_pdu *pdu, int64_t seq)
{
	if (snmp_sess_async_send(l->informs.session, pdu, inform_ended,
		(void *)(intptr_t)seq) != 0)
		return true;
	snmp_free_pdu(pdu);
	return false;
}

/* Its engine is known now: what waited for that goes. */
static void
first_out(struct trap_link *l)
{
	netsnmp_pdu *pdu = l->first;

	l->first = NULL;
	l->asking = false;
	if (pdu != NULL && !inform_out(l, pdu, (int64_t)pdu->time))
		l->events.refused(l->events.context, "the inform can't be sent");
	l->events.ready(l->events.context);
}

static void
door_readable(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct door *d = context;
	struct trap_link *l = d->link;
	int trouble = peer_trouble(fd);
	fd_set set;

	if (trouble != 0) {
		char why[128];
		(void)snprintf(why, sizeof(why), "nobody answers at its port: %s",
		    strerrordesc_np(trouble));
		l->events.refused(l->events.context, why);
		return; /* the event may be gone with its session */
	}
	FD_ZERO(&set);
	FD_SET(fd, &set);
	(void)snmp_sess_read(d->session, &set); /* what it can't read is no answer */
	if (l->asking && l->known)
		first_out(l);
	engine_doubt(l);
}

static void
session_user(netsnmp_session *s, const struct trap_link *l, bool informs)
{
	const struct user *u = l->user;

	s->version = SNMP_VERSION_3;
	s->flags |= SNMP_FLAGS_DONT_PROBE;
	s->securityModel = SNMP_SEC_MODEL_USM;
	s->securityLevel = SNMP_SEC_LEVEL_AUTHPRIV;
	s->securityName = u->name;
	s->securityNameLen = strlen(u->name);
	s->securityAuthProto = u->auth;
	s->securityAuthProtoLen = u->auth_length;
	s->securityPrivProto = u->priv;
	s->securityPrivProtoLen = u->priv_length;
	memcpy(s->securityAuthKey, u->auth_key, u->auth_key_length);
	s->securityAuthKeyLen = u->auth_key_length;
	memcpy(s->securityPrivKey, u->priv_key, u->priv_key_length);
	s->securityPrivKeyLen = u->priv_key_length;
	if (informs)
		return;
	s->securityEngineID = engine.id;
	s->securityEngineIDLen = engine.length;
	s->contextEngineID = engine.id;
	s->contextEngineIDLen = engine.length;
}

static bool
door_open(struct door *d, struct err *e)
{
	struct trap_link *l = d->link;
	bool six = l->peer.address.ss_family == AF_INET6;
	scoped_free char *peer = mem_printf("%s:%s", six ? "udp6" : "udp", l->address);
	netsnmp_session s;

	if (d->session != NULL)
		return true;
	snmp_sess_init(&s);
	s.peername = peer;
	s.timeout = ANSWER_WAIT_US;
	s.retries = REPEATS;
	s.callback_magic = l;
	s.version = SNMP_VERSION_2c;
	s.community = (u_char *)l->community;
	s.community_len = strlen(l->community);
	if (l->user != NULL)
		session_user(&s, l, d->informs);
	d->session = snmp_sess_add(&s, netsnmp_transport_open_client("snmptrap", peer),
	    NULL, NULL);
	if (d->session == NULL)
		return err_set(e, ERR_GONE, "no session to %s", l->address);
	/* Never ask for an engine in a call that waits: see engine_ask(). */
	snmp_sess_session(d->session)->flags |= SNMP_FLAGS_DONT_PROBE;
	int fd = snmp_sess_transport(d->session)->sock;
	d->readable = event_new(l->base, fd, EV_READ | EV_PERSIST, door_readable, d);
	if (d->readable == NULL || event_add(d->readable, NULL) != 0)
		abort();
	if (peer_attach(fd, &l->peer, e))
		return true;
	door_close(d);
	return false;
}

/* ---- what becomes of an inform */

static const char *
report_text(netsnmp_pdu *pdu)
{
	switch (snmpv3_get_report_type(pdu)) {
	case SNMPERR_UNKNOWN_USER_NAME:
		return "the receiver does not know this user of snmp.users";
	case SNMPERR_AUTHENTICATION_FAILURE:
		return "the receiver has another password for this user of snmp.users";
	case SNMPERR_UNSUPPORTED_SEC_LEVEL:
		return "the receiver does not take authPriv from this user";
	case SNMPERR_DECRYPTION_ERR:
		return "the receiver can't decrypt: another privacy password";
	default:
		return "the receiver refused it by a report";
	}
}

static int
inform_ended(int what, netsnmp_session *s, int unused_id unused, netsnmp_pdu *pdu,
    void *context)
{
	struct trap_link *l = s->callback_magic;
	int64_t seq = (int64_t)(intptr_t)context;

	switch (what) {
	case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE:
		if (pdu->command == SNMP_MSG_REPORT)
			break; /* either repeated by net-snmp, or OP_SEC_ERROR follows */
		if (pdu->command == SNMP_MSG_RESPONSE && pdu->errstat == 0)
			l->events.answered(l->events.context, seq);
		else
			l->events.silent(l->events.context, seq,
			    "the receiver answered with an error");
		break;
	case NETSNMP_CALLBACK_OP_TIMED_OUT:
		l->engine_changed = l->user != NULL;
		l->events.silent(l->events.context, seq, "no answer to the inform");
		break;
	case NETSNMP_CALLBACK_OP_SEC_ERROR:
		l->engine_changed = snmpv3_get_report_type(pdu) == SNMPERR_UNKNOWN_ENG_ID;
		l->events.silent(l->events.context, seq, report_text(pdu));
		break;
	case NETSNMP_CALLBACK_OP_SEND_FAILED:
		l->events.silent(l->events.context, seq, "the inform can't be sent");
		break;
	default:
		break;
	}
	return 1;
}

/* ---- whose engine is it? (RFC 3414, 4) */

/* The session frees both ids. */
static void
engine_learn(struct trap_link *l, netsnmp_session *s, const netsnmp_pdu *pdu)
{
	if (s->securityEngineIDLen == 0) {
		s->securityEngineID = netsnmp_memdup(pdu->securityEngineID,
		    pdu->securityEngineIDLen);
		s->securityEngineIDLen = pdu->securityEngineIDLen;
	}
	if (s->contextEngineIDLen == 0) {
		s->contextEngineID = netsnmp_memdup(pdu->securityEngineID,
		    pdu->securityEngineIDLen);
		s->contextEngineIDLen = pdu->securityEngineIDLen;
	}
	l->known = usm_create_user_from_session(s) == SNMPERR_SUCCESS;
}

/* The answer is a report that the empty user has no engine: it bears the id. */
static int
engine_told(int what, netsnmp_session *s, int unused_id unused, netsnmp_pdu *pdu,
    void *context)
{
	struct trap_link *l = s->callback_magic;
	int64_t seq = (int64_t)(intptr_t)context;

	if (what == NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE &&
	    pdu->command == SNMP_MSG_REPORT && pdu->securityEngineIDLen > 0)
		engine_learn(l, s, pdu);
	if (what == NETSNMP_CALLBACK_OP_TIMED_OUT ||
	    what == NETSNMP_CALLBACK_OP_SEND_FAILED) {
		first_forget(l);
		l->events.silent(l->events.context, seq,
		    "no answer to the question for its SNMPv3 engine");
	}
	return 1;
}

/* The question bears an empty user, which USM wants to have in its list. */
static bool
nobody_known(void)
{
	struct usmUser *u = usm_get_user(NULL, 0, "");

	if (u != NULL)
		return true;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		abort();
	u->name = mem_strdup("");
	u->secName = mem_strdup("");
	u->authProtocolLen = ARRAY_LEN(usmNoAuthProtocol);
	u->authProtocol = snmp_duplicate_objid(usmNoAuthProtocol, u->authProtocolLen);
	u->privProtocolLen = ARRAY_LEN(usmNoPrivProtocol);
	u->privProtocol = snmp_duplicate_objid(usmNoPrivProtocol, u->privProtocolLen);
	return usm_add_user(u) != NULL;
}

/* Asks without waiting; pdu goes when the answer is there. */
static bool
engine_ask(struct trap_link *l, netsnmp_pdu *pdu, int64_t seq, struct err *e)
{
	netsnmp_pdu *question = snmp_pdu_create(SNMP_MSG_GET);

	question->version = SNMP_VERSION_3;
	question->securityName = mem_strdup("");
	question->securityNameLen = 0;
	question->securityLevel = SNMP_SEC_LEVEL_NOAUTH;
	question->securityModel = SNMP_SEC_MODEL_USM;
	if (!nobody_known() ||
	    snmp_sess_async_send(l->informs.session, question, engine_told,
		(void *)(intptr_t)seq) == 0) {
		snmp_free_pdu(question);
		snmp_free_pdu(pdu);
		return err_set(e, ERR_GONE, "%s can't be asked for its engine",
		    l->address);
	}
	l->first = pdu;
	l->first->time = (u_long)seq;
	l->asking = true;
	return true;
}

/* ---- links */

static const struct user *
user_named(const char *name)
{
	for (size_t i = 0; name != NULL && i < user_count; i++)
		if (strcmp(users[i].name, name) == 0)
			return &users[i];
	return NULL;
}

bool
trap_open(struct trap_link **out, struct event_base *base, const char *address,
    const char *community, const char *user, const struct trap_events *events,
    struct err *e)
{
	struct peer peer;
	struct trap_link *l;

	if (!peer_parse(&peer, address, e))
		return err_wrap(e, "snmp.trap");
	if (user != NULL && user_named(user) == NULL)
		return err_set(e, ERR_INPUT,
		    "snmp.trap %s: there is no user \"%.32s\" in snmp.users", address,
		    user);
	l = mem_alloc(sizeof(*l));
	l->base = base;
	l->events = *events;
	l->address = mem_strdup(address);
	l->community = mem_strdup(community);
	l->peer = peer;
	l->user = user_named(user);
	l->traps = (struct door){ .link = l, .informs = false };
	l->informs = (struct door){ .link = l, .informs = true };
	*out = l;
	return true;
}

void
trap_close(struct trap_link *l)
{
	if (l == NULL)
		return;
	link_forget_engine(l);
	door_close(&l->traps);
	free(l->address);
	free(l->community);
	free(l);
}

bool
trap_ready(const struct trap_link *l)
{
	return !l->asking;
}

static bool
trap_out(struct trap_link *l, netsnmp_pdu *pdu, struct err *e)
{
	if (snmp_sess_send(l->traps.session, pdu) != 0)
		return true;
	snmp_free_pdu(pdu);
	return err_set(e, ERR_GONE, "the trap can't be sent to %s: %s", l->address,
	    snmp_api_errstring(snmp_sess_session(l->traps.session)->s_snmp_errno));
}

bool
trap_send(struct trap_link *l, const struct notice *n, bool inform, struct err *e)
{
	netsnmp_pdu *pdu;

	if (!door_open(inform ? &l->informs : &l->traps, e))
		return false;
	pdu = snmp_pdu_create(inform ? SNMP_MSG_INFORM : SNMP_MSG_TRAP2);
	fill(pdu, n);
	if (!inform)
		return trap_out(l, pdu, e);
	if (l->user != NULL && !l->known)
		return engine_ask(l, pdu, n->seq, e);
	return inform_out(l, pdu, n->seq) ||
	    err_set(e, ERR_GONE, "the inform can't be sent to %s", l->address);
}

void
trap_reset(struct trap_link *l)
{
	link_forget_engine(l);
}

void
trap_tick(struct trap_link *l)
{
	if (l->informs.session != NULL)
		snmp_sess_timeout(l->informs.session);
	engine_doubt(l);
}
