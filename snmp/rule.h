/* SPDX-License-Identifier: Apache-2.0 */
/* rule: what each alarm is about, how bad it is, and its words in ITU's terms */
#pragma once
#include <stddef.h>

struct rule {
	const char *name;
	const char *object_kind;
	const char *severity;
	const char *event_type; /* IANAItuEventType */
	const char *cause;      /* IANAItuProbableCause */
};

/* Never NULL: a rule that nobody declared is a minor alarm of a program. */
const struct rule *rule_find(const char *name);

#define RULE_HOST "host.unreachable"
#define RULE_DATABASE "database.down"
