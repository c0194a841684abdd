/* SPDX-License-Identifier: Apache-2.0 */
/* rule: the alarms that exist, declared once in rule.def */
#pragma once
#include "base/err.h"
#include "snmp/notice.h"

#define RULE(id, name, kind, severity, type, cause, source, cleared, help) RULE_##id,
enum rule_id {
#include "snmp/rule.def"
	RULE_COUNT
};
#undef RULE

enum rule_source {
	RULE_IN_TABLES,   /* looked up in PostgreSQL, round by round */
	RULE_BY_PROGRAMS, /* reported by a program as long as it holds */
	RULE_HERE,        /* seen by jeoul-snmp itself */
};

struct rule {
	const char *name, *object_kind;
	enum severity severity;
	const char *event_type, *probable_cause;
	enum rule_source source;
	const char *cleared; /* printf format with the object's name */
	const char *help;
	bool off;
};

const struct rule *rule_of(enum rule_id id);
/* Never NULL: a name that is not in the table has the kind "program" and is major. */
const struct rule *rule_named(const char *name);
/* The setting alarm.rules: "meter.gap=off host.unreachable=critical". */
must_check bool rules_read(const char *text, struct err *e);
