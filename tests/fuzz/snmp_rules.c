/* SPDX-License-Identifier: Apache-2.0 */
/* The setting alarm.rules: refused as a whole, or every rule keeps a severity that exists
 */
#include "base/mem.h"
#include "snmp/rule.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static void
rules_check(const char *text)
{
	for (int i = 0; i < RULE_COUNT; i++) {
		const struct rule *r = rule_of((enum rule_id)i);
		must(r->severity > SEVERITY_CLEARED && r->severity <= SEVERITY_WARNING,
		    "%s has severity %d after %s", r->name, (int)r->severity, text);
		must(rule_named(r->name) == r, "%s is found as another", r->name);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = fuzz_text(data, size);
	struct err e = ERR_INIT;

	if (!rules_read(text, &e))
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
	rules_check(text);
	return 0;
}
