/* SPDX-License-Identifier: Apache-2.0 */
/* jeould's own socket: two words do something, all else is hung up on */
#include "base/control.c" /* the decoder is static there */
#include "tests/fuzz/fuzz.h"

static int stops;
static int statuses;

static void
count_stop(void *context unused)
{
	stops++;
}

static void
count_status(void *context unused, struct buf *out)
{
	statuses++;
	buf_puts(out, "{}");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	struct event **own = mem_alloc(sizeof(*own));
	scoped_free char *text = fuzz_text(data, size);
	char answer[16];
	int pair[2];
	ssize_t n;

	if (base == NULL)
		base = event_base_new();
	calls_of = (struct control_calls){ count_status, count_stop, NULL };
	stops = statuses = 0;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	must(size == 0 || send(pair[1], data, size, MSG_DONTWAIT) > 0, "send");
	*own = event_new(base, pair[0], EV_READ, client_spoke, own);
	client_spoke(pair[0], size > 0 ? EV_READ : EV_TIMEOUT, own);

	bool status = strcmp(text, "status") == 0;
	bool stop = strcmp(text, "stop") == 0;
	must(statuses == status && stops == stop, "%d stops, %d answers after \"%s\"",
	    stops, statuses, text);
	n = recv(pair[1], answer, sizeof(answer), MSG_DONTWAIT);
	must(status ? n == 2 : n <= 0, "%zd bytes came back", n);
	/* Only "stop" keeps the line, so that its caller hears of the end. */
	must(stop == (send(pair[1], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1),
	    "hung up");
	if (stop)
		(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}
