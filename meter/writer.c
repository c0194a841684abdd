/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the thread that speaks to PostgreSQL, so that nothing else ever waits for it */
#include "meter/writer.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter_stmt.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { STACK = 512 * 1024, LOOK_MS = 1000 };

/* From the thread to the loop: a job that is done, or what a NOTIFY brought. */
struct message {
	struct store_job *job; /* NULL: a note */
	struct db_note note;
};

struct writer {
	const struct conf *conf;
	struct writer_calls calls;
	struct db *db;
	int jobs[2], messages[2]; /* pointers through pipes: each is written whole */
};

static void
pointer_send(int fd, const void *pointer)
{
	while (write(fd, &pointer, sizeof(pointer)) < 0 && errno == EINTR)
		continue;
}

static bool
listening(struct writer *w, struct err *e)
{
	static const char *const channels[] = { "jeoul_sample", "jeoul_graph" };

	if (w->db != NULL)
		return true;
	if (!db_open(w->conf, "meter", &meter_statements, &w->db, e))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(channels); i++)
		if (!db_listen(w->db, channels[i], e)) {
			db_close(w->db);
			w->db = NULL;
			return false;
		}
	return true;
}

static void
job_run(struct writer *w, struct store_job *job)
{
	struct message *m = mem_alloc(sizeof(*m));

	job->ok = listening(w, &job->e);
	if (job->ok)
		store_run(w->db, job);
	m->job = job;
	pointer_send(w->messages[1], m);
}

static void
notes_send(struct writer *w)
{
	struct db_note note;

	while (w->db != NULL && db_note_next(w->db, &note)) {
		struct message *m = mem_alloc(sizeof(*m));
		m->note = note;
		pointer_send(w->messages[1], m);
	}
}

static void *
work(void *context)
{
	struct writer *w = context;

	(void)pthread_setname_np(pthread_self(), "database");
	for (;;) {
		struct pollfd fds[2] = { { .fd = w->jobs[0], .events = POLLIN },
			{ .fd = w->db != NULL ? db_fd(w->db) : -1, .events = POLLIN } };
		struct store_job *job = NULL;
		(void)poll(fds, 2, LOOK_MS); /* a timer, or something to do */
		notes_send(w);
		if (read(w->jobs[0], &job, sizeof(job)) != (ssize_t)sizeof(job))
			continue;
		job_run(w, job);
		/* What came while the answer was read makes no descriptor ready. */
		notes_send(w);
	}
	return NULL;
}

static void
messages_came(evutil_socket_t fd, short unused_what unused, void *context)
{
	struct writer *w = context;
	struct message *m;

	while (read(fd, &m, sizeof(m)) == (ssize_t)sizeof(m)) {
		if (m->job != NULL)
			w->calls.done(w->calls.context, m->job);
		else
			w->calls.hint(w->calls.context, m->note.channel, m->note.payload);
		free(m);
	}
}

struct writer *
writer_new(const struct conf *conf, struct event_base *base,
    const struct writer_calls *calls)
{
	struct writer *w = mem_alloc(sizeof(*w));
	struct event *ev;
	pthread_attr_t attr;
	pthread_t thread;

	w->conf = conf;
	w->calls = *calls;
	if (pipe2(w->jobs, O_CLOEXEC) != 0 || pipe2(w->messages, O_CLOEXEC) != 0 ||
	    fcntl(w->jobs[0], F_SETFL, O_NONBLOCK) != 0 ||
	    fcntl(w->messages[0], F_SETFL, O_NONBLOCK) != 0)
		abort(); /* no descriptors at the start: the parent starts us again */
	ev = event_new(base, w->messages[0], EV_READ | EV_PERSIST, messages_came, w);
	if (ev == NULL || event_add(ev, NULL) != 0)
		abort();
	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK) != 0 ||
	    pthread_create(&thread, &attr, work, w) != 0) {
		log_error("no thread can be started");
		exit(1); /* NOLINT(concurrency-mt-unsafe): the parent starts us again */
	}
	(void)pthread_attr_destroy(&attr);
	(void)pthread_detach(thread);
	return w;
}

void
writer_submit(struct writer *w, struct store_job *job)
{
	pointer_send(w->jobs[1], job);
}
