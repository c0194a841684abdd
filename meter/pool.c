/* SPDX-License-Identifier: Apache-2.0 */
/* pool: worker threads that ask hosts; one that hangs is replaced, up to a limit */
#include "meter/pool.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK = 512 * 1024, REPLACED_MOST = 32, LINE_BUCKETS = 4096 };

/* Where an event of a connection belongs to; as long as the process, since libvirt's
 * thread may be in the middle of one at any time. */
struct origin {
	struct origin *next;
	struct pool *pool;
	int64_t host_id;
};

/* A connection waits here between two questions of its lane. */
struct line {
	struct line *next;
	int64_t host_id;
	enum meter_lane_kind lane;
	struct reader *reader;
};

struct task {
	struct task *next; /* in its queue, or among those under way */
	int64_t ticket;
	struct line *line;
	char *uri;
	bool suspect, abandoned, replaced;
	bool forget; /* only closes the connection: the host is no more */
	struct read_want *wants;
	size_t want_count;
	struct meter_progress at;
	struct reader *reader; /* while it is under way */
};

struct queue {
	struct task *first, *last;
};

struct pool {
	struct pool_calls calls;
	pthread_mutex_t lock;
	pthread_cond_t work;
	unsigned workers;  /* wanted; what runs is that and those given up */
	unsigned replaced; /* given up and replaced */
	unsigned suspects; /* questions under way that may hang */
	struct queue plain, suspect;
	struct task *under_way;
	struct line *lines[LINE_BUCKETS]; /* by host */
	struct origin *origins;
	int messages[2]; /* answers and events, as pointers */
};

struct message {
	struct meter_answer answer;
	bool is_event;
};

static void
lock(struct pool *p)
{
	(void)pthread_mutex_lock(&p->lock); /* fails only on misuse */
}

static void
unlock(struct pool *p)
{
	(void)pthread_mutex_unlock(&p->lock);
}

static void
message_send(struct pool *p, const struct message *m)
{
	struct message *copy = mem_alloc(sizeof(*copy));

	*copy = *m;
	/* A pointer is written whole: it is far below PIPE_BUF. */
	while (write(p->messages[1], &copy, sizeof(copy)) < 0 && errno == EINTR)
		continue;
}

/* ---- workers */

/* What a call brought is told unless it was given up meanwhile. */
static bool
task_tell(struct pool *p, const struct task *t, struct message *m)
{
	bool wanted;

	m->answer.ticket = t->ticket;
	m->answer.host_id = t->line->host_id;
	m->answer.lane = t->line->lane;
	lock(p);
	wanted = !t->abandoned;
	unlock(p);
	if (wanted)
		message_send(p, m);
	else {
		read_round_done(&m->answer.round);
		read_site_done(&m->answer.site);
	}
	return wanted;
}

static void
happened(void *context, const char *uuid)
{
	struct origin *o = context;
	struct message m = { .is_event = true };

	m.answer.host_id = o->host_id;
	(void)snprintf(m.answer.uuid, sizeof(m.answer.uuid), "%s", uuid);
	message_send(o->pool, &m);
}

static struct origin *
origin_of(struct pool *p, int64_t host_id)
{
	struct origin *o;

	lock(p);
	for (o = p->origins; o != NULL && o->host_id != host_id; o = o->next)
		continue;
	if (o == NULL) {
		o = mem_alloc(sizeof(*o));
		*o = (struct origin){ p->origins, p, host_id };
		p->origins = o;
	}
	unlock(p);
	return o;
}

static bool
task_connect(struct pool *p, struct task *t, struct err *e)
{
	if (t->reader != NULL && strcmp(reader_uri(t->reader), t->uri) == 0)
		return true;
	reader_close(t->reader);
	t->reader = NULL;
	if (!reader_open(&t->reader, t->uri, e))
		return false;
	if (t->line->lane == LANE_FAST)
		reader_watch(t->reader, happened, origin_of(p, t->line->host_id));
	return true;
}

static void
guest_tell(struct pool *p, struct task *t, const struct read_want *want,
    const struct read_told *told)
{
	struct message m = { .answer = { .round = told->round,
				 .busy_ms = told->busy_ms } };
	bool news = want->how != READ_PULSE; /* that it is alive is none */

	(void)snprintf(m.answer.uuid, sizeof(m.answer.uuid), "%s", want->uuid);
	m.answer.kind = told->word == READ_BUSY ? ANSWER_BUSY
	    : want->how == READ_FULL            ? ANSWER_ROUND
						: ANSWER_IDLE;
	if (told->word == READ_BUSY || (told->word == READ_DONE && news))
		(void)task_tell(p, t, &m); /* given up: the next step sees it */
}

static bool
guests_step(struct pool *p, struct task *t, size_t first, size_t count, struct err *e)
{
	struct read_told told[READ_GROUP];

	if (!reader_guests(t->reader, t->wants + first, count, told, e))
		return false;
	for (size_t i = 0; i < count; i++)
		guest_tell(p, t, &t->wants[first + i], &told[i]);
	return true;
}

/* False: this call was given up while it hung. */
static bool
progress_set(struct pool *p, struct task *t, size_t guest, size_t together)
{
	bool wanted;

	lock(p);
	t->at = (struct meter_progress){ guest, clock_mono(), false, together };
	wanted = !t->abandoned;
	unlock(p);
	return wanted;
}

/* A round of the fast lane is many calls: the deadline is that of one. */
struct pace {
	struct pool *pool;
	struct task *task;
};

static void
goes_on(void *context)
{
	struct pace *p = context;

	(void)progress_set(p->pool, p->task, 0, 1); /* given up: seen at its end */
}

/* Some guests a call: on the way to a host that costs more than what they say. */
static bool
guests_run(struct pool *p, struct task *t, struct err *e)
{
	size_t n;

	for (size_t i = 0; i < t->want_count; i += n) {
		n = reader_group(t->wants + i, t->want_count - i);
		if (!progress_set(p, t, i, n))
			return true;
		if (!guests_step(p, t, i, n, e))
			return false;
	}
	return true;
}

static bool
piece_came(void *context, struct read_round *round)
{
	struct pace *p = context;
	struct message m = { .answer = { .kind = ANSWER_ROUND, .round = *round } };

	return task_tell(p->pool, p->task, &m);
}

static bool
task_run(struct pool *p, struct task *t, struct err *e)
{
	struct message m = { .answer = { .kind = ANSWER_SITE } };
	struct pace pace = { p, t };
	const struct read_on on = { goes_on, piece_came, &pace };

	if (t->forget)
		return err_set(e, ERR_NOT_FOUND, "the host was removed");
	if (!task_connect(p, t, e))
		return false;
	goes_on(&pace);
	if (t->line->lane == LANE_FAST)
		return reader_fast(t->reader, t->wants, t->want_count, &on, e);
	if (t->line->lane == LANE_SITE)
		return reader_site(t->reader, &m.answer.site, e) && task_tell(p, t, &m);
	return guests_run(p, t, e);
}

static void
task_free(struct task *t)
{
	free(t->uri);
	free(t->wants);
	free(t);
}

/* The connection goes back to its lane, unless it broke or the call was given up. */
static void
task_end(struct pool *p, struct task *t, bool ok, bool *wanted)
{
	struct reader *broken = t->reader;

	lock(p);
	for (struct task **at = &p->under_way; *at != NULL; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	*wanted = !t->abandoned;
	if (*wanted && t->suspect)
		p->suspects--;
	if (*wanted && ok) {
		t->line->reader = t->reader;
		broken = NULL;
	}
	unlock(p);
	reader_close(broken);
}

/* False: this worker was replaced while it hung, and must end. */
static bool
task_do(struct pool *p, struct task *t)
{
	struct message m = { .answer = { .kind = ANSWER_OVER,
				 .ticket = t->ticket,
				 .host_id = t->line->host_id,
				 .lane = t->line->lane } };
	struct mono begun = clock_mono();
	struct err e = ERR_INIT;
	bool wanted;
	bool go_on;

	m.answer.ok = task_run(p, t, &e);
	if (!m.answer.ok)
		(void)snprintf(m.answer.error, sizeof(m.answer.error), "%.500s", e.text);
	m.answer.latency_us = (clock_mono().ns - begun.ns) / NS_PER_US;
	task_end(p, t, m.answer.ok, &wanted);
	if (!wanted)
		m.answer.kind = ANSWER_RETURNED;
	if (!t->forget)
		message_send(p, &m);
	go_on = !t->replaced;
	task_free(t);
	return go_on;
}

static void
queue_add(struct queue *q, struct task *t)
{
	t->next = NULL;
	if (q->first == NULL)
		q->first = t;
	else
		q->last->next = t;
	q->last = t;
}

static struct task *
queue_take(struct queue *q)
{
	struct task *t = q->first;

	if (t != NULL)
		q->first = t->next;
	return t;
}

/* Those that may hang get half of the workers at most, so that the others never wait for
 * them. */
static struct task *
task_next(struct pool *p)
{
	struct task *t = queue_take(&p->plain);

	if (t == NULL && p->suspects < (p->workers + 1) / 2)
		t = queue_take(&p->suspect);
	if (t != NULL && t->suspect)
		p->suspects++;
	return t;
}

static void *
worker(void *context)
{
	struct pool *p = context;
	struct task *t;
	bool go_on = true;

	(void)pthread_setname_np(pthread_self(), "host");
	while (go_on) {
		lock(p);
		while ((t = task_next(p)) == NULL)
			(void)pthread_cond_wait(&p->work, &p->lock);
		t->reader = t->line->reader;
		t->line->reader = NULL;
		t->at = (struct meter_progress){ 0, clock_mono(), true, 0 };
		t->next = p->under_way;
		p->under_way = t;
		unlock(p);
		go_on = task_do(p, t);
	}
	lock(p);
	p->replaced--;
	unlock(p);
	return NULL;
}

static bool
worker_start(struct pool *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	if (pthread_attr_init(&attr) != 0)
		return false;
	ok = pthread_attr_setstacksize(&attr, STACK) == 0 &&
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
	    pthread_create(&thread, &attr, worker, p) == 0;
	(void)pthread_attr_destroy(&attr);
	return ok;
}

/* ---- the loop's side */

static void
messages_came(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct pool *p = context;
	struct message *m;

	while (read(fd, &m, sizeof(m)) == (ssize_t)sizeof(m)) {
		if (m->is_event)
			p->calls.event(p->calls.context, m->answer.host_id,
			    m->answer.uuid);
		else
			p->calls.answer(p->calls.context, &m->answer);
		read_round_done(&m->answer.round);
		read_site_done(&m->answer.site);
		free(m);
	}
}

struct pool *
pool_new(unsigned workers, struct event_base *base, const struct pool_calls *calls)
{
	struct pool *p = mem_alloc(sizeof(*p));
	struct event *ev;

	p->calls = *calls;
	p->workers = workers;
	if (pthread_mutex_init(&p->lock, NULL) != 0 ||
	    pthread_cond_init(&p->work, NULL) != 0 ||
	    pipe2(p->messages, O_CLOEXEC) != 0 ||
	    fcntl(p->messages[0], F_SETFL, O_NONBLOCK) != 0)
		abort(); /* no descriptors at the start: the parent starts us again */
	ev = event_new(base, p->messages[0], EV_READ | EV_PERSIST, messages_came, p);
	if (ev == NULL || event_add(ev, NULL) != 0)
		abort();
	for (unsigned i = 0; i < workers; i++)
		if (!worker_start(p)) {
			log_error("no thread can be started");
			exit(1); /* NOLINT(concurrency-mt-unsafe): started again */
		}
	return p;
}

static struct line *
line_of(struct pool *p, const struct meter_question *q)
{
	struct line **bucket = &p->lines[(uint64_t)q->host_id % LINE_BUCKETS];
	struct line *l = *bucket;

	while (l != NULL && (l->host_id != q->host_id || l->lane != q->lane))
		l = l->next;
	if (l == NULL) {
		l = mem_alloc(sizeof(*l));
		l->host_id = q->host_id;
		l->lane = q->lane;
		l->next = *bucket;
		*bucket = l;
	}
	return l;
}

static void
task_queue(struct pool *p, struct task *t, const struct meter_question *q)
{
	lock(p);
	t->line = line_of(p, q);
	queue_add(t->suspect ? &p->suspect : &p->plain, t);
	(void)pthread_cond_signal(&p->work);
	unlock(p);
}

void
pool_ask(struct pool *p, const struct meter_question *q)
{
	struct task *t = mem_alloc(sizeof(*t));

	t->ticket = q->ticket;
	t->uri = mem_strdup(q->uri);
	t->suspect = q->suspect;
	t->want_count = q->want_count;
	t->wants = mem_array(q->want_count, sizeof(*t->wants));
	if (q->want_count > 0)
		memcpy(t->wants, q->wants, q->want_count * sizeof(*t->wants));
	task_queue(p, t, q);
}

/* Closing may wait for the host: a worker does it. */
void
pool_forget(struct pool *p, int64_t host_id)
{
	for (int lane = 0; lane < LANE_COUNT; lane++) {
		const struct meter_question q = { .host_id = host_id,
			.lane = (enum meter_lane_kind)lane };
		struct task *t = mem_alloc(sizeof(*t));
		t->suspect = true;
		t->forget = true;
		task_queue(p, t, &q);
	}
}

static struct task *
task_find(struct task *list, int64_t ticket)
{
	while (list != NULL && list->ticket != ticket)
		list = list->next;
	return list;
}

bool
pool_progress(struct pool *p, int64_t ticket, struct meter_progress *out)
{
	struct task *t;

	lock(p);
	t = task_find(p->under_way, ticket);
	if (t != NULL)
		*out = t->at;
	unlock(p);
	return t != NULL;
}

void
pool_abandon(struct pool *p, int64_t ticket)
{
	struct task *t;
	bool replace = false;

	lock(p);
	t = task_find(p->under_way, ticket);
	if (t != NULL && !t->abandoned) {
		t->abandoned = true;
		if (t->suspect)
			p->suspects--;
		t->replaced = replace = p->replaced < REPLACED_MOST;
		p->replaced += replace;
		(void)pthread_cond_signal(&p->work);
	}
	unlock(p);
	if (replace && !worker_start(p))
		log_warning("no thread can be started for one that hangs");
}
