/* SPDX-License-Identifier: Apache-2.0 */
/* notice: one transition of an alarm, as it goes out */
#pragma once
#include "base/clock.h"
#include <stdint.h>

struct notice {
	int64_t seq;      /* numbered for the NOC, so that it sees a gap */
	const char *kind; /* raise, change, clear */
	struct instant at;
	const char *severity; /* critical, major, minor, warning, indeterminate */
	const char *text;
	const char *alarm_uuid;
	const char *rule;
	const char *object_kind;
	const char *object_uuid; /* may be "" */
	const char *object_name;
};

/* ItuPerceivedSeverity of ITU-ALARM-TC-MIB: cleared 1 ... warning 6. */
int notice_severity(const struct notice *n);
