/* SPDX-License-Identifier: Apache-2.0 */
/* store: usage rows to PostgreSQL, or to the spool while it is away */
#include "meter/store.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUT_VALUES = 27, DRAIN_GROUP = 200 };

/* SQL's null in a line. */
#define NOTHING "\\N"

static const char *const kind_names[] = { "vm", "nic", "volume" };
/* The order of the deltas and raw counters in the statement, vCPU time apart. */
static const enum series_field order[] = { FIELD_NET_RX, FIELD_NET_TX, FIELD_DISK_READ,
	FIELD_DISK_WRITE, FIELD_DISK_READ_REQ, FIELD_DISK_WRITE_REQ };

static void
number_add(struct buf *b, uint64_t v)
{
	buf_printf(b, "\t%llu", (unsigned long long)v);
}

static void
raw_add(struct buf *b, const struct series *s, enum series_field f)
{
	if (s->has[f])
		number_add(b, s->raw[f]);
	else
		buf_puts(b, "\t" NOTHING);
}

char *
store_line(const struct series *s)
{
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];

	buf_printf(&b, "%lld\t%lld", (long long)s->account_id, (long long)s->resource_id);
	buf_printf(&b, "\t%s", instant_text(s->from, when));
	buf_printf(&b, "\t%s\t%s\t%lld", instant_text(s->to, when), kind_names[s->kind],
	    (long long)s->vm_id);
	buf_printf(&b, "\t%s\t%s", instant_text(s->through, when), s->epoch);
	number_add(&b, s->sum[FIELD_CPU]);
	number_add(&b, s->vcpu_sum);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		number_add(&b, s->sum[order[i]]);
	raw_add(&b, s, FIELD_CPU);
	buf_puts(&b, s->vcpu_count > 0 ? "\t" : "\t" NOTHING);
	for (size_t i = 0; i < s->vcpu_count; i++)
		buf_printf(&b, "%s%llu", i > 0 ? "," : "",
		    (unsigned long long)s->vcpu_raw[i]);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		raw_add(&b, s, order[i]);
	buf_printf(&b, "\t%lld\t%lld\t%c", (long long)s->samples, (long long)s->resets,
	    s->simulated ? 't' : 'f');
	return buf_take(&b);
}

static bool
line_put(struct db *db, const char *line, struct err *e)
{
	const char *values[PUT_VALUES] = { NULL };
	scoped_free char *copy = mem_strdup(line);
	char *rest = copy;
	size_t n = 0;

	while (rest != NULL && n < PUT_VALUES) {
		const char *value = strsep(&rest, "\t");
		values[n++] = strcmp(value, NOTHING) == 0 ? NULL : value;
	}
	if (n != PUT_VALUES || rest != NULL) {
		log_error("a spooled usage row can't be read and is left out: %.200s",
		    line);
		return true;
	}
	return db_pipeline_add(db, STMT_METER_WINDOW_PUT, PUT_VALUES, values, e);
}

bool
store_lines(struct db *db, char **lines, size_t count, struct err *e)
{
	if (count == 0)
		return true;
	if (!db_pipeline_begin(db, e))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!line_put(db, lines[i], e))
			return false;
	return db_pipeline_run(db, NULL, e);
}

bool
store_spool(struct spool *spool, const struct series *const *list, size_t count,
    struct err *e)
{
	struct spool_record *records = mem_array(count, sizeof(*records));
	bool ok;

	for (size_t i = 0; i < count; i++) {
		char when[CLOCK_TEXT_MAX];
		records[i] = (struct spool_record){ .order = list[i]->through.ns,
			.key = mem_printf("%lld/%lld/%s", (long long)list[i]->account_id,
			    (long long)list[i]->resource_id,
			    instant_text(list[i]->from, when)),
			.payload = store_line(list[i]) };
	}
	ok = spool_put(spool, records, count, e);
	for (size_t i = 0; i < count; i++) {
		free((void *)(uintptr_t)records[i].key);
		free((void *)(uintptr_t)records[i].payload);
	}
	free(records);
	return ok;
}

struct group {
	struct spool_record records[DRAIN_GROUP];
	char *lines[DRAIN_GROUP];
	size_t count;
};

static bool
group_take(const struct spool_record *record, void *context)
{
	struct group *g = context;

	g->records[g->count] = (struct spool_record){ .key = mem_strdup(record->key),
		.order = record->order,
		.payload = "" };
	g->lines[g->count++] = mem_strdup(record->payload);
	return g->count < DRAIN_GROUP;
}

bool
store_drain(struct spool *spool, struct db *db, struct err *e)
{
	struct group *g = mem_alloc(sizeof(*g));
	bool ok = true;
	size_t total = 0;

	do {
		g->count = 0;
		ok = spool_each(spool, DRAIN_GROUP, group_take, g, e) &&
		    store_lines(db, g->lines, g->count, e) &&
		    spool_drop_all(spool, g->records, g->count, e);
		for (size_t i = 0; i < g->count; i++) {
			free((void *)(uintptr_t)g->records[i].key);
			free(g->lines[i]);
		}
		total += ok ? g->count : 0;
	} while (ok && g->count > 0);
	if (total > 0)
		log_info("%zu usage rows of the database's absence written", total);
	free(g);
	return ok;
}

static void
vcpus_load(struct series *s, const char *text)
{
	s->vcpu_count = 0;
	while (text != NULL && *text != '\0' && s->vcpu_count < SERIES_VCPUS_MOST) {
		char *end = NULL;
		s->vcpu_raw = mem_resize(s->vcpu_raw, s->vcpu_count + 1,
		    sizeof(*s->vcpu_raw));
		s->vcpu_raw[s->vcpu_count++] = strtoull(text, &end, 10);
		text = *end == ',' ? end + 1 : NULL;
	}
}

static void
field_load(struct series *s, enum series_field f, const struct rows *r, size_t sum,
    size_t raw)
{
	s->sum[f] = (uint64_t)rows_i64(r, 0, sum);
	s->has[f] = rows_text(r, 0, raw) != NULL;
	s->raw[f] = (uint64_t)rows_i64(r, 0, raw);
}

bool
store_load(struct db *db, struct series *s, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	int64_t owner;

	if (!db_query(db, STMT_METER_LAST_ROW, DB_ARGS(DB_NUMBER(s->resource_id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return true;
	owner = rows_i64(r, 0, 0);
	if (!instant_parse(&s->from, rows_text(r, 0, 1), e) ||
	    !instant_parse(&s->to, rows_text(r, 0, 2), e) ||
	    !instant_parse(&s->through, rows_text(r, 0, 3), e))
		return false;
	(void)snprintf(s->epoch, sizeof(s->epoch), "%s", rows_text(r, 0, 4));
	field_load(s, FIELD_CPU, r, 5, 13);
	s->vcpu_sum = (uint64_t)rows_i64(r, 0, 6);
	vcpus_load(s, rows_text(r, 0, 14));
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		field_load(s, order[i], r, 7 + i, 15 + i);
	s->samples = rows_i64(r, 0, 21);
	s->resets = rows_i64(r, 0, 22);
	s->sampled = true;
	if (owner != s->account_id)
		series_move(s, s->account_id);
	return true;
}
