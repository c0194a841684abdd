/* SPDX-License-Identifier: Apache-2.0 */
/* local: configuration, status and doctor: what needs no server, or more than one call */
#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/state.h"
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- config */

static void
config_json(const struct cli *c)
{
	struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	jout_open(&j, NULL, '{');
	for (int i = 0; i < CONF_COUNT; i++) {
		jout_open(&j, conf_key((enum conf_id)i), '{');
		jout_string(&j, "value", conf_shown(c->conf, (enum conf_id)i));
		jout_string(&j, "origin", conf_origin(c->conf, (enum conf_id)i));
		jout_close(&j, '}');
	}
	jout_close(&j, '}');
	(void)puts(buf_text(&b));
	buf_done(&b);
}

static int
config_show(const struct cli *c)
{
	if (c->json) {
		config_json(c);
		return EXIT_OK;
	}
	for (int i = 0; i < CONF_COUNT; i++)
		(void)printf("%-22s = %-32s # %s\n", conf_key((enum conf_id)i),
		    conf_shown(c->conf, (enum conf_id)i),
		    conf_origin(c->conf, (enum conf_id)i));
	return EXIT_OK;
}

static int
config_explain(const struct cli *c, const char *key)
{
	struct err e = ERR_INIT;
	enum conf_id id = CONF_STATE;

	if (!conf_find(&id, key, &e)) {
		(void)fprintf(stderr, "error: %s\n", e.text);
		return EXIT_NOT_FOUND;
	}
	(void)printf("%s: %s\ndefault:  %s\nnow:      %s  (%s)\n", conf_key(id),
	    conf_help(id), conf_default(id), conf_shown(c->conf, id),
	    conf_origin(c->conf, id));
	return EXIT_OK;
}

int
local_config(struct cli *c, int argc, char **argv)
{
	if (argc == 0 || strcmp(argv[0], "show") == 0)
		return config_show(c);
	if (strcmp(argv[0], "check") == 0) {
		(void)puts("the configuration is fine"); /* else main has told already */
		return EXIT_OK;
	}
	if (strcmp(argv[0], "explain") == 0 && argc == 2)
		return config_explain(c, argv[1]);
	(void)fputs("usage: jeoul config check|show|explain KEY\n", stderr);
	return EXIT_USAGE;
}

/* ---- status */

static void
status_print(const struct jval *s)
{
	int64_t total = 0;
	struct err e = ERR_INIT;

	(void)printf("jeould %s in %s: %s\n\n", json_text(json_get(s, "version")),
	    json_text(json_get(s, "state")),
	    json_bool(json_get(s, "ready"), false) ? "ready" : "not ready");
	(void)printf("%-10s %-9s %-8s %-9s %-9s %s\n", "program", "state", "pid",
	    "restarts", "memory", "what it says");
	for (const struct jval *c = json_first(json_get(s, "children")); c != NULL;
	     c = json_next(c)) {
		int64_t kib = 0;
		const char *name = json_text(json_get(c, "name"));
		if (!json_i64(&kib, json_get(c, "pss_kib"), &e))
			kib = 0;
		if (strcmp(name, "postgres") != 0 && strcmp(name, "libvirtd") != 0)
			total += kib;
		(void)printf("%-10s %-9s %-8s %-9s %5.1f MiB %s\n", name,
		    json_text(json_get(c, "state")), json_text(json_get(c, "pid")),
		    json_text(json_get(c, "restarts")), (double)kib / 1024,
		    json_text(json_get(c, "status")));
	}
	(void)printf("\nmemory of Jeoul's own programs together: %.1f MiB\n",
	    (double)total / 1024);
}

static bool
status_ask(const struct cli *c, struct json **doc, struct err *e)
{
	struct buf b = BUF_INIT;
	bool ok = control_ask(c->conf, "status", 5, &b, e) &&
	    json_parse(doc, buf_text(&b), b.length, e);

	buf_done(&b);
	return ok;
}

int
local_status(struct cli *c)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	bool ready;

	if (!status_ask(c, &doc, &e)) {
		print_error("jeoul status did not work", e.text,
		    advice(e.kind, "jeoul doctor"));
		return exit_code_of(e.kind);
	}
	ready = json_bool(json_get(json_root(doc), "ready"), false);
	if (c->json) {
		json_write(&b, json_root(doc));
		(void)puts(buf_text(&b));
	} else
		status_print(json_root(doc));
	buf_done(&b);
	json_free(doc);
	return ready ? EXIT_OK : EXIT_PROBLEMS;
}

/* ---- doctor */

enum verdict { FINE, WARN, FAIL };

struct doctor {
	struct cli *cli;
	struct json *status;
	int checks, warnings, failures;
	struct buf json;
	struct jout out;
};

/* One line a check; the command that mends it when it is not fine. */
static void
verdict(struct doctor *d, const char *check, enum verdict v, const char *found,
    const char *mend)
{
	static const char *const words[] = { "OK", "WARN", "FAIL" };
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };

	d->checks++;
	d->warnings += v == WARN;
	d->failures += v == FAIL;
	if (d->cli->json) {
		jout_open(&d->out, NULL, '{');
		jout_string(&d->out, "check", check);
		jout_string(&d->out, "verdict", words[v]);
		jout_string(&d->out, "found", found);
		jout_string(&d->out, "try", v == FINE ? NULL : mend);
		jout_close(&d->out, '}');
		return;
	}
	scoped_free char *shown = text_tame(mem_strdup(found));
	(void)printf("%s%-4s%s  %-28s %s\n", d->cli->color ? colors[v] : "", words[v],
	    d->cli->color ? "\033[0m" : "", check, shown);
	if (v != FINE)
		(void)printf("      try: %s\n", mend);
}

static void
check_file(struct doctor *d, const char *check, const char *below, mode_t forbidden,
    const char *mend)
{
	char path[STATE_PATH_MAX];
	struct stat st;

	if (stat(state_path(d->cli->conf, path, below), &st) != 0)
		verdict(d, check, FAIL, "is missing", mend);
	else if ((st.st_mode & forbidden) != 0)
		verdict(d, check, FAIL, "others may read it", mend);
	else
		verdict(d, check, FINE, path, mend);
}

static void
check_disk(struct doctor *d)
{
	const char *state = conf_text(d->cli->conf, CONF_STATE);
	struct statvfs vfs;
	char found[128];
	uint64_t mib;

	if (statvfs(state, &vfs) != 0) {
		verdict(d, "disk space", FAIL, "the state folder is missing", "make run");
		return;
	}
	mib = (uint64_t)vfs.f_bavail * vfs.f_frsize >> 20;
	(void)snprintf(found, sizeof(found), "%llu MiB free in %.60s",
	    (unsigned long long)mib, state);
	verdict(d, "disk space",
	    mib < STATE_FREE_LEAST >> 20 ? FAIL
		: mib < 1024             ? WARN
					 : FINE,
	    found, "free some space, or set state to a folder on another disk");
}

static void
check_program(struct doctor *d, const char *program, const char *path,
    const char *package)
{
	char check[64];
	char mend[128];

	(void)snprintf(check, sizeof(check), "%s installed", program);
	(void)snprintf(mend, sizeof(mend), "apt-get install %s", package);
	verdict(d, check, access(path, X_OK) == 0 ? FINE : FAIL, path, mend);
}

static void
check_kvm(struct doctor *d)
{
	if (access("/dev/kvm", F_OK) != 0)
		verdict(d, "/dev/kvm", WARN, "not there: guests run under TCG, slower",
		    "switch virtualisation on in the firmware, or use a machine that has "
		    "it");
	else if (access("/dev/kvm", R_OK | W_OK) != 0)
		verdict(d, "/dev/kvm", WARN, "this user may not use it",
		    "usermod -aG kvm jeoul-provision");
	else
		verdict(d, "/dev/kvm", FINE,
		    "may be used (whether guests boot under it: setup/kvm-probe)", "");
}

static void
check_children(struct doctor *d)
{
	for (const struct jval *c =
		 json_first(json_get(json_root(d->status), "children"));
	     c != NULL; c = json_next(c)) {
		const char *state = json_text(json_get(c, "state"));
		const char *said = json_text(json_get(c, "status"));
		char check[64];
		bool good = strcmp(state, "ready") == 0 || strcmp(state, "done") == 0;
		(void)snprintf(check, sizeof(check), "program %s",
		    json_text(json_get(c, "name")));
		verdict(d, check, good ? FINE : FAIL,
		    good && said[0] != '\0' ? said : state,
		    "look into the log folder of the state folder");
	}
}

static void
check_daemon(struct doctor *d)
{
	struct err e = ERR_INIT;

	if (!status_ask(d->cli, &d->status, &e)) {
		verdict(d, "jeould", e.kind == ERR_DENIED ? WARN : FAIL, e.text,
		    e.kind == ERR_DENIED ? "sudo jeoul doctor"
					 : "make run, or systemctl start jeould");
		return;
	}
	verdict(d, "jeould", FINE, "answers", "");
	check_children(d);
}

static size_t
count_rows(struct doctor *d, const char *command, struct json **doc, struct err *e)
{
	struct cli_param p[] = { { "listall", "true" } };
	size_t n = 0;

	if (!client_call(d->cli, command, p, 1, doc, e))
		return 0;
	for (const struct jval *m = json_first(client_body(*doc)); m != NULL;
	     m = json_next(m))
		if (json_type(m) == JSON_ARRAY)
			n = json_count(m);
	return n;
}

static void
check_list(struct doctor *d, const char *check, const char *command, bool none_is_good,
    const char *mend)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	char found[64];
	size_t n = count_rows(d, command, &doc, &e);

	(void)snprintf(found, sizeof(found), "%zu", n);
	if (doc == NULL)
		verdict(d, check, FAIL, e.text, mend);
	else
		verdict(d, check, (n == 0) == none_is_good ? FINE : WARN, found, mend);
	json_free(doc);
}

static void
check_hosts(struct doctor *d)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	(void)count_rows(d, "listHosts", &doc, &e);
	for (const struct jval *r =
		 json_first(json_get(doc != NULL ? client_body(doc) : NULL, "host"));
	     r != NULL; r = json_next(r)) {
		char check[100];
		const char *state = json_text(json_get(r, "state"));
		const char *why = json_text(json_get(r, "error"));
		bool up = state != NULL && strcmp(state, "Up") == 0;
		bool simulated = json_bool(json_get(r, "simulated"), false);
		(void)snprintf(check, sizeof(check), "host %.80s",
		    json_text(json_get(r, "name")));
		if (up && simulated)
			verdict(d, check, WARN,
			    "is simulated by libvirt's test driver: nothing real runs "
			    "there",
			    "jeoul host add URI for a real one, then jeoul host remove "
			    "of this");
		else
			verdict(d, check, up ? FINE : FAIL,
			    up || why == NULL ? state : why,
			    "check that libvirtd runs there: virsh -c URI version");
	}
	json_free(doc);
}

/* One that is gone is replaced by the others: worth a look, no failure. */
static void
check_collectors(struct doctor *d)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	char found[160];

	(void)count_rows(d, "listCollectors", &doc, &e);
	for (const struct jval *r =
		 json_first(json_get(doc != NULL ? client_body(doc) : NULL, "collector"));
	     r != NULL; r = json_next(r)) {
		char check[160];
		const char *state = json_text(json_get(r, "state"));
		const char *seen = json_text(json_get(r, "lastseen"));
		int64_t hosts = 0;
		bool up = state != NULL && strcmp(state, "Up") == 0;
		if (!json_i64(&hosts, json_get(r, "hosts"), &e))
			hosts = 0;
		(void)snprintf(check, sizeof(check), "collector %.128s",
		    json_text(json_get(r, "name")));
		if (up)
			(void)snprintf(found, sizeof(found), "asks %lld hosts",
			    (long long)hosts);
		else
			(void)snprintf(found, sizeof(found), "is gone since %s",
			    seen != NULL ? seen : "long");
		verdict(d, check, up ? FINE : WARN, found,
		    "start jeoul-meter there again; what is on its disk only is counted "
		    "then");
	}
	json_free(doc);
}

static void
check_api(struct doctor *d)
{
	struct err e = ERR_INIT;

	if (!client_keys(d->cli, &e)) {
		verdict(d, "API key", FAIL, e.text,
		    "run as root, or set JEOUL_API_KEY and JEOUL_SECRET_KEY");
		return;
	}
	verdict(d, "API key", FINE, "there", "");
	check_list(d, "hosts", "listHosts", false, "jeoul host add qemu:///system");
	check_hosts(d);
	check_collectors(d);
	check_list(d, "virtual machines", "listVirtualMachines", false,
	    "jeoul vm create, or wait for adoption");
	check_list(d, "price lists", "listTariffs", false,
	    "jeoul tariff import billing/presets/small-hoster.json");
	check_list(d, "accounts", "listAccounts", false, "jeoul account create");
}

/* "3 rows: this time is charged twice; the first: account_id=7 ..." */
static void
breach_told(struct doctor *d, const struct jval *breach)
{
	struct buf found = BUF_INIT;
	char check[80];

	buf_printf(&found, "%s rows: %s The first:", json_text(json_get(breach, "rows")),
	    json_text(json_get(breach, "means")));
	for (const struct jval *v = json_first(json_first(json_get(breach, "first")));
	     v != NULL; v = json_next(v))
		buf_printf(&found, " %s=%s", json_name(v), json_text(v));
	(void)snprintf(check, sizeof(check), "data %.60s",
	    json_text(json_get(breach, "check")));
	verdict(d, check, FAIL, buf_text(&found), json_text(json_get(breach, "try")));
	buf_done(&found);
}

static void
check_data(struct doctor *d)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	char found[64];
	int breaches = 0;

	if (!data_check(d->cli, &doc, &e)) {
		verdict(d, "data", geteuid() == 0 ? FAIL : WARN, e.text,
		    geteuid() == 0 ? "jeoul status: does the database run?"
				   : "sudo jeoul doctor");
		return;
	}
	for (const struct jval *v = json_first(json_root(doc)); v != NULL;
	     v = json_next(v)) {
		if (strcmp(json_text(json_get(v, "rows")), "0") == 0)
			continue;
		breaches++;
		breach_told(d, v);
	}
	(void)snprintf(found, sizeof(found), "all %zu checks of usage and charges hold",
	    json_count(json_root(doc)));
	if (breaches == 0)
		verdict(d, "data", FINE, found, "");
	json_free(doc);
}

int
local_doctor(struct cli *c)
{
	struct doctor d = { .cli = c, .json = BUF_INIT };
	char path[STATE_PATH_MAX];

	d.out = (struct jout)JOUT_INIT(&d.json);
	jout_open(&d.out, NULL, '[');
	verdict(&d, "configuration", FINE,
	    c->conf_file != NULL ? c->conf_file : "defaults", "");
	check_disk(&d);
	check_file(&d, "database folder", "pg", 0, "make run");
	check_file(&d, "graph folder", "rrd", 0, "make run");
	check_file(&d, "spool folder", "spool", 0, "make run");
	(void)snprintf(path, sizeof(path), "%.4000s/postgres",
	    conf_text(c->conf, CONF_DATABASE_BIN));
	check_program(&d, "PostgreSQL", path, "postgresql-15");
	check_program(&d, "QEMU", "/usr/bin/qemu-system-x86_64", "qemu-system-x86");
	check_program(&d, "libvirtd", "/usr/sbin/libvirtd", "libvirt-daemon");
	check_program(&d, "dnsmasq", "/usr/sbin/dnsmasq", "dnsmasq-base");
	check_kvm(&d);
	check_file(&d, "key of the command line", "admin.key", S_IRWXO,
	    "jeoul-first-admin --reset");
	check_daemon(&d);
	check_api(&d);
	check_data(&d);
	jout_close(&d.out, ']');
	if (c->json)
		(void)puts(buf_text(&d.json));
	else
		(void)printf("\n%d checks, %d warnings, %d failures\n", d.checks,
		    d.warnings, d.failures);
	buf_done(&d.json);
	json_free(d.status);
	return d.failures > 0 ? EXIT_PROBLEMS : EXIT_OK;
}
