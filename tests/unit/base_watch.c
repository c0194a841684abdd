/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/watch.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	int calls, id, fd, happened, done;
	int remove; /* an id that the call takes away */
};

static void
call(int id, int fd, int happened, void *context)
{
	struct seen *s = context;

	s->calls++;
	s->id = id;
	s->fd = fd;
	s->happened = happened;
	if (s->remove != 0)
		assert_int_equal(watch_remove(s->remove), 0);
	s->remove = 0;
}

static void
timer_call(int id, void *context)
{
	struct seen *s = context;

	s->calls++;
	s->id = id;
	if (s->remove != 0)
		assert_int_equal(watch_timer_remove(s->remove), 0);
	s->remove = 0;
}

static void
done(void *context)
{
	struct seen *s = context;

	s->done++;
}

static void
turn(void)
{
	assert_true(watch_turn(0));
}

static void
pipe_new(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static void
pipe_put(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void
what_is_asked_for_is_told(void **unused_state unused)
{
	struct seen in = { 0 };
	struct seen out = { 0 };
	int p[2];

	pipe_new(p);
	int r = watch_add(p[0], WATCH_READ, call, &in, done);
	int w = watch_add(p[1], 0, call, &out, NULL);
	assert_true(r > 0 && w > 0 && r != w);
	turn();
	assert_int_equal(in.calls + out.calls, 0);
	pipe_put(p[1]);
	turn();
	assert_int_equal(in.calls, 1);
	assert_int_equal(in.id, r);
	assert_int_equal(in.fd, p[0]);
	assert_int_equal(in.happened, WATCH_READ);
	/* It stays so until it is read, and is told as long as it is wanted. */
	watch_change(r, 0);
	watch_change(w, WATCH_WRITE);
	turn();
	assert_int_equal(in.calls, 1);
	assert_int_equal(out.happened, WATCH_WRITE);
	watch_change(r, WATCH_READ | WATCH_WRITE);
	turn();
	assert_int_equal(in.calls, 2);
	assert_int_equal(watch_remove(r), 0);
	assert_int_equal(watch_remove(w), 0);
	assert_int_equal(in.done, 0); /* not from inside the removal */
	turn();
	turn();
	assert_int_equal(in.calls, 2);
	assert_int_equal(in.done, 1);
	(void)close(p[0]);
	(void)close(p[1]);
}

static void
who_wants_nothing_hears_of_no_end_and_costs_nothing(void **unused_state unused)
{
	struct seen s = { 0 };
	int p[2];

	pipe_new(p);
	int id = watch_add(p[0], 0, call, &s, NULL);
	(void)close(p[1]);
	turn();
	/* Nothing is left that could end this sleep. */
	int64_t begun = clock_mono().ns;
	assert_true(watch_turn(60));
	assert_true(clock_mono().ns - begun >= 50 * NS_PER_MS);
	assert_int_equal(s.calls, 0);
	watch_change(id, WATCH_READ);
	turn();
	assert_int_equal(s.happened, WATCH_HANGUP);
	watch_change(id, 0);
	turn();
	watch_change(id, WATCH_READ);
	turn();
	assert_int_equal(s.calls, 2);
	watch_change(id, 0);
	turn();
	assert_int_equal(watch_remove(id), 0);
	turn();
	(void)close(p[0]);
}

static void
one_descriptor_may_be_watched_twice(void **unused_state unused)
{
	struct seen a = { 0 };
	struct seen b = { 0 };
	int p[2];

	pipe_new(p);
	int one = watch_add(p[0], WATCH_READ, call, &a, NULL);
	int two = watch_add(p[0], WATCH_READ, call, &b, NULL);
	assert_true(one > 0 && two > 0);
	pipe_put(p[1]);
	turn();
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.fd, p[0]);
	assert_int_equal(watch_remove(one), 0);
	turn();
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 2);
	assert_int_equal(watch_remove(two), 0);
	turn();
	(void)close(p[0]);
	(void)close(p[1]);
}

static void
what_cannot_be_waited_for_is_refused(void **unused_state unused)
{
	struct seen s = { 0 };
	char path[] = "/tmp/jeoul-watch-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(watch_add(fd, WATCH_READ, call, &s, done), -1);
	assert_int_equal(watch_add(-1, WATCH_READ, call, &s, done), -1);
	turn();
	assert_int_equal(s.done, 0);
	(void)close(fd);
}

static void
ids_of_what_is_gone_change_nothing(void **unused_state unused)
{
	struct seen s = { 0 };
	struct seen other = { 0 };
	int p[2];

	pipe_new(p);
	int old = watch_add(p[0], WATCH_READ, call, &s, done);
	assert_int_equal(watch_remove(old), 0);
	assert_int_equal(watch_remove(old), -1);
	turn();
	int id = watch_add(p[0], WATCH_READ, call, &other, done);
	assert_int_not_equal(id, old);
	watch_change(old, 0);
	assert_int_equal(watch_remove(old), -1);
	pipe_put(p[1]);
	turn();
	assert_int_equal(other.calls, 1);
	assert_int_equal(watch_timer_remove(id), -1);
	for (int i = -2; i < 2; i++) {
		watch_change(i, WATCH_READ);
		watch_timer_change(i, 0);
		assert_int_equal(watch_remove(i), -1);
		assert_int_equal(watch_timer_remove(i), -1);
	}
	assert_int_equal(watch_remove(id), 0);
	turn();
	assert_int_equal(s.done + other.done, 2);
	(void)close(p[0]);
	(void)close(p[1]);
}

/* Both have something to tell; whoever comes first takes the other away. */
static void
what_is_removed_in_a_call_is_not_called(void **unused_state unused)
{
	struct seen a = { 0 };
	struct seen b = { 0 };
	int p[2];
	int q[2];

	pipe_new(p);
	pipe_new(q);
	int one = watch_add(p[0], WATCH_READ, call, &a, done);
	int two = watch_add(q[0], WATCH_READ, call, &b, done);
	a.remove = two;
	b.remove = one;
	pipe_put(p[1]);
	pipe_put(q[1]);
	turn();
	assert_int_equal(a.calls + b.calls, 1);
	assert_int_equal(a.done + b.done, 1);
	/* And itself. */
	*(a.calls == 1 ? &a.remove : &b.remove) = a.calls == 1 ? one : two;
	turn();
	turn();
	assert_int_equal(a.calls + b.calls, 2);
	assert_int_equal(a.done + b.done, 2);
	for (int i = 0; i < 2; i++) {
		(void)close(p[i]);
		(void)close(q[i]);
	}
}

static void
timers_come_when_they_are_due(void **unused_state unused)
{
	struct seen s = { 0 };
	int id = watch_timer_add(-1, timer_call, &s, done);

	turn();
	assert_int_equal(s.calls, 0);
	watch_timer_change(id, 0);
	turn();
	turn();
	assert_int_equal(s.calls, 2);
	assert_int_equal(s.id, id);
	watch_timer_change(id, 30);
	turn();
	assert_int_equal(s.calls, 2);
	int64_t begun = clock_mono().ns;
	while (s.calls == 2)
		assert_true(watch_turn(10000));
	int64_t waited = clock_mono().ns - begun;
	assert_true(waited >= 29 * NS_PER_MS && waited < 5 * NS_PER_S);
	/* Put off again and again it does not come. */
	for (int i = 0; i < 10; i++) {
		watch_timer_change(id, 60000);
		assert_true(watch_turn(1));
	}
	assert_int_equal(s.calls, 3);
	watch_timer_change(id, 0);
	s.remove = id;
	turn();
	turn();
	assert_int_equal(s.calls, 4);
	assert_int_equal(s.done, 1);
	assert_int_equal(watch_timer_remove(id), -1);
}

/* ---- with a loop in a thread of its own */

struct runner {
	pthread_t thread;
	int stop; /* a descriptor: the loop ends when it is written to */
	bool over;
};

static void
stop_call(int unused_id unused, int unused_fd unused, int unused_bits unused,
    void *context)
{
	((struct runner *)context)->over = true;
}

static void *
run(void *context)
{
	struct runner *r = context;

	while (!r->over)
		if (!watch_turn(60000))
			abort();
	return NULL;
}

static int
runner_start(struct runner *r)
{
	int p[2];

	pipe_new(p);
	*r = (struct runner){ .stop = p[1] };
	int id = watch_add(p[0], WATCH_READ, stop_call, r, NULL);
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
	return id;
}

static void
runner_end(struct runner *r, int id)
{
	pipe_put(r->stop);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	assert_int_equal(watch_remove(id), 0);
	turn();
	(void)close(r->stop);
}

/* The loop sleeps for a minute unless it is woken. */
static void
count_atomically(int unused_id unused, void *context)
{
	__atomic_add_fetch((int *)context, 1, __ATOMIC_SEQ_CST);
}

static bool
within(int *count, int wanted, int seconds)
{
	int64_t end = clock_mono().ns + seconds * NS_PER_S;

	while (__atomic_load_n(count, __ATOMIC_SEQ_CST) < wanted && clock_mono().ns < end)
		(void)usleep(1000);
	return __atomic_load_n(count, __ATOMIC_SEQ_CST) >= wanted;
}

static void
a_nearer_timer_wakes_a_loop_that_sleeps(void **unused_state unused)
{
	struct runner r;
	int count = 0;
	int stop = runner_start(&r);

	(void)usleep(20000);
	int id = watch_timer_add(10, count_atomically, &count, NULL);
	assert_true(within(&count, 3, 10));
	watch_timer_change(id, -1);
	(void)watch_timer_remove(id);
	runner_end(&r, stop);
}

struct worker {
	pthread_t thread;
	unsigned seed;
	int64_t until;
	long put;
};

struct reading {
	long got;
	int done, ticks;
};

static void
read_call(int unused_id unused, int fd, int happened, void *context)
{
	struct reading *r = context;
	char bytes[64];

	if ((happened & WATCH_READ) != 0) {
		ssize_t n = read(fd, bytes, sizeof(bytes));
		__atomic_add_fetch(&r->got, n > 0 ? n : 0, __ATOMIC_SEQ_CST);
	}
}

static void
read_done(void *context)
{
	__atomic_store_n(&((struct reading *)context)->done, 1, __ATOMIC_SEQ_CST);
}

static bool
read_until(struct reading *r, long put, int64_t until)
{
	while (__atomic_load_n(&r->got, __ATOMIC_SEQ_CST) < put) {
		if (clock_mono().ns > until)
			return false;
		(void)usleep(100);
	}
	return true;
}

/* As libvirt's client does it: interest off while the thread reads itself, on after. */
static bool
worker_round(struct worker *w)
{
	struct reading r = { 0 };
	int p[2];
	long put = 0;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	int id = watch_add(p[0], WATCH_READ, read_call, &r, read_done);
	int timer = watch_timer_add(5000, count_atomically, &r.ticks, NULL);
	for (int i = rand_r(&w->seed) % 50; i > 0; i--) {
		watch_change(id, 0);
		watch_timer_change(timer, 5000);
		put += write(p[1], "x", 1);
		watch_change(id, WATCH_READ);
	}
	bool ok = id > 0 && timer > 0 && read_until(&r, put, w->until) &&
	    watch_remove(id) == 0 && watch_timer_remove(timer) == 0;
	(void)close(p[0]);
	(void)close(p[1]);
	/* What the loop may still hold lives on this stack. */
	while (ok && __atomic_load_n(&r.done, __ATOMIC_SEQ_CST) == 0)
		ok = clock_mono().ns < w->until && usleep(100) == 0;
	w->put += put;
	return ok;
}

static void *
work(void *context)
{
	struct worker *w = context;

	for (int i = 0; i < 100; i++)
		if (!worker_round(w))
			return w;
	return NULL;
}

static void
nothing_is_missed_while_many_threads_change_it(void **unused_state unused)
{
	enum { WORKERS = 4 };
	struct worker workers[WORKERS];
	struct runner r;
	int stop = runner_start(&r);

	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .seed = i + 1,
			.until = clock_mono().ns + 60 * NS_PER_S };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work,
				     &workers[i]),
		    0);
	}
	for (int i = 0; i < WORKERS; i++) {
		void *failed = NULL;
		assert_int_equal(pthread_join(workers[i].thread, &failed), 0);
		assert_null(failed);
		assert_true(workers[i].put > 0);
	}
	runner_end(&r, stop);
}

static int
setup(void **unused_state unused)
{
	struct err e = ERR_INIT;

	return watch_init(&e) ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for_is_told),
		cmocka_unit_test(who_wants_nothing_hears_of_no_end_and_costs_nothing),
		cmocka_unit_test(one_descriptor_may_be_watched_twice),
		cmocka_unit_test(what_cannot_be_waited_for_is_refused),
		cmocka_unit_test(ids_of_what_is_gone_change_nothing),
		cmocka_unit_test(what_is_removed_in_a_call_is_not_called),
		cmocka_unit_test(timers_come_when_they_are_due),
		cmocka_unit_test(a_nearer_timer_wakes_a_loop_that_sleeps),
		cmocka_unit_test(nothing_is_missed_while_many_threads_change_it),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
