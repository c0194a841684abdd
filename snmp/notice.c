/* SPDX-License-Identifier: Apache-2.0 */
/* notice: one transition of an alarm, as it goes out */
#include "snmp/notice.h"
#include <string.h>

int
notice_severity(const struct notice *n)
{
	static const char *const words[] = { "cleared", "indeterminate", "critical",
		"major", "minor", "warning" };

	if (strcmp(n->kind, "clear") == 0)
		return 1;
	for (int i = 0; i < (int)ARRAY_LEN(words); i++)
		if (strcmp(n->severity, words[i]) == 0)
			return i + 1;
	return 2;
}
