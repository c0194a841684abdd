/* SPDX-License-Identifier: Apache-2.0 */
/* clock: instants, spans and the one place that asks the machine for the time */
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct clock_source *source_replaced;

static int64_t
machine_ns(clockid_t which)
{
	struct timespec ts;

	if (clock_gettime(which, &ts) != 0)
		abort(); /* both clocks exist on every Linux we run on */
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

struct instant
clock_now(void)
{
	if (source_replaced != NULL)
		return source_replaced->now(source_replaced->context);
	return (struct instant){ machine_ns(CLOCK_REALTIME) };
}

struct mono
clock_mono(void)
{
	if (source_replaced != NULL)
		return source_replaced->mono(source_replaced->context);
	return (struct mono){ machine_ns(CLOCK_BOOTTIME) };
}

void
clock_replace(const struct clock_source *source)
{
	source_replaced = source;
}

struct instant
instant_floor(struct instant t, int64_t step_ns)
{
	int64_t rest = t.ns % step_ns;

	return (struct instant){ t.ns - (rest < 0 ? rest + step_ns : rest) };
}

/* Writes count digits of value at out. */
static void
digits_put(char *out, int count, int64_t value)
{
	while (count-- > 0) {
		out[count] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* The day in the Gregorian calendar, counted in eras of 400 years that begin in March; by
 * hand, since every usage row has three of these texts. */
static void
civil_put(char *out, int64_t days)
{
	int64_t z = days + 719468; /* from 0000-03-01; instants are after 1677 */
	int64_t era = z / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	int64_t month = mp < 10 ? mp + 3 : mp - 9;

	digits_put(out, 4, yoe + era * 400 + (month <= 2));
	digits_put(out + 5, 2, month);
	digits_put(out + 8, 2, doy - (153 * mp + 2) / 5 + 1);
}

const char *
instant_text(struct instant t, char out[CLOCK_TEXT_MAX])
{
	const int64_t day = 86400 * NS_PER_S;
	struct instant midnight = instant_floor(t, day);
	int64_t second = (t.ns - midnight.ns) / NS_PER_S;

	memcpy(out, "0000-00-00T00:00:00.000000Z", sizeof("0000-00-00T00:00:00.000000Z"));
	civil_put(out, midnight.ns / day);
	digits_put(out + 11, 2, second / 3600);
	digits_put(out + 14, 2, second / 60 % 60);
	digits_put(out + 17, 2, second % 60);
	digits_put(out + 20, 6, (t.ns - midnight.ns) % NS_PER_S / NS_PER_US);
	return out;
}

static bool
digits(const char **p, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool
literal(const char **p, const char *any)
{
	if (**p == '\0' || strchr(any, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

static bool
fraction(const char **p, int64_t *ns)
{
	int64_t unit = NS_PER_S / 10;

	*ns = 0;
	if (**p != '.')
		return true;
	(*p)++;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		*ns += unit * (**p - '0');
	return true;
}

static bool
zone(const char **p, int64_t *offset_s)
{
	int sign = **p == '-' ? -1 : 1;
	int hours = 0;
	int minutes = 0;

	*offset_s = 0;
	if (literal(p, "Zz"))
		return true;
	if (!literal(p, "+-") || !digits(p, 2, &hours))
		return false;
	if (**p == ':')
		(*p)++;
	if (**p != '\0' && !digits(p, 2, &minutes))
		return false;
	*offset_s = sign * (hours * INT64_C(3600) + minutes * INT64_C(60));
	return hours <= 15 && minutes <= 59;
}

static bool
date_and_time(const char **p, struct tm *tm)
{
	return digits(p, 4, &tm->tm_year) && literal(p, "-") &&
	    digits(p, 2, &tm->tm_mon) && literal(p, "-") && digits(p, 2, &tm->tm_mday) &&
	    literal(p, "Tt ") && digits(p, 2, &tm->tm_hour) && literal(p, ":") &&
	    digits(p, 2, &tm->tm_min) && literal(p, ":") && digits(p, 2, &tm->tm_sec);
}

/* timegm() repairs 31 February in silence; a date that it changes was no date. */
static bool
seconds_of(struct tm tm, int64_t *seconds)
{
	struct tm asked = tm;

	if (tm.tm_year < 1970 || tm.tm_year > 2200)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*seconds = (int64_t)timegm(&tm);
	return tm.tm_mday == asked.tm_mday && tm.tm_mon == asked.tm_mon - 1 &&
	    tm.tm_hour == asked.tm_hour && tm.tm_min == asked.tm_min &&
	    tm.tm_sec == asked.tm_sec;
}

bool
instant_parse(struct instant *t, const char *text, struct err *e)
{
	const char *p = text;
	struct tm tm = { 0 };
	int64_t ns = 0;
	int64_t offset = 0;
	int64_t seconds = 0;

	if (!date_and_time(&p, &tm) || !fraction(&p, &ns) || !zone(&p, &offset) ||
	    *p != '\0' || !seconds_of(tm, &seconds))
		return err_set(e, ERR_INPUT,
		    "\"%.40s\" is no time: write it as 2024-03-01T00:00:00Z", text);
	t->ns = (seconds - offset) * NS_PER_S + ns;
	return true;
}
