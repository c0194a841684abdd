/* SPDX-License-Identifier: Apache-2.0 */
/* lane: a few threads for work that waits, so that nobody waits behind it */
#include "web/lane.h"
#include "base/mem.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct piece {
	void (*work)(void *context);
	void *context;
};

struct lane {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t *threads;
	size_t thread_count;
	struct piece *ring;
	size_t room;
	size_t first;
	size_t waiting;
	bool ending;
};

static bool
piece_take(struct lane *l, struct piece *out)
{
	bool found;

	(void)pthread_mutex_lock(&l->lock); /* fails only on misuse, as all below */
	while (l->waiting == 0 && !l->ending)
		(void)pthread_cond_wait(&l->changed, &l->lock);
	found = l->waiting > 0;
	if (found) {
		*out = l->ring[l->first];
		l->first = (l->first + 1) % l->room;
		l->waiting--;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return found;
}

static void *
lane_run(void *context)
{
	struct piece p;

	while (piece_take(context, &p))
		p.work(p.context);
	return NULL;
}

/* Signals belong to the loop of the main thread. */
static void
thread_start(struct lane *l, pthread_t *thread)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_attr_init(&attributes) != 0 ||
	    pthread_attr_setstacksize(&attributes, LANE_STACK) != 0 ||
	    pthread_create(thread, &attributes, lane_run, l) != 0)
		abort(); /* no memory for a thread: an ordinary death */
	(void)pthread_attr_destroy(&attributes);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct lane *
lane_new(size_t threads, size_t most_waiting)
{
	struct lane *l = mem_alloc(sizeof(*l));

	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_cond_init(&l->changed, NULL);
	l->room = most_waiting;
	l->ring = mem_array(most_waiting, sizeof(l->ring[0]));
	l->thread_count = threads;
	l->threads = mem_array(threads, sizeof(l->threads[0]));
	for (size_t i = 0; i < threads; i++)
		thread_start(l, &l->threads[i]);
	return l;
}

bool
lane_add(struct lane *l, void (*work)(void *context), void *context)
{
	bool fits;

	(void)pthread_mutex_lock(&l->lock);
	fits = l->waiting < l->room && !l->ending;
	if (fits) {
		l->ring[(l->first + l->waiting) % l->room] = (struct piece){ work,
			context };
		l->waiting++;
		(void)pthread_cond_signal(&l->changed);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return fits;
}

void
lane_end(struct lane *l)
{
	(void)pthread_mutex_lock(&l->lock);
	l->ending = true;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < l->thread_count; i++)
		(void)pthread_join(l->threads[i], NULL);
	l->thread_count = 0;
}

void
lane_free(struct lane *l)
{
	(void)pthread_mutex_destroy(&l->lock);
	(void)pthread_cond_destroy(&l->changed);
	free(l->ring);
	free(l->threads);
	free(l);
}
