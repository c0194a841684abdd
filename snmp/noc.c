/* SPDX-License-Identifier: Apache-2.0 */
/* noc: the way of an alarm: condition, book, journal, receivers, tables */
#include "snmp/noc.h"
#include "base/log.h"
#include "base/mem.h"
#include "snmp/mirror.h"
#include "snmp/rule.h"
#include "snmp/trap.h"
#include "snmp_stmt.gen.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
	CONDITIONS_MOST = 5000,
	NOTICES_MOST = 20000, /* told ones that PostgreSQL has not seen yet */
};

/* Roles repeat what they report every ten seconds (base/proc.h). */
#define REPORT_NS (60 * NS_PER_S)
#define DATABASE_REPORT_NS (25 * NS_PER_S)
#define GAP_SHOWN_NS (3600 * NS_PER_S)

enum query {
	QUERY_HOST,
	QUERY_LATE,
	QUERY_UNRATED,
	QUERY_GAP,
	QUERY_FUNDS,
	QUERY_BUDGET,
	QUERY_FORECAST,
	QUERY_UNBILLED,
	QUERY_GONE,
	QUERY_UNCOLLECTED,
	QUERY_ACKNOWLEDGED,
	QUERY_ACTIVE,
	QUERY_WAITING
};

static struct moment
moment(void)
{
	return (struct moment){ .at = clock_now(), .ns = clock_mono().ns };
}

/* ---- from the book to the disk, from the disk to the receivers */

static void
notice_insert(struct noc *n, struct notice *one)
{
	struct notice *before;

	TAILQ_FOREACH_REVERSE (before, &n->notices, notices, all)
		if (before->seq < one->seq)
			break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&n->notices, before, one, all);
	else
		TAILQ_INSERT_HEAD(&n->notices, one, all);
	n->fresh++;
}

static void
emitted(void *context, struct notice *one)
{
	struct noc *n = context;

	if (n->journal == NULL && n->number == 0)
		n->number = one->at.ns / NS_PER_MS;
	one->seq = n->journal != NULL ? journal_number(n->journal) : ++n->number;
	notice_address(one, n->receivers.names, n->receivers.count);
	notice_insert(n, one);
}

static void
save(struct noc *n)
{
	struct err e = ERR_INIT;

	if (n->journal == NULL)
		return;
	if (journal_save(n->journal, &n->book.list, &n->notices, &e)) {
		n->journal_told = false;
		return;
	}
	if (!n->journal_told)
		log_error("%s: alarms are told, but a restart would forget them", e.text);
	n->journal_told = true;
}

/* First to the disk, then on the way: told ones survive. */
static void
flush(struct noc *n)
{
	struct notice *one;

	save(n);
	if (n->fresh == 0)
		return;
	TAILQ_FOREACH (one, &n->notices, all) {
		if (one->taken)
			continue;
		one->taken = true;
		receivers_take(&n->receivers, one);
	}
	n->fresh = 0;
	receivers_drive(&n->receivers);
}

/* ---- what is done with */

static bool
done_with(const struct notice *one)
{
	return notice_settled(one) && one->mirrored == one->revision &&
	    one->stored == one->revision;
}

static void
notices_clear(struct noc *n)
{
	struct notice *list[256];
	struct notice *one;
	struct notice *next;
	struct err e = ERR_INIT;
	size_t count = 0;

	for (one = TAILQ_FIRST(&n->notices); one != NULL && count < ARRAY_LEN(list);
	     one = next) {
		next = TAILQ_NEXT(one, all);
		if (!done_with(one))
			continue;
		TAILQ_REMOVE(&n->notices, one, all);
		list[count++] = one;
	}
	if (count != 0 && n->journal != NULL &&
	    !journal_drop_notices(n->journal, list, count, &e))
		log_debug("%s", e.text); /* they are found done again after a restart */
	for (size_t i = 0; i < count; i++)
		notice_free(list[i]);
}

/* With PostgreSQL away for good the list must not grow for good. */
static void
notices_bound(struct noc *n)
{
	struct notice *one;
	struct notice *next;
	size_t count = 0;

	TAILQ_FOREACH (one, &n->notices, all)
		count++;
	for (one = TAILQ_FIRST(&n->notices); one != NULL && count > NOTICES_MOST;
	     one = next) {
		next = TAILQ_NEXT(one, all);
		if (!notice_settled(one) || one->mirrored == one->revision)
			continue;
		one->mirrored = one->revision; /* told, but not written down */
		count--;
	}
}

static void
alarms_clear(struct noc *n, int64_t now_ns)
{
	struct alarm *a;
	struct alarm *next;

	for (a = TAILQ_FIRST(&n->book.list); a != NULL; a = next) {
		struct err e = ERR_INIT;
		next = TAILQ_NEXT(a, all);
		if (alarm_active(a) || a->mirrored != a->revision ||
		    a->stored != a->revision)
			continue;
		if (!a->dropped && n->journal != NULL &&
		    !journal_drop_alarm(n->journal, a, &e))
			continue; /* the disk is full: later */
		a->dropped = true;
		/* Kept for a while in memory, since it may be flapping. */
		if (now_ns - a->turned_ns > n->book.settings.flap_window_ns)
			book_forget(&n->book, a);
	}
}

/* ---- what is seen here */

static void
here(struct noc *n, enum rule_id rule, const char *object, enum severity severity,
    const char *text)
{
	const struct condition c = { .rule = rule_of(rule),
		.name = rule_of(rule)->name,
		.object_name = object,
		.severity = severity,
		.text = text };

	book_wrong(&n->book, &c, moment());
}

static void
database_check(struct noc *n, int64_t now_ns)
{
	bool reported = n->reported_ns != 0 &&
	    now_ns - n->reported_ns < DATABASE_REPORT_NS;

	if (n->away || reported)
		here(n, RULE_DATABASE_DOWN, "database", 0, n->away_why);
	else
		book_right(&n->book, rule_of(RULE_DATABASE_DOWN)->name, "database", NULL,
		    moment());
}

/* A quarter more than the limit must be free before it is over. */
static bool
below(uint64_t free_bytes, uint64_t limit, bool already)
{
	return free_bytes < (already ? limit + limit / 4 : limit);
}

static void
disk_check(struct noc *n)
{
	const char *state = conf_text(n->conf, CONF_STATE);
	const char *rule = rule_of(RULE_DISK_FULL)->name;
	const struct alarm *a = book_find(&n->book, rule, state);
	uint64_t limit = conf_size(n->conf, CONF_ALARM_DISK_FREE);
	struct statvfs v;
	char text[400];

	if (statvfs(state, &v) != 0)
		return;
	uint64_t bytes = (uint64_t)v.f_bavail * v.f_frsize;
	if (!below(bytes, limit, a != NULL)) {
		book_right(&n->book, rule, state, NULL, moment());
		return;
	}
	bool critical = below(bytes, limit / 4,
	    a != NULL && a->severity == SEVERITY_CRITICAL);
	(void)snprintf(text, sizeof(text),
	    "%.200s: %llu MiB are free of %llu MiB: make room, else metering ends", state,
	    (unsigned long long)(bytes >> 20),
	    (unsigned long long)((uint64_t)v.f_blocks * v.f_frsize >> 20));
	here(n, RULE_DISK_FULL, state, critical ? SEVERITY_CRITICAL : 0, text);
}

static bool
long_away(const struct noc *n, const struct receiver *r, struct instant now)
{
	const struct outbox *o = receiver_outbox(r);
	const struct letter *l = TAILQ_FIRST(&o->queue);

	return o->failures > 0 && l != NULL &&
	    now.ns - l->notice->at.ns > conf_span_ns(n->conf, CONF_ALARM_RECEIVER_AFTER);
}

static void
receivers_check(struct noc *n, struct instant now)
{
	struct condition *list = mem_array(n->receivers.count + 1, sizeof(*list));
	char(*texts)[400] = mem_array(n->receivers.count + 1, sizeof(*texts));
	size_t count = 0;

	for (size_t i = 0; i < n->receivers.count; i++) {
		const struct receiver *r = n->receivers.list[i];
		if (!long_away(n, r, now))
			continue;
		(void)snprintf(texts[count], sizeof(texts[count]),
		    "receiver %.100s: %zu notifications wait: %.200s", receiver_name(r),
		    receiver_outbox(r)->count,
		    TAILQ_FIRST(&receiver_outbox(r)->queue)->error);
		list[count] = (struct condition){ .rule = rule_of(RULE_RECEIVER_AWAY),
			.name = rule_of(RULE_RECEIVER_AWAY)->name,
			.object_name = receiver_name(r),
			.text = texts[count] };
		count++;
	}
	book_observe(&n->book, RULE_RECEIVER_AWAY, list, count, moment());
	free(list);
	free(texts);
}

void
noc_report(struct noc *n, const char *rule, const char *object, bool raised,
    const char *text)
{
	const struct rule *r = rule_named(rule);
	const struct condition c = { .rule = r,
		.name = rule,
		.object_uuid = strcmp(r->object_kind, "vm") == 0 ? object : NULL,
		.object_name = object,
		.text = text };

	if (r == rule_of(RULE_DATABASE_DOWN)) {
		n->reported_ns = raised ? clock_mono().ns : 0;
		if (raised && !n->away)
			(void)snprintf(n->away_why, sizeof(n->away_why), "%.380s", text);
		database_check(n, clock_mono().ns);
	} else if (raised) {
		book_wrong(&n->book, &c, moment());
	} else {
		book_right(&n->book, rule, object, text, moment());
	}
	flush(n);
}

/* ---- what the tables know */

static void
observe(struct noc *n, enum rule_id rule, const struct rows *r)
{
	struct condition *list = mem_array(CONDITIONS_MOST, sizeof(*list));
	size_t count = mirror_conditions(list, CONDITIONS_MOST, rule, r);

	book_observe(&n->book, rule, list, count, moment());
	free(list);
}

/* At our own start a collector may not have given its first sign of life yet. */
static void
collectors_observe(struct noc *n, const struct desk_answer *answer)
{
	observe(n, RULE_METER_LATE, answer->rows[QUERY_LATE]);
	observe(n, RULE_COLLECTOR_GONE, answer->rows[QUERY_GONE]);
	observe(n, RULE_HOST_UNCOLLECTED, answer->rows[QUERY_UNCOLLECTED]);
}

static void
acknowledged_read(struct noc *n, const struct rows *r)
{
	struct alarm *a;

	TAILQ_FOREACH (a, &n->book.list, all) {
		a->acknowledged = false;
		for (size_t i = 0; !a->acknowledged && i < rows_count(r); i++)
			a->acknowledged = strcmp(rows_text(r, i, 0), a->uuid) == 0;
	}
}

static const struct notice *
notice_known(const struct noc *n, const char *uuid)
{
	const struct notice *one;

	TAILQ_FOREACH (one, &n->notices, all)
		if (strcmp(one->uuid, uuid) == 0)
			return one;
	return NULL;
}

static void
adopt(struct noc *n, const struct rows *active, const struct rows *waiting)
{
	struct err e = ERR_INIT;
	struct alarm *a = NULL;
	struct notice *one = NULL;

	for (size_t i = 0; i < rows_count(active); i++)
		if (mirror_alarm(&a, active, i, &e))
			book_adopt(&n->book, a, moment());
	for (size_t i = 0; i < rows_count(waiting);) {
		if (!mirror_notice(&one, waiting, &i, &e))
			continue;
		if (notice_known(n, one->uuid) == NULL)
			notice_insert(n, one);
		else
			notice_free(one);
	}
	if (e.kind != ERR_NONE)
		log_error("alarms of the tables: %s", e.text);
	n->adopted = true;
}

static void
database_lost(struct noc *n, const struct desk_answer *answer)
{
	bool gone = answer->why.kind == ERR_GONE || answer->why.kind == ERR_AGAIN;

	if (!n->away_told)
		log_warning("%s: alarms go out all the same, and into the tables later",
		    answer->why.text);
	n->away_told = true;
	n->answering_ns = 0;
	n->away = gone;
	(void)snprintf(n->away_why, sizeof(n->away_why), "%.380s", answer->why.text);
}

/* After a pause of ours or of the database hosts look late that are not. */
static bool
settled_for(const struct noc *n, int64_t ns)
{
	return clock_mono().ns - n->answering_ns > ns;
}

static int64_t
late_ns(const struct noc *n)
{
	return 3 * conf_span_ns(n->conf, CONF_METER_STEP) +
	    conf_span_ns(n->conf, CONF_METER_DEADLINE) + 15 * NS_PER_S;
}

static void
answered(void *context, const struct desk_answer *answer)
{
	struct noc *n = context;

	mirror_written(&n->book.list, &n->notices, answer->ok);
	if (!answer->ok) {
		database_lost(n, answer);
		return;
	}
	if (n->away_told)
		log_info("PostgreSQL answers again");
	n->away = n->away_told = false;
	if (n->answering_ns == 0)
		n->answering_ns = clock_mono().ns;
	if (!n->adopted)
		adopt(n, answer->rows[QUERY_ACTIVE], answer->rows[QUERY_WAITING]);
	observe(n, RULE_HOST_UNREACHABLE, answer->rows[QUERY_HOST]);
	if (settled_for(n, late_ns(n)))
		collectors_observe(n, answer);
	observe(n, RULE_USAGE_UNRATED, answer->rows[QUERY_UNRATED]);
	observe(n, RULE_METER_GAP, answer->rows[QUERY_GAP]);
	observe(n, RULE_ACCOUNT_FUNDS, answer->rows[QUERY_FUNDS]);
	observe(n, RULE_ACCOUNT_BUDGET, answer->rows[QUERY_BUDGET]);
	observe(n, RULE_ACCOUNT_FORECAST, answer->rows[QUERY_FORECAST]);
	observe(n, RULE_ACCOUNT_UNBILLED, answer->rows[QUERY_UNBILLED]);
	acknowledged_read(n, answer->rows[QUERY_ACKNOWLEDGED]);
	flush(n);
}

static void
query_since(struct desk_order *o, unsigned stmt, struct instant now, int64_t ago_ns)
{
	struct instant since = { now.ns - ago_ns };

	desk_value(desk_query(o, stmt), DB_INSTANT(since));
}

/* The queries stand in the order of enum query. */
static void
tables_ask(struct noc *n, struct instant now)
{
	struct desk_order o = { .writes = NULL };

	if (desk_busy(n->desk))
		return;
	mirror_write(&o, &n->book.list, &n->notices);
	query_since(&o, STMT_RULE_HOST_UNREACHABLE, now,
	    conf_span_ns(n->conf, CONF_ALARM_HOST_AFTER));
	query_since(&o, STMT_RULE_METER_LATE, now, late_ns(n));
	(void)desk_query(&o, STMT_RULE_USAGE_UNRATED);
	query_since(&o, STMT_RULE_METER_GAP, now, GAP_SHOWN_NS);
	(void)desk_query(&o, STMT_RULE_ACCOUNT_FUNDS);
	(void)desk_query(&o, STMT_RULE_ACCOUNT_BUDGET);
	(void)desk_query(&o, STMT_RULE_ACCOUNT_FORECAST);
	(void)desk_query(&o, STMT_RULE_ACCOUNT_UNBILLED);
	query_since(&o, STMT_RULE_COLLECTOR_GONE, now,
	    conf_span_ns(n->conf, CONF_ALARM_HOST_AFTER));
	query_since(&o, STMT_RULE_HOST_UNCOLLECTED, now,
	    conf_span_ns(n->conf, CONF_ALARM_HOST_AFTER));
	(void)desk_query(&o, STMT_ALARM_ACKNOWLEDGED);
	if (!n->adopted) {
		(void)desk_query(&o, STMT_ALARM_ACTIVE);
		(void)desk_query(&o, STMT_DELIVERY_WAITING);
	}
	desk_give(n->desk, &o);
}

/* ---- time */

static bool
unwritten(const struct noc *n)
{
	const struct alarm *a;
	const struct notice *one;

	TAILQ_FOREACH (a, &n->book.list, all)
		if (a->mirrored != a->revision)
			return true;
	TAILQ_FOREACH (one, &n->notices, all)
		if (one->mirrored != one->revision)
			return true;
	return false;
}

static size_t
waiting(const struct noc *n)
{
	size_t count = 0;

	for (size_t i = 0; i < n->receivers.count; i++)
		count += receiver_outbox(n->receivers.list[i])->count;
	return count;
}

void
noc_tick(struct noc *n, struct instant now)
{
	receivers_tick(&n->receivers);
	save(n);
	notices_clear(n);
	if (n->answering_ns != 0 && unwritten(n))
		tables_ask(n, now);
}

void
noc_second(struct noc *n, struct instant now)
{
	int64_t now_ns = clock_mono().ns;

	book_tick(&n->book, moment());
	database_check(n, now_ns);
	disk_check(n);
	receivers_check(n, now);
	flush(n);
	notices_bound(n);
	alarms_clear(n, now_ns);
	tables_ask(n, now);
	proc_status(n->proc,
	    "%zu receivers, %zu notifications waiting, %zu alarms active",
	    n->receivers.count, waiting(n), book_active(&n->book));
}

/* ---- start */

static void
alarm_loaded(void *context, struct alarm *a)
{
	struct noc *n = context;

	book_adopt(&n->book, a, moment());
}

static void
notice_loaded(void *context, struct notice *one)
{
	notice_insert(context, one);
}

static void
journal_start(struct noc *n, const char *path)
{
	const struct journal_visit visit = { alarm_loaded, notice_loaded, n };
	struct err e = ERR_INIT;

	if (journal_open(&n->journal, path, &e) && journal_load(n->journal, &visit, &e))
		return;
	log_error("%s: alarms are told, but a restart would forget them", e.text);
	journal_close(n->journal);
	n->journal = NULL;
}

static struct book_settings
book_settings(const struct conf *c)
{
	return (struct book_settings){ .repeat_ns = conf_span_ns(c, CONF_ALARM_REPEAT),
		.flap_window_ns = conf_span_ns(c, CONF_ALARM_FLAP_WINDOW),
		.flap_raises = (int)conf_number(c, CONF_ALARM_FLAP_RAISES),
		.report_ns = REPORT_NS };
}

bool
noc_open(struct noc *n, struct proc *p, struct err *e)
{
	const struct conf *c = proc_conf(p);
	const struct book_settings settings = book_settings(c);
	char folder[STATE_PATH_MAX];
	char path[STATE_PATH_MAX];
	const struct trap_setup traps = { .root = conf_text(c, CONF_SNMP_ROOT),
		.folder = state_path(c, folder, "spool/snmp"),
		.users = conf_text(c, CONF_SNMP_USERS) };

	*n = (struct noc){ .proc = p, .conf = c };
	TAILQ_INIT(&n->notices);
	if (!rules_read(conf_text(c, CONF_ALARM_RULES), e) || !trap_init(&traps, e) ||
	    !receivers_open(&n->receivers, proc_base(p), c, e))
		return false;
	book_init(&n->book, &settings, emitted, n);
	journal_start(n, state_path(c, path, "spool/snmp/journal.db"));
	if (!desk_start(&n->desk, c, proc_base(p), answered, n, e))
		return false;
	flush(n);
	return true;
}
