/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms and their notices as the journal on disk holds them: read back they are the
 * same, or refused */
#include "base/mem.h"
#include "snmp/book.h"
#include "snmp/notice.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Text of what is read from a text; NULL when it is refused. */
static char *
through(const char *text)
{
	struct notice *n = NULL;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;

	if (!notice_read(&n, text, &e)) {
		must(n == NULL && e.kind == ERR_INPUT && e.text[0] != '\0',
		    "a refusal changes nothing and says why");
		return NULL;
	}
	must(n->severity <= SEVERITY_WARNING && n->kind <= NOTICE_CLEAR,
	    "a severity or kind that is none");
	for (size_t i = 0; i < n->letter_count; i++)
		must(n->letters[i].notice == n && n->letters[i].to != NULL &&
			letter_word(n->letters[i].state)[0] != '\0',
		    "letter %zu", i);
	notice_write(n, &b);
	notice_free(n);
	return buf_take(&b);
}

static char *
alarm_through(const char *text)
{
	struct alarm *a = NULL;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;

	if (!alarm_read(&a, text, &e)) {
		must(a == NULL && e.text[0] != '\0',
		    "a refusal changes nothing and says why");
		return NULL;
	}
	must(a->severity <= SEVERITY_WARNING && a->count >= 0 && a->times >= 0,
	    "severity %d, %d times", (int)a->severity, a->times);
	alarm_write(a, &b);
	alarm_free(a);
	return buf_take(&b);
}

static void
unchanged(char *(*pass)(const char *text), const char *text)
{
	scoped_free char *once = pass(text);

	if (once == NULL)
		return;
	/* The first pass mends what was broken; from then on nothing may change. */
	scoped_free char *twice = pass(once);
	must(twice != NULL, "our own is refused: %s", once);
	scoped_free char *thrice = pass(twice);
	must(thrice != NULL && strcmp(twice, thrice) == 0, "%s, then %s", twice, thrice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = fuzz_text(data, size);

	unchanged(through, text);
	unchanged(alarm_through, text);
	return 0;
}
