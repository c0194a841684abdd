/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-snmp: alarms to the NOC and to syslog; wiring only */
#include "base/log.h"
#include "base/proc.h"
#include "snmp/noc.h"
#include <malloc.h>
#include <unistd.h>

static void
report_came(void *context, const char *rule, const char *object, bool raised,
    const char *text)
{
	noc_report(context, rule, object, raised, text);
}

static void
tick(void *context, struct instant now)
{
	noc_tick(context, now);
}

static void
second(void *context, struct instant now)
{
	noc_second(context, now);
}

int
main(int argc, char **argv)
{
	struct proc *p = proc_start("snmp", argc, argv);
	static struct noc n;
	struct err e = ERR_INIT;

	(void)mallopt(M_ARENA_MAX, 1);
	if (!noc_open(&n, p, &e)) {
		log_error("%s", e.text);
		return 2;
	}
	proc_on_alert(p, report_came, &n);
	proc_every(p, NS_PER_S / 4, tick, &n);
	proc_every(p, NS_PER_S, second, &n);
	proc_ready(p);
	/* The thread may be waiting for PostgreSQL: what is kept is on disk already. */
	_exit(proc_loop(p));
}
