/* SPDX-License-Identifier: Apache-2.0 */
/* watch: descriptors and timers of a library that wants an event loop, on epoll */
#include "base/watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK = 256 * 1024, EVENTS = 64, DUE_MOST = 64, IDLE_MS = 60 * 1000 };
/* An id is the place of its item and how often that was used before: 30 bits. */
enum { PLACE_BITS = 20, USES = 1 << 10, ITEMS_MOST = 1 << PLACE_BITS };
#define SLACK_NS (20 * NS_PER_MS)
#define NEVER INT64_MAX

/* A descriptor or a timer. */
struct item {
	enum { FREE, LIVE, GONE } state; /* GONE: done is still to be called */
	int uses;
	void *context;
	watch_free done;
	union {
		struct {
			watch_call call;
			int fd;  /* the library's */
			int own; /* what epoll knows: fd, or a copy of it */
			int wanted;
			bool out; /* taken out of epoll, for it hung up unwanted */
		} h;
		struct {
			watch_timer_call call;
			int ms;
			int64_t due;
		} t;
	};
};

struct items {
	struct item *list;
	int count, gone;
};

/* libvirt's registration knows no context: there is one loop. */
static struct {
	pthread_mutex_t lock;
	int epoll, wake;
	int64_t asleep_until; /* NEVER: awake, or nothing is due */
	struct items handles, timers;
} loop = { .lock = PTHREAD_MUTEX_INITIALIZER, .epoll = -1, .wake = -1 };

static void
lock(void)
{
	(void)pthread_mutex_lock(&loop.lock); /* fails only on misuse */
}

static void
unlock(void)
{
	(void)pthread_mutex_unlock(&loop.lock);
}

static void
wake(void)
{
	const uint64_t one = 1;

	/* It can only be full, and then the loop wakes anyway. */
	if (write(loop.wake, &one, sizeof(one)) < 0)
		return;
}

/* ---- items */

static int
id_of(const struct items *all, const struct item *i)
{
	return i->uses << PLACE_BITS | (int)(i - all->list + 1);
}

static struct item *
item_of(const struct items *all, int id)
{
	int place = (id & (ITEMS_MOST - 1)) - 1;
	struct item *i;

	if (id <= 0 || place < 0 || place >= all->count)
		return NULL;
	i = &all->list[place];
	return i->state == LIVE && i->uses == id >> PLACE_BITS ? i : NULL;
}

static struct item *
item_new(struct items *all, void *context, watch_free done)
{
	struct item *i = all->list;
	int uses;

	while (i < all->list + all->count && i->state != FREE)
		i++;
	if (i == all->list + all->count) {
		if (all->count == ITEMS_MOST - 1)
			return NULL;
		all->list = mem_resize(all->list, (size_t)all->count + 1,
		    sizeof(*all->list));
		i = &all->list[all->count++];
		i->uses = 0;
	}
	uses = i->uses;
	*i = (struct item){ .state = LIVE, .uses = uses };
	i->context = context;
	i->done = done;
	return i;
}

static void
item_end(struct items *all, struct item *i)
{
	i->state = GONE;
	all->gone++;
	wake();
}

/* Between two turns: nobody is inside a call. */
static void
items_sweep(struct items *all)
{
	lock();
	for (int p = 0; p < all->count && all->gone > 0; p++) {
		struct item i = all->list[p];
		if (i.state != GONE)
			continue;
		all->list[p].uses = (i.uses + 1) % USES;
		all->list[p].state = FREE;
		all->gone--;
		unlock();
		if (i.done != NULL)
			i.done(i.context);
		lock();
	}
	unlock();
}

/* ---- descriptors */

static bool
epoll_set(int how, const struct item *i)
{
	struct epoll_event e = { .data.u32 = (uint32_t)id_of(&loop.handles, i) };

	if ((i->h.wanted & WATCH_READ) != 0)
		e.events |= EPOLLIN;
	if ((i->h.wanted & WATCH_WRITE) != 0)
		e.events |= EPOLLOUT;
	return epoll_ctl(loop.epoll, how, i->h.own, &e) == 0;
}

/* Epoll knows a descriptor once: who asks twice gets a copy watched. */
static bool
handle_begin(struct item *i)
{
	if (epoll_set(EPOLL_CTL_ADD, i))
		return true;
	if (errno != EEXIST)
		return false;
	i->h.own = fcntl(i->h.fd, F_DUPFD_CLOEXEC, 3);
	if (i->h.own >= 0 && epoll_set(EPOLL_CTL_ADD, i))
		return true;
	if (i->h.own >= 0)
		(void)close(i->h.own);
	return false;
}

int
watch_add(int fd, int wanted, watch_call call, void *context, watch_free done)
{
	struct item *i;
	int id = -1;

	lock();
	i = item_new(&loop.handles, context, done);
	if (i != NULL) {
		i->h.call = call;
		i->h.fd = i->h.own = fd;
		i->h.wanted = wanted;
		if (handle_begin(i))
			id = id_of(&loop.handles, i);
		else
			i->state = FREE;
	}
	unlock();
	return id;
}

void
watch_change(int id, int wanted)
{
	struct item *i;

	lock();
	i = item_of(&loop.handles, id);
	if (i != NULL && i->h.wanted != wanted) {
		i->h.wanted = wanted;
		if (!i->h.out)
			(void)epoll_set(EPOLL_CTL_MOD, i); /* it is ours: it can */
		else if (wanted != 0)
			i->h.out = !epoll_set(EPOLL_CTL_ADD, i);
	}
	unlock();
}

int
watch_remove(int id)
{
	struct item *i;

	lock();
	i = item_of(&loop.handles, id);
	if (i != NULL) {
		if (!i->h.out)
			(void)epoll_ctl(loop.epoll, EPOLL_CTL_DEL, i->h.own, NULL);
		if (i->h.own != i->h.fd)
			(void)close(i->h.own);
		item_end(&loop.handles, i);
	}
	unlock();
	return i != NULL ? 0 : -1;
}

static int
happened_of(const struct epoll_event *e, int wanted)
{
	int bits = 0;

	if ((e->events & EPOLLIN) != 0)
		bits |= WATCH_READ;
	if ((e->events & EPOLLOUT) != 0)
		bits |= WATCH_WRITE;
	bits &= wanted;
	if ((e->events & EPOLLERR) != 0)
		bits |= WATCH_ERROR;
	if ((e->events & EPOLLHUP) != 0)
		bits |= WATCH_HANGUP;
	return bits;
}

/* Epoll tells a hang-up also to who wants nothing, again and again. */
static void
handle_unwanted(struct item *i, const struct epoll_event *e)
{
	if ((e->events & (EPOLLERR | EPOLLHUP)) != 0 && !i->h.out)
		i->h.out = epoll_ctl(loop.epoll, EPOLL_CTL_DEL, i->h.own, NULL) == 0;
}

static void
handle_call(const struct epoll_event *e)
{
	int id = (int)e->data.u32;
	struct item copy = { .state = FREE };
	struct item *i;

	lock();
	i = item_of(&loop.handles, id);
	if (i != NULL && i->h.wanted == 0)
		handle_unwanted(i, e);
	else if (i != NULL)
		copy = *i;
	unlock();
	if (copy.state != LIVE)
		return;
	int happened = happened_of(e, copy.h.wanted);
	if (happened != 0)
		copy.h.call(id, copy.h.fd, happened, copy.context);
}

/* ---- timers */

static void
timer_set(struct item *i, int ms)
{
	i->t.ms = ms;
	i->t.due = ms < 0 ? NEVER : clock_mono().ns + ms * NS_PER_MS;
	if (i->t.due < loop.asleep_until && ms >= 0 && loop.asleep_until != NEVER)
		wake();
}

int
watch_timer_add(int ms, watch_timer_call call, void *context, watch_free done)
{
	struct item *i;
	int id = -1;

	lock();
	i = item_new(&loop.timers, context, done);
	if (i != NULL) {
		i->t.call = call;
		timer_set(i, ms);
		id = id_of(&loop.timers, i);
	}
	unlock();
	return id;
}

void
watch_timer_change(int id, int ms)
{
	struct item *i;

	lock();
	i = item_of(&loop.timers, id);
	if (i != NULL)
		timer_set(i, ms);
	unlock();
}

int
watch_timer_remove(int id)
{
	struct item *i;

	lock();
	i = item_of(&loop.timers, id);
	if (i != NULL)
		item_end(&loop.timers, i);
	unlock();
	return i != NULL ? 0 : -1;
}

/* The next that is due, its time set anew; its place moves on. */
static bool
timer_next(int *place, int64_t now, int *id, struct item *copy)
{
	bool found = false;

	lock();
	for (; *place < loop.timers.count && !found; (*place)++) {
		struct item *i = &loop.timers.list[*place];
		if (i->state != LIVE || i->t.due > now)
			continue;
		i->t.due = now + i->t.ms * NS_PER_MS;
		*copy = *i;
		*id = id_of(&loop.timers, i);
		found = true;
	}
	unlock();
	return found;
}

static void
timers_call(void)
{
	int64_t now = clock_mono().ns;
	struct item i;
	int place = 0;
	int id = 0;

	while (timer_next(&place, now, &id, &i))
		i.t.call(id, i.context);
}

/* How long to sleep, in ms; the time until then is noted, so that a nearer timer wakes
 * us. */
static int
sleep_begin(int wait_ms)
{
	int64_t now = clock_mono().ns;
	int64_t until = now + wait_ms * NS_PER_MS;

	lock();
	for (int p = 0; p < loop.timers.count; p++) {
		const struct item *i = &loop.timers.list[p];
		if (i->state == LIVE && i->t.due < until)
			until = i->t.due;
	}
	if (until > now && until < now + SLACK_NS && wait_ms * NS_PER_MS > SLACK_NS)
		until = now + SLACK_NS;
	loop.asleep_until = until;
	unlock();
	return until <= now ? 0 : (int)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void
sleep_end(void)
{
	lock();
	loop.asleep_until = NEVER;
	unlock();
}

/* ---- the loop */

static void
wake_take(void)
{
	uint64_t times;

	if (read(loop.wake, &times, sizeof(times)) < 0)
		return; /* it was taken before */
}

bool
watch_turn(int wait_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(loop.epoll, events, EVENTS, sleep_begin(wait_ms));
	int why = errno;

	sleep_end();
	for (int i = 0; i < n; i++)
		if (events[i].data.u32 == 0)
			wake_take();
		else
			handle_call(&events[i]);
	timers_call();
	items_sweep(&loop.handles);
	items_sweep(&loop.timers);
	return n >= 0 || why == EINTR;
}

bool
watch_init(struct err *e)
{
	struct epoll_event on = { .events = EPOLLIN, .data.u32 = 0 };

	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	loop.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop.asleep_until = NEVER;
	if (loop.epoll < 0 || loop.wake < 0 ||
	    epoll_ctl(loop.epoll, EPOLL_CTL_ADD, loop.wake, &on) != 0)
		return err_set(e, ERR_INTERNAL, "no event loop: %s", strerror(errno));
	return true;
}

static void *
turns(void *unused_context unused)
{
	(void)pthread_setname_np(pthread_self(), "events");
	while (watch_turn(IDLE_MS))
		continue;
	log_error("the event loop cannot wait any more");
	abort(); /* the parent starts us again */
}

/* A descriptor or more for each connection: systemd's default of 1,024 is for programs
 * that use select(). */
static void
descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* the old one stays: less is watched */
}

bool
watch_start(struct err *e)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	descriptors_allow();
	if (!watch_init(e))
		return false;
	if (pthread_attr_init(&attr) != 0)
		return err_set(e, ERR_INTERNAL, "no thread for events");
	ok = pthread_attr_setstacksize(&attr, STACK) == 0 &&
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
	    pthread_create(&thread, &attr, turns, NULL) == 0;
	(void)pthread_attr_destroy(&attr);
	return ok || err_set(e, ERR_INTERNAL, "no thread for events");
}
