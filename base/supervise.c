/* SPDX-License-Identifier: Apache-2.0 */
/* supervise: starts the services and roles, watches them, starts them again */
#include "base/supervise.h"
#include "base/clock.h"
#include "base/cluster.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILDREN_MOST = 8,
	MESSAGE_MAX = 2048,
	MESSAGES_LAST = 16,
	EXIT_REFUSED = 3, /* jeoul-migrate: waiting mends nothing */
	WAIT_MOST_S = 30,
	DEATHS_ALARM = 5,
	ALERT_EVERY_S = 10,
	KILL_AFTER_MS = 3500,
	SERVICE_KILL_AFTER_MS = 1000,
};

#define FORGIVEN_AFTER_NS (60 * NS_PER_S)

enum child_kind { CHILD_DATABASE, CHILD_HOST, CHILD_MIGRATE, CHILD_ROLE };
enum child_state { CHILD_WAITING, CHILD_STARTING, CHILD_READY, CHILD_DONE, CHILD_OFF };

struct child {
	struct supervise *owner;
	enum child_kind kind;
	char name[24];
	enum child_state state;
	pid_t pid;
	int fd;
	struct event *messages;
	struct event *again;
	int deaths; /* since the last forgiven minute */
	int restarts;
	bool alarmed;
	struct mono started;
	struct instant since;
	char status[512];
};

struct supervise {
	struct event_base *base;
	struct conf *conf;
	char folder[STATE_PATH_MAX];
	int listen_fd;
	int log_fd;
	struct supervise_events events;
	struct child children[CHILDREN_MOST];
	size_t count;
	struct event *reaper;
	struct event *kill_timer;
	struct event *alert_timer;
	bool stopping;
	bool services_stopping;
	bool was_ready;
};

static void child_start(struct child *c);

static const char *const state_names[] = { "waiting", "starting", "ready", "done",
	"off" };

static void
child_forget_link(struct child *c)
{
	if (c->messages != NULL)
		event_free(c->messages);
	c->messages = NULL;
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static struct child *
child_named(struct supervise *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->children[i].name, name) == 0)
			return &s->children[i];
	return NULL;
}

bool
supervise_ready(const struct supervise *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->children[i].kind != CHILD_HOST &&
		    s->children[i].state != CHILD_READY &&
		    s->children[i].state != CHILD_DONE)
			return false;
	return true;
}

static void
ready_check(struct supervise *s)
{
	if (s->was_ready || !supervise_ready(s))
		return;
	s->was_ready = true;
	s->events.all_ready(s->events.context);
}

/* An alert of any program goes to snmp; when snmp itself is down it is in the log. */
static void
alert_pass(struct supervise *s, const char *message)
{
	struct child *snmp = child_named(s, "snmp");

	if (snmp != NULL && snmp->fd >= 0)
		(void)send(snmp->fd, message, strlen(message),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
alert_down(struct child *c, bool raised)
{
	char message[256];

	c->alarmed = raised;
	(void)snprintf(message, sizeof(message), "alert role.down\t%s\t%d\t%s %s",
	    c->name, raised, c->name, raised ? "keeps dying: see the log" : "runs again");
	alert_pass(c->owner, message);
}

/* Said again and again, since snmp may be the one that was down (base/proc.h). */
static void
alerts_repeat(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	struct supervise *s = context;

	for (size_t i = 0; i < s->count; i++)
		if (s->children[i].alarmed)
			alert_down(&s->children[i], true);
}

static void
children_waiting_start(struct supervise *s, enum child_kind kind)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->children[i].kind == kind &&
		    s->children[i].state == CHILD_WAITING && s->children[i].pid == 0)
			child_start(&s->children[i]);
}

static void
child_now_ready(struct child *c)
{
	c->state = CHILD_READY;
	if (c->alarmed)
		alert_down(c, false);
	ready_check(c->owner);
}

static void
child_spoke(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct child *c = context;
	char message[MESSAGE_MAX + 1];
	ssize_t n = recv(fd, message, MESSAGE_MAX, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		child_forget_link(c);
		return;
	}
	message[n] = '\0';
	if (strcmp(message, "ready") == 0)
		child_now_ready(c);
	else if (strncmp(message, "status ", 7) == 0)
		(void)snprintf(c->status, sizeof(c->status), "%.500s", message + 7);
	else if (strncmp(message, "alert ", 6) == 0)
		alert_pass(c->owner, message);
}

static int
settings_fd(const struct conf *conf)
{
	struct buf b = BUF_INIT;
	int fd = memfd_create("jeoul.conf", MFD_CLOEXEC);

	conf_dump(conf, &b);
	if (fd >= 0 && write(fd, buf_text(&b), b.length) != (ssize_t)b.length) {
		(void)close(fd);
		fd = -1;
	}
	buf_done(&b);
	return fd;
}

static bool
role_start(struct child *c, struct err *e)
{
	struct supervise *s = c->owner;
	char path[STATE_PATH_MAX + 64];
	char user[40];
	char program[40];
	const char *const argv[] = { program, NULL };
	int pair[2] = { -1, -1 };
	bool ok;

	(void)snprintf(program, sizeof(program), "jeoul-%s", c->name);
	(void)snprintf(path, sizeof(path), "%s/%s", s->folder, program);
	(void)snprintf(user, sizeof(user),
	    c->kind == CHILD_MIGRATE ? CLUSTER_USER : "jeoul-%s", c->name);
	struct spawn sp = { .path = path,
		.argv = argv,
		.user = user,
		.output_fd = -1,
		.program_fd = open(path, O_RDONLY | O_CLOEXEC),
		.death_signal = SIGKILL,
		.listen_fd = strcmp(c->name, "web") == 0 ? s->listen_fd : -1,
		.conf_fd = settings_fd(s->conf),
		.parent_fd = -1 };
	if (sp.program_fd < 0)
		ok = err_errno(e, ERR_INPUT, errno,
		    "%s is missing: run make, or install it", path);
	else if (sp.conf_fd < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		ok = err_errno(e, ERR_INTERNAL, errno, "starting %s", program);
	else {
		sp.parent_fd = pair[1];
		ok = spawn_start(&sp, &c->pid, e);
	}
	for (int fd = 0; fd < 3; fd++) {
		int mine[3] = { sp.program_fd, sp.conf_fd, pair[1] };
		if (mine[fd] >= 0)
			(void)close(mine[fd]);
	}
	c->fd = pair[0];
	if (!ok)
		return false;
	c->messages = event_new(s->base, c->fd, EV_READ | EV_PERSIST, child_spoke, c);
	if (c->messages == NULL || event_add(c->messages, NULL) != 0)
		abort();
	return true;
}

static void
look_later(struct child *c)
{
	struct timeval tv = { .tv_sec = 0, .tv_usec = 50000 };

	if (event_add(c->again, &tv) != 0)
		abort();
}

static bool
database_start(struct child *c, struct err *e)
{
	struct supervise *s = c->owner;
	struct spawn sp;

	if (!cluster_prepare(s->conf, e))
		return false;
	cluster_spawn(s->conf, s->log_fd, &sp);
	if (!spawn_start(&sp, &c->pid, e))
		return false;
	look_later(c); /* its clients wait for it themselves */
	return true;
}

/* Beside the programs when installed, in setup/ when run from the source tree. */
static const char *
host_script(const struct supervise *s, char out[STATE_PATH_MAX + 64])
{
	static const char *const places[] = { "../libexec/jeoul/host", "host",
		"../../setup/host" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		(void)snprintf(out, STATE_PATH_MAX + 64, "%s/%s", s->folder, places[i]);
		if (access(out, X_OK) == 0)
			return out;
	}
	return NULL;
}

static bool
host_start(struct child *c, struct err *e)
{
	struct supervise *s = c->owner;
	char path[STATE_PATH_MAX + 64];
	char folder[STATE_PATH_MAX];
	const char *const argv[] = { "host", "run",
		state_path(s->conf, folder, "libvirt"), NULL };

	if (host_script(s, path) == NULL)
		return err_set(e, ERR_INPUT, "the script `host` is missing beside %s",
		    s->folder);
	struct spawn sp = { .program_fd = -1,
		.path = path,
		.argv = argv,
		.parent_fd = -1,
		.conf_fd = -1,
		.listen_fd = -1,
		.death_signal = SIGTERM,
		.output_fd = s->log_fd,
		.keep_rights = true };
	if (!spawn_start(&sp, &c->pid, e))
		return false;
	c->state = CHILD_READY;
	return true;
}

static void
again_later(struct child *c)
{
	static const int waits_s[] = { 0, 1, 2, 4, 8, 16, WAIT_MOST_S };
	size_t i = (size_t)c->deaths < ARRAY_LEN(waits_s) ? (size_t)c->deaths
							  : ARRAY_LEN(waits_s) - 1;
	struct timeval tv = { .tv_sec = waits_s[i > 0 ? i - 1 : 0], .tv_usec = 10000 };

	c->state = CHILD_WAITING;
	if (event_add(c->again, &tv) != 0)
		abort();
}

static void
child_start(struct child *c)
{
	struct err e = ERR_INIT;
	bool ok;

	c->state = CHILD_STARTING;
	c->started = clock_mono();
	c->since = clock_now();
	c->status[0] = '\0';
	if (c->kind == CHILD_DATABASE)
		ok = database_start(c, &e);
	else
		ok = c->kind == CHILD_HOST ? host_start(c, &e) : role_start(c, &e);
	if (ok) {
		log_debug("%s: started as pid %d", c->name, (int)c->pid);
		ready_check(c->owner);
		return;
	}
	c->pid = 0;
	child_forget_link(c);
	log_error("%s: %s", c->name, e.text);
	if (!c->owner->was_ready && c->kind != CHILD_HOST)
		c->owner->events.failed(c->owner->events.context, e.text);
	else
		again_later(c);
}

static void
start_again(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	struct child *c = context;

	if (c->owner->stopping)
		return;
	if (c->pid == 0)
		child_start(c);
	else if (c->state == CHILD_STARTING && cluster_ready(c->owner->conf, c->pid))
		child_now_ready(c);
	else if (c->state == CHILD_STARTING)
		look_later(c);
}

static void
migrate_ended(struct child *c, int status)
{
	struct supervise *s = c->owner;
	char why[600];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		c->state = CHILD_DONE;
		children_waiting_start(s, CHILD_ROLE);
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED) {
		(void)snprintf(why, sizeof(why), "the database was refused: %.500s",
		    c->status);
		s->events.failed(s->events.context, why);
		return;
	}
	c->deaths++;
	again_later(c);
	if (!s->was_ready && c->deaths >= DEATHS_ALARM)
		s->events.failed(s->events.context,
		    "the database could not be brought up to date: see jeoul-migrate's "
		    "messages");
}

static void
child_died(struct child *c, int status)
{
	struct supervise *s = c->owner;

	c->pid = 0;
	for (int i = 0; i < MESSAGES_LAST && c->fd >= 0; i++)
		child_spoke(c->fd, 0, c); /* its last words may still be on the way */
	child_forget_link(c);
	if (s->stopping) {
		c->state = CHILD_OFF;
		return;
	}
	if (c->kind == CHILD_MIGRATE) {
		migrate_ended(c, status);
		return;
	}
	if (clock_mono().ns - c->started.ns > FORGIVEN_AFTER_NS)
		c->deaths = 0;
	c->deaths++;
	c->restarts++;
	if (WIFSIGNALED(status))
		log_warning("%s: killed by signal %d, started again", c->name,
		    WTERMSIG(status));
	else
		log_warning("%s: ended with status %d, started again", c->name,
		    WEXITSTATUS(status));
	if (c->deaths > DEATHS_ALARM && !c->alarmed)
		alert_down(c, true);
	again_later(c);
}

static bool
any_alive(const struct supervise *s, bool services)
{
	for (size_t i = 0; i < s->count; i++) {
		bool service = s->children[i].kind == CHILD_DATABASE ||
		    s->children[i].kind == CHILD_HOST;
		if (service == services && s->children[i].pid != 0)
			return true;
	}
	return false;
}

static void
signal_all(struct supervise *s, bool services, int number)
{
	for (size_t i = 0; i < s->count; i++) {
		struct child *c = &s->children[i];
		bool service = c->kind == CHILD_DATABASE || c->kind == CHILD_HOST;
		/* PostgreSQL's fast shutdown is SIGINT, its immediate one SIGQUIT. */
		int send_it = c->kind == CHILD_DATABASE && number == SIGTERM ? SIGINT
		    : c->kind == CHILD_DATABASE && number == SIGKILL         ? SIGQUIT
									     : number;
		if (service == services && c->pid != 0)
			(void)kill(c->pid, send_it);
	}
}

static void
stop_step(struct supervise *s)
{
	struct timeval tv = { .tv_sec = 0, .tv_usec = 0 };

	if (any_alive(s, false))
		return;
	if (!s->services_stopping) {
		s->services_stopping = true;
		signal_all(s, true, SIGTERM);
		tv.tv_usec = SERVICE_KILL_AFTER_MS % 1000 * 1000L;
		tv.tv_sec = SERVICE_KILL_AFTER_MS / 1000;
		(void)event_add(s->kill_timer, &tv);
	}
	if (!any_alive(s, true))
		s->events.stopped(s->events.context);
}

static void
kill_late(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	struct supervise *s = context;

	signal_all(s, s->services_stopping, SIGKILL);
}

static void
reap(evutil_socket_t unused_signal unused, short unused_what unused, void *context)
{
	struct supervise *s = context;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->count; i++)
			if (s->children[i].pid == pid)
				child_died(&s->children[i], status);
	if (s->stopping)
		stop_step(s);
}

void
supervise_stop(struct supervise *s)
{
	struct timeval tv = { .tv_sec = KILL_AFTER_MS / 1000,
		.tv_usec = KILL_AFTER_MS % 1000 * 1000L };

	if (s->stopping)
		return;
	s->stopping = true;
	for (size_t i = 0; i < s->count; i++)
		(void)event_del(s->children[i].again);
	signal_all(s, false, SIGTERM);
	(void)event_add(s->kill_timer, &tv);
	stop_step(s);
}

void
supervise_reload(struct supervise *s, struct conf *conf, int listen_fd)
{
	if (listen_fd >= 0) {
		(void)close(s->listen_fd);
		s->listen_fd = listen_fd;
	}
	conf_free(s->conf);
	s->conf = conf;
	signal_all(s, false, SIGTERM);
}

const struct conf *
supervise_conf(const struct supervise *s)
{
	return s->conf;
}

static void
child_add(struct supervise *s, const char *name, enum child_kind kind)
{
	struct child *c = &s->children[s->count++];

	c->owner = s;
	c->kind = kind;
	c->fd = -1;
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	c->again = evtimer_new(s->base, start_again, c);
	if (c->again == NULL)
		abort();
}

/* Does a libvirtd of the machine answer?  Connecting is enough: no library needed. */
static bool
libvirtd_found(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX,
		.sun_path = "/run/libvirt/libvirt-sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool found = fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return found;
}

static bool
host_wanted(const struct supervise *s)
{
	const char *start = conf_text(s->conf, CONF_HYPERVISOR);

	if (geteuid() != 0 || conf_text(s->conf, CONF_HYPERVISOR_URI)[0] != '\0')
		return false;
	if (strcmp(start, "private") == 0)
		return true;
	return strcmp(start, "auto") == 0 && !libvirtd_found();
}

static void
children_declare(struct supervise *s)
{
	static const char *const role_names[] = { "snmp", "provision", "meter", "billing",
		"web" };

	if (conf_text(s->conf, CONF_DATABASE_URL)[0] == '\0')
		child_add(s, "postgres", CHILD_DATABASE);
	if (host_wanted(s))
		child_add(s, "libvirtd", CHILD_HOST);
	child_add(s, "migrate", CHILD_MIGRATE);
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
		child_add(s, role_names[i], CHILD_ROLE);
}

bool
supervise_start(struct event_base *base, struct conf *conf, const char *program_folder,
    int listen_fd, const struct supervise_events *events, struct supervise **out,
    struct err *e)
{
	struct supervise *s = mem_alloc(sizeof(*s));
	const struct timeval every = { .tv_sec = ALERT_EVERY_S };
	char log[STATE_PATH_MAX];

	s->base = base;
	s->conf = conf;
	s->listen_fd = listen_fd;
	s->events = *events;
	(void)snprintf(s->folder, sizeof(s->folder), "%s", program_folder);
	s->log_fd = open(state_path(conf, log, "log/services.log"),
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (s->log_fd < 0) {
		free(s);
		return err_errno(e, ERR_INPUT, errno, "%s", log);
	}
	s->reaper = evsignal_new(base, SIGCHLD, reap, s);
	s->kill_timer = evtimer_new(base, kill_late, s);
	s->alert_timer = event_new(base, -1, EV_PERSIST, alerts_repeat, s);
	if (s->reaper == NULL || s->kill_timer == NULL || s->alert_timer == NULL ||
	    event_add(s->reaper, NULL) != 0 || event_add(s->alert_timer, &every) != 0)
		abort();
	*out = s;
	(void)setenv("JEOUL_CONF_FD", "4",
	    1); /* NOLINT(concurrency-mt-unsafe): one thread */
	children_declare(s);
	children_waiting_start(s, CHILD_DATABASE);
	children_waiting_start(s, CHILD_HOST);
	children_waiting_start(s, CHILD_MIGRATE);
	return true;
}

/* "Pss:   123 kB" of the kernel: what it really costs, shared pages shared out. */
static int64_t
memory_kib(pid_t pid, const char *field)
{
	char path[64];
	char line[256];
	int64_t kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (kib < 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtoll(line + strlen(field), NULL, 10);
	(void)fclose(f);
	return kib;
}

static void
child_json(const struct child *c, struct jout *j)
{
	char when[CLOCK_TEXT_MAX];

	jout_open(j, NULL, '{');
	jout_string(j, "name", c->name);
	jout_string(j, "state", state_names[c->state]);
	jout_number(j, "pid", c->pid);
	jout_number(j, "restarts", c->restarts);
	jout_string(j, "since", instant_text(c->since, when));
	jout_string(j, "status", c->status);
	if (c->pid != 0) {
		jout_number(j, "rss_kib", memory_kib(c->pid, "Rss:"));
		jout_number(j, "pss_kib", memory_kib(c->pid, "Pss:"));
	}
	jout_close(j, '}');
}

void
supervise_status(const struct supervise *s, struct buf *out)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '{');
	jout_bool(&j, "ready", supervise_ready(s));
	jout_number(&j, "pid", getpid());
	jout_string(&j, "version", JEOUL_VERSION);
	jout_string(&j, "state", conf_text(s->conf, CONF_STATE));
	jout_number(&j, "rss_kib", memory_kib(getpid(), "Rss:"));
	jout_number(&j, "pss_kib", memory_kib(getpid(), "Pss:"));
	jout_open(&j, "children", '[');
	for (size_t i = 0; i < s->count; i++)
		child_json(&s->children[i], &j);
	jout_close(&j, ']');
	jout_close(&j, '}');
}
