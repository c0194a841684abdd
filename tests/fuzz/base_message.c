/* SPDX-License-Identifier: Apache-2.0 */
/* What a role says to its parent: only the known words do something, alerts go on
 * unchanged */
#include "base/supervise.c" /* the decoder is static there */
#include "tests/fuzz/fuzz.h"

static int ready_calls;

static void
now_ready(void *context unused)
{
	ready_calls++;
}

static int
pair_end(int pair[2])
{
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		 pair) == 0,
	    "socketpair");
	return pair[0];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct supervise s = { .count = 2, .events = { .all_ready = now_ready } };
	struct child *meter = &s.children[0];
	struct child *snmp = &s.children[1];
	int role[2];
	int to_snmp[2];
	char passed[MESSAGE_MAX + 2];
	scoped_free char *text = fuzz_text(data, size < MESSAGE_MAX ? size : MESSAGE_MAX);
	ssize_t n;

	*meter = (struct child){ .owner = &s, .name = "meter", .state = CHILD_STARTING };
	*snmp = (struct child){ .owner = &s, .name = "snmp", .state = CHILD_READY };
	meter->fd = pair_end(role);
	(void)pair_end(to_snmp);
	snmp->fd = to_snmp[0];
	ready_calls = 0;
	must(size == 0 || send(role[1], data, size, 0) >= 0 || size > 100000, "send");
	if (size > 0)
		child_spoke(meter->fd, EV_READ, meter);
	n = recv(to_snmp[1], passed, sizeof(passed), MSG_DONTWAIT);

	bool ready = strcmp(text, "ready") == 0;
	must((meter->state == CHILD_READY) == ready, "state %d after \"%s\"",
	    meter->state, text);
	must(ready_calls == ready, "told ready %d times", ready_calls);
	must((n > 0) == (strncmp(text, "alert ", 6) == 0), "%zd bytes went on", n);
	must(n <= 0 ||
		((size_t)n == strlen(text) && memcmp(passed, text, (size_t)n) == 0),
	    "an alert was changed on its way");
	if (strncmp(text, "status ", 7) == 0)
		must(strncmp(meter->status, text + 7, 500) == 0 &&
			strlen(meter->status) <= 500,
		    "status is \"%s\"", meter->status);
	else
		must(meter->status[0] == '\0', "status is \"%s\"", meter->status);

	/* Whatever it was, the status page is still JSON. */
	struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	child_json(meter, &j);
	must(json_parse(&doc, buf_text(&b), b.length, &e), "%s: %s", e.text,
	    buf_text(&b));
	json_free(doc);
	buf_done(&b);
	for (int i = 0; i < 2; i++) {
		(void)close(role[i]);
		(void)close(to_snmp[i]);
	}
	return 0;
}
