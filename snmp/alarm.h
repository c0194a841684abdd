/* SPDX-License-Identifier: Apache-2.0 */
/* alarm: when an alarm is raised and when it is over; decides from values, touches
 * nothing */
#pragma once
#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * ok -> pending (bad, but not for long enough) -> active -> clearing (good again, but not
 * for long enough) -> ok.  Not knowing is neither good nor bad: nothing is raised on it
 * and nothing cleared.
 */
enum alarm_phase { ALARM_OK, ALARM_PENDING, ALARM_ACTIVE, ALARM_CLEARING };
enum alarm_sign { SIGN_GOOD, SIGN_BAD, SIGN_UNKNOWN };
enum alarm_step {
	STEP_NONE,
	STEP_RAISE,
	STEP_REPEAT, /* bad again before the old alarm was over: counted, not told again
		      */
	STEP_CLEAR,
};

struct alarm_mark {
	enum alarm_phase phase;
	struct instant since; /* of what is being waited for; of raising when active */
};

struct alarm_hold {
	int64_t raise_ns, clear_ns;
};

/*
 * seen: since when the sign has been so, as far as anybody knows; now if nobody does.
 * A seen of the future (clocks differ) counts as now.
 */
enum alarm_step alarm_next(struct alarm_mark *m, enum alarm_sign sign,
    struct instant seen, struct instant now, const struct alarm_hold *hold);

/* The collector's last word about a host; ns 0: never. */
struct contact {
	struct instant last_ok, failing_since;
};
/*
 * Bad: it did not answer when it was last asked, or it has not answered for stale_ns
 * while a collector was there that should have asked.  Unknown: nobody asked.
 */
enum alarm_sign contact_sign(const struct contact *c, struct instant now,
    int64_t stale_ns, bool collector_lives, struct instant *since);

/* What is not well, by rule and object; what is well is not in it. */
struct alarm {
	char *rule, *object;
	char uuid[37]; /* of the active alarm; "" while pending */
	struct alarm_mark mark;
	bool met; /* this round */
};
struct book {
	struct alarm *list;
	size_t count, capacity;
};

struct alarm *book_find(const struct book *b, const char *rule, const char *object);
/* The one that is there, or a new one in phase ok. */
struct alarm *book_get(struct book *b, const char *rule, const char *object);
/* Forgets those in phase ok; pointers into the book are void after. */
void book_tidy(struct book *b);
void book_done(struct book *b);
