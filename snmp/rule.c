/* SPDX-License-Identifier: Apache-2.0 */
/* rule: what each alarm is about, how bad it is, and its words in ITU's terms */
#include "snmp/rule.h"
#include "base/attr.h"
#include <string.h>

static const struct rule rules[] = {
	{ RULE_HOST, "host", "major", "communicationsAlarm",
	    "communicationsSubsystemFailure" },
	{ RULE_DATABASE, "database", "critical", "processingErrorAlarm",
	    "underlyingResourceUnavailable" },
	{ "role.down", "role", "major", "processingErrorAlarm",
	    "softwareProgramAbnormallyTerminated" },
	{ "vm.monitor.blocked", "vm", "warning", "qualityOfServiceAlarm",
	    "timeoutExpired" },
};
static const struct rule other = { "", "program", "minor", "processingErrorAlarm",
	"other" };

const struct rule *
rule_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return &other;
}
