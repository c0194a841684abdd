/* SPDX-License-Identifier: Apache-2.0 */
/* jeould: the parent of all programs of Jeoul; jeould(8) */
#include "base/clock.h"
#include "base/conf.h"
#include "base/control.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/state.h"
#include "base/supervise.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	FLAGS_MAX = 32,
	START_WAIT_S = 150,
	STOP_WAIT_S = 15,
	TAKEOVER_TRIES = 100,
};

enum mode {
	MODE_FOREGROUND,
	MODE_DAEMON,
	MODE_GUARD,
	MODE_STOP,
	MODE_STATUS,
	MODE_CHECK
};

struct options {
	enum mode mode;
	const char *file;
	const char *flags[FLAGS_MAX];
	size_t flag_count;
	bool takeover; /* after a guardian found the old jeould dead */
	pid_t watched;
};

struct daemon {
	struct options options;
	char **argv;
	struct event_base *base;
	struct supervise *supervise;
	char program[STATE_PATH_MAX];
	char folder[STATE_PATH_MAX];
	int tell_fd; /* of --daemon: the starter waits there; -1: nobody */
	pid_t guardian;
	struct event *guard_timer;
	struct event *watchdog;
	bool stopping;
	bool stopped; /* maybe before the loop began: then it must not begin */
	int status;
	char why[ERR_TEXT_MAX]; /* told when all is stopped, so that the next start finds
				   no rest */
};

static const char help[] =
    "usage: jeould [--config FILE] [--set key=value]... [COMMAND]\n"
    "\n"
    "Starts and watches the programs of Jeoul.  Commands:\n"
    "  --foreground    stay in the foreground (this is what happens without a command)\n"
    "  --daemon        go to the background; returns when all is ready, or says why not\n"
    "  --stop          stop the jeould of the state folder, and wait for its end\n"
    "  --status        what runs, as JSON\n"
    "  --check-config  read the configuration, say what is wrong, start nothing\n"
    "  --version, --help\n"
    "\n"
    "All settings: jeoul config show, or jeoul.conf(5).\n";

static void no_return
usage_fail(void)
{
	(void)fputs(help, stderr);
	exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void
options_read(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, 's' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "daemon", no_argument, NULL, 'd' }, { "stop", no_argument, NULL, 'k' },
		{ "status", no_argument, NULL, 'q' },
		{ "check-config", no_argument, NULL, 't' },
		{ "guard", required_argument, NULL, 'g' },
		{ "takeover", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 } };
	static const char modes[] = "fdgkqt";
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) !=
	    -1) { /* NOLINT: one thread */
		if (c == 'h' || c == 'V') {
			(void)(c == 'h' ? fputs(help, stdout)
					: printf("jeould %s\n", JEOUL_VERSION));
			exit(0); /* NOLINT(concurrency-mt-unsafe) */
		}
		if (c == 'c')
			o->file = optarg;
		else if (c == 'o')
			o->takeover = true;
		else if (c == 's' && o->flag_count < FLAGS_MAX)
			o->flags[o->flag_count++] = optarg;
		else if (c != '?' && strchr(modes, c) != NULL)
			o->mode = (enum mode)(strchr(modes, c) - modes);
		else
			usage_fail();
		if (c == 'g')
			o->watched = (pid_t)strtol(optarg, NULL, 10);
	}
	if (optind < argc)
		usage_fail();
}

/* "READY=1" and the like: one datagram, no library needed (sd_notify(3)). */
static void
systemd_tell(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe) */
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t length;
	int fd;

	if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof(a.sun_path))
		return;
	length = strlen(path);
	memcpy(a.sun_path, path, length + 1);
	if (a.sun_path[0] == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&a,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	(void)close(fd);
}

/* The same arguments without the command, for a jeould that goes on from here. */
static char **
arguments_for(const struct daemon *d, const char *first, const char *second)
{
	size_t n = 0;
	char **list = mem_array(2 * d->options.flag_count + 8, sizeof(*list));

	list[n++] = mem_strdup("jeould");
	if (first != NULL)
		list[n++] = mem_strdup(first);
	if (second != NULL)
		list[n++] = mem_strdup(second);
	if (d->options.file != NULL) {
		list[n++] = mem_strdup("--config");
		list[n++] = mem_strdup(d->options.file);
	}
	for (size_t i = 0; i < d->options.flag_count; i++) {
		list[n++] = mem_strdup("--set");
		list[n++] = mem_strdup(d->options.flags[i]);
	}
	return list;
}

/* The guardian: waits for the end of jeould and becomes it (decision 002). */
static int
guard(struct daemon *d)
{
	char **next = arguments_for(d, "--takeover", NULL);
	struct pollfd p = { .events = POLLIN, .revents = 0 };

	p.fd = (int)syscall(SYS_pidfd_open, d->options.watched, 0);
	while (p.fd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
		continue;
	log_warning("jeould (pid %d) is gone without a stop: taking over",
	    (int)d->options.watched);
	(void)execv(d->program, next);
	log_error("%s can't be run: %s", d->program, strerror(errno)); /* NOLINT */
	return 1;
}

static void
guardian_start(struct daemon *d)
{
	char me[24];
	char **argv;

	if (getenv("NOTIFY_SOCKET") != NULL) /* NOLINT: systemd restarts us itself */
		return;
	(void)snprintf(me, sizeof(me), "%d", (int)getpid());
	d->guardian = fork();
	if (d->guardian != 0)
		return;
	(void)setsid();
	argv = arguments_for(d, "--guard", me);
	(void)execv(d->program, argv);
	_exit(1);
}

static void
guardian_end(struct daemon *d)
{
	if (d->guardian <= 0)
		return;
	(void)kill(d->guardian, SIGKILL);
	(void)waitpid(d->guardian, NULL, 0);
	d->guardian = 0;
}

static void
guardian_check(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	struct daemon *d = context;

	if (d->guardian <= 0 || d->stopping)
		return;
	/* The reaper has taken it when it died: its number then means nobody. */
	if (kill(d->guardian, 0) != 0) {
		log_warning("the guardian is gone: starting a new one");
		guardian_start(d);
	}
}

static void
tell_starter(struct daemon *d, const char *text)
{
	if (d->tell_fd < 0)
		return;
	(void)!write(d->tell_fd, text, strlen(text));
	/* A failure is over for the starter when this process is: it may try again. */
	if (strcmp(text, "ok") == 0)
		(void)close(d->tell_fd);
	d->tell_fd = -1;
}

static void
all_ready(void *context)
{
	struct daemon *d = context;

	log_info("all programs are ready");
	tell_starter(d, "ok");
	systemd_tell("READY=1\nSTATUS=all programs are ready");
}

static void
begin_stop(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	log_info("stopping");
	systemd_tell("STOPPING=1");
	guardian_end(d);
	supervise_stop(d->supervise);
}

static void
start_failed(void *context, const char *why)
{
	struct daemon *d = context;

	log_error("%s", why);
	(void)snprintf(d->why, sizeof(d->why), "%s", why);
	d->status = 1;
	begin_stop(d);
}

static void
all_stopped(void *context)
{
	struct daemon *d = context;

	d->stopped = true;
	(void)event_base_loopbreak(d->base);
}

static void
told_to_stop(evutil_socket_t unused_signal unused, short unused_what unused,
    void *context)
{
	begin_stop(context);
}

static void
control_stop(void *context)
{
	begin_stop(context);
}

static void
control_status(void *context, struct buf *out)
{
	struct daemon *d = context;

	supervise_status(d->supervise, out);
}

/* What is made once, at the start: a change of these is refused as a whole. */
static bool
may_change(const struct conf *now, const struct conf *fresh, struct err *e)
{
	static const enum conf_id fixed[] = { CONF_STATE, CONF_DATABASE_URL,
		CONF_DATABASE_BIN, CONF_HYPERVISOR, CONF_HYPERVISOR_URI };

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (strcmp(conf_text(now, fixed[i]), conf_text(fresh, fixed[i])) != 0)
			return err_set(e, ERR_CONFLICT,
			    "a change of %s needs jeould to be stopped and started again",
			    conf_key(fixed[i]));
	return true;
}

/* The whole new configuration, or, when any of it can't be, the whole old one. */
static bool
reload_try(struct daemon *d, struct conf *fresh, struct err *e)
{
	const struct conf *now = supervise_conf(d->supervise);
	const char *endpoint = NULL;
	int fd = -1;

	if (!conf_load(fresh, d->options.file, d->options.flags, d->options.flag_count,
		e) ||
	    !may_change(now, fresh, e))
		return false;
	endpoint = conf_text(fresh, CONF_WEB_LISTEN);
	if (strcmp(endpoint, conf_text(now, CONF_WEB_LISTEN)) != 0) {
		fd = listen_open(endpoint, e);
		if (fd < 0)
			return false;
	}
	supervise_reload(d->supervise, fresh, fd);
	return true;
}

static void
reload(evutil_socket_t unused_signal unused, short unused_what unused, void *context)
{
	struct daemon *d = context;
	struct conf *fresh = conf_new();
	struct err e = ERR_INIT;

	if (reload_try(d, fresh, &e)) {
		log_info("configuration read again: the programs are started with it");
		return;
	}
	log_error("%s: the old configuration stays in force", e.text);
	conf_free(fresh);
}

static void
watchdog_feed(evutil_socket_t unused_fd unused, short unused_what unused,
    void *unused_context unused)
{
	systemd_tell("WATCHDOG=1");
}

static void
event_start(struct event *ev, const struct timeval *tv)
{
	if (ev == NULL || event_add(ev, tv) != 0)
		abort(); /* out of memory: an ordinary death */
}

static void
events_make(struct daemon *d)
{
	struct timeval second = { .tv_sec = 1, .tv_usec = 0 };
	struct timeval feed = { .tv_sec = 10, .tv_usec = 0 };

	event_start(evsignal_new(d->base, SIGTERM, told_to_stop, d), NULL);
	event_start(evsignal_new(d->base, SIGINT, told_to_stop, d), NULL);
	event_start(evsignal_new(d->base, SIGHUP, reload, d), NULL);
	d->guard_timer = event_new(d->base, -1, EV_PERSIST, guardian_check, d);
	event_start(d->guard_timer, &second);
	d->watchdog = event_new(d->base, -1, EV_PERSIST, watchdog_feed, d);
	event_start(d->watchdog, &feed);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* After a takeover the dead one's web program may hold the port for a moment yet. */
static int
listen_patiently(const struct daemon *d, const struct conf *conf, struct err *e)
{
	struct timespec wait = { .tv_sec = 0, .tv_nsec = 100000000 };
	int tries = d->options.takeover ? TAKEOVER_TRIES : 1;
	int fd = -1;

	for (int i = 0; i < tries; i++) {
		fd = listen_open(conf_text(conf, CONF_WEB_LISTEN), e);
		if (fd >= 0 || e->kind != ERR_CONFLICT)
			break;
		if (i + 1 < tries)
			(void)nanosleep(&wait, NULL);
	}
	return fd;
}

static bool
start(struct daemon *d, struct conf *conf, struct err *e)
{
	struct supervise_events events = { all_ready, start_failed, all_stopped, d };
	struct control_calls calls = { control_status, control_stop, d };
	int listen_fd;

	if (!state_prepare(conf, e) || state_lock(conf, e) < 0)
		return false;
	listen_fd = listen_patiently(d, conf, e);
	if (listen_fd < 0)
		return false;
	(void)prctl(PR_SET_CHILD_SUBREAPER,
	    1); /* orphans of ours come to us, not to init */
	d->base = event_base_new();
	if (d->base == NULL)
		abort();
	events_make(d);
	if (!control_open(d->base, conf, &calls, e))
		return false;
	guardian_start(d);
	return supervise_start(d->base, conf, d->folder, listen_fd, &events,
	    &d->supervise, e);
}

static int
run(struct daemon *d, struct conf *conf)
{
	struct err e = ERR_INIT;

	if (!start(d, conf, &e)) {
		log_error("%s", e.text);
		tell_starter(d, e.text);
		guardian_end(d);
		return 1;
	}
	if (!d->stopped && event_base_dispatch(d->base) < 0)
		return 1;
	if (d->why[0] != '\0')
		tell_starter(d, d->why);
	log_info("stopped");
	return d->status;
}

/* What the child says, up to "ok" or its end; false: neither comes in time. */
static bool
starter_read(int fd, char *text, size_t room)
{
	int64_t until = clock_mono().ns + START_WAIT_S * NS_PER_S;
	struct pollfd p = { .fd = fd, .events = POLLIN, .revents = 0 };
	size_t length = 0;
	ssize_t n = 1;

	text[0] = '\0';
	while (n > 0 && strcmp(text, "ok") != 0) {
		int64_t left_ms = (until - clock_mono().ns) / NS_PER_MS;
		int ready = left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return false;
		n = read(fd, text + length, room - 1 - length);
		length += n > 0 ? (size_t)n : 0;
		text[length] = '\0';
	}
	return true;
}

/* What the starter of --daemon shows; 0 when the child says "ok". */
static int
starter_wait(int fd, pid_t child)
{
	char text[ERR_TEXT_MAX + 1];
	bool over = starter_read(fd, text, sizeof(text));

	if (strcmp(text, "ok") == 0)
		return 0;
	/* It closed the pipe while it ends; its lock may be a moment away. */
	if (over)
		(void)waitpid(child, NULL, 0);
	(void)fprintf(stderr,
	    "error: jeould did not start\nwhy:   %s\ntry:   see the log folder of "
	    "the state folder, then start again\n",
	    text[0] != '\0' ? text
		: !over     ? "not ready in time"
			    : "it ended early");
	return 1;
}

static int
daemonize(struct daemon *d, struct conf *conf)
{
	struct err e = ERR_INIT;
	char path[STATE_PATH_MAX];
	pid_t child;
	int pair[2];
	int log_fd;
	int null_fd;

	if (pipe2(pair, O_CLOEXEC) != 0)
		return 1;
	if (!state_prepare(conf, &e)) {
		(void)fprintf(stderr, "error: jeould did not start\nwhy:   %s\n", e.text);
		return 1;
	}
	log_fd = open(state_path(conf, path, "log/jeould.log"),
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (log_fd < 0 || null_fd < 0) {
		(void)fprintf(stderr, "error: %s can't be written\nwhy:   %s\n", path,
		    strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
		return 1;
	}
	child = fork();
	if (child != 0) {
		(void)close(pair[1]);
		return starter_wait(pair[0], child);
	}
	(void)setsid();
	(void)close(pair[0]);
	(void)dup2(null_fd, STDIN_FILENO);
	(void)dup2(log_fd, STDOUT_FILENO);
	(void)dup2(log_fd, STDERR_FILENO);
	d->tell_fd = pair[1];
	return run(d, conf);
}

static int
ask(const struct conf *conf, const char *word)
{
	struct err e = ERR_INIT;
	struct buf answer = BUF_INIT;

	if (!control_ask(conf, word, STOP_WAIT_S, &answer, &e)) {
		(void)fprintf(stderr, "error: %s\n", e.text);
		return e.kind == ERR_GONE ? 6 : 1;
	}
	if (answer.length != 0)
		(void)printf("%s\n", buf_text(&answer));
	buf_done(&answer);
	return 0;
}

static void
place_find(struct daemon *d)
{
	ssize_t n = readlink("/proc/self/exe", d->program, sizeof(d->program) - 1);
	char *slash;

	d->program[n > 0 ? n : 0] = '\0';
	(void)snprintf(d->folder, sizeof(d->folder), "%s", d->program);
	slash = strrchr(d->folder, '/');
	if (slash != NULL)
		*slash = '\0';
	/* Installed: jeould in sbin, the roles in libexec/jeoul. */
	if (slash != NULL &&
	    strcmp(slash - (slash - d->folder >= 5 ? 5 : 0), "/sbin") == 0)
		(void)snprintf(d->folder, sizeof(d->folder), "%.*s/libexec/jeoul",
		    (int)(slash - d->folder - 5), d->program);
}

int
main(int argc, char **argv)
{
	struct daemon d = { .argv = argv, .tell_fd = -1 };
	struct conf *conf = conf_new();
	struct err e = ERR_INIT;

	log_open("jeould", LOG_TO_STDERR, LOG_LVL_INFO);
	options_read(&d.options, argc, argv);
	place_find(&d);
	if (!conf_load(conf, d.options.file, d.options.flags, d.options.flag_count, &e)) {
		(void)fprintf(stderr, "error: %s\n", e.text);
		return 2;
	}
	proc_log_open("jeould", conf);
	switch (d.options.mode) {
	case MODE_STOP:
		return ask(conf, "stop");
	case MODE_STATUS:
		return ask(conf, "status");
	case MODE_CHECK:
		(void)puts("the configuration is fine");
		return 0;
	case MODE_GUARD:
		return guard(&d);
	case MODE_DAEMON:
		return daemonize(&d, conf);
	case MODE_FOREGROUND:
	default:
		return run(&d, conf);
	}
}
