/* SPDX-License-Identifier: Apache-2.0 */
/* notice: one transition of an alarm, and the letters that carry it to the receivers */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include <sys/queue.h>

enum { UUID_ROOM = 37 };

enum notice_kind { NOTICE_RAISE, NOTICE_CHANGE, NOTICE_CLEAR };

/* Numbers of ItuPerceivedSeverity in ITU-ALARM-TC-MIB. */
enum severity {
	SEVERITY_CLEARED = 1,
	SEVERITY_INDETERMINATE,
	SEVERITY_CRITICAL,
	SEVERITY_MAJOR,
	SEVERITY_MINOR,
	SEVERITY_WARNING
};

enum letter_state {
	LETTER_WAITING,
	LETTER_OUT,       /* gone, not settled: comes back when the receiver refuses */
	LETTER_TOLD,      /* gone for good; the protocol knows no receipt */
	LETTER_CONFIRMED, /* the receiver said that it has it */
	LETTER_DROPPED,   /* given up: see error */
};

/* One notice for one receiver. */
struct letter {
	TAILQ_ENTRY(letter) queue;
	struct notice *notice;
	char *to; /* name of the receiver: "trap:127.0.0.1:162" */
	enum letter_state state;
	bool copied; /* its inform was met with silence, so a trap went too */
	int attempts;
	int64_t out_ns; /* when it went, by clock_mono() */
	int64_t copied_ns;
	struct instant ended;
	char error[200];
};
TAILQ_HEAD(letters, letter);

struct notice {
	TAILQ_ENTRY(notice) all;
	char uuid[UUID_ROOM]; /* the same in every copy, so that a NOC can tell copies */
	int64_t seq;          /* counts one by one, so that a NOC sees a gap */
	enum notice_kind kind;
	struct instant at; /* whole microseconds */
	enum severity severity;
	int times; /* how often this alarm was told to be wrong, repeats included */
	char alarm_uuid[UUID_ROOM];
	char object_uuid[UUID_ROOM]; /* may be "" */
	char *rule, *object_kind, *object_name, *text;
	struct letter *letters;
	size_t letter_count;
	int64_t revision; /* grows with every change; what is on disk and in the tables */
	int64_t stored, mirrored, mirroring;
	bool taken; /* its letters are in the outboxes */
};
TAILQ_HEAD(notices, notice);

/* All texts empty, no letters; the caller fills it in with notice_texts(). */
struct notice *notice_new(enum notice_kind kind, struct instant at) must_check;
void notice_texts(struct notice *n, const char *rule, const char *object_kind,
    const char *object_name, const char *text);
void notice_free(struct notice *n); /* NULL is fine; its letters are in no queue */
/* Once: a letter to each name, all waiting. */
void notice_address(struct notice *n, const char *const *names, size_t count);

/* By rule and object, as a NOC sees it: a later alarm of it is another alarm. */
bool notice_same_object(const struct notice *a, const struct notice *b);
/* All letters have ended, one way or the other. */
bool notice_settled(const struct notice *n);
bool letter_ended(const struct letter *l);

/* For the journal on disk. */
void notice_write(const struct notice *n, struct buf *out);
must_check bool notice_read(struct notice **out, const char *text, struct err *e);

const char *notice_word(enum notice_kind kind);        /* "raise" */
const char *severity_word(enum severity severity);     /* "major" */
enum severity severity_named(const char *word);        /* indeterminate if unknown */
enum severity notice_severity(const struct notice *n); /* cleared for a clear */
const char *letter_word(enum letter_state state);      /* "waiting" */
const char *uuid_make(char out[UUID_ROOM]);            /* random (version 4) */
