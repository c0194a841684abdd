/* SPDX-License-Identifier: Apache-2.0 */
/* proc: a role's side of the contract with its parent jeould */
#pragma once
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include <event2/event.h>
#include <stdbool.h>

/*
 * A role is started by jeould with fd 3 = socket to the parent, fd 4 = effective
 * settings (conf_dump), and for web fd 5 = the listening socket; it has then its own
 * user, an empty set of capabilities and dies with the parent.  Started by hand it reads
 * the configuration itself (--config FILE, --set key=value) and logs to stderr.
 *
 *   int main(int argc, char **argv) {
 *           struct proc *p = proc_start("meter", argc, argv);   // exits on bad usage
 *           ... open what it needs; ERR_GONE is no reason to die: retry ...
 *           proc_ready(p);
 *           return proc_loop(p);     // until SIGTERM or the parent's end
 *   }
 */
struct proc;

struct proc *proc_start(const char *role, int argc, char **argv) must_check;
const struct conf *proc_conf(const struct proc *p);
struct event_base *proc_base(struct proc *p);
int proc_listen_fd(const struct proc *p); /* web's socket, or -1 when started by hand */

/* First round done: the parent may tell systemd and `make run`. */
void proc_ready(struct proc *p);
/* What `jeoul status` shows of this role; "" is fine. Short, no secrets. */
void proc_status(struct proc *p, const char *fmt, ...) printf_like(2, 3);

/*
 * An alarm that can't go through PostgreSQL ("database is down"): the parent passes it
 * on to snmp.  raised false clears it.  What is raised is said again every 10 s, and a
 * clear some more times, since snmp may be starting just then; snmp ends what nobody
 * says any more.  Call it when the state changes.
 */
void proc_alert(struct proc *p, const char *rule, const char *object, bool raised,
    const char *text);
/* In snmp only: called for each alert of other programs. */
typedef void (*proc_alert_handler)(void *context, const char *rule, const char *object,
    bool raised, const char *text);
void proc_on_alert(struct proc *p, proc_alert_handler handler, void *context);

/*
 * Calls duty(context, now) at every whole multiple of period of wall time (so that
 * rounds of all programs meet hour borders), never twice at once; late ones are skipped.
 */
typedef void (*proc_duty)(void *context, struct instant now);
void proc_every(struct proc *p, int64_t period_ns, proc_duty duty, void *context);

/*
 * Runs until told to stop (SIGTERM, SIGINT, parent gone); then calls the stop handlers
 * (last added first) and returns the exit status.  Has 5 s to end, then SIGKILL.
 */
int proc_loop(struct proc *p) must_check;
void proc_on_stop(struct proc *p, void (*stop)(void *context), void *context);
/* log_open() by the settings log.target and log.level. */
void proc_log_open(const char *program, const struct conf *c);

/* Paths under the state folder: state_path(conf, out, "rrd/vm"). */
#define STATE_PATH_MAX 4096
const char *state_path(const struct conf *c, char out[STATE_PATH_MAX], const char *below);

/* How the collector over this state folder is called: meter.name, or the machine's name
 * and a mark of the folder. */
enum { COLLECTOR_NAME_MAX = 129 };
const char *collector_name(const struct conf *c, char out[COLLECTOR_NAME_MAX]);
