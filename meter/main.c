/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-meter: samples every guest into usage windows and graphs; wiring only */
#include "base/log.h"
#include "base/proc.h"
#include "meter/meter.h"
#include "meter/read.h"
#include <malloc.h>
#include <unistd.h>

#define HINT_EVERY_NS (100 * NS_PER_MS)

static void
fast_due(void *context, struct instant now)
{
	meter_fast_round(context, now);
}

static void
guarded_due(void *context, struct instant now)
{
	meter_guarded_round(context, now);
}

static void
hints_due(void *context, struct instant unused_now unused)
{
	meter_hints(context);
}

int
main(int argc, char **argv)
{
	struct proc *p = proc_start("meter", argc, argv);
	struct err e = ERR_INIT;
	struct meter *m;
	int status;

	(void)mallopt(M_ARENA_MAX, 2);
	if (!reader_init(&e)) {
		log_error("%s", e.text);
		return 1;
	}
	m = meter_new(p);
	meter_fast_round(m, clock_now());
	meter_guarded_round(m, clock_now());
	proc_every(p, conf_span_ns(proc_conf(p), CONF_METER_STEP), fast_due, m);
	proc_every(p, conf_span_ns(proc_conf(p), CONF_METER_GUARDED_STEP), guarded_due,
	    m);
	proc_every(p, HINT_EVERY_NS, hints_due, m);
	proc_ready(p);
	status = proc_loop(p);
	/* Threads may hang in a host's call: what they would bring is read again at the
	 * start. */
	_exit(status);
}
