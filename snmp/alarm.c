/* SPDX-License-Identifier: Apache-2.0 */
/* alarm: raising and clearing in the database, one active alarm per rule and object */
#include "snmp/alarm.h"
#include "base/log.h"
#include "base/mem.h"
#include "snmp_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE_HOST "host.unreachable"

static void
receivers_add(struct receivers *r, const char *kind, const char *words)
{
	for (const char *p = words; *p != '\0';) {
		size_t n = strcspn(p, " ");
		if (n != 0) {
			r->list = mem_resize(r->list, r->count + 1, sizeof(*r->list));
			r->list[r->count++] = mem_printf("%s:%.*s", kind, (int)n, p);
		}
		p += n + strspn(p + n, " ");
	}
}

void
receivers_read(struct receivers *r, const struct conf *conf)
{
	receivers_add(r, "trap", conf_text(conf, CONF_SNMP_TRAP));
	receivers_add(r, "syslog", conf_text(conf, CONF_SYSLOG_TARGET));
}

struct change {
	const struct alarm *alarm;
	const struct receivers *receivers;
	bool changed;
};

static bool
notify_all(struct db *db, const struct change *c, int64_t alarm_id, struct err *e)
{
	const struct alarm *a = c->alarm;
	scoped(rows_clear) struct rows *r = NULL;
	char seq[24];

	if (!db_query(db, STMT_NOTIFICATION_INSERT,
		DB_ARGS(DB_NUMBER(alarm_id), a->raised ? "raise" : "clear",
		    DB_INSTANT(a->at), a->severity, a->text),
		&r, e))
		return false;
	(void)db_number(rows_i64(r, 0, 0), seq);
	for (size_t i = 0; i < c->receivers->count; i++)
		if (!db_run(db, STMT_DELIVERY_INSERT, DB_ARGS(seq, c->receivers->list[i]),
			NULL, e))
			return false;
	return true;
}

static bool
change_write(struct db *db, void *context, struct err *e)
{
	struct change *c = context;
	const struct alarm *a = c->alarm;
	scoped(rows_clear) struct rows *r = NULL;
	bool ok;

	if (a->raised)
		ok = db_query(db, STMT_ALARM_RAISE,
		    DB_ARGS(a->rule, a->object_kind,
			a->object_uuid != NULL && a->object_uuid[0] != '\0'
			    ? a->object_uuid
			    : NULL,
			a->object_name, a->severity, a->text, DB_INSTANT(a->at)),
		    &r, e);
	else
		ok = db_query(db, STMT_ALARM_CLEAR,
		    DB_ARGS(a->rule, a->object_name, DB_INSTANT(a->at)), &r, e);
	c->changed = ok && rows_count(r) != 0;
	return ok && (!c->changed || notify_all(db, c, rows_i64(r, 0, 0), e));
}

bool
alarm_set(struct db *db, const struct alarm *a, const struct receivers *r, struct err *e)
{
	struct change c = { .alarm = a, .receivers = r };

	if (!db_transaction(db, change_write, &c, e))
		return false;
	if (c.changed && a->raised)
		log_warning("alarm %s %s: %s", a->rule, a->object_name, a->text);
	else if (c.changed)
		log_info("alarm %s %s: cleared", a->rule, a->object_name);
	return true;
}

static bool
hosts_raise(struct db *db, const struct rows *trouble, struct instant now,
    const struct receivers *r, struct err *e)
{
	for (size_t i = 0; i < rows_count(trouble); i++) {
		char text[700];
		struct alarm a = { .rule = RULE_HOST,
			.object_kind = "host",
			.severity = "major",
			.object_uuid = rows_text(trouble, i, 0),
			.object_name = rows_text(trouble, i, 1),
			.text = text,
			.at = now,
			.raised = true };
		(void)snprintf(text, sizeof(text),
		    "host %.120s is unreachable since %.40s: %.400s",
		    rows_text(trouble, i, 1), rows_text(trouble, i, 2),
		    rows_text(trouble, i, 3));
		if (!alarm_set(db, &a, r, e))
			return false;
	}
	return true;
}

static bool
named(const struct rows *trouble, const char *name)
{
	for (size_t i = 0; i < rows_count(trouble); i++)
		if (strcmp(rows_text(trouble, i, 1), name) == 0)
			return true;
	return false;
}

bool
alarm_hosts(struct db *db, struct instant now, int64_t after_ns,
    const struct receivers *r, struct err *e)
{
	scoped(rows_clear) struct rows *trouble = NULL;
	scoped(rows_clear) struct rows *active = NULL;
	struct instant before = { now.ns - after_ns };

	if (!db_query(db, STMT_HOST_TROUBLE, DB_ARGS(DB_INSTANT(before)), &trouble, e) ||
	    !db_query(db, STMT_ALARM_ACTIVE, DB_ARGS(RULE_HOST), &active, e) ||
	    !hosts_raise(db, trouble, now, r, e))
		return false;
	for (size_t i = 0; i < rows_count(active); i++) {
		char text[256];
		const char *name = rows_text(active, i, 2);
		struct alarm a = { .rule = RULE_HOST,
			.object_kind = "host",
			.object_name = name,
			.severity = "major",
			.text = text,
			.at = now,
			.raised = false };
		(void)snprintf(text, sizeof(text), "host %.120s answers again", name);
		if (!named(trouble, name) && !alarm_set(db, &a, r, e))
			return false;
	}
	return true;
}
