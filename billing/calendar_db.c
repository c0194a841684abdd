/* SPDX-License-Identifier: Apache-2.0 */
/* calendar_db: the calendar as PostgreSQL computes it from the IANA zones */
#include "billing/calendar_db.h"
#include "base/mem.h"
#include "billing_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

/* Answers are few (units of one or two zones), questions many: a list, last used first.
 */
#define ANSWERS_MAX 4096

struct answer {
	char *question; /* "unit Europe/Berlin month" */
	struct span span;
	int weekday;
};

struct calendar_db {
	struct calendar calendar; /* first, so that the caller's pointer is ours */
	struct db *db;
	bool keep;
	struct answer *answers;
	size_t count;
	size_t next; /* to be replaced when all places are taken */
};

static struct instant
from_us(int64_t us)
{
	return (struct instant){ us * NS_PER_US };
}

static struct answer *
remember(struct calendar_db *c, char *question)
{
	struct answer *a;

	if (c->answers == NULL)
		c->answers = mem_array(ANSWERS_MAX, sizeof(*c->answers));
	if (c->count < ANSWERS_MAX)
		c->next = c->count++;
	else
		c->next = (c->next + 1) % ANSWERS_MAX;
	a = &c->answers[c->next];
	free(a->question);
	*a = (struct answer){ .question = question };
	return a;
}

static const struct answer *
recall(const struct calendar_db *c, const char *question)
{
	for (size_t i = c->count; i > 0; i--)
		if (strcmp(c->answers[i - 1].question, question) == 0)
			return &c->answers[i - 1];
	return NULL;
}

/* A unit is remembered by its span: any instant in it is the same question. */
static const struct answer *
recall_at(const struct calendar_db *c, const char *question, struct instant at)
{
	for (size_t i = c->count; i > 0; i--)
		if (span_holds(&c->answers[i - 1].span, at) &&
		    strcmp(c->answers[i - 1].question, question) == 0)
			return &c->answers[i - 1];
	return NULL;
}

static bool
span_of_row(struct span *out, const struct rows *r, const char *question, struct err *e)
{
	if (rows_count(r) != 1)
		return err_set(e, ERR_INTERNAL, "calendar: no answer to %s", question);
	*out = (struct span){ from_us(rows_i64(r, 0, 0)), from_us(rows_i64(r, 0, 1)) };
	return true;
}

static bool
unit_of(void *context, const char *zone, enum calendar_unit unit, struct instant at,
    struct span *out, struct err *e)
{
	struct calendar_db *c = context;
	const char *name = calendar_unit_name(unit);
	scoped_free char *question = mem_printf("unit %s %s", zone, name);
	const struct answer *known = recall_at(c, question, at);
	scoped(rows_clear) struct rows *r = NULL;
	struct span span = { INSTANT_FIRST, INSTANT_FIRST };

	if (known != NULL) {
		*out = known->span;
		return true;
	}
	if (!db_query(c->db, STMT_CALENDAR_UNIT, DB_ARGS(zone, name, DB_INSTANT(at)), &r,
		e) ||
	    !span_of_row(&span, r, question, e))
		return false;
	if (c->keep && unit != UNIT_HOUR &&
	    !db_run(c->db, STMT_CALENDAR_KEEP,
		DB_ARGS(zone, name, DB_INSTANT(span.from), DB_INSTANT(span.to)), NULL, e))
		return false;
	remember(c, question)->span = span;
	question = NULL;
	*out = span;
	return true;
}

static bool
anchored_of(void *context, const char *zone, const struct anchored *which,
    struct span *out, struct err *e)
{
	struct calendar_db *c = context;
	scoped_free char *question = mem_printf("anchored %s %s %d %lld", zone,
	    which->date, which->months, (long long)which->n);
	const struct answer *known = recall(c, question);
	scoped(rows_clear) struct rows *r = NULL;
	struct span span = { INSTANT_FIRST, INSTANT_FIRST };

	if (known != NULL) {
		*out = known->span;
		return true;
	}
	if (!db_query(c->db, STMT_CALENDAR_ANCHORED,
		DB_ARGS(zone, which->date, DB_NUMBER(which->months), DB_NUMBER(which->n)),
		&r, e) ||
	    !span_of_row(&span, r, question, e))
		return false;
	remember(c, question)->span = span;
	question = NULL;
	*out = span;
	return true;
}

static bool
wall_of(void *context, const char *zone, struct instant day, int minutes,
    struct wall_time *out, struct err *e)
{
	struct calendar_db *c = context;
	scoped_free char *question = mem_printf("wall %s %lld %d", zone,
	    (long long)day.ns, minutes);
	const struct answer *known = recall(c, question);
	scoped(rows_clear) struct rows *r = NULL;
	struct answer *a;

	if (known != NULL) {
		*out = (struct wall_time){ known->span.from, known->weekday };
		return true;
	}
	if (!db_query(c->db, STMT_CALENDAR_WALL,
		DB_ARGS(zone, DB_INSTANT(day), DB_NUMBER(minutes)), &r, e))
		return false;
	if (rows_count(r) != 1)
		return err_set(e, ERR_INTERNAL, "calendar: no answer to %s", question);
	*out = (struct wall_time){ from_us(rows_i64(r, 0, 0)), (int)rows_i64(r, 0, 1) };
	a = remember(c, question);
	question = NULL;
	a->span = (struct span){ out->at, out->at };
	a->weekday = out->weekday;
	return true;
}

struct calendar *
calendar_db_new(struct db *db, bool keep)
{
	struct calendar_db *c = mem_alloc(sizeof(*c));

	c->calendar = (struct calendar){ c, unit_of, anchored_of, wall_of };
	c->db = db;
	c->keep = keep;
	return &c->calendar;
}

void
calendar_db_free(struct calendar *calendar)
{
	struct calendar_db *c;

	if (calendar == NULL)
		return;
	c = calendar->context;
	for (size_t i = 0; i < c->count; i++)
		free(c->answers[i].question);
	free(c->answers);
	free(c);
}
