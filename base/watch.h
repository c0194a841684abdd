/* SPDX-License-Identifier: Apache-2.0 */
/* watch: descriptors and timers of a library that wants an event loop */
#pragma once
#include "base/attr.h"
#include "base/err.h"
#include <stdbool.h>

/*
 * One loop a process, for a library whose calls come from many threads (libvirt's
 * client). What is asked for and what happened are bits, as libvirt numbers them.
 */
enum watch_bits {
	WATCH_READ = 1 << 0,
	WATCH_WRITE = 1 << 1,
	WATCH_ERROR = 1 << 2, /* told without being asked for, if anything is */
	WATCH_HANGUP = 1 << 3,
};

typedef void (*watch_call)(int id, int fd, int happened, void *context);
typedef void (*watch_timer_call)(int id, void *context);
typedef void (*watch_free)(void *context);

/* Once, before all others: with a thread that runs the calls from now on ... */
must_check bool watch_start(struct err *e);
/* ... or without one: somebody calls watch_turn(). */
must_check bool watch_init(struct err *e);

/*
 * Waits for at most wait_ms and makes the calls that are due, without a lock: they may
 * add, change and remove whatever they like.  False: the system does not let us wait.
 */
bool watch_turn(int wait_ms);

/*
 * Any thread may call these at any time.  Ids are above 0 and not given out again soon;
 * those of things that are gone change nothing.
 *
 * A change of interest (0: none for now) is one system call and wakes nobody, which is
 * what this loop is for.  done (NULL: none) comes from watch_turn() when no call for the
 * thing can be under way any more.  -1: such a descriptor cannot be waited for.
 */
int watch_add(int fd, int wanted, watch_call call, void *context, watch_free done);
void watch_change(int id, int wanted);
int watch_remove(int id); /* -1: there is none */

/*
 * Comes each ms milliseconds, up to 20 later so that many of them cost one look; 0: at
 * each turn; below 0: not now.
 */
int watch_timer_add(int ms, watch_timer_call call, void *context, watch_free done);
void watch_timer_change(int id, int ms); /* counted from now */
int watch_timer_remove(int id);
