/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-snmp: alarms to the NOC and to syslog; wiring only */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/spool.h"
#include "snmp/alarm.h"
#include "snmp/syslog.h"
#include "snmp/trap.h"
#include "snmp_stmt.gen.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_MOST = 100 };

struct noc {
	struct proc *proc;
	const struct conf *conf;
	struct db *db;
	struct spool *spool;
	struct receivers receivers;
	char hostname[65];
	char enterprise[16];
	uint64_t spool_seq;
	bool told;
};

/* The enterprise number in snmp.root, for the SD-ID; the documentation's own otherwise.
 */
static void
enterprise_read(struct noc *n)
{
	const char *root = conf_text(n->conf, CONF_SNMP_ROOT);
	const char *prefix = "1.3.6.1.4.1.";

	(void)snprintf(n->enterprise, sizeof(n->enterprise), "32473");
	if (strncmp(root, prefix, strlen(prefix)) == 0)
		(void)snprintf(n->enterprise, sizeof(n->enterprise), "%.*s",
		    (int)strcspn(root + strlen(prefix), "."), root + strlen(prefix));
}

static bool
connected(struct noc *n, struct err *e)
{
	return n->db != NULL || db_open(n->conf, "snmp", &snmp_statements, &n->db, e);
}

static bool
send_one(struct noc *n, const char *receiver, const struct notice *notice, struct err *e)
{
	struct buf line = BUF_INIT;
	bool ok;

	if (strncmp(receiver, "trap:", 5) == 0)
		return trap_send(receiver + 5, conf_text(n->conf, CONF_SNMP_COMMUNITY),
		    notice, e);
	syslog_format(&line, notice, n->hostname, n->enterprise);
	ok = syslog_send(receiver + 7, line.data, line.length, e);
	buf_done(&line);
	return ok;
}

static bool
notice_read(struct notice *out, const struct rows *r, size_t i, struct err *e)
{
	*out = (struct notice){ .seq = rows_i64(r, i, 0),
		.kind = rows_text(r, i, 3),
		.severity = rows_text(r, i, 5),
		.text = rows_text(r, i, 6),
		.alarm_uuid = rows_text(r, i, 7),
		.rule = rows_text(r, i, 8),
		.object_kind = rows_text(r, i, 9),
		.object_uuid = rows_text(r, i, 10),
		.object_name = rows_text(r, i, 11) };
	return instant_parse(&out->at, rows_text(r, i, 4), e);
}

/* At least once: marked as sent only after it went out. */
static bool
deliver_due(struct noc *n, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(n->db, STMT_DELIVERY_DUE, DB_NONE, &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct err why = ERR_INIT;
		struct notice notice;
		char seq[24];
		const char *receiver = rows_text(r, i, 1);
		(void)db_number(rows_i64(r, i, 0), seq);
		if (!notice_read(&notice, r, i, e))
			return false;
		if (send_one(n, receiver, &notice, &why)) {
			if (!db_run(n->db, STMT_DELIVERY_SENT, DB_ARGS(seq, receiver),
				NULL, e))
				return false;
			continue;
		}
		if (rows_i64(r, i, 2) == 0)
			log_warning("receiver %s: %s: tried again later", receiver,
			    why.text);
		if (!db_run(n->db, STMT_DELIVERY_FAILED, DB_ARGS(seq, receiver, why.text),
			NULL, e))
			return false;
	}
	return true;
}

static const char *
severity_of(const char *rule)
{
	return strcmp(rule, "database.down") == 0 ? "critical" : "major";
}

/* PostgreSQL is away: the alarm goes out at once, and is merged into the tables later. */
static void
alert_spool(struct noc *n, const char *rule, const char *object, bool raised,
    const char *text)
{
	struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);
	struct err e = ERR_INIT;
	char when[CLOCK_TEXT_MAX];
	char key[64];
	struct instant now = clock_now();
	struct notice notice = { .seq = 0,
		.kind = raised ? "raise" : "clear",
		.at = now,
		.severity = severity_of(rule),
		.text = text,
		.alarm_uuid = "",
		.rule = rule,
		.object_kind = "program",
		.object_uuid = "",
		.object_name = object };

	jout_open(&j, NULL, '{');
	jout_string(&j, "rule", rule);
	jout_string(&j, "object", object);
	jout_bool(&j, "raised", raised);
	jout_string(&j, "text", text);
	jout_string(&j, "at", instant_text(now, when));
	jout_close(&j, '}');
	(void)snprintf(key, sizeof(key), "%020lld-%llu", (long long)now.ns,
	    (unsigned long long)n->spool_seq++);
	struct spool_record record = { .key = key,
		.order = now.ns,
		.payload = buf_text(&b) };
	if (n->spool == NULL || !spool_put(n->spool, &record, 1, &e))
		log_error("alarm %s %s can't be spooled: %s", rule, object, e.text);
	for (size_t i = 0; i < n->receivers.count; i++) {
		err_clear(&e);
		if (!send_one(n, n->receivers.list[i], &notice, &e))
			log_warning("receiver %s: %s", n->receivers.list[i], e.text);
	}
	buf_done(&b);
}

/* Alerts of other programs: into the tables, or past them while the database is away. */
static void
alert_came(void *context, const char *rule, const char *object, bool raised,
    const char *text)
{
	struct noc *n = context;
	struct err e = ERR_INIT;
	struct alarm a = { .rule = rule,
		.object_kind = "program",
		.object_name = object,
		.severity = severity_of(rule),
		.text = text,
		.at = clock_now(),
		.raised = raised };

	if (strcmp(rule, "database.down") != 0 && connected(n, &e) &&
	    alarm_set(n->db, &a, &n->receivers, &e))
		return;
	alert_spool(n, rule, object, raised, text);
}

struct drain {
	struct noc *noc;
	bool ok;
};

static bool
drain_one(const struct spool_record *record, void *context)
{
	struct drain *d = context;
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	struct receivers nobody = { NULL, 0 }; /* they had it when it happened */

	if (!json_parse(&doc, record->payload, strlen(record->payload), &e)) {
		log_error("spooled alarm %s: %s: left out", record->key, e.text);
		return true;
	}
	const struct jval *root = json_root(doc);
	struct alarm a = { .rule = json_text(json_get(root, "rule")),
		.object_kind = "program",
		.object_name = json_text(json_get(root, "object")),
		.text = json_text(json_get(root, "text")),
		.raised = json_bool(json_get(root, "raised"), true) };
	if (a.rule != NULL && a.object_name != NULL && a.text != NULL &&
	    instant_parse(&a.at, json_text(json_get(root, "at")), &e)) {
		a.severity = severity_of(a.rule);
		d->ok = alarm_set(d->noc->db, &a, &nobody, &e);
	}
	json_free(doc);
	return d->ok;
}

struct keys {
	struct spool_record list[DRAIN_MOST];
	size_t count;
};

static bool
key_keep(const struct spool_record *record, void *context)
{
	struct keys *k = context;

	k->list[k->count++] = (struct spool_record){ .key = mem_strdup(record->key),
		.order = record->order,
		.payload = "" };
	return k->count < DRAIN_MOST;
}

static bool
drain(struct noc *n, struct err *e)
{
	struct drain d = { .noc = n, .ok = true };
	struct keys k = { .count = 0 };
	uint64_t waiting = 0;
	bool ok;

	if (n->spool == NULL || !spool_count(n->spool, &waiting, e) || waiting == 0)
		return true;
	ok = spool_each(n->spool, DRAIN_MOST, key_keep, &k, e) &&
	    spool_each(n->spool, DRAIN_MOST, drain_one, &d, e) && d.ok &&
	    spool_drop_all(n->spool, k.list, k.count, e);
	for (size_t i = 0; i < k.count; i++)
		free((void *)(uintptr_t)k.list[i].key);
	return ok;
}

static bool
round_once(struct noc *n, struct instant now, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!connected(n, e) || !drain(n, e) ||
	    !alarm_hosts(n->db, now, conf_span_ns(n->conf, CONF_ALARM_HOST_AFTER),
		&n->receivers, e) ||
	    !deliver_due(n, e) || !db_query(n->db, STMT_DELIVERY_WAITING, DB_NONE, &r, e))
		return false;
	proc_status(n->proc, "%zu receivers, %s notifications waiting",
	    n->receivers.count, rows_text(r, 0, 0));
	return true;
}

static void
every_second(void *context, struct instant now)
{
	struct noc *n = context;
	struct err e = ERR_INIT;

	if (round_once(n, now, &e)) {
		n->told = false;
		return;
	}
	if (!n->told)
		log_warning("%s: alarms go past the database until it is back", e.text);
	n->told = true;
}

int
main(int argc, char **argv)
{
	struct proc *p = proc_start("snmp", argc, argv);
	struct noc n = { .proc = p, .conf = proc_conf(p) };
	struct err e = ERR_INIT;
	char path[STATE_PATH_MAX];

	(void)mallopt(M_ARENA_MAX, 1);
	if (gethostname(n.hostname, sizeof(n.hostname) - 1) != 0)
		n.hostname[0] = '\0';
	enterprise_read(&n);
	receivers_read(&n.receivers, n.conf);
	if (!trap_init(conf_text(n.conf, CONF_SNMP_ROOT),
		state_path(n.conf, path, "spool/snmp"), &e)) {
		log_error("%s", e.text);
		return 2;
	}
	if (!spool_open(&n.spool, state_path(n.conf, path, "spool/snmp/alarms.db"), &e))
		log_error("%s: alarms of a database outage are not kept", e.text);
	proc_on_alert(p, alert_came, &n);
	proc_every(p, NS_PER_S, every_second, &n);
	proc_ready(p);
	return proc_loop(p);
}
