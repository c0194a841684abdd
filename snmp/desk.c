/* SPDX-License-Identifier: Apache-2.0 */
/* desk: the one thread that talks to PostgreSQL, so that no alarm ever waits for it */
#include "snmp/desk.h"
#include "base/log.h"
#include "base/mem.h"
#include "snmp_stmt.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024 };

/* order and answer belong to the thread while busy is set, else to the loop. */
struct desk {
	const struct conf *conf;
	struct db *db; /* the thread's alone */
	pthread_mutex_t lock;
	pthread_cond_t given;
	bool waiting; /* an order lies there; under the lock */
	bool busy;    /* the loop's own view */
	int done[2];  /* a byte for each answer */
	struct desk_order order;
	struct desk_answer answer;
	void (*answered)(void *context, const struct desk_answer *a);
	void *context;
};

/* ---- orders */

struct desk_call *
desk_write(struct desk_order *o, unsigned stmt)
{
	if (o->write_count == o->write_room) {
		o->write_room = o->write_room * 2 + 16;
		o->writes = mem_resize(o->writes, o->write_room, sizeof(*o->writes));
	}
	o->writes[o->write_count] = (struct desk_call){ .stmt = stmt };
	return &o->writes[o->write_count++];
}

struct desk_call *
desk_query(struct desk_order *o, unsigned stmt)
{
	if (o->query_count == DESK_QUERIES_MOST)
		abort(); /* our own code asks for too much */
	o->queries[o->query_count] = (struct desk_call){ .stmt = stmt };
	return &o->queries[o->query_count++];
}

void
desk_value(struct desk_call *c, const char *text)
{
	if (c->count == DESK_VALUES_MOST)
		abort(); /* our own code asks for too much */
	c->values[c->count++] = mem_strdup(text);
}

static void
call_clear(struct desk_call *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->values[i]);
}

void
desk_order_clear(struct desk_order *o)
{
	for (size_t i = 0; i < o->write_count; i++)
		call_clear(&o->writes[i]);
	for (size_t i = 0; i < o->query_count; i++)
		call_clear(&o->queries[i]);
	free(o->writes);
	*o = (struct desk_order){ .writes = NULL };
}

/* ---- the thread */

static bool
write_together(struct desk *d, struct err *e)
{
	const struct desk_order *o = &d->order;

	if (!db_pipeline_begin(d->db, e))
		return false;
	for (size_t i = 0; i < o->write_count; i++)
		if (!db_pipeline_add(d->db, o->writes[i].stmt, o->writes[i].count,
			(const char *const *)o->writes[i].values, e))
			return false;
	return db_pipeline_run(d->db, NULL, e);
}

/* One row that the tables refuse must not keep all others out. */
static bool
write_one_by_one(struct desk *d, struct err *e)
{
	const struct desk_order *o = &d->order;

	for (size_t i = 0; i < o->write_count; i++) {
		err_clear(e);
		if (db_run(d->db, o->writes[i].stmt, o->writes[i].count,
			(const char *const *)o->writes[i].values, NULL, e))
			continue;
		if (e->kind == ERR_GONE)
			return false;
		log_error("a row about %s is left out of the tables: %s",
		    o->writes[i].count > 0 && o->writes[i].values[0] != NULL
			? o->writes[i].values[0]
			: "an alarm",
		    e->text);
	}
	return true;
}

static bool
writes_carry_out(struct desk *d, struct err *e)
{
	if (d->order.write_count == 0 || write_together(d, e))
		return true;
	return e->kind != ERR_GONE && write_one_by_one(d, e);
}

static bool
order_carry_out(struct desk *d, struct err *e)
{
	const struct desk_order *o = &d->order;

	if (d->db == NULL && !db_open(d->conf, "snmp", &snmp_statements, &d->db, e))
		return false;
	if (!writes_carry_out(d, e))
		return false;
	for (size_t i = 0; i < o->query_count; i++)
		if (!db_query(d->db, o->queries[i].stmt, o->queries[i].count,
			(const char *const *)o->queries[i].values, &d->answer.rows[i], e))
			return false;
	return true;
}

static no_return void
thread_run(struct desk *d)
{
	for (;;) {
		(void)pthread_mutex_lock(&d->lock);
		while (!d->waiting)
			(void)pthread_cond_wait(&d->given, &d->lock);
		d->waiting = false;
		(void)pthread_mutex_unlock(&d->lock);
		d->answer = (struct desk_answer){ .why = ERR_INIT };
		d->answer.ok = order_carry_out(d, &d->answer.why);
		if (write(d->done[1], "", 1) != 1)
			abort(); /* the loop reads each byte before the next order */
	}
}

static void *
thread_main(void *context)
{
	thread_run(context);
}

/* ---- the loop */

static void
done_readable(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct desk *d = context;
	char byte;

	if (read(fd, &byte, 1) != 1)
		return;
	d->answered(d->context, &d->answer);
	for (size_t i = 0; i < DESK_QUERIES_MOST; i++)
		rows_clear(&d->answer.rows[i]);
	desk_order_clear(&d->order);
	d->busy = false;
}

bool
desk_busy(const struct desk *d)
{
	return d->busy;
}

void
desk_give(struct desk *d, struct desk_order *o)
{
	d->order = *o;
	*o = (struct desk_order){ .writes = NULL };
	d->busy = true;
	(void)pthread_mutex_lock(&d->lock);
	d->waiting = true;
	(void)pthread_cond_signal(&d->given);
	(void)pthread_mutex_unlock(&d->lock);
}

static bool
thread_start(struct desk *d)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok = pthread_attr_init(&attr) == 0 &&
	    pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 &&
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
	    pthread_create(&thread, &attr, thread_main, d) == 0;

	(void)pthread_attr_destroy(&attr);
	return ok;
}

bool
desk_start(struct desk **out, const struct conf *conf, struct event_base *base,
    void (*answered)(void *context, const struct desk_answer *a), void *context,
    struct err *e)
{
	struct desk *d = mem_alloc(sizeof(*d));
	struct event *readable;

	d->conf = conf;
	d->answered = answered;
	d->context = context;
	if (pipe2(d->done, O_CLOEXEC) != 0)
		return err_errno(e, ERR_INTERNAL, errno, "a pipe for the database");
	readable = event_new(base, d->done[0], EV_READ | EV_PERSIST, done_readable, d);
	if (readable == NULL || event_add(readable, NULL) != 0)
		abort();
	if (pthread_mutex_init(&d->lock, NULL) != 0 ||
	    pthread_cond_init(&d->given, NULL) != 0 || !thread_start(d))
		return err_set(e, ERR_INTERNAL, "no thread for the database");
	*out = d;
	return true;
}
