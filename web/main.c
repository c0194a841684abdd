/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-web: pages and API */
#include "base/listen.h"
#include "base/log.h"
#include "base/proc.h"
#include "web/pages.h"
#include "web/route.h"
#include "web/server.h"
#include "web_stmt.gen.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct role {
	struct proc *proc;
	struct web web;
	struct server *server;
	struct db *db; /* of the loop: for what is swept */
	bool away;
};

/* Broken statements and a foreign schema end the program; PostgreSQL being away does not.
 */
static void
database_look(struct role *role)
{
	struct err e = ERR_INIT;

	if (role->db != NULL ||
	    db_open(role->web.conf, "web", &web_statements, &role->db, &e)) {
		if (role->away)
			log_info("database: answers again");
		role->away = false;
		proc_status(role->proc, "serving on %s",
		    conf_text(role->web.conf, CONF_WEB_LISTEN));
		return;
	}
	if (e.kind != ERR_GONE && e.kind != ERR_CONFLICT) {
		log_error("%s", e.text);
		exit(1); /* NOLINT(concurrency-mt-unsafe): the end */
	}
	if (!role->away)
		log_warning("%s; pages say so until it answers", e.text);
	role->away = true;
	proc_status(role->proc, "waiting: %s", e.text);
}

static void
sessions_sweep(struct role *role)
{
	struct err e = ERR_INIT;
	int64_t idle_us = conf_span_ns(role->web.conf, CONF_WEB_SESSION) / NS_PER_US;

	if (role->db == NULL ||
	    db_run(role->db, STMT_SESSION_SWEEP, DB_ARGS(DB_NUMBER(idle_us)), NULL, &e))
		return;
	db_close(role->db);
	role->db = NULL;
}

static void
minute(void *context, struct instant unused_now unused)
{
	struct role *role = context;

	sessions_sweep(role);
	database_look(role);
	(void)malloc_trim(0); /* what one large answer took is not kept */
}

static void
second(void *context, struct instant unused_now unused)
{
	struct role *role = context;

	server_tick(role->server);
	if (role->db == NULL)
		database_look(role);
}

static void
stop(void *context)
{
	struct role *role = context;

	atomic_store(&role->web.stopping, true);
	server_stop(role->server);
	db_close(role->db);
}

static char *
folder_of_program(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL)
		*slash = '\0';
	return mem_strdup(path);
}

static bool
serve(struct role *role, struct err *e)
{
	struct server_calls calls = { route_prepare, route_answer, &role->web };
	int fd = proc_listen_fd(role->proc);

	if (fd < 0)
		fd = listen_open(conf_text(role->web.conf, CONF_WEB_LISTEN), e);
	return fd >= 0 && server_start(&role->server, fd, &calls, e);
}

int
main(int argc, char **argv)
{
	static struct role role; /* threads look at it until the very end */
	struct err e = ERR_INIT;

	/* Arenas per thread would cost more memory than the locks of one. */
	(void)mallopt(M_ARENA_MAX, 1); /* NOLINT(concurrency-mt-unsafe): no thread yet */
	role.proc = proc_start("web", argc, argv);
	role.web.conf = proc_conf(role.proc);
	role.web.program_folder = folder_of_program();
	if (!pages_load(&e) || !serve(&role, &e)) {
		log_error("%s", e.text);
		return 1;
	}
	database_look(&role);
	proc_on_stop(role.proc, stop, &role);
	proc_every(role.proc, NS_PER_S, second, &role);
	proc_every(role.proc, 60 * NS_PER_S, minute, &role);
	proc_ready(role.proc);
	return proc_loop(role.proc);
}
