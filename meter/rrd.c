/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rrd: graphs, never bills.  The collector's thread gathers values in memory and in a
 * journal; a thread of its own writes them, many a call.
 */
#include "meter/rrd.h"
#include "base/buf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/line.h"
#include "meter/pack.h"
#include "meter/rrd_kinds.h"
#include "meter/rrdcached.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	VALUES_MOST = 64, /* gathered of an object at most */
	BUCKETS_FIRST = 64,
	JOURNAL_PIECE = 64 * 1024,
	STACK = 1024 * 1024,
	COMMAND_ROOM = 3900, /* of a line to rrdcached */
	SOURCE_TEXT = 64,
	UUID_MOST = 39,
	IDLE_PERIODS = 30, /* an hour */
};
#define GATHER_NS (120 * NS_PER_S)
#define SWEEP_NS (86400 * NS_PER_S)
#define SWEEP_FIRST_NS (600 * NS_PER_S)

/* There are two of each VM: samples are packed (pack.h), and it is as small as it can be.
 */
struct object {
	struct object *next;
	struct pack samples;
	uint8_t kind;
	uint8_t idle; /* periods without a value */
	bool met;     /* the file's own last time is known to the thread */
	char uuid[];
};

enum batch_what { BATCH_VALUES, BATCH_SHOW, BATCH_SWEEP, BATCH_END };

/* What the thread gets: the samples of an object, or a word. */
struct batch {
	struct batch *next;
	enum batch_what what;
	enum rrd_kind kind;
	char uuid[40];
	bool first;
	struct pack samples;
};

struct rrd_store {
	char *folder;
	int64_t step_s, guarded_s, keep_ns;
	/* By the time in the gathering period when they are handed on. */
	struct object **buckets;
	size_t bucket_count, object_count;
	struct mono ticked, swept;
	/* the journal */
	struct buf journal;
	int journal_fd;
	int64_t period;
	/* the thread */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct batch *first, *last;
	bool busy;
	struct rrdcached *cached;
	bool cached_away;
	uint64_t errors;
};

/* ---- the thread: files */

static bool
folders_make(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST) {
			*p = '/';
			return false;
		}
		(void)chmod(path,
		    0755); /* the web's user reads them; others' folders stay */
		*p = '/';
	}
	return true;
}

/* An hour at the step, a day by minutes, a week by 5, a quarter by hours, 5 years by
 * days. */
static int
archives(char out[][SOURCE_TEXT], int64_t step_s)
{
	static const struct {
		int64_t seconds, rows;
	} levels[] = { { 60, 1440 }, { 300, 2016 }, { 3600, 2208 }, { 86400, 1830 } };
	int n = 0;

	(void)snprintf(out[n++], SOURCE_TEXT, "RRA:AVERAGE:0.5:1:%lld",
	    (long long)(3600 / step_s + 1));
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		int64_t steps = levels[i].seconds / step_s;
		if (steps <= 1)
			continue;
		(void)snprintf(out[n++], SOURCE_TEXT, "RRA:AVERAGE:0.5:%lld:%lld",
		    (long long)steps, (long long)levels[i].rows);
		if (levels[i].seconds >= 3600)
			(void)snprintf(out[n++], SOURCE_TEXT, "RRA:MAX:0.5:%lld:%lld",
			    (long long)steps, (long long)levels[i].rows);
	}
	return n;
}

static void
complain(struct rrd_store *r, const char *path, const char *why)
{
	/* One line for the first and then every thousandth: graphs are no reason for a
	 * flood. */
	if (r->errors++ % 1000 == 0)
		log_warning("graph %s: %s", path, why);
}

static bool
create(struct rrd_store *r, const struct batch *b, char *path)
{
	char text[RRD_FIELDS_MOST + 10][SOURCE_TEXT];
	const char *argv[RRD_FIELDS_MOST + 10];
	const struct rrd_layout *l = &rrd_layouts[b->kind];
	int64_t step = l->guarded ? r->guarded_s : r->step_s;
	int n = 0;

	if (b->kind == RRD_POOL && step < RRD_POOL_LEAST_S)
		step = RRD_POOL_LEAST_S;

	if (!folders_make(path)) {
		complain(r, path, "its folder can't be made");
		return false;
	}
	for (; l->sources[n].name != NULL; n++)
		(void)snprintf(text[n], sizeof(text[n]), "DS:%s:%s:%lld:0:U",
		    l->sources[n].name, l->sources[n].counter ? "DERIVE" : "GAUGE",
		    (long long)(3 * step));
	n += archives(text + n, step);
	for (int i = 0; i < n; i++)
		argv[i] = text[i];
	if (rrd_create_r(path, (unsigned long)step, (time_t)(pack_first(&b->samples) - 1),
		n, argv) != 0) {
		complain(r, path, rrd_get_error());
		rrd_clear_error();
		return false;
	}
	(void)chmod(path, 0644);
	return true;
}

/* A file that is torn or of another make is no reason to draw nothing ever after. */
static bool
set_aside(const char *path, const char *why)
{
	static const char *const words[] = { "is not an RRD", "not an RRD", "truncated",
		"too small", "data source readings", "unsupported", "expected",
		"can't read", "reading the cookie", "reached EOF" };
	char when[CLOCK_TEXT_MAX];
	bool damaged = false;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		damaged = damaged || strstr(why, words[i]) != NULL;
	if (!damaged)
		return false;
	scoped_free char *aside = mem_printf("%s.damaged-%s", path,
	    instant_text(clock_now(), when));
	if (rename(path, aside) != 0)
		return false;
	log_warning("graph %s: %s: set aside as %s, a new one is made", path, why, aside);
	return true;
}

/* After a restart the file may hold these seconds: one refused value refuses its call. */
static int64_t
last_written(const struct batch *b, const char *path)
{
	time_t last = b->first ? rrd_last_r(path) : -1;

	rrd_clear_error(); /* not there yet is fine */
	return (int64_t)last;
}

static char *
sample_text(const struct pack_sample *s, int fields)
{
	struct buf t = BUF_INIT;

	line_digits(&t, (uint64_t)s->second);
	for (int f = 0; f < fields; f++) {
		buf_putc(&t, ':');
		if ((s->has & 1U << f) != 0)
			line_digits(&t, s->values[f]);
		else
			buf_putc(&t, 'U');
	}
	return buf_take(&t);
}

static bool
file_update(const char *path, char **values, int count, char why[200])
{
	if (rrd_update_r(path, NULL, count, (const char **)(uintptr_t)values) == 0)
		return true;
	(void)snprintf(why, 200, "%.190s", rrd_get_error());
	rrd_clear_error();
	return false;
}

static void
write_direct(struct rrd_store *r, const struct batch *b, char *path, char **values,
    int count)
{
	char why[200];

	if (file_update(path, values, count, why))
		return;
	if (set_aside(path, why) && create(r, b, path) &&
	    file_update(path, values, count, why))
		return;
	complain(r, path, why);
}

static void
cached_send(struct rrd_store *r)
{
	unsigned failed = 0;
	char words[160] = "";
	struct err e = ERR_INIT;
	bool ok = rrdcached_send(r->cached, &failed, words, &e);

	if (!ok && !r->cached_away)
		log_warning("%s: graphs wait for it", e.text);
	if (ok && r->cached_away)
		log_info("rrdcached takes values again");
	r->cached_away = !ok;
	if (failed > 0)
		complain(r, "of rrdcached", words);
}

static void
cached_command(struct rrd_store *r, const char *command)
{
	struct err e = ERR_INIT;

	if (!rrdcached_add(r->cached, command, &e))
		complain(r, "of rrdcached", e.text);
}

static void
write_cached(struct rrd_store *r, const char *path, char **values, int count)
{
	struct buf line = BUF_INIT;

	for (int i = 0; i < count; i++) {
		if (line.length > 0 && line.length + strlen(values[i]) > COMMAND_ROOM) {
			cached_command(r, buf_text(&line));
			buf_clear(&line);
		}
		if (line.length == 0)
			buf_printf(&line, "update %s", path);
		buf_printf(&line, " %s", values[i]);
	}
	if (line.length > 0)
		cached_command(r, buf_text(&line));
	buf_done(&line);
}

static void
batch_write(struct rrd_store *r, const struct batch *b)
{
	struct pack_walk walk = PACK_WALK_INIT;
	struct pack_sample s;
	char *values[VALUES_MOST];
	char path[RRD_PATH_MAX];
	int64_t last;
	int n = 0;

	rrd_path(path, r->folder, b->kind, b->uuid);
	last = last_written(b, path);
	while (pack_next(&b->samples, &walk, &s))
		if (s.second > last)
			values[n++] = sample_text(&s, rrd_source_count(b->kind));
	if (n > 0 && (access(path, F_OK) == 0 || create(r, b, path))) {
		if (r->cached != NULL)
			write_cached(r, path, values, n);
		else
			write_direct(r, b, path, values, n);
	}
	for (int i = 0; i < n; i++)
		free(values[i]);
}

/* What the daemon holds back of one that is looked at. */
static void
batch_show(struct rrd_store *r, const struct batch *b)
{
	char path[RRD_PATH_MAX];

	rrd_path(path, r->folder, b->kind, b->uuid);
	if (r->cached == NULL || access(path, F_OK) != 0)
		return;
	scoped_free char *command = mem_printf("flush %s", path);
	cached_command(r, command);
	cached_send(r);
}

/* ---- the thread: files of what is no more */

static struct instant sweep_before;

static int
sweep_one(const char *path, const struct stat *st, int type,
    struct FTW *unused_where unused)
{
	size_t length = strlen(path);
	time_t before = (time_t)(sweep_before.ns / NS_PER_S);

	/* The file's time is not always that of its last value. */
	if (type != FTW_F || st->st_mtime >= before || length < 4 ||
	    strcmp(path + length - 4, ".rrd") != 0)
		return 0;
	if (rrd_last_r(path) < before) {
		if (unlink(path) == 0)
			log_info("graph %s: nothing was added for long, removed", path);
	}
	rrd_clear_error();
	return 0;
}

/* Only this thread sweeps; nftw() has no context. */
static void
sweep(const struct rrd_store *r)
{
	sweep_before.ns = clock_now().ns - r->keep_ns;
	if (r->keep_ns > 0)
		(void)nftw(r->folder, sweep_one, 16, FTW_PHYS); /* tomorrow again */
}

/* ---- the thread */

static void
batch_free(struct batch *b)
{
	pack_done(&b->samples);
	free(b);
}

/* True: it was the last one. */
static bool
batch_do(struct rrd_store *r, struct batch *b)
{
	bool end = b->what == BATCH_END;

	if (b->what == BATCH_VALUES)
		batch_write(r, b);
	else if (b->what == BATCH_SHOW)
		batch_show(r, b);
	else if (b->what == BATCH_SWEEP)
		sweep(r);
	batch_free(b);
	return end;
}

static struct batch *
batches_take(struct rrd_store *r)
{
	struct batch *list;

	(void)pthread_mutex_lock(&r->lock);
	r->busy = false;
	(void)pthread_cond_broadcast(&r->idle);
	while (r->first == NULL)
		(void)pthread_cond_wait(&r->work, &r->lock);
	list = r->first;
	r->first = NULL;
	r->busy = true;
	(void)pthread_mutex_unlock(&r->lock);
	return list;
}

static void *
work(void *context)
{
	struct rrd_store *r = context;
	bool end = false;

	(void)pthread_setname_np(pthread_self(), "graphs"); /* for who looks with top */
	while (!end) {
		struct batch *b = batches_take(r);
		while (b != NULL) {
			struct batch *next = b->next;
			end = batch_do(r, b) || end;
			b = next;
		}
		if (r->cached != NULL)
			cached_send(r);
	}
	return NULL;
}

static void
batch_hand(struct rrd_store *r, struct batch *b)
{
	(void)pthread_mutex_lock(&r->lock);
	if (r->first == NULL)
		r->first = b;
	else
		r->last->next = b;
	r->last = b;
	(void)pthread_cond_signal(&r->work);
	(void)pthread_mutex_unlock(&r->lock);
}

/* ---- the collector's side: gathering */

static void
object_hand(struct rrd_store *r, struct object *o)
{
	struct batch *b;

	if (o->samples.count == 0)
		return;
	b = mem_alloc(sizeof(*b));
	b->what = BATCH_VALUES;
	b->kind = (enum rrd_kind)o->kind;
	(void)snprintf(b->uuid, sizeof(b->uuid), "%s", o->uuid);
	b->first = !o->met;
	b->samples = o->samples; /* its last time stays with the object */
	o->met = true;
	pack_begin(&o->samples);
	batch_hand(r, b);
}

/* When in the gathering period it is handed on. */
static int64_t
slot_of(unsigned kind, const char *uuid)
{
	uint64_t hash = counter_epoch(uuid) + kind;

	return (int64_t)(hash % (uint64_t)GATHER_NS);
}

/* Neighbours in time are neighbours here: each tick looks at those few that it is about.
 */
static struct object **
bucket_of(const struct rrd_store *r, int64_t slot)
{
	return &r->buckets[slot / (GATHER_NS / (int64_t)r->bucket_count + 1)];
}

static void
object_link(struct rrd_store *r, struct object *o)
{
	struct object **bucket = bucket_of(r, slot_of(o->kind, o->uuid));

	o->next = *bucket;
	*bucket = o;
}

static void
buckets_grow(struct rrd_store *r)
{
	struct object **old = r->buckets;
	size_t count = r->bucket_count;

	r->bucket_count = count == 0 ? BUCKETS_FIRST : 2 * count;
	r->buckets = mem_array(r->bucket_count, sizeof(struct object *));
	for (size_t i = 0; i < count; i++)
		for (struct object *o = old[i]; o != NULL;) {
			struct object *next = o->next;
			object_link(r, o);
			o = next;
		}
	free(old);
}

/* NULL: nothing was gathered of it for long. */
static struct object *
object_find(struct rrd_store *r, enum rrd_kind kind, const char *uuid)
{
	struct object *o = r->bucket_count > 0
	    ? *bucket_of(r, slot_of((unsigned)kind, uuid))
	    : NULL;

	while (o != NULL && (o->kind != (uint8_t)kind || strcmp(o->uuid, uuid) != 0))
		o = o->next;
	return o;
}

static struct object *
object_make(struct rrd_store *r, enum rrd_kind kind, const char *uuid)
{
	size_t length = strnlen(uuid, UUID_MOST);
	struct object *o = mem_alloc(sizeof(*o) + length + 1);

	if (r->object_count >= r->bucket_count)
		buckets_grow(r);
	o->kind = (uint8_t)kind;
	memcpy(o->uuid, uuid, length);
	object_link(r, o);
	r->object_count++;
	return o;
}

static void
gather(struct rrd_store *r, enum rrd_kind kind, const char *uuid, int64_t second,
    const struct rrd_value *values, int count)
{
	struct object *o = object_find(r, kind, uuid);
	struct pack_sample s = { .second = second };

	if (o == NULL)
		o = object_make(r, kind, uuid);
	if (second <= o->samples.last)
		return; /* the clock went back, or twice within a second */
	if (o->samples.count == VALUES_MOST)
		object_hand(r, o);
	for (int f = 0; f < count && f < rrd_source_count(kind); f++) {
		s.has |= (uint32_t)values[f].has << f;
		s.values[f] = values[f].has ? values[f].value : 0;
	}
	pack_add(&o->samples, &s);
}

/* ---- the journal: what is gathered and not in the files yet, should we be killed */

static void
journal_path(const struct rrd_store *r, int64_t period, char out[RRD_PATH_MAX])
{
	(void)snprintf(out, RRD_PATH_MAX, "%s/journal/%lld", r->folder,
	    (long long)period);
}

static void
journal_write(struct rrd_store *r)
{
	const char *at = r->journal.data;
	size_t length = r->journal.length;

	while (r->journal_fd >= 0 && length > 0) {
		ssize_t n = write(r->journal_fd, at, length);
		if (n < 0 && errno != EINTR)
			break; /* a full disk: graphs do without it */
		at += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	buf_clear(&r->journal);
}

/* A new one each period; what the one before the last holds was handed on since. */
static void
journal_turn(struct rrd_store *r, struct instant now)
{
	int64_t period = now.ns / GATHER_NS;
	char path[RRD_PATH_MAX];

	if (period == r->period && r->journal_fd >= 0)
		return;
	if (r->journal_fd >= 0)
		(void)close(r->journal_fd);
	journal_path(r, r->period - 1, path);
	(void)unlink(path); /* mostly there; a step of the clock leaves one behind */
	r->period = period;
	journal_path(r, period, path);
	r->journal_fd = folders_make(path)
	    ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
	    : -1;
}

static void
journal_add(struct rrd_store *r, enum rrd_kind kind, const char *uuid, int64_t second,
    const struct rrd_value *values, int count)
{
	struct buf *b = &r->journal;

	line_digits(b, (uint64_t)kind);
	buf_putc(b, ' ');
	buf_puts(b, uuid);
	buf_putc(b, ' ');
	line_digits(b, (uint64_t)second);
	for (int f = 0; f < count; f++) {
		buf_putc(b, ' ');
		if (values[f].has)
			line_digits(b, values[f].value);
		else
			buf_putc(b, 'U');
	}
	buf_putc(&r->journal, '\n');
	if (b->length > JOURNAL_PIECE)
		journal_write(r);
}

/* A torn last line has no end: it is left out. */
static void
journal_line(struct rrd_store *r, char *line)
{
	struct rrd_value values[RRD_FIELDS_MOST] = { { 0, false } };
	char *rest = line;
	const char *kind = strsep(&rest, " ");
	const char *uuid = strsep(&rest, " ");
	const char *second = strsep(&rest, " ");
	const char *value;
	long number = strtol(kind, NULL, 10);
	int n = 0;

	if (second == NULL || number < 0 || number >= RRD_KINDS || strlen(uuid) != 36)
		return;
	while (n < RRD_FIELDS_MOST && (value = strsep(&rest, " ")) != NULL) {
		values[n].has = value[0] != 'U';
		values[n++].value = strtoull(value, NULL, 10);
	}
	gather(r, (enum rrd_kind)number, uuid, strtoll(second, NULL, 10), values, n);
}

static void
journal_file(struct rrd_store *r, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[1024];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		char *end = strchr(line, '\n');
		if (end == NULL)
			continue;
		*end = '\0';
		journal_line(r, line);
	}
	(void)fclose(f); /* it was only read */
}

/* Names are numbers of one length: as text they sort as they were written. */
static void
journal_replay(struct rrd_store *r)
{
	scoped_free char *folder = mem_printf("%s/journal", r->folder);
	struct dirent **list = NULL;
	int n = scandir(folder, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		scoped_free char *path = mem_printf("%s/%s", folder, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			journal_file(r, path);
		free(list[i]);
	}
	free(list);
}

/* Of before: they are in the files now. */
static void
journal_clear(struct rrd_store *r)
{
	scoped_free char *folder = mem_printf("%s/journal", r->folder);
	struct dirent **list = NULL;
	int n = scandir(folder, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		scoped_free char *path = mem_printf("%s/%s", folder, list[i]->d_name);
		if (list[i]->d_name[0] != '.' &&
		    strtoll(list[i]->d_name, NULL, 10) < r->period - 1)
			(void)unlink(path);
		free(list[i]);
	}
	free(list);
}

/* ---- what others call */

void
rrd_add(struct rrd_store *r, enum rrd_kind kind, const char *uuid, struct instant t,
    const struct rrd_value *values, int count)
{
	int64_t second = t.ns / NS_PER_S;

	journal_turn(r, t);
	journal_add(r, kind, uuid, second, values, count);
	gather(r, kind, uuid, second, values, count);
}

static void
all_hand(struct rrd_store *r)
{
	for (size_t i = 0; i < r->bucket_count; i++)
		for (struct object *o = r->buckets[i]; o != NULL; o = o->next)
			object_hand(r, o);
}

/* Whether the object's moment in the gathering period lies between two instants. */
static bool
slot_passed(int64_t slot, int64_t then, int64_t now)
{
	return (now - slot) / GATHER_NS != (then - slot) / GATHER_NS;
}

/* One that nothing is added to any more is forgotten; its file stays. */
static void
bucket_tick(struct rrd_store *r, struct object **at, struct mono then, struct mono now)
{
	while (*at != NULL) {
		struct object *o = *at;
		if (slot_passed(slot_of(o->kind, o->uuid), then.ns, now.ns)) {
			o->idle = o->samples.count == 0 ? (uint8_t)(o->idle + 1) : 0;
			object_hand(r, o);
		}
		if (o->idle > IDLE_PERIODS) {
			*at = o->next;
			pack_done(&o->samples);
			free(o);
			r->object_count--;
			continue;
		}
		at = &o->next;
	}
}

/* Those of which a slot may lie between the two. */
static void
buckets_tick(struct rrd_store *r, struct mono then, struct mono now)
{
	struct object **at;
	struct object **last;

	if (r->bucket_count == 0)
		return;
	at = bucket_of(r, then.ns % GATHER_NS);
	last = bucket_of(r, now.ns % GATHER_NS);
	if (now.ns - then.ns >= GATHER_NS / 2) {
		at = r->buckets; /* the first time, or after a stop: all */
		last = r->buckets + r->bucket_count - 1;
	}
	for (;; at++) {
		if (at == r->buckets + r->bucket_count)
			at = r->buckets;
		bucket_tick(r, at, then, now);
		if (at == last)
			return;
	}
}

static void
word_hand(struct rrd_store *r, enum batch_what what)
{
	struct batch *b = mem_alloc(sizeof(*b));

	b->what = what;
	batch_hand(r, b);
}

void
rrd_tick(struct rrd_store *r, struct mono now)
{
	struct mono then = r->ticked;

	if (now.ns - then.ns < NS_PER_S)
		return;
	r->ticked = now;
	journal_write(r);
	if (then.ns == 0)
		r->swept.ns = now.ns - SWEEP_NS + SWEEP_FIRST_NS;
	buckets_tick(r, then, now);
	if (now.ns - r->swept.ns < SWEEP_NS)
		return;
	r->swept = now;
	journal_clear(r);
	word_hand(r, BATCH_SWEEP);
}

void
rrd_wanted(struct rrd_store *r, const char *uuid)
{
	for (int k = 0; k < RRD_KINDS; k++) {
		struct object *o = object_find(r, (enum rrd_kind)k, uuid);
		struct batch *b;
		if (o == NULL)
			continue;
		object_hand(r, o);
		b = mem_alloc(sizeof(*b));
		b->what = BATCH_SHOW;
		b->kind = (enum rrd_kind)k;
		(void)snprintf(b->uuid, sizeof(b->uuid), "%s", uuid);
		batch_hand(r, b);
	}
}

void
rrd_flush(struct rrd_store *r)
{
	all_hand(r);
	(void)pthread_mutex_lock(&r->lock);
	while (r->first != NULL || r->busy)
		(void)pthread_cond_wait(&r->idle, &r->lock);
	(void)pthread_mutex_unlock(&r->lock);
}

static void
thread_start(struct rrd_store *r)
{
	pthread_attr_t attr;

	if (pthread_mutex_init(&r->lock, NULL) != 0 ||
	    pthread_cond_init(&r->work, NULL) != 0 ||
	    pthread_cond_init(&r->idle, NULL) != 0 || pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK) != 0 ||
	    pthread_create(&r->thread, &attr, work, r) != 0) {
		log_error("no thread can be started");
		exit(1); /* NOLINT(concurrency-mt-unsafe): the parent starts us again */
	}
	(void)pthread_attr_destroy(&attr);
}

struct rrd_store *
rrd_store_new(const struct rrd_settings *settings)
{
	struct rrd_store *r = mem_alloc(sizeof(*r));
	struct err e = ERR_INIT;

	r->folder = mem_strdup(settings->folder);
	r->step_s = settings->step_ns >= NS_PER_S ? settings->step_ns / NS_PER_S : 1;
	r->guarded_s = settings->guarded_ns >= NS_PER_S ? settings->guarded_ns / NS_PER_S
							: 1;
	r->keep_ns = settings->keep_ns;
	r->journal_fd = -1;
	if (settings->cached[0] != '\0' &&
	    !rrdcached_new(&r->cached, settings->cached, &e))
		log_error("%s: graphs are written directly", e.text);
	journal_replay(r);
	thread_start(r);
	return r;
}

static void
objects_free(struct rrd_store *r)
{
	for (size_t i = 0; i < r->bucket_count; i++)
		while (r->buckets[i] != NULL) {
			struct object *next = r->buckets[i]->next;
			pack_done(&r->buckets[i]->samples);
			free(r->buckets[i]);
			r->buckets[i] = next;
		}
	free(r->buckets);
}

void
rrd_store_free(struct rrd_store *r)
{
	if (r == NULL)
		return;
	journal_write(r);
	all_hand(r);
	word_hand(r, BATCH_END);
	(void)pthread_join(r->thread, NULL);
	objects_free(r);
	rrdcached_free(r->cached);
	if (r->journal_fd >= 0)
		(void)close(r->journal_fd);
	buf_done(&r->journal);
	free(r->folder);
	free(r);
}
