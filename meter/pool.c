/* SPDX-License-Identifier: Apache-2.0 */
/* pool: worker threads that ask hosts; a hung host costs one worker, never the round */
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

enum { WORKERS = 3, STACK = 512 * 1024 };

/* One lane of one host: its connection belongs to whoever has it busy. */
struct lane {
	struct lane *next; /* all lanes */
	struct lane *next_queued;
	int64_t host_id;
	bool guarded, busy;
	struct mono since;
	char *uri;
	struct reader *reader;
	struct meter_result result;
};

struct pool {
	struct meter *meter;
	struct proc *proc;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct lane *lanes;
	struct lane *first, *last; /* queue */
	int done[2];               /* finished lanes, as pointers through a pipe */
};

static void
blocked(void *context, const char *uuid, unsigned ms)
{
	struct lane *l = context;

	/* Told in the log; the alarm goes out with the result, from the main thread. */
	log_debug("vm %s: its control channel is taken for %u ms", uuid, ms);
	(void)snprintf(l->result.blocked, sizeof(l->result.blocked), "%s", uuid);
	l->result.blocked_ms = ms;
}

static void
lane_run(struct lane *l)
{
	struct err e = ERR_INIT;
	struct mono begun = clock_mono();
	struct meter_result *r = &l->result;

	memset(r, 0, sizeof(*r));
	r->host_id = l->host_id;
	r->guarded = l->guarded;
	r->ok = l->reader != NULL || reader_open(&l->reader, l->uri, &e);
	if (r->ok)
		r->ok = l->guarded ? reader_guarded(l->reader, &r->round, blocked, l, &e)
				   : reader_fast(l->reader, &r->round, &e);
	if (!r->ok) {
		(void)snprintf(r->error, sizeof(r->error), "%.500s", e.text);
		reader_close(l->reader);
		l->reader = NULL;
	}
	r->latency_us = (clock_mono().ns - begun.ns) / NS_PER_US;
}

static void *
worker(void *context)
{
	struct pool *p = context;
	struct lane *l;

	for (;;) {
		(void)pthread_mutex_lock(&p->lock);
		while (p->first == NULL)
			(void)pthread_cond_wait(&p->work, &p->lock);
		l = p->first;
		p->first = l->next_queued;
		(void)pthread_mutex_unlock(&p->lock);
		lane_run(l);
		/* A pointer is written whole: it is far below PIPE_BUF. */
		while (write(p->done[1], &l, sizeof(l)) < 0 && errno == EINTR)
			continue;
	}
	return NULL;
}

static void
answers_came(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct pool *p = context;
	struct lane *l;

	while (read(fd, &l, sizeof(l)) == (ssize_t)sizeof(l)) {
		struct meter_result result = l->result;
		memset(&l->result, 0, sizeof(l->result));
		l->busy = false;
		meter_take(p->meter, &result);
		read_round_done(&result.round);
	}
}

static void
worker_start(struct pool *p)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK) != 0 ||
	    pthread_create(&thread, &attr, worker, p) != 0) {
		log_error("no thread can be started");
		exit(1); /* NOLINT(concurrency-mt-unsafe): the parent starts us again */
	}
	(void)pthread_attr_destroy(&attr);
	(void)pthread_detach(thread);
}

struct pool *
pool_new(struct meter *m, struct proc *proc)
{
	struct pool *p = mem_alloc(sizeof(*p));
	struct event *ev;

	p->meter = m;
	p->proc = proc;
	if (pthread_mutex_init(&p->lock, NULL) != 0 ||
	    pthread_cond_init(&p->work, NULL) != 0 || pipe2(p->done, O_CLOEXEC) != 0 ||
	    fcntl(p->done[0], F_SETFL, O_NONBLOCK) != 0)
		abort();
	ev = event_new(proc_base(proc), p->done[0], EV_READ | EV_PERSIST, answers_came,
	    p);
	if (ev == NULL || event_add(ev, NULL) != 0)
		abort();
	for (int i = 0; i < WORKERS; i++)
		worker_start(p);
	return p;
}

static struct lane *
lane_of(struct pool *p, int64_t host_id, const char *uri, bool guarded)
{
	struct lane *l;

	for (l = p->lanes; l != NULL; l = l->next)
		if (l->host_id == host_id && l->guarded == guarded)
			return l;
	l = mem_alloc(sizeof(*l));
	l->host_id = host_id;
	l->guarded = guarded;
	l->uri = mem_strdup(uri);
	l->next = p->lanes;
	p->lanes = l;
	return l;
}

bool
pool_ask(struct pool *p, int64_t host_id, const char *uri, bool guarded,
    int64_t *since_ns)
{
	struct lane *l = lane_of(p, host_id, uri, guarded);

	*since_ns = clock_mono().ns - l->since.ns;
	if (l->busy)
		return false;
	l->busy = true;
	l->since = clock_mono();
	l->next_queued = NULL;
	(void)pthread_mutex_lock(&p->lock);
	if (p->first == NULL)
		p->first = l;
	else
		p->last->next_queued = l;
	p->last = l;
	(void)pthread_cond_signal(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	return true;
}
