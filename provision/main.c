/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-provision: drives virtual machines through libvirt; wiring only */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/agent.h"
#include "provision/host.h"
#include "provision/hv.h"
#include "provision/job.h"
#include "provision/reconcile.h"
#include "provision/sweep.h"
#include "provision_stmt.gen.h"
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	HOST_WORKERS = 2,
	JOB_WORKERS = 4,
	STACK = 512 * 1024,
	IDLE_MS = 1000,
	LEAST_MS = 10
};
#define REFRESH_NS (3 * NS_PER_S)

static struct hosts hosts;
static atomic_int job_worker_next;
static atomic_int host_worker_next;
static atomic_int agent_worker_next;

static void
pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* The database may be away for as long as it likes: told once, then tried each second. */
static struct db *
database_wait(const struct conf *conf)
{
	struct db *db = NULL;
	struct err e = ERR_INIT;

	for (bool told = false;
	     !db_open(conf, "provision", &provision_statements, &db, &e); told = true) {
		if (!told)
			log_warning("%s: trying again each half second", e.text);
		pause_ms(IDLE_MS / 2);
	}
	return db;
}

static void *
host_worker(void *context)
{
	const struct conf *conf = context;
	struct db *db = database_wait(conf);
	struct mono refreshed = { 0 };
	bool first = atomic_fetch_add(&host_worker_next, 1) == 0;

	for (;;) {
		struct err e = ERR_INIT;
		if (clock_mono().ns - refreshed.ns > REFRESH_NS) {
			refreshed = clock_mono();
			if (first && !host_find_first(db, conf, &e) && e.kind != ERR_GONE)
				log_warning("%s", e.text);
			err_clear(&e);
			if (!hosts_refresh(&hosts, db, &e) ||
			    (first && !sweep(db, conf, &e)))
				log_debug("%s", e.text);
		}
		struct host *h = hosts_take(&hosts);
		if (h != NULL)
			hosts_give_back(&hosts, h, reconcile_host(h, db));
	}
	return NULL;
}

static void
job_wait(struct db *db)
{
	struct pollfd p = { .fd = db_fd(db), .events = POLLIN, .revents = 0 };

	int64_t ms = job_next_ms(db, IDLE_MS);

	if (p.fd < 0)
		pause_ms(IDLE_MS / 2);
	else if (poll(&p, 1, ms < LEAST_MS ? LEAST_MS : (int)ms) > 0)
		(void)db_notified(db);
}

static void *
job_worker(void *context)
{
	const struct conf *conf = context;
	struct db *db = database_wait(conf);
	struct err e = ERR_INIT;
	bool told = false;
	int me = atomic_fetch_add(&job_worker_next, 1);

	/* The second: the collector's word that a last sample is in. */
	if (!db_listen(db, "jeoul_job", &e) || !db_listen(db, "jeoul_sampled", &e))
		log_warning("%s: jobs are looked for each second", e.text);
	for (;;) {
		bool any = false;
		err_clear(&e);
		if (job_run_one(db, conf, me, &any, &e)) {
			told = false;
		} else {
			if (!told)
				log_warning("%s: jobs wait", e.text);
			told = true;
			/* A job that lost its database in the middle is ours: look at it
			 * again. */
			err_clear(&e);
			pause_ms(IDLE_MS / 2);
			(void)!job_reclaim(db, me, &e);
		}
		if (!any)
			job_wait(db);
	}
	return NULL;
}

static void *
agent_worker(void *context)
{
	const struct conf *conf = context;
	struct db *db = database_wait(conf);
	int me = atomic_fetch_add(&agent_worker_next, 1);

	for (;;) {
		struct err e = ERR_INIT;
		if (!agents_round(db, conf, me, &e))
			log_debug("%s", e.text);
		pause_ms((long)(agents_pause_ns(conf) / NS_PER_MS));
	}
	return NULL;
}

static void
thread_start(void *(*run)(void *), const struct conf *conf)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK) != 0 ||
	    pthread_create(&thread, &attr, run, (void *)(uintptr_t)conf) != 0) {
		log_error("no thread can be started");
		exit(1); /* NOLINT(concurrency-mt-unsafe): the parent starts us again */
	}
	(void)pthread_attr_destroy(&attr);
	(void)pthread_detach(thread);
}

int
main(int argc, char **argv)
{
	struct proc *p = proc_start("provision", argc, argv);
	struct err e = ERR_INIT;
	struct db *db;
	int status;

	(void)mallopt(M_ARENA_MAX, 2);
	if (!hv_init(&e)) {
		log_error("%s", e.text);
		return 1;
	}
	hosts_init(&hosts, proc_conf(p));
	db = database_wait(proc_conf(p));
	if (!job_reclaim(db, -1, &e))
		log_warning("%s", e.text);
	db_close(db);
	for (int i = 0; i < HOST_WORKERS; i++)
		thread_start(host_worker, proc_conf(p));
	for (int i = 0; i < JOB_WORKERS; i++)
		thread_start(job_worker, proc_conf(p));
	for (int i = 0; i < AGENT_WORKERS; i++)
		thread_start(agent_worker, proc_conf(p));
	proc_ready(p);
	status = proc_loop(p);
	/* Crash-only: whatever the workers are doing is taken up by the next start. */
	_exit(status);
}
