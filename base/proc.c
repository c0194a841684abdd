/* SPDX-License-Identifier: Apache-2.0 */
/* proc: a role's side of the contract with its parent jeould */
#include "base/proc.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PARENT_FD = 3,
	CONF_FD = 4,
	LISTEN_FD = 5,
	MESSAGE_MAX = 2048,
	FLAGS_MAX = 32,
	STOPS_MAX = 16,
	CONF_TEXT_MAX = 256 * 1024,
	ALERTS_MOST = 256,
	ALERT_EVERY_S = 10,
	CLEARS_SAID = 3,
};

/* What this program has reported, to be said again. */
struct alert {
	char *key; /* "RULE\tOBJECT" */
	char *text;
	bool raised;
	int left; /* of a clear: how often it is still said */
};

struct stop_handler {
	void (*call)(void *context);
	void *context;
};

struct proc {
	char role[32];
	char program[40];
	struct conf *conf;
	struct event_base *base;
	struct event *parent_event;
	bool has_parent;
	proc_alert_handler on_alert;
	void *alert_context;
	struct alert alerts[ALERTS_MOST];
	size_t alert_count;
	struct event *alert_timer;
	struct stop_handler stops[STOPS_MAX];
	size_t stop_count;
};

struct duty {
	struct proc *proc;
	struct event *timer;
	int64_t period_ns;
	proc_duty call;
	void *context;
	struct instant last;
};

const char *
state_path(const struct conf *c, char out[STATE_PATH_MAX], const char *below)
{
	(void)snprintf(out, STATE_PATH_MAX, "%s/%s", conf_text(c, CONF_STATE), below);
	return out;
}

const char *
collector_name(const struct conf *c, char out[COLLECTOR_NAME_MAX])
{
	char machine[64] = "localhost";

	(void)gethostname(machine, sizeof(machine) - 1);
	if (conf_text(c, CONF_METER_NAME)[0] != '\0')
		(void)snprintf(out, COLLECTOR_NAME_MAX, "%s",
		    conf_text(c, CONF_METER_NAME));
	else
		(void)snprintf(out, COLLECTOR_NAME_MAX, "%s-%08x", machine,
		    (unsigned)counter_epoch(conf_text(c, CONF_STATE)));
	return out;
}

static void no_return
usage(const char *program, int status)
{
	(void)fprintf(status == 0 ? stdout : stderr,
	    "usage: %s [--config FILE] [--set key=value]...\n"
	    "A role of Jeoul; normally started by jeould(8).\n",
	    program);
	exit(status); /* NOLINT(concurrency-mt-unsafe): no thread yet */
}

struct options {
	const char *file;
	const char *flags[FLAGS_MAX];
	size_t flag_count;
};

static void
options_read(struct proc *p, struct options *o, int argc, char **argv)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT */
		if (c == 'c')
			o->file = optarg;
		else if (c == 's' && o->flag_count < FLAGS_MAX)
			o->flags[o->flag_count++] = optarg;
		else if (c == 'V')
			(void)printf("%s %s\n", p->program, JEOUL_VERSION);
		else
			usage(p->program, c == 'h' ? 0 : 2);
		if (c == 'V')
			exit(0); /* NOLINT(concurrency-mt-unsafe) */
	}
	if (optind < argc)
		usage(p->program, 2);
}

static char *
read_all(int fd)
{
	struct buf b = BUF_INIT;
	char piece[4096];
	ssize_t n;

	b.limit = CONF_TEXT_MAX;
	(void)lseek(fd, 0, SEEK_SET); /* the memfd is shared with earlier readers */
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(&b, piece, (size_t)n);
	return buf_take(&b);
}

static bool
settings_read(struct proc *p, const struct options *o, struct err *e)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): no thread yet */
	if (getenv("JEOUL_CONF_FD") == NULL)
		return conf_load(p->conf, o->file, o->flags, o->flag_count, e);
	scoped_free char *text = read_all(CONF_FD);
	p->has_parent = true;
	return conf_undump(p->conf, text, e);
}

static enum log_level
level_of(const struct conf *c)
{
	switch (conf_text(c, CONF_LOG_LEVEL)[0]) {
	case 'e':
		return LOG_LVL_ERROR;
	case 'w':
		return LOG_LVL_WARNING;
	case 'd':
		return LOG_LVL_DEBUG;
	default:
		return LOG_LVL_INFO;
	}
}

static enum log_target
target_of(const struct conf *c)
{
	const char *word = conf_text(c, CONF_LOG_TARGET);

	if (strcmp(word, "stderr") == 0)
		return LOG_TO_STDERR;
	if (strcmp(word, "syslog") == 0)
		return LOG_TO_SYSLOG;
	return strcmp(word, "journal") == 0 ? LOG_TO_JOURNAL : LOG_TO_AUTO;
}

void
proc_log_open(const char *program, const struct conf *c)
{
	log_open(program, target_of(c), level_of(c));
}

static void
stop_loop(evutil_socket_t unused_signal unused, short unused_what unused, void *context)
{
	struct proc *p = context;

	(void)event_base_loopbreak(p->base); /* fails only on misuse */
}

/* "alert RULE\tOBJECT\t0|1\tTEXT" from another role, passed on by the parent. */
static void
alert_take(struct proc *p, char *text)
{
	char *rest = text;
	const char *rule = strsep(&rest, "\t");
	const char *object = strsep(&rest, "\t");
	const char *raised = strsep(&rest, "\t");

	if (object == NULL || raised == NULL || rest == NULL || p->on_alert == NULL)
		return;
	p->on_alert(p->alert_context, rule, object, raised[0] == '1', rest);
}

static void
parent_spoke(evutil_socket_t fd, short what, void *context)
{
	struct proc *p = context;
	char message[MESSAGE_MAX + 1];
	ssize_t n = recv(fd, message, MESSAGE_MAX, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stop_loop(fd, what, p);
		return;
	}
	message[n] = '\0';
	if (strncmp(message, "alert ", 6) == 0)
		alert_take(p, message + 6);
}

static void
signal_watch(struct proc *p, int number)
{
	struct event *ev = evsignal_new(p->base, number, stop_loop, p);

	if (ev == NULL || event_add(ev, NULL) != 0)
		abort(); /* out of memory: an ordinary death */
}

static void
loop_make(struct proc *p)
{
	p->base = event_base_new();
	if (p->base == NULL)
		abort();
	signal_watch(p, SIGTERM);
	signal_watch(p, SIGINT);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!p->has_parent)
		return;
	p->parent_event = event_new(p->base, PARENT_FD, EV_READ | EV_PERSIST,
	    parent_spoke, p);
	if (p->parent_event == NULL || event_add(p->parent_event, NULL) != 0)
		abort();
}

struct proc *
proc_start(const char *role, int argc, char **argv)
{
	struct proc *p = mem_alloc(sizeof(*p));
	struct options o = { .file = NULL };
	struct err e = ERR_INIT;

	(void)snprintf(p->role, sizeof(p->role), "%s", role);
	(void)snprintf(p->program, sizeof(p->program), "jeoul-%s", role);
	p->conf = conf_new();
	options_read(p, &o, argc, argv);
	log_open(p->program, LOG_TO_STDERR, LOG_LVL_INFO);
	if (!settings_read(p, &o, &e)) {
		log_error("%s", e.text);
		exit(2); /* NOLINT(concurrency-mt-unsafe): no thread yet */
	}
	proc_log_open(p->program, p->conf);
	(void)prctl(PR_SET_DUMPABLE, 0); /* keys and amounts stay out of core files */
	for (int fd = PARENT_FD; p->has_parent && fd <= LISTEN_FD; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* fd 5 is web's alone */
	loop_make(p);
	return p;
}

const struct conf *
proc_conf(const struct proc *p)
{
	return p->conf;
}

struct event_base *
proc_base(struct proc *p)
{
	return p->base;
}

int
proc_listen_fd(const struct proc *p)
{
	return p->has_parent && fcntl(LISTEN_FD, F_GETFD) >= 0 ? LISTEN_FD : -1;
}

static void
tell_parent(const struct proc *p, const char *message)
{
	if (!p->has_parent)
		return;
	/* A parent that does not read is worse off than we are: never wait for it. */
	(void)send(PARENT_FD, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
proc_ready(struct proc *p)
{
	tell_parent(p, "ready");
	log_info("ready");
}

void
proc_status(struct proc *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n = snprintf(text, sizeof(text), "status ");

	va_start(ap, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	tell_parent(p, text);
}

static void
alert_say(const struct proc *p, const struct alert *a)
{
	char message[MESSAGE_MAX];

	(void)snprintf(message, sizeof(message), "alert %s\t%d\t%s", a->key, a->raised,
	    a->text);
	tell_parent(p, message);
}

static void
alert_forget(struct proc *p, size_t i)
{
	free(p->alerts[i].key);
	free(p->alerts[i].text);
	p->alerts[i] = p->alerts[--p->alert_count];
}

static void
alerts_repeat(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	struct proc *p = context;

	for (size_t i = p->alert_count; i-- > 0;) {
		struct alert *a = &p->alerts[i];
		alert_say(p, a);
		if (!a->raised && --a->left <= 0)
			alert_forget(p, i);
	}
}

static void
alert_timer_start(struct proc *p)
{
	struct timeval tv = { .tv_sec = ALERT_EVERY_S };

	if (p->alert_timer != NULL)
		return;
	p->alert_timer = event_new(p->base, -1, EV_PERSIST, alerts_repeat, p);
	if (p->alert_timer == NULL || event_add(p->alert_timer, &tv) != 0)
		abort();
}

/* With more at once than anybody reads the oldest is no longer repeated. */
static struct alert *
alert_slot(struct proc *p, const char *key)
{
	for (size_t i = 0; i < p->alert_count; i++)
		if (strcmp(p->alerts[i].key, key) == 0)
			return &p->alerts[i];
	if (p->alert_count == ALERTS_MOST)
		alert_forget(p, 0);
	p->alerts[p->alert_count] = (struct alert){ .key = mem_strdup(key) };
	return &p->alerts[p->alert_count++];
}

void
proc_alert(struct proc *p, const char *rule, const char *object, bool raised,
    const char *text)
{
	scoped_free char *key = mem_printf("%.100s\t%.200s", rule, object);
	struct alert *a = alert_slot(p, key);

	free(a->text);
	a->text = mem_strdup(text);
	a->raised = raised;
	a->left = CLEARS_SAID;
	alert_say(p, a);
	alert_timer_start(p);
}

void
proc_on_alert(struct proc *p, proc_alert_handler handler, void *context)
{
	p->on_alert = handler;
	p->alert_context = context;
}

static void
duty_arm(struct duty *d)
{
	int64_t now = clock_now().ns;
	int64_t wait = d->period_ns - now % d->period_ns;
	struct timeval tv = { .tv_sec = (time_t)(wait / NS_PER_S),
		.tv_usec = (suseconds_t)(wait % NS_PER_S / NS_PER_US) };

	if (event_add(d->timer, &tv) != 0)
		abort();
}

static void
duty_due(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	struct duty *d = context;
	struct instant now = clock_now();
	struct instant round = instant_floor(now, d->period_ns);

	/* A timer may fire a hair early: then it is still the last round. */
	if (round.ns != d->last.ns) {
		d->last = round;
		d->call(d->context, now);
	}
	duty_arm(d);
}

void
proc_every(struct proc *p, int64_t period_ns, proc_duty call, void *context)
{
	struct duty *d = mem_alloc(sizeof(*d)); /* as long as the process */

	d->proc = p;
	d->period_ns = period_ns;
	d->call = call;
	d->context = context;
	d->timer = evtimer_new(p->base, duty_due, d);
	if (d->timer == NULL)
		abort();
	duty_arm(d);
}

void
proc_on_stop(struct proc *p, void (*stop)(void *context), void *context)
{
	if (p->stop_count == STOPS_MAX)
		abort(); /* our own code asks for that */
	p->stops[p->stop_count++] = (struct stop_handler){ stop, context };
}

int
proc_loop(struct proc *p)
{
	int status = event_base_dispatch(p->base) < 0 ? 1 : 0;

	while (p->stop_count > 0) {
		struct stop_handler *s = &p->stops[--p->stop_count];
		s->call(s->context);
	}
	return status;
}
