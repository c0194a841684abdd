/* SPDX-License-Identifier: Apache-2.0 */
/* book: what is wrong now; makes of conditions the notices that people should get */
#pragma once
#include "base/clock.h"
#include "snmp/notice.h"
#include "snmp/rule.h"

/*
 * Knows neither database, disk nor network: conditions go in, notices come out.
 * One active alarm per rule and object name.  Instants are wall time, the others
 * clock_mono() in nanoseconds.
 */
enum { ALARM_RAISES_KEPT = 16, BOOK_BUCKETS = 4096 };

struct alarm {
	TAILQ_ENTRY(alarm) all;
	LIST_ENTRY(alarm) bucket;
	char uuid[UUID_ROOM], object_uuid[UUID_ROOM];
	char *rule, *object_kind, *object_name, *text;
	enum severity severity;
	struct instant raised_at, changed_at;
	struct instant cleared_at; /* 0: active */
	int count;                 /* how often it went wrong */
	int times;                 /* how often it was told to be wrong */
	bool wrong;                /* the condition holds; a flapping alarm outlasts it */
	bool flapping, acknowledged;
	uint32_t key;   /* hash of rule and object name */
	uint32_t round; /* the last one that found it wrong */
	int64_t told_ns, turned_ns;
	int64_t unreported_ns; /* of RULE_BY_PROGRAMS: how long nobody repeated it */
	int64_t raises_ns[ALARM_RAISES_KEPT];
	size_t raises;
	int64_t revision, stored, mirrored, mirroring;
	bool dropped; /* over, and no longer on disk */
};
TAILQ_HEAD(alarms, alarm);
LIST_HEAD(alarm_bucket, alarm);

struct book_settings {
	int64_t repeat_ns;      /* active alarms are told again; 0: never */
	int64_t flap_window_ns; /* so many raises within this time are flapping; ... */
	int flap_raises;        /* ... 0: never */
	int64_t report_ns;      /* a report that is not repeated for so long is over */
};

struct book {
	struct book_settings settings;
	struct alarms list; /* active ones, and for a while those that are over */
	struct alarm_bucket buckets[BOOK_BUCKETS]; /* by key, the latest first */
	int64_t ticked_ns;
	uint32_t round;
	void (*emit)(void *context, struct notice *n); /* takes it over */
	void *context;
};

struct condition {
	const struct rule *rule;
	const char *name; /* the rule's, also when it is not in the table */
	const char *object_uuid, *object_name;
	enum severity severity; /* 0: that of the rule */
	const char *text;
};

struct moment {
	struct instant at;
	int64_t ns; /* clock_mono() */
};

void book_init(struct book *b, const struct book_settings *settings,
    void (*emit)(void *context, struct notice *n), void *context);

/* It is wrong: raises, changes the severity, or is known already. */
void book_wrong(struct book *b, const struct condition *c, struct moment now);
/* It is right (again); what was not wrong stays untouched.  text NULL: the rule's. */
void book_right(struct book *b, const char *rule, const char *object_name,
    const char *text, struct moment now);
/* All that is wrong by one rule: what is not in the list is right. */
void book_observe(struct book *b, enum rule_id rule, const struct condition *list,
    size_t count, struct moment now);
/* Repeats, ends of flapping, reports that nobody renews. */
void book_tick(struct book *b, struct moment now);

struct alarm *book_find(const struct book *b, const char *rule, const char *object_name);
void book_acknowledge(struct book *b, const char *uuid, bool acknowledged);
bool alarm_active(const struct alarm *a);
size_t book_active(const struct book *b);

/*
 * An alarm from elsewhere: from the journal, or one that the tables hold as active.
 * One that the book has under another uuid is told to be over.  Takes it over.
 */
void book_adopt(struct book *b, struct alarm *a, struct moment now);
/* Forgets one that is over. */
void book_forget(struct book *b, struct alarm *a);

struct alarm *alarm_new(const char *rule, const char *object_kind,
    const char *object_name, const char *text) must_check;
void alarm_free(struct alarm *a); /* NULL is fine */
void alarm_write(const struct alarm *a, struct buf *out);
must_check bool alarm_read(struct alarm **out, const char *text, struct err *e);
