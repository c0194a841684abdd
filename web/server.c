/* SPDX-License-Identifier: Apache-2.0 */
/* server: HTTP by libmicrohttpd, which no other file knows */
#include "web/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "web/lane.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	POOL_THREADS = 4,
	LANE_THREADS = 2,
	LANE_WAITING = 64,
	CONNECTIONS_MOST = 256,
	MEMORY_OF_CONNECTION = 24 * 1024, /* request line and headers */
	IDLE_S = 35,
	REQUEST_S = 30,
	ANSWER_S = 60,
	LENGTHY_S = 600, /* to make a file, and again to take it */
};

/* One connection and its deadline; the list belongs to the server. */
struct peer {
	struct peer *next;
	struct peer *previous;
	int fd;
	int64_t until_ns;
	bool cut;
};

struct server {
	struct MHD_Daemon *daemon;
	struct server_calls calls;
	struct lane *lane;
	pthread_mutex_t lock; /* of the list of peers */
	struct peer *peers;
};

/* One request on its way. */
struct exchange {
	struct server *server;
	struct MHD_Connection *connection;
	struct peer *peer;
	struct request request;
	struct reply reply;
	struct buf body;
	char *uri;
	char source[INET6_ADDRSTRLEN];
	bool begun;
	bool too_large;
	bool prepared;
	bool answered;
};

static const char *const header_names[HEADER_COUNT] = {
	[HEADER_COOKIE] = "Cookie",
	[HEADER_AUTHORIZATION] = "Authorization",
	[HEADER_CSRF] = "X-CSRF-Token",
	[HEADER_REFRESH] = "X-Jeoul-Refresh",
	[HEADER_ACCEPT_LANGUAGE] = "Accept-Language",
	[HEADER_CONTENT_TYPE] = "Content-Type",
	[HEADER_IF_NONE_MATCH] = "If-None-Match",
};

static const char *const fixed_headers[][2] = {
	{ "Content-Security-Policy",
	    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
	    "data:; "
	    "connect-src 'self'; form-action 'self'; base-uri 'none'; "
	    "frame-ancestors 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
};

/* ---- connections and their deadlines */

static void
peer_until(struct server *s, struct peer *p, int seconds)
{
	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	p->until_ns = clock_mono().ns + seconds * NS_PER_S;
	(void)pthread_mutex_unlock(&s->lock);
}

static void
peer_link(struct server *s, struct peer *p)
{
	(void)pthread_mutex_lock(&s->lock);
	p->next = s->peers;
	if (p->next != NULL)
		p->next->previous = p;
	s->peers = p;
	(void)pthread_mutex_unlock(&s->lock);
}

static void
peer_unlink(struct server *s, struct peer *p)
{
	(void)pthread_mutex_lock(&s->lock);
	if (p->previous != NULL)
		p->previous->next = p->next;
	else
		s->peers = p->next;
	if (p->next != NULL)
		p->next->previous = p->previous;
	(void)pthread_mutex_unlock(&s->lock);
	free(p);
}

static void
connection_notify(void *context, struct MHD_Connection *connection, void **socket_context,
    enum MHD_ConnectionNotificationCode code)
{
	struct server *s = context;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	struct peer *p;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context != NULL)
			peer_unlink(s, *socket_context);
		*socket_context = NULL;
		return;
	}
	p = mem_alloc(sizeof(*p));
	p->fd = info != NULL ? info->connect_fd : -1;
	p->until_ns = clock_mono().ns + REQUEST_S * NS_PER_S;
	peer_link(s, p);
	*socket_context = p;
}

void
server_tick(struct server *s)
{
	int64_t now = clock_mono().ns;

	(void)pthread_mutex_lock(&s->lock);
	for (struct peer *p = s->peers; p != NULL; p = p->next) {
		if (p->cut || p->until_ns > now || p->fd < 0)
			continue;
		p->cut = true;
		/* Its thread sees the end of the stream and closes it. */
		(void)shutdown(p->fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- a request comes in */

/* The raw target, before the library takes it apart: signatures and limits need it. */
static void *
exchange_new(void *context, const char *uri, struct MHD_Connection *connection)
{
	struct exchange *x = mem_alloc(sizeof(*x));

	x->server = context;
	x->connection = connection;
	x->uri = mem_strdup(uri);
	x->body.limit = SERVER_BODY_MAX;
	return x;
}

static void
exchange_free(void *unused_context unused,
    struct MHD_Connection *unused_connection unused, void **slot,
    enum MHD_RequestTerminationCode unused_code unused)
{
	struct exchange *x = *slot;

	if (x == NULL)
		return;
	peer_until(x->server, x->peer, REQUEST_S);
	arena_free(x->request.arena);
	buf_done(&x->body);
	buf_done(&x->reply.body);
	if (x->reply.has_file)
		(void)close(x->reply.file); /* it was only read */
	free(x->uri);
	free(x);
	*slot = NULL;
}

static void
source_read(struct exchange *x)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info != NULL ? info->client_addr : NULL;

	if (address != NULL && address->sa_family == AF_INET)
		(void)inet_ntop(AF_INET,
		    &((const struct sockaddr_in *)(const void *)address)->sin_addr,
		    x->source, sizeof(x->source));
	else if (address != NULL && address->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6,
		    &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
		    x->source, sizeof(x->source));
	x->request.source = x->source;
}

static void
request_begin(struct exchange *x, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct request *r = &x->request;
	char *question;

	x->begun = true;
	x->peer = info != NULL ? info->socket_context : NULL;
	r->arena = arena_new();
	r->method = arena_strdup(r->arena, method);
	r->query = "";
	question = strchr(x->uri, '?');
	if (question != NULL) {
		*question = '\0';
		r->query = question + 1;
	}
	r->path = x->uri;
	for (size_t i = 0; i < HEADER_COUNT; i++)
		r->headers[i] = arena_strdup(r->arena,
		    MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
			header_names[i]));
	source_read(x);
}

/* ---- an answer goes out */

/* The library does not write to a persistent buffer, though its type does not say so. */
static void *
fixed_bytes(const struct reply *r)
{
	union {
		const void *ours;
		void *theirs;
	} u = { .ours = r->fixed };

	return u.theirs;
}

static enum MHD_Result
reply_send(struct exchange *x)
{
	struct reply *r = &x->reply;
	struct MHD_Response *response;
	enum MHD_Result result = MHD_YES;

	/* The exchange outlives the response, so the bytes need no copy. */
	if (r->has_file) {
		response = MHD_create_response_from_fd64(r->file_length, r->file);
		r->has_file = response == NULL; /* else the library closes it */
	} else if (r->fixed != NULL) {
		response = MHD_create_response_from_buffer(r->fixed_length,
		    fixed_bytes(r), MHD_RESPMEM_PERSISTENT);
	} else {
		response = MHD_create_response_from_buffer(r->body.length, r->body.data,
		    MHD_RESPMEM_PERSISTENT);
	}
	if (response == NULL)
		return MHD_NO;
	if (r->content_type != NULL)
		result &= MHD_add_response_header(response, "Content-Type",
		    r->content_type);
	for (size_t i = 0; i < ARRAY_LEN(fixed_headers); i++)
		result &= MHD_add_response_header(response, fixed_headers[i][0],
		    fixed_headers[i][1]);
	for (size_t i = 0; i < r->header_count; i++)
		result &= MHD_add_response_header(response, r->headers[i].name,
		    r->headers[i].value);
	peer_until(x->server, x->peer, x->request.lengthy ? LENGTHY_S : ANSWER_S);
	result &= MHD_queue_response(x->connection, r->status, response);
	MHD_destroy_response(response);
	return result;
}

static void
reply_plain(struct reply *r, unsigned status, const char *text)
{
	r->status = status;
	r->content_type = "text/plain; charset=utf-8";
	buf_puts(&r->body, text);
}

/* In the lane: may take a while; then the library goes on with the connection. */
static void
exchange_answer_slow(void *context)
{
	struct exchange *x = context;

	x->server->calls.answer(x->server->calls.context, &x->request, &x->reply);
	x->answered = true;
	MHD_resume_connection(x->connection);
}

static enum MHD_Result
exchange_finish(struct exchange *x)
{
	struct server *s = x->server;

	if (x->answered)
		return reply_send(x);
	if (x->too_large) {
		reply_plain(&x->reply, 413, "A body has 1 MiB at most.\n");
		return reply_send(x);
	}
	x->request.body = buf_text(&x->body);
	x->request.body_length = x->body.length;
	peer_until(s, x->peer, ANSWER_S);
	if (!s->calls.prepare(s->calls.context, &x->request)) {
		s->calls.answer(s->calls.context, &x->request, &x->reply);
		return reply_send(x);
	}
	if (x->request.lengthy)
		peer_until(s, x->peer, LENGTHY_S);
	MHD_suspend_connection(x->connection);
	if (lane_add(s->lane, exchange_answer_slow, x))
		return MHD_YES;
	reply_plain(&x->reply, 503, "Too much is waiting; try again in a moment.\n");
	reply_header(&x->reply, "Retry-After", "5");
	x->answered = true;
	MHD_resume_connection(x->connection);
	return MHD_YES;
}

/* What is a little too much is read to its end and then refused, because a client that is
 * cut off while it sends may never see why; for more nobody waits. */
static bool
announces_far_too_much(struct exchange *x)
{
	const char *length = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
	    "Content-Length");

	return length != NULL && strtoull(length, NULL, 10) > 16 * SERVER_BODY_MAX;
}

/* NOLINTBEGIN(readability-function-size): so many parameters are the library's */
static enum MHD_Result
access_handle(void *unused_context unused,
    struct MHD_Connection *unused_connection unused, const char *unused_url unused,
    const char *method, const char *unused_version unused, const char *upload,
    size_t *upload_size, void **slot)
{
	struct exchange *x = *slot;

	if (x == NULL)
		return MHD_NO;
	if (!x->begun) {
		request_begin(x, method);
		if (!announces_far_too_much(x))
			return MHD_YES;
		x->too_large = true;
		return exchange_finish(x);
	}
	if (*upload_size > 0) {
		buf_add(&x->body, upload, *upload_size);
		x->too_large = x->too_large || !buf_ok(&x->body);
		*upload_size = 0;
		return MHD_YES;
	}
	return exchange_finish(x);
}

/* NOLINTEND(readability-function-size) */

/* ---- start and stop */

static void mhd_log(void *context, const char *fmt, va_list ap) printf_like(2, 0);

static void
mhd_log(void *unused_context unused, const char *fmt, va_list ap)
{
	char text[256];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("http: %s", text);
}

bool
server_start(struct server **out, int listen_fd, const struct server_calls *calls,
    struct err *e)
{
	struct server *s = mem_alloc(sizeof(*s));
	sigset_t all;
	sigset_t before;

	s->calls = *calls;
	(void)pthread_mutex_init(&s->lock, NULL);
	s->lane = lane_new(LANE_THREADS, LANE_WAITING);
	(void)fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	s->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL |
		MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
	    0, NULL, NULL, access_handle, s, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_THREAD_POOL_SIZE,
	    POOL_THREADS, MHD_OPTION_THREAD_STACK_SIZE, LANE_STACK,
	    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MOST,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_OF_CONNECTION,
	    MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_NOTIFY_CONNECTION,
	    connection_notify, s, MHD_OPTION_NOTIFY_COMPLETED, exchange_free, s,
	    MHD_OPTION_URI_LOG_CALLBACK, exchange_new, s, MHD_OPTION_END);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (s->daemon == NULL) {
		server_stop(s);
		return err_errno(e, ERR_INTERNAL, errno, "http server");
	}
	*out = s;
	return true;
}

void
server_stop(struct server *s)
{
	if (s == NULL)
		return;
	/* First no new ones, then the lane's end resumes all that wait in it. */
	if (s->daemon != NULL)
		(void)MHD_quiesce_daemon(s->daemon);
	lane_end(s->lane);
	if (s->daemon != NULL)
		MHD_stop_daemon(s->daemon);
	lane_free(s->lane);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}
