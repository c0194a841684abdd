/* SPDX-License-Identifier: Apache-2.0 */
/* mirror: alarms, notices and deliveries in the tables, and what the tables say of them
 */
#include "snmp/mirror.h"
#include "base/mem.h"
#include "snmp_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MOST = 500 };

static void
value_number(struct desk_call *c, int64_t n)
{
	desk_value(c, DB_NUMBER(n));
}

/* 0: null */
static void
value_instant(struct desk_call *c, struct instant t)
{
	desk_value(c, t.ns != 0 ? DB_INSTANT(t) : NULL);
}

static void
alarm_put(struct desk_order *o, const struct alarm *a)
{
	struct desk_call *c = desk_write(o, STMT_ALARM_PUT);

	desk_value(c, a->uuid);
	desk_value(c, a->rule);
	desk_value(c, a->object_kind);
	desk_value(c, a->object_uuid[0] != '\0' ? a->object_uuid : NULL);
	desk_value(c, a->object_name);
	desk_value(c, severity_word(a->severity));
	desk_value(c, a->text);
	value_instant(c, a->raised_at);
	value_instant(c, a->changed_at);
	value_instant(c, a->cleared_at);
	value_number(c, a->count);
	desk_value(c, a->flapping ? "true" : "false");
}

static void
letter_put(struct desk_order *o, const struct notice *n, const struct letter *l)
{
	struct desk_call *c = desk_write(o, STMT_DELIVERY_PUT);
	bool arrived = l->state == LETTER_TOLD || l->state == LETTER_CONFIRMED;

	desk_value(c, n->uuid);
	desk_value(c, l->to);
	desk_value(c, letter_word(l->state));
	value_number(c, l->attempts);
	value_instant(c, arrived ? l->ended : (struct instant){ 0 });
	desk_value(c, l->error[0] != '\0' ? l->error : NULL);
}

static void
notice_put(struct desk_order *o, const struct notice *n)
{
	struct desk_call *c = desk_write(o, STMT_NOTIFICATION_PUT);

	desk_value(c, n->uuid);
	value_number(c, n->seq);
	desk_value(c, n->alarm_uuid);
	desk_value(c, notice_word(n->kind));
	value_instant(c, n->at);
	desk_value(c, severity_word(n->severity));
	desk_value(c, n->text);
	value_number(c, n->times);
	for (size_t i = 0; i < n->letter_count; i++)
		letter_put(o, n, &n->letters[i]);
}

void
mirror_write(struct desk_order *o, struct alarms *alarms, struct notices *notices)
{
	struct alarm *a;
	struct notice *n;
	int count = 0;

	TAILQ_FOREACH (a, alarms, all) {
		a->mirroring = a->mirrored;
		if (a->revision == a->mirrored || count == RECORDS_MOST)
			continue;
		alarm_put(o, a);
		a->mirroring = a->revision;
		count++;
	}
	/* Alarms first, all of them: a notification needs its alarm's row. */
	TAILQ_FOREACH (n, notices, all) {
		n->mirroring = n->mirrored;
		if (n->revision == n->mirrored || count == RECORDS_MOST)
			continue;
		notice_put(o, n);
		n->mirroring = n->revision;
		count++;
	}
}

void
mirror_written(struct alarms *alarms, struct notices *notices, bool ok)
{
	struct alarm *a;
	struct notice *n;

	if (!ok)
		return;
	TAILQ_FOREACH (a, alarms, all)
		if (a->mirroring > a->mirrored)
			a->mirrored = a->mirroring;
	TAILQ_FOREACH (n, notices, all)
		if (n->mirroring > n->mirrored)
			n->mirrored = n->mirroring;
}

/* ---- back from the tables */

bool
mirror_alarm(struct alarm **out, const struct rows *r, size_t row, struct err *e)
{
	struct instant raised;
	struct instant changed;
	struct alarm *a;

	if (!instant_parse(&raised, rows_text(r, row, 7), e) ||
	    !instant_parse(&changed, rows_text(r, row, 8), e))
		return false;
	a = alarm_new(rows_text(r, row, 1), rows_text(r, row, 2), rows_text(r, row, 4),
	    rows_text(r, row, 6));
	(void)snprintf(a->uuid, sizeof(a->uuid), "%.36s", rows_text(r, row, 0));
	(void)snprintf(a->object_uuid, sizeof(a->object_uuid), "%.36s",
	    rows_text(r, row, 3));
	a->severity = severity_named(rows_text(r, row, 5));
	a->raised_at = raised;
	a->changed_at = changed;
	a->count = (int)rows_i64(r, row, 9);
	a->flapping = rows_bool(r, row, 10);
	a->times = 1;
	a->wrong = true;
	a->mirrored = a->revision;
	*out = a;
	return true;
}

static enum notice_kind
kind_named(const char *word)
{
	for (int k = NOTICE_RAISE; k <= NOTICE_CLEAR; k++)
		if (strcmp(notice_word((enum notice_kind)k), word) == 0)
			return (enum notice_kind)k;
	return NOTICE_CHANGE;
}

static void
letters_gather(struct notice *n, const struct rows *r, size_t first, size_t end)
{
	const char **names = mem_array(end - first, sizeof(*names));

	for (size_t i = first; i < end; i++)
		names[i - first] = rows_text(r, i, 12);
	notice_address(n, names, end - first);
	for (size_t i = first; i < end; i++)
		n->letters[i - first].attempts = (int)rows_i64(r, i, 13);
	free(names);
}

bool
mirror_notice(struct notice **out, const struct rows *r, size_t *row, struct err *e)
{
	size_t first = *row;
	size_t end = first;
	struct instant at;
	struct notice *n;

	while (end < rows_count(r) &&
	    strcmp(rows_text(r, end, 0), rows_text(r, first, 0)) == 0)
		end++;
	*row = end;
	if (!instant_parse(&at, rows_text(r, first, 3), e))
		return false;
	n = notice_new(kind_named(rows_text(r, first, 2)), at);
	(void)snprintf(n->uuid, sizeof(n->uuid), "%.36s", rows_text(r, first, 0));
	(void)snprintf(n->alarm_uuid, sizeof(n->alarm_uuid), "%.36s",
	    rows_text(r, first, 7));
	(void)snprintf(n->object_uuid, sizeof(n->object_uuid), "%.36s",
	    rows_text(r, first, 10));
	n->seq = rows_i64(r, first, 1);
	n->severity = severity_named(rows_text(r, first, 4));
	n->times = (int)rows_i64(r, first, 6);
	notice_texts(n, rows_text(r, first, 8), rows_text(r, first, 9),
	    rows_text(r, first, 11), rows_text(r, first, 5));
	letters_gather(n, r, first, end);
	*out = n;
	return true;
}

size_t
mirror_conditions(struct condition *out, size_t most, enum rule_id rule,
    const struct rows *r)
{
	size_t count = rows_count(r) < most ? rows_count(r) : most;

	for (size_t i = 0; i < count; i++) {
		const char *severity = rows_text(r, i, 2);
		out[i] = (struct condition){ .rule = rule_of(rule),
			.name = rule_of(rule)->name,
			.object_uuid = rows_text(r, i, 0),
			.object_name = rows_text(r, i, 1),
			.severity = severity != NULL ? severity_named(severity) : 0,
			.text = rows_text(r, i, 3) };
	}
	return count;
}
