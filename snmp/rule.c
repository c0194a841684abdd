/* SPDX-License-Identifier: Apache-2.0 */
/* rule: the alarms that exist, declared once in rule.def */
#include "snmp/rule.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define RULE(id, name, kind, severity, type, cause, source, cleared, help)               \
	{ name, kind, severity, type, cause, source, cleared, help, false },
static struct rule rules[RULE_COUNT] = {
#include "snmp/rule.def"
};
#undef RULE

/* A program newer than this one may report what it knows nothing of. */
static const struct rule unknown = { "other", "program", SEVERITY_MAJOR,
	"processingErrorAlarm", "softwareProgramError", RULE_BY_PROGRAMS, "%s: over",
	"reported by a program", false };

const struct rule *
rule_of(enum rule_id id)
{
	return &rules[id];
}

static struct rule *
find(const char *name)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

const struct rule *
rule_named(const char *name)
{
	const struct rule *r = find(name);

	return r != NULL ? r : &unknown;
}

static const char *
names(struct buf *b)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		buf_printf(b, "%s%s", i != 0 ? ", " : "", rules[i].name);
	return buf_text(b);
}

static bool
word_read(char *word, struct err *e)
{
	scoped(buf_done) struct buf all = BUF_INIT;
	const char *value = strchr(word, '=');
	enum severity severity;
	struct rule *r;

	if (value != NULL)
		word[value++ - word] = '\0';
	r = find(word);
	if (value == NULL || r == NULL)
		return err_set(e, ERR_INPUT,
		    "alarm.rules: \"%.60s\": write rule=severity or rule=off; the rules "
		    "are %s",
		    word, names(&all));
	r->off = strcmp(value, "off") == 0;
	if (r->off)
		return true;
	severity = severity_named(value);
	if (strcmp(severity_word(severity), value) == 0 && severity > SEVERITY_CLEARED) {
		r->severity = severity;
		return true;
	}
	return err_set(e, ERR_INPUT,
	    "alarm.rules: %s=%.20s: write off, critical, major, minor, warning or "
	    "indeterminate",
	    word, value);
}

bool
rules_read(const char *text, struct err *e)
{
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, " ");
		scoped_free char *word = mem_strndup(p, n);
		if (n != 0 && !word_read(word, e))
			return false;
		p += n + strspn(p + n, " ");
	}
	return true;
}
