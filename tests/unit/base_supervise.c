/* SPDX-License-Identifier: Apache-2.0 */
/* The parent and its programs: started, told of, started again, stopped.  The programs
 * are this very file under other names, with the library that roles use. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/supervise.h"
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_S = 20, PROGRAMS = 6, LISTEN_FD = 5 };

static const char *const programs[PROGRAMS] = { "migrate", "snmp", "provision", "meter",
	"billing", "web" };

/* ---- a role */

/* What the test wants of it: STATE/plan holds "meter=alert web=deaf". */
static bool
planned(const struct conf *c, const char *role, const char *what)
{
	char path[STATE_PATH_MAX];
	char text[256] = "";
	scoped_free char *wanted = mem_printf("%s=%s", role, what);
	FILE *f = fopen(state_path(c, path, "plan"), "re");

	if (f != NULL) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		(void)fclose(f);
	}
	return strstr(text, wanted) != NULL;
}

/* STATE/heard: one line an alert. */
static void
heard(void *context, const char *rule, const char *object, bool raised, const char *text)
{
	char path[STATE_PATH_MAX];
	FILE *f = fopen(state_path(proc_conf(context), path, "heard"), "ae");

	if (f != NULL) {
		(void)fprintf(f, "%s %s %d %s\n", rule, object, raised, text);
		(void)fclose(f);
	}
}

static int
role_main(const char *role)
{
	static char name[40];
	static struct proc *p;
	char *argv[] = { name, NULL };

	(void)snprintf(name, sizeof(name), "jeoul-%s", role);
	p = proc_start(role, 1, argv);
	const struct conf *c = proc_conf(p);
	struct stat st;

	if (strcmp(role, "migrate") == 0) {
		if (planned(c, role, "refuse"))
			proc_status(p, "it is too new");
		return planned(c, role, "refuse") ? 3 : 0;
	}
	if (planned(c, role, "deaf"))
		(void)signal(SIGTERM, SIG_IGN);
	proc_on_alert(p, heard, p);
	proc_status(p, "%s, step %lld",
	    fstat(LISTEN_FD, &st) == 0 && S_ISSOCK(st.st_mode) ? "listens" : "no socket",
	    (long long)conf_span_ns(c, CONF_METER_STEP));
	proc_ready(p);
	if (planned(c, role, "alert"))
		proc_alert(p, "database.down", "database", true, "no answer within 5 s");
	if (planned(c, role, "deaf"))
		for (;;)
			(void)pause();
	return proc_loop(p);
}

/* ---- the parent */

struct house {
	char state[64];
	char *folder;
	struct event_base *base;
	struct supervise *supervise;
	bool ready, stopped, late;
	char failed[ERR_TEXT_MAX];
};
/* As long as the process: supervise has no end of its own, its owner ends. */
static struct house houses[4];
static size_t house_count;

static void
now_ready(void *context)
{
	((struct house *)context)->ready = true;
}

static void
has_failed(void *context, const char *why)
{
	struct house *h = context;

	(void)snprintf(h->failed, sizeof(h->failed), "%s", why);
}

static void
has_stopped(void *context)
{
	((struct house *)context)->stopped = true;
}

static void
too_late(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	((struct house *)context)->late = true;
}

/* Runs the loop until done says so; no test waits for ever. */
static void
until(struct house *h, bool (*done)(const struct house *h), const char *what)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };
	struct event *timer = evtimer_new(h->base, too_late, h);

	h->late = false;
	assert_int_equal(event_add(timer, &tv), 0);
	while (!done(h) && !h->late)
		assert_true(event_base_loop(h->base, EVLOOP_ONCE) >= 0);
	event_free(timer);
	if (h->late)
		fail_msg("%s: not within %d s", what, PATIENCE_S);
}

static bool
is_ready(const struct house *h)
{
	return h->ready;
}

static bool
is_stopped(const struct house *h)
{
	return h->stopped;
}

static bool
is_failed(const struct house *h)
{
	return h->failed[0] != '\0';
}

static void
text_write(const struct house *h, const char *name, const char *text, mode_t mode)
{
	scoped_free char *path = mem_printf("%s/%s", h->state, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* The programs: copies of ours, since those of other users must read them. */
static void
programs_copy(const struct house *h)
{
	for (int i = 0; i < PROGRAMS; i++) {
		scoped_free char *command =
		    mem_printf("cp /proc/%d/exe %s/jeoul-%s && chmod 755 %s/jeoul-%s",
			(int)getpid(), h->folder, programs[i], h->folder, programs[i]);
		assert_int_equal(system(command), 0);
	}
}

static struct house *
house_open(const char *plan, int listen_fd)
{
	struct house *h = &houses[house_count++];
	struct supervise_events events = { now_ready, has_failed, has_stopped, h };
	struct conf *conf = conf_new();
	struct err e = ERR_INIT;

	(void)snprintf(h->state, sizeof(h->state), "/tmp/jeoul-sup-XXXXXX");
	assert_non_null(mkdtemp(h->state));
	assert_int_equal(chmod(h->state, 0755), 0);
	h->folder = mem_printf("%s/bin", h->state);
	assert_int_equal(mkdir(h->folder, 0755), 0);
	scoped_free char *log = mem_printf("%s/log", h->state);
	assert_int_equal(mkdir(log, 0755), 0);
	programs_copy(h);
	text_write(h, "plan", plan, 0644);
	text_write(h, "heard", "", 0666);
	scoped_free char *state = mem_printf("state=%s", h->state);
	const char *flags[] = { state, "database.url=postgresql://nowhere/x",
		"hypervisor.start=none", "meter.step=7s" };
	assert_true(conf_load(conf, "/dev/null", flags, ARRAY_LEN(flags), &e));
	h->base = event_base_new();
	assert_non_null(h->base);
	assert_true(supervise_start(h->base, conf, h->folder, listen_fd, &events,
	    &h->supervise, &e));
	return h;
}

static void
house_close(struct house *h)
{
	scoped_free char *command = mem_printf("rm -rf %s", h->state);

	supervise_stop(h->supervise);
	until(h, is_stopped, "the end of all programs");
	event_base_free(h->base); /* signals go to one base at a time */
	assert_int_equal(system(command), 0);
}

/* A field of a child as the status page has it; caller frees. */
static char *
told(const struct house *h, const char *child, const char *field)
{
	struct buf b = BUF_INIT;
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	char *text = NULL;

	supervise_status(h->supervise, &b);
	assert_true(json_parse(&doc, buf_text(&b), b.length, &e));
	for (const struct jval *c = json_first(json_get(json_root(doc), "children"));
	     c != NULL; c = json_next(c))
		if (strcmp(json_text(json_get(c, "name")), child) == 0)
			text = mem_strdup(json_text(json_get(c, field)));
	json_free(doc);
	buf_done(&b);
	assert_non_null(text);
	return text;
}

static void
told_is(const struct house *h, const char *child, const char *field, const char *wanted)
{
	scoped_free char *text = told(h, child, field);

	assert_string_equal(text, wanted);
}

static bool
meter_is_back(const struct house *h)
{
	scoped_free char *state = told(h, "meter", "state");
	scoped_free char *restarts = told(h, "meter", "restarts");

	return strcmp(state, "ready") == 0 && strcmp(restarts, "1") == 0;
}

static bool
alert_was_heard(const struct house *h)
{
	scoped_free char *path = mem_printf("%s/heard", h->state);
	char text[256] = "";
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return false;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	return strstr(text, "database.down database 1 no answer within 5 s\n") != NULL;
}

/* ---- tests */

static void
programs_are_started_with_their_settings_and_told_of(void **unused_state unused)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct house *h = house_open("meter=alert", fd);

	until(h, is_ready, "all programs");
	assert_true(supervise_ready(h->supervise));
	told_is(h, "migrate", "state", "done");
	for (int i = 1; i < PROGRAMS; i++)
		told_is(h, programs[i], "state", "ready");
	/* The web's socket is the web's alone; settings are those of the parent. */
	told_is(h, "web", "status", "listens, step 7000000000");
	told_is(h, "snmp", "status", "no socket, step 7000000000");
	until(h, alert_was_heard, "the alert of one role at snmp");
	house_close(h);
	(void)close(fd);
}

static void
a_killed_program_is_started_again_and_counted(void **unused_state unused)
{
	struct house *h = house_open("", -1);

	until(h, is_ready, "all programs");
	scoped_free char *before = told(h, "meter", "pid");
	scoped_free char *other = told(h, "billing", "pid");
	assert_int_equal(kill((pid_t)strtol(before, NULL, 10), SIGKILL), 0);
	until(h, meter_is_back, "the killed program");
	scoped_free char *after = told(h, "meter", "pid");
	assert_string_not_equal(after, before);
	told_is(h, "billing", "pid", other);
	told_is(h, "billing", "restarts", "0");
	house_close(h);
}

static void
a_refused_database_ends_the_start_with_its_reason(void **unused_state unused)
{
	struct house *h = house_open("migrate=refuse", -1);

	until(h, is_failed, "the refusal");
	assert_non_null(strstr(h->failed, "it is too new"));
	assert_false(h->ready);
	told_is(h, "web", "pid", "0"); /* no role was started */
	house_close(h);
}

static void
a_deaf_program_does_not_hold_up_the_stop(void **unused_state unused)
{
	struct house *h = house_open("web=deaf", -1);
	struct mono begun;

	until(h, is_ready, "all programs");
	scoped_free char *pid = told(h, "web", "pid");
	begun = clock_mono();
	house_close(h);
	assert_true(clock_mono().ns - begun.ns < 6 * NS_PER_S);
	assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), 0), -1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_started_with_their_settings_and_told_of),
		cmocka_unit_test(a_killed_program_is_started_again_and_counted),
		cmocka_unit_test(a_refused_database_ends_the_start_with_its_reason),
		cmocka_unit_test(a_deaf_program_does_not_hold_up_the_stop),
	};

	if (argc > 0 && strncmp(argv[0], "jeoul-", 6) == 0)
		return role_main(argv[0] + 6);
	log_open("base_supervise", LOG_TO_STDERR, LOG_LVL_ERROR);
	/* As root the programs become users of their own, whom setup/users makes. */
	if (geteuid() == 0 && getpwnam("jeoul-snmp") == NULL) {
		(void)printf("[  SKIPPED ] base_supervise\n");
		return 0;
	}
	return cmocka_run_group_tests_name("base_supervise", tests, NULL, NULL);
}
