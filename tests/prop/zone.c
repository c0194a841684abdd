/* SPDX-License-Identifier: Apache-2.0 */
/* zone: local days, months and years by libc's zone rules, for comparison with SQL's */
#include "tests/prop/prop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Where a zone's offset changes from 2003 to 2033; libc is slow when asked each time. */
enum { CHANGES_MOST = 400, ZONES_MOST = 32, FIRST = 1041379200, LAST = 1988150400 };
struct table {
	char zone[64];
	int64_t at[CHANGES_MOST]; /* from then on */
	int64_t offset[CHANGES_MOST];
	size_t count;
};
static struct table tables[ZONES_MOST];
static size_t table_count;
static const struct table *table; /* of the present zone, or NULL */
static unsigned asked;            /* since the present zone was set */

static int64_t
libc_offset(int64_t t)
{
	time_t time = (time_t)t;
	struct tm tm;

	if (localtime_r(&time, &tm) == NULL)
		abort();
	return tm.tm_gmtoff;
}

static void
change_add(struct table *t, int64_t at, int64_t offset)
{
	if (t->count == CHANGES_MOST)
		abort();
	t->at[t->count] = at;
	t->offset[t->count++] = offset;
}

/* Day by day, then to the second: no zone changes its mind twice a day. */
static void
table_make(const char *zone)
{
	struct table *t = &tables[table_count++];

	(void)snprintf(t->zone, sizeof(t->zone), "%s", zone);
	change_add(t, FIRST, libc_offset(FIRST));
	for (int64_t day = FIRST; day < LAST; day += 86400) {
		int64_t low = day;
		int64_t high = day + 86400;
		int64_t before = libc_offset(low);

		if (libc_offset(high) == before)
			continue;
		while (high - low > 1) {
			int64_t middle = low + (high - low) / 2;

			if (libc_offset(middle) == before)
				low = middle;
			else
				high = middle;
		}
		change_add(t, high, libc_offset(high));
	}
	table = t;
}

/* The zone is the process's: this program has one thread. */
static void
zone_set(const char *zone)
{
	static char present[64];

	if (strcmp(present, zone) == 0) {
		if (table == NULL && ++asked > 100 && table_count < ZONES_MOST)
			table_make(present);
		return;
	}
	(void)snprintf(present, sizeof(present), "%s", zone);
	(void)setenv("TZ", present, 1); /* NOLINT(concurrency-mt-unsafe) */
	tzset();
	table = NULL;
	asked = 0;
	for (size_t i = 0; i < table_count; i++)
		if (strcmp(tables[i].zone, zone) == 0)
			table = &tables[i];
}

/* Seconds east of UTC at an instant. */
static int64_t
offset_at(int64_t t)
{
	size_t low = 0;
	size_t high;

	if (table == NULL || t < FIRST || t >= LAST)
		return libc_offset(t);
	high = table->count;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (table->at[middle] <= t)
			low = middle;
		else
			high = middle;
	}
	return table->offset[low];
}

/* Local seconds, as if they were UTC, as an instant: of two the first, in a gap with the
 * offset before it. */
static int64_t
instant_of(int64_t local)
{
	int64_t before = offset_at(local - 38 * 3600L);
	int64_t best = INT64_MAX;

	if (before == offset_at(local + 38 * 3600L))
		return local - before;
	/* Every offset that holds around there is tried. */
	for (int64_t t = local - 38 * 3600L; t <= local + 38 * 3600L; t += 1800) {
		int64_t guess = local - offset_at(t);

		if (offset_at(guess) == local - guess && guess < best)
			best = guess;
		if (t + offset_at(t) < local)
			before = offset_at(t); /* of a gap: what held last before it */
	}
	return best != INT64_MAX ? best : local - before;
}

static struct tm
wall(int64_t local)
{
	time_t time = (time_t)local;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL)
		abort();
	return tm;
}

static int64_t
local_of(int year, int month, int day)
{
	struct tm tm = { .tm_year = year, .tm_mon = month, .tm_mday = day };

	return (int64_t)timegm(&tm);
}

static struct span
span_of(int64_t from, int64_t to)
{
	return (struct span){ { instant_of(from) * S }, { instant_of(to) * S } };
}

static bool
zone_unit(void *context unused, const char *zone, enum calendar_unit unit,
    struct instant at, struct span *out, struct err *e unused)
{
	int64_t t = at.ns / S - (at.ns % S < 0 ? 1 : 0);
	int64_t local;
	struct tm tm;

	zone_set(zone);
	local = t + offset_at(t);
	tm = wall(local);
	if (unit == UNIT_HOUR) {
		out->from.ns = (t - (tm.tm_min * 60 + tm.tm_sec)) * S;
		out->to.ns = out->from.ns + 3600 * S;
	} else if (unit == UNIT_DAY) {
		*out = span_of(local_of(tm.tm_year, tm.tm_mon, tm.tm_mday),
		    local_of(tm.tm_year, tm.tm_mon, tm.tm_mday + 1));
	} else if (unit == UNIT_MONTH) {
		*out = span_of(local_of(tm.tm_year, tm.tm_mon, 1),
		    local_of(tm.tm_year, tm.tm_mon + 1, 1));
	} else {
		*out = span_of(local_of(tm.tm_year, 0, 1),
		    local_of(tm.tm_year + 1, 0, 1));
	}
	return true;
}

/* So many months after a date, the day clamped. */
static int64_t
months_after(const char *date, int64_t months)
{
	int year = 0;
	int month = 0;
	int day = 0;
	int64_t local;

	if (sscanf(date, "%d-%d-%d", &year, &month, &day) != 3)
		abort();
	for (;; day--) {
		int64_t m = (int64_t)(year - 1900) * 12 + month - 1 + months;
		int64_t y = m >= 0 ? m / 12 : (m - 11) / 12;

		local = local_of((int)y, (int)(m - y * 12), day);
		if (wall(local).tm_mday == day)
			return local;
	}
}

static bool
zone_anchored(void *context unused, const char *zone, const struct anchored *which,
    struct span *out, struct err *e unused)
{
	zone_set(zone);
	*out = span_of(months_after(which->date, which->n * which->months),
	    months_after(which->date, (which->n + 1) * which->months));
	return true;
}

static bool
zone_wall(void *context unused, const char *zone, struct instant day, int minutes,
    struct wall_time *out, struct err *e unused)
{
	struct tm tm;
	int64_t t = day.ns / S;

	zone_set(zone);
	tm = wall(t + offset_at(t));
	out->at.ns = instant_of(local_of(tm.tm_year, tm.tm_mon, tm.tm_mday) +
			 (int64_t)minutes * 60) *
	    S;
	out->weekday = tm.tm_wday == 0 ? 7 : tm.tm_wday;
	return true;
}

const struct calendar zone_calendar = { .unit = zone_unit,
	.anchored = zone_anchored,
	.wall = zone_wall };

size_t
zone_names(const char *const **out)
{
	static const char *names[1000];
	static size_t count;
	FILE *f = count > 0 ? NULL : fopen("/usr/share/zoneinfo/tzdata.zi", "re");
	char line[256];

	*out = names;
	if (count > 0 || f == NULL)
		return count;
	/* "Z Europe/Berlin ..." is a zone, "L Europe/Berlin Europe/..." another name. */
	while (fgets(line, sizeof(line), f) != NULL && count < ARRAY_LEN(names)) {
		char name[128];

		if (sscanf(line, "Z %127s", name) == 1 ||
		    sscanf(line, "L %*s %127s", name) == 1)
			names[count++] = mem_strdup(name);
	}
	(void)fclose(f);
	return count;
}
