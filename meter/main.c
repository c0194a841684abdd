/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-meter: samples every guest into usage windows and graphs; wiring only */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "meter/meter.h"
#include "meter/pool.h"
#include "meter/writer.h"
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

struct program {
	struct proc *proc;
	struct meter *meter;
	struct pool *pool;
	struct writer *writer;
	struct event *timer;
};

static struct moment
now(void)
{
	return (struct moment){ clock_now(), clock_mono() };
}

/* After each thing that came something else may be due. */
static void
tick(struct program *p)
{
	struct mono next = meter_tick(p->meter, now());
	int64_t wait = next.ns - clock_mono().ns;

	if (wait < 0)
		wait = 0;
	struct timeval tv = { .tv_sec = (time_t)(wait / NS_PER_S),
		.tv_usec = (suseconds_t)(wait % NS_PER_S / NS_PER_US) };
	if (event_add(p->timer, &tv) != 0)
		abort();
}

static void
timer_due(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	tick(context);
}

static void
answer_came(void *context, struct meter_answer *answer)
{
	struct program *p = context;

	meter_take(p->meter, answer, now());
	tick(p);
}

static void
event_came(void *context, int64_t host_id, const char *uuid)
{
	struct program *p = context;

	meter_event(p->meter, host_id, uuid, now());
	tick(p);
}

static void
job_done(void *context, struct store_job *job)
{
	struct program *p = context;

	meter_stored(p->meter, job, now());
	tick(p);
}

static void
hint_came(void *context, const char *channel, const char *payload)
{
	struct program *p = context;

	meter_hint(p->meter, channel, payload, now());
	tick(p);
}

/* ---- the collector's way out */

static void
ask(void *context, const struct meter_question *q)
{
	pool_ask(((struct program *)context)->pool, q);
}

static bool
progress(void *context, int64_t ticket, struct meter_progress *out)
{
	return pool_progress(((struct program *)context)->pool, ticket, out);
}

static void
abandon(void *context, int64_t ticket)
{
	pool_abandon(((struct program *)context)->pool, ticket);
}

static void
forget(void *context, int64_t host_id)
{
	pool_forget(((struct program *)context)->pool, host_id);
}

static void
store(void *context, struct store_job *job)
{
	writer_submit(((struct program *)context)->writer, job);
}

static void
alert(void *context, const char *rule, const char *object, bool raised, const char *text)
{
	proc_alert(((struct program *)context)->proc, rule, object, raised, text);
}

static void
status(void *context, const char *text)
{
	proc_status(((struct program *)context)->proc, "%s", text);
}

static struct keep *
disk_open(const struct conf *conf)
{
	char path[STATE_PATH_MAX];
	struct keep *keep = NULL;
	struct err e = ERR_INIT;

	if (!keep_open(&keep, state_path(conf, path, "spool/meter"), &e))
		log_error("%s: while the database is away usage is kept in memory only",
		    e.text);
	return keep;
}

/* Of this process: a restart has another. */
static char *
session_make(void)
{
	return mem_printf("%ld:%lld", (long)getpid(), (long long)clock_now().ns);
}

static void
program_make(struct program *p)
{
	static char name[COLLECTOR_NAME_MAX];
	static char machine[64] = "localhost";
	const struct conf *conf = proc_conf(p->proc);
	const struct pool_calls pool = { answer_came, event_came, p };
	const struct writer_calls writer = { job_done, hint_came, p };
	const struct meter_ports ports = { p, ask, progress, abandon, forget, store,
		alert, status };
	const struct meter_settings settings = { conf_span_ns(conf, CONF_METER_STEP),
		conf_span_ns(conf, CONF_METER_GUARDED_STEP),
		conf_span_ns(conf, CONF_METER_DEADLINE), collector_name(conf, name),
		machine, session_make() };
	char path[STATE_PATH_MAX];

	(void)gethostname(machine, sizeof(machine) - 1); /* for people only */
	p->pool = pool_new((unsigned)conf_number(conf, CONF_METER_WORKERS),
	    proc_base(p->proc), &pool);
	p->writer = writer_new(conf, proc_base(p->proc), &writer);
	p->timer = evtimer_new(proc_base(p->proc), timer_due, p);
	if (p->timer == NULL)
		abort();
	const struct rrd_settings rrd = { state_path(conf, path, "rrd"), settings.step_ns,
		settings.guarded_ns, conf_span_ns(conf, CONF_METER_GRAPH_KEEP),
		conf_text(conf, CONF_METER_RRDCACHED) };
	p->meter = meter_new(&settings, &ports, disk_open(conf), rrd_store_new(&rrd));
}

int
main(int argc, char **argv)
{
	struct program p = { .proc = proc_start("meter", argc, argv) };
	struct err e = ERR_INIT;
	int status_code;

	(void)mallopt(M_ARENA_MAX, 2);
	/* What a round or an answer of the database took goes back to the system. */
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	if (!reader_init(&e)) {
		log_error("%s", e.text);
		return 1;
	}
	program_make(&p);
	tick(&p);
	proc_ready(p.proc);
	status_code = proc_loop(p.proc);
	/* Threads may hang in a host's call: what they would bring is read again at the
	 * start. */
	_exit(status_code);
}
