/* SPDX-License-Identifier: Apache-2.0 */
/* store: what the collector asks of its database */
#include "meter/store.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/share.h"
#include "meter_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MOST = 34, WINDOW_VALUES = 34, SNAPSHOT_MOST = 512 * 1024 * 1024 };

static const char *const series_names[] = { "vm", "nic", "volume" };

static const struct {
	const char *name;
	unsigned statement;
	size_t values;
} kinds[STORE_KINDS] = {
	[STORE_WINDOW] = { "window", STMT_METER_WINDOW_PUT, WINDOW_VALUES },
	[STORE_GAP] = { "gap", STMT_METER_GAP_PUT, 5 },
	[STORE_CONTACT_OK] = { "contact", STMT_METER_CONTACT_OK, 4 },
	[STORE_CONTACT_FAILED] = { "contact", STMT_METER_CONTACT_FAILED, 3 },
	[STORE_POOL] = { "pool", STMT_METER_POOL_PUT, 8 },
	[STORE_NETWORK] = { "network", STMT_METER_NETWORK_PUT, 7 },
	[STORE_CELL] = { "cell", STMT_METER_CELL_PUT, 5 },
	[STORE_EVIDENCE] = { "evidence", STMT_METER_EVIDENCE_PUT, 6 },
	[STORE_SAMPLED] = { "sampled", STMT_METER_SAMPLED, 1 },
	[STORE_LATE] = { "window", STMT_METER_WINDOW_LATE, WINDOW_VALUES },
};

/* The order of the deltas and raw counters in the statement, CPU time apart. */
static const enum series_field order[] = { FIELD_NET_RX, FIELD_NET_TX, FIELD_DISK_READ,
	FIELD_DISK_WRITE, FIELD_DISK_READ_REQ, FIELD_DISK_WRITE_REQ };

struct store_job *
store_job_new(enum store_what what)
{
	struct store_job *job = mem_alloc(sizeof(*job));

	job->what = what;
	return job;
}

void
store_job_add(struct store_job *job, enum store_kind kind, char *line)
{
	/* Grows by doubling: its count is a power of two when it is full. */
	if ((job->row_count & (job->row_count - 1)) == 0)
		job->rows = mem_resize(job->rows,
		    job->row_count == 0 ? 1 : 2 * job->row_count, sizeof(*job->rows));
	job->rows[job->row_count++] = (struct store_row){ .kind = kind, .line = line };
}

void
store_job_free(struct store_job *job)
{
	if (job == NULL)
		return;
	for (size_t i = 0; i < job->row_count; i++)
		free(job->rows[i].line);
	free(job->rows);
	free(job->ids);
	free(job->text);
	free(job);
}

/* ---- reading */

static void
rows_put(struct buf *out, const struct rows *r, size_t (*values)(const char *letter))
{
	for (size_t i = 0; i < rows_count(r); i++) {
		size_t n = rows_columns(r);
		if (values != NULL)
			n = values(rows_text(r, i, 0));
		for (size_t c = 0; c < n; c++)
			line_text(out, rows_text(r, i, c));
		buf_putc(out, '\n');
	}
}

/* VMs say more than their devices. */
static size_t
inventory_values(const char *letter)
{
	return letter[0] == 'v' ? 9 : 6;
}

struct snapshot {
	struct buf *out;
	char turn[24];
};

static bool
query_put(struct db *db, unsigned statement, struct snapshot *s, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	bool own = statement == STMT_METER_HOSTS || statement == STMT_METER_INVENTORY;
	const char *const values[] = { s->turn };

	if (!db_query(db, statement, own ? 1 : 0, values, &r, e))
		return false;
	rows_put(s->out, r, statement == STMT_METER_INVENTORY ? inventory_values : NULL);
	return true;
}

/* One look at everything: no VM without its host, no card without its VM. */
static bool
snapshot_read(struct db *db, void *context, struct err *e)
{
	struct snapshot *s = context;

	buf_clear(s->out);
	buf_printf(s->out, "t\t%s\n", s->turn);
	return db_exec(db, "set transaction isolation level repeatable read, read only",
		   e) &&
	    query_put(db, STMT_METER_HOSTS, s, e) &&
	    query_put(db, STMT_METER_ZONES, s, e) &&
	    query_put(db, STMT_METER_ACCOUNTS, s, e) &&
	    query_put(db, STMT_METER_CUTS, s, e) &&
	    query_put(db, STMT_METER_INVENTORY, s, e);
}

static bool
partition_keep(struct db *db, struct err *e)
{
	return db_run(db, STMT_METER_PARTITION, DB_ARGS(DB_INSTANT(clock_now())), NULL,
	    e);
}

static void
snapshot_run(struct db *db, struct store_job *job)
{
	struct buf out = BUF_INIT;
	struct snapshot s = { .out = &out };

	out.limit = SNAPSHOT_MOST;
	(void)db_number(job->lease.turn, s.turn);
	job->ok = partition_keep(db, &job->e) &&
	    db_transaction(db, snapshot_read, &s, &job->e);
	if (job->ok && !buf_ok(&out))
		job->ok = err_set(&job->e, ERR_LIMIT, "the inventory is too large");
	if (job->ok) {
		buf_puts(&out, "end\n");
		job->text = buf_take(&out);
	}
	buf_done(&out);
}

static void
last_run(struct db *db, struct store_job *job)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct buf out = BUF_INIT;

	job->ok = db_query(db, STMT_METER_LAST_ROWS, DB_ARGS(job->ids), &r, &job->e);
	if (job->ok) {
		rows_put(&out, r, NULL);
		buf_putc(&out, '\n');
		/* Half of them would be worse than none: the others would begin anew. */
		job->ok = buf_ok(&out) ||
		    err_set(&job->e, ERR_LIMIT, "the newest rows are too many");
		job->text = buf_take(&out);
	}
	buf_done(&out);
}

/* ---- leases */

static bool
beat(struct db *db, struct store_lease *l, size_t *share, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_METER_BEAT,
		DB_ARGS(l->name, l->session, l->first ? "t" : "f",
		    DB_NUMBER(STORE_LEASE_S), l->machine, DB_NUMBER((int64_t)l->vms),
		    DB_NUMBER(l->clean_ms)),
		&r, e))
		return false;
	l->turn = rows_i64(r, 0, 0);
	l->known = (size_t)rows_i64(r, 0, 1);
	l->alive = (size_t)rows_i64(r, 0, 2);
	l->held = (size_t)rows_i64(r, 0, 5);
	*share = share_of((size_t)rows_i64(r, 0, 4), l->alive, (size_t)rows_i64(r, 0, 3));
	l->surplus = share_surplus(*share, l->held);
	return true;
}

static bool
hosts_take(struct db *db, struct store_lease *l, size_t wanted, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_METER_TAKE,
		DB_ARGS(DB_NUMBER(l->turn), l->session, DB_NUMBER((int64_t)wanted),
		    l->replace ? "t" : "f"),
		&r, e))
		return false;
	l->held += (size_t)rows_i64(r, 0, 0);
	return true;
}

static void
beat_run(struct db *db, struct store_job *job)
{
	size_t share = 0;

	job->ok = beat(db, &job->lease, &share, &job->e);
	job->lost = !job->ok && job->e.kind == ERR_CONFLICT;
	if (job->ok && share_wanted(share, job->lease.held) > 0)
		job->ok = hosts_take(db, &job->lease,
		    share_wanted(share, job->lease.held), &job->e);
}

/* Whether our turn still holds; the database's silence is not the end of it. */
static bool
fence(struct db *db, struct store_job *job, struct err *e)
{
	if (job->lease.turn == 0 ||
	    db_run(db, STMT_METER_FENCE,
		DB_ARGS(DB_NUMBER(job->lease.turn), job->lease.session), NULL, e))
		return true;
	job->lost = e->kind == ERR_CONFLICT;
	return false;
}

/* ---- writing */

static size_t
values_of(const struct store_row *row, char *copy, const char **values)
{
	size_t n = line_split(copy, (char **)(uintptr_t)values, VALUES_MOST);

	if (n == WINDOW_VALUES - 1 && kinds[row->kind].values == WINDOW_VALUES)
		values[n++] = "0"; /* on the disk since before there were turns */
	return n == kinds[row->kind].values ? n : 0;
}

static bool
row_add(struct db *db, const struct store_row *row, struct err *e)
{
	const char *values[VALUES_MOST] = { NULL };
	scoped_free char *copy = mem_strdup(row->line);
	size_t n = values_of(row, copy, values);

	if (row->kind == STORE_LATE)
		return true; /* one by one, afterwards */
	if (n == 0)
		return err_set(e, ERR_INPUT, "a row of %s has not the values it needs",
		    kinds[row->kind].name);
	return db_pipeline_add(db, kinds[row->kind].statement, n, values, e);
}

/* All or none of them, and only in our turn. */
static bool
rows_write(struct db *db, const struct store_job *job, const struct store_row *rows,
    size_t count, struct err *e)
{
	struct err later = ERR_INIT;
	bool ok = db_pipeline_begin(db, e);

	if (!ok)
		return false;
	if (job->lease.turn != 0)
		ok = db_pipeline_add(db, STMT_METER_FENCE,
		    DB_ARGS(DB_NUMBER(job->lease.turn), job->lease.session), e);
	for (size_t i = 0; ok && i < count; i++)
		ok = row_add(db, &rows[i], e);
	/* Also after a failure, since it ends the pipeline; the first trouble is told. */
	return db_pipeline_run(db, NULL, ok ? e : &later) && ok;
}

int64_t
store_turn(const char *line)
{
	const char *at = line;
	size_t tabs = 0;

	for (; *at != '\0' && tabs < WINDOW_VALUES - 1; at++)
		tabs += *at == '\t';
	return tabs == WINDOW_VALUES - 1 ? strtoll(at, NULL, 10) : 0;
}

void
store_key(const char *line, char out[128])
{
	const char *values[VALUES_MOST] = { NULL };
	scoped_free char *copy = mem_strdup(line);

	out[0] = '\0';
	if (line_split(copy, (char **)(uintptr_t)values, VALUES_MOST) >=
		WINDOW_VALUES - 1 &&
	    values[0] != NULL && values[1] != NULL && values[2] != NULL)
		(void)snprintf(out, 128, "%s/%s/%s", values[0], values[1], values[2]);
}

/* One that the database won't take is put aside with what it said, for a person. */
static bool
put_aside(struct db *db, struct store_job *job, struct store_row *row, struct err *why,
    struct err *e)
{
	const char *name = kinds[row->kind].name;
	char key[128];

	store_key(row->line, key);
	if (key[0] == '\0')
		(void)snprintf(key, sizeof(key), "%.100s", row->line);
	if (!db_run(db, STMT_METER_REFUSED_PUT, DB_ARGS(name, key, row->line, why->text),
		NULL, e))
		return false;
	log_error("row %s %s: %s: put aside in meter_refused, the others go on", name,
	    key, why->text);
	row->refused = true;
	job->refused++;
	(void)snprintf(job->why, sizeof(job->why), "%.60s: %.180s", key, why->text);
	return true;
}

static bool
is_refusal(const struct err *e)
{
	return e->kind != ERR_GONE && e->kind != ERR_AGAIN && e->kind != ERR_NONE;
}

/* Halves what was refused until the row is found that it was: at most as often as the
 * count has digits in base 2, for each such row. */
static bool
rows_sort_out(struct db *db, struct store_job *job, size_t from, size_t count,
    struct err *e)
{
	struct err why = ERR_INIT;

	if (count == 0 || rows_write(db, job, job->rows + from, count, &why))
		return true;
	if (!is_refusal(&why) || !fence(db, job, &why)) {
		*e = why;
		return false;
	}
	if (count == 1)
		return put_aside(db, job, &job->rows[from], &why, e);
	return rows_sort_out(db, job, from, count / 2, e) &&
	    rows_sort_out(db, job, from + count / 2, count - count / 2, e);
}

static bool
late_run(struct db *db, struct store_job *job, struct store_row *row, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_free char *copy = mem_strdup(row->line);
	const char *values[VALUES_MOST] = { NULL };
	struct err why = ERR_INIT;
	size_t n = values_of(row, copy, values);

	if (n > 0 && db_query(db, STMT_METER_WINDOW_LATE, n, values, &r, &why)) {
		row->waits = strcmp(rows_text(r, 0, 0), "waits") == 0;
		row->covered = strcmp(rows_text(r, 0, 0), "covered") == 0;
		return true;
	}
	if (n == 0)
		(void)err_set(&why, ERR_INPUT, "it has not the values it needs");
	if (is_refusal(&why))
		return put_aside(db, job, row, &why, e);
	*e = why;
	return false;
}

static void
write_run(struct db *db, struct store_job *job)
{
	job->ok = rows_sort_out(db, job, 0, job->row_count, &job->e);
	for (size_t i = 0; job->ok && i < job->row_count; i++)
		if (job->rows[i].kind == STORE_LATE)
			job->ok = late_run(db, job, &job->rows[i], &job->e);
}

void
store_run(struct db *db, struct store_job *job)
{
	switch (job->what) {
	case STORE_BEAT:
		beat_run(db, job);
		break;
	case STORE_GIVE:
		job->ok = db_run(db, STMT_METER_GIVE,
		    DB_ARGS(DB_NUMBER(job->lease.turn), job->ids), NULL, &job->e);
		break;
	case STORE_READ:
		snapshot_run(db, job);
		break;
	case STORE_LAST:
		last_run(db, job);
		break;
	case STORE_WRITE:
	default:
		write_run(db, job);
	}
}

/* ---- a series as a row, and back */

static void
vcpus_put(struct buf *b, const struct series *s)
{
	struct buf list = BUF_INIT;

	for (size_t i = 0; i < s->vcpu_count; i++) {
		if (i > 0)
			buf_putc(&list, ',');
		line_digits(&list, s->vcpu_raw[i]);
	}
	line_text(b, s->vcpu_count > 0 ? buf_text(&list) : NULL);
	buf_done(&list);
}

static uint64_t
sum_of(struct series *s, enum series_field f)
{
	const struct series_counter *c = series_counter(s, f);

	return c != NULL ? c->sum : 0;
}

static void
raw_put(struct buf *b, struct series *s, enum series_field f)
{
	const struct series_counter *c = series_counter(s, f);

	line_u64_or_null(b, c != NULL ? c->raw : 0, (s->has & 1U << f) != 0);
}

static void
gauge_put(struct buf *b, struct series *s, enum series_gauge g)
{
	const uint64_t *value = series_gauge(s, g);

	line_u64_or_null(b, value != NULL ? *value : 0, (s->has_gauge & 1U << g) != 0);
}

char *
store_line(struct series *s)
{
	struct buf b = BUF_INIT;
	char when[CLOCK_TEXT_MAX];

	line_number(&b, s->account_id);
	line_number(&b, s->resource_id);
	line_text(&b, instant_text(s->from, when));
	line_text(&b, instant_text(s->to, when));
	line_text(&b, series_names[s->kind]);
	line_number(&b, s->vm_id);
	line_text(&b, instant_text(s->through, when));
	line_text(&b, series_epoch_text(s));
	line_u64(&b, sum_of(s, FIELD_CPU));
	line_u64(&b, s->kind == SERIES_VM ? s->vcpu_sum : 0);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		line_u64(&b, sum_of(s, order[i]));
	raw_put(&b, s, FIELD_CPU);
	vcpus_put(&b, s);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		raw_put(&b, s, order[i]);
	line_number(&b, s->samples);
	line_number(&b, s->resets);
	line_text(&b, s->simulated ? "t" : "f");
	for (int g = 0; g < GAUGE_COUNT; g++)
		gauge_put(&b, s, (enum series_gauge)g);
	line_number(&b, s->turn);
	return buf_take(&b);
}

static uint64_t
unsigned_of(const char *text)
{
	return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void
vcpus_load(struct series *s, const char *text)
{
	s->vcpu_count = 0;
	while (text != NULL && *text != '\0' && s->vcpu_count < SERIES_VCPUS_MOST) {
		char *end = NULL;
		s->vcpu_raw = mem_resize(s->vcpu_raw, s->vcpu_count + 1U,
		    sizeof(*s->vcpu_raw));
		s->vcpu_raw[s->vcpu_count++] = strtoull(text, &end, 10);
		text = *end == ',' ? end + 1 : NULL;
	}
}

static void
field_load(struct series *s, enum series_field f, const char *sum, const char *raw)
{
	struct series_counter *c = series_counter(s, f);

	if (c == NULL)
		return;
	*c = (struct series_counter){ unsigned_of(sum), unsigned_of(raw) };
	s->has |= (uint8_t)((raw != NULL) << f);
}

static void
gauge_load(struct series *s, enum series_gauge g, const char *value)
{
	uint64_t *at = series_gauge(s, g);

	if (at == NULL)
		return;
	*at = unsigned_of(value);
	s->has_gauge |= (uint8_t)((value != NULL) << g);
}

bool
store_parse(struct series *s, struct store_owner *was, char *line, struct err *e)
{
	char *v[WINDOW_VALUES] = { NULL };
	struct instant from;
	struct instant to;
	struct instant through;

	if (line_split(line, v, WINDOW_VALUES) < WINDOW_VALUES - 1 || v[0] == NULL ||
	    v[2] == NULL || v[3] == NULL || v[6] == NULL || v[7] == NULL)
		return err_set(e, ERR_INPUT, "no usage row: %.80s", line);
	if (!instant_parse(&from, v[2], e) || !instant_parse(&to, v[3], e) ||
	    !instant_parse(&through, v[6], e))
		return false;
	was->account_id = (int64_t)unsigned_of(v[0]);
	was->vm_id = (int64_t)unsigned_of(v[5]);
	s->from = from;
	s->to = to;
	s->through = through;
	series_epoch_set(s, v[7]);
	s->has = s->has_gauge = 0;
	field_load(s, FIELD_CPU, v[8], v[16]);
	if (s->kind == SERIES_VM)
		s->vcpu_sum = unsigned_of(v[9]);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		field_load(s, order[i], v[10 + i], v[18 + i]);
	if (s->kind == SERIES_VM)
		vcpus_load(s, v[17]);
	s->samples = (uint32_t)unsigned_of(v[24]);
	s->resets = (uint32_t)unsigned_of(v[25]);
	s->simulated = v[26] != NULL && v[26][0] == 't';
	for (int g = 0; g < GAUGE_COUNT; g++)
		gauge_load(s, (enum series_gauge)g, v[27 + g]);
	s->turn = (uint32_t)unsigned_of(v[WINDOW_VALUES - 1]);
	s->sampled = true;
	return true;
}
