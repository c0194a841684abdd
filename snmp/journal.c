/* SPDX-License-Identifier: Apache-2.0 */
/* journal: alarms and undelivered notices on this machine's disk, whatever else is away
 */
#include "snmp/journal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD_MOST = 1000000, KEY_ROOM = 64 };

#define KEY_ALARM "alarm/"
#define KEY_NOTICE "notice/"
#define KEY_NUMBER "number"

struct journal {
	struct spool *spool;
	int64_t number, number_stored;
	/* A group of records on its way. */
	struct spool_record *list;
	size_t count, room;
};

bool
journal_open(struct journal **out, const char *path, struct err *e)
{
	struct journal *j = mem_alloc(sizeof(*j));

	if (!spool_open(&j->spool, path, SPOOL_SALVAGE, e)) {
		free(j);
		return false;
	}
	*out = j;
	return true;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	spool_close(j->spool);
	free(j->list);
	free(j);
}

/* ---- reading */

struct load {
	struct journal *journal;
	const struct journal_visit *visit;
};

static void
alarm_load(const struct load *l, const struct spool_record *r, struct err *e)
{
	struct alarm *a = NULL;

	if (!alarm_read(&a, r->payload, e))
		return;
	a->revision = a->stored = r->order;
	l->visit->alarm(l->visit->context, a);
}

static void
notice_load(const struct load *l, const struct spool_record *r, struct err *e)
{
	struct notice *n = NULL;

	if (!notice_read(&n, r->payload, e))
		return;
	n->revision = n->stored = r->order;
	if (n->seq > l->journal->number)
		l->journal->number = n->seq;
	l->visit->notice(l->visit->context, n);
}

static bool
record_load(const struct spool_record *r, void *context)
{
	const struct load *l = context;
	struct err e = ERR_INIT;

	if (strncmp(r->key, KEY_ALARM, strlen(KEY_ALARM)) == 0)
		alarm_load(l, r, &e);
	else if (strncmp(r->key, KEY_NOTICE, strlen(KEY_NOTICE)) == 0)
		notice_load(l, r, &e);
	else if (strcmp(r->key, KEY_NUMBER) == 0 && r->order > l->journal->number)
		l->journal->number = r->order;
	if (e.kind != ERR_NONE)
		log_error("journal record %s: %s: left out", r->key, e.text);
	return true;
}

bool
journal_load(struct journal *j, const struct journal_visit *v, struct err *e)
{
	struct load l = { j, v };

	if (!spool_each(j->spool, LOAD_MOST, record_load, &l, e))
		return false;
	j->number_stored = j->number;
	return true;
}

int64_t
journal_number(struct journal *j)
{
	if (j->number == 0)
		j->number = clock_now().ns / NS_PER_MS;
	return ++j->number;
}

/* ---- writing */

static void
group_add(struct journal *j, const char *prefix, const char *name, int64_t order,
    struct buf *payload)
{
	if (j->count == j->room) {
		j->room = j->room * 2 + 16;
		j->list = mem_resize(j->list, j->room, sizeof(*j->list));
	}
	j->list[j->count++] =
	    (struct spool_record){ .key = mem_printf("%s%s", prefix, name),
		    .order = order,
		    .payload = payload != NULL ? buf_take(payload) : mem_strdup("") };
}

static void
group_clear(struct journal *j)
{
	for (size_t i = 0; i < j->count; i++) {
		free((void *)(uintptr_t)j->list[i].key);
		free((void *)(uintptr_t)j->list[i].payload);
	}
	j->count = 0;
}

static const char *
notice_key(const struct notice *n, char out[KEY_ROOM])
{
	(void)snprintf(out, KEY_ROOM, "%020lld", (long long)n->seq);
	return out;
}

static void
group_collect(struct journal *j, const struct alarms *alarms,
    const struct notices *notices)
{
	const struct alarm *a;
	const struct notice *n;
	char key[KEY_ROOM];

	TAILQ_FOREACH (a, alarms, all) {
		struct buf b = BUF_INIT;
		if (a->revision == a->stored)
			continue;
		alarm_write(a, &b);
		group_add(j, KEY_ALARM, a->uuid, a->revision, &b);
	}
	TAILQ_FOREACH (n, notices, all) {
		struct buf b = BUF_INIT;
		if (n->revision == n->stored)
			continue;
		notice_write(n, &b);
		group_add(j, KEY_NOTICE, notice_key(n, key), n->revision, &b);
	}
	if (j->number != j->number_stored)
		group_add(j, KEY_NUMBER, "", j->number, NULL);
}

static void
group_stored(struct journal *j, const struct alarms *alarms,
    const struct notices *notices)
{
	struct alarm *a;
	struct notice *n;

	TAILQ_FOREACH (a, alarms, all)
		a->stored = a->revision;
	TAILQ_FOREACH (n, notices, all)
		n->stored = n->revision;
	j->number_stored = j->number;
}

bool
journal_save(struct journal *j, const struct alarms *alarms,
    const struct notices *notices, struct err *e)
{
	bool ok;

	group_collect(j, alarms, notices);
	if (j->count == 0)
		return true;
	ok = spool_put(j->spool, j->list, j->count, e);
	if (ok)
		group_stored(j, alarms, notices);
	group_clear(j);
	return ok;
}

bool
journal_drop_alarm(struct journal *j, const struct alarm *a, struct err *e)
{
	char key[KEY_ROOM];

	(void)snprintf(key, sizeof(key), KEY_ALARM "%s", a->uuid);
	return spool_drop(j->spool, key, a->revision, e);
}

bool
journal_drop_notices(struct journal *j, struct notice *const *list, size_t count,
    struct err *e)
{
	char key[KEY_ROOM];
	bool ok;

	for (size_t i = 0; i < count; i++)
		group_add(j, KEY_NOTICE, notice_key(list[i], key), list[i]->revision,
		    NULL);
	ok = spool_drop_all(j->spool, j->list, j->count, e);
	group_clear(j);
	return ok;
}
