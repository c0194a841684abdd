/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-billing: the role that turns usage into running charges and statements */
#include "base/log.h"
#include "base/proc.h"
#include "billing/rater.h"

struct role {
	struct proc *proc;
	struct rater *rater;
	bool away; /* PostgreSQL did not answer in the last round: it was told */
};

static void
round_failed(struct role *role, const struct err *e)
{
	if (!role->away)
		log_warning("%s; charges wait, next try at the next interval", e->text);
	role->away = true;
	proc_status(role->proc, "waiting: %s", e->text);
}

static void
duty(void *context, struct instant now)
{
	struct role *role = context;
	struct rater_round round;
	struct err e = ERR_INIT;

	if (!rater_work(role->rater, now, &round, &e)) {
		round_failed(role, &e);
		return;
	}
	if (role->away)
		log_info("database: answers again, charges are up to date");
	role->away = false;
	if (round.issued > 0)
		log_info("%zu statements were issued", round.issued);
	if (round.shards == 0)
		proc_status(role->proc, "standby: other raters work");
	else
		proc_status(role->proc, "%zu accounts up to date, %zu failed",
		    round.accounts, round.failed);
}

static void
stop(void *context)
{
	struct role *role = context;

	rater_free(role->rater);
}

int
main(int argc, char **argv)
{
	struct role role = { .proc = proc_start("billing", argc, argv) };
	const struct conf *conf = proc_conf(role.proc);

	role.rater = rater_new(conf);
	proc_on_stop(role.proc, stop, &role);
	proc_every(role.proc, conf_span_ns(conf, CONF_BILLING_INTERVAL), duty, &role);
	duty(&role, clock_now());
	proc_ready(role.proc);
	return proc_loop(role.proc);
}
