/* SPDX-License-Identifier: Apache-2.0 */
/* An alert of another program, as snmp hears it from the parent: all four parts or
 * nothing */
#include "base/proc.c" /* the decoder is static there */
#include "tests/fuzz/fuzz.h"

struct heard {
	int times;
	char rule[MESSAGE_MAX], object[MESSAGE_MAX], text[MESSAGE_MAX];
	bool raised;
};

static void
hear(void *context, const char *rule, const char *object, bool raised, const char *text)
{
	struct heard *h = context;

	h->times++;
	h->raised = raised;
	(void)snprintf(h->rule, sizeof(h->rule), "%s", rule);
	(void)snprintf(h->object, sizeof(h->object), "%s", object);
	(void)snprintf(h->text, sizeof(h->text), "%s", text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct heard h;
	struct proc p = { .on_alert = hear, .alert_context = &h };
	size_t length = size < MESSAGE_MAX ? size : MESSAGE_MAX;
	scoped_free char *text = fuzz_text(data, length);
	char again[2 * MESSAGE_MAX + 32];
	int tabs = 0;
	int pair[2];

	if (size == 0)
		return 0;
	memset(&h, 0, sizeof(h));
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 &&
		send(pair[1], data, size, 0) == (ssize_t)size,
	    "socketpair");
	parent_spoke(pair[0], EV_READ, &p);
	(void)close(pair[0]);
	(void)close(pair[1]);

	for (const char *c = text; *c != '\0'; c++)
		tabs += *c == '\t';
	must((h.times == 1) == (strncmp(text, "alert ", 6) == 0 && tabs >= 3),
	    "heard %d times: %s", h.times, text);
	if (h.times == 0)
		return 0;
	/* What was heard is what was said: written again as proc_alert() does, but for
	 * words of the third part that mean no. */
	(void)snprintf(again, sizeof(again), "alert %s\t%s\t", h.rule, h.object);
	must(strncmp(text, again, strlen(again)) == 0, "heard %s", again);
	const char *third = text + strlen(again);
	must(h.raised == (third[0] == '1'), "raised after %s", third);
	must(strcmp(strchr(third, '\t') + 1, h.text) == 0, "the text became %s", h.text);
	return 0;
}
