/* SPDX-License-Identifier: Apache-2.0 */
/* err: what went wrong, told once by the one who knows */
#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	e->kind = kind;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* a cut text still tells */
	va_end(ap);
	return false;
}

bool
err_wrap(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	int used;

	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	used = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (used >= 0 && (size_t)used < sizeof(e->text))
		(void)snprintf(e->text + used, sizeof(e->text) - (size_t)used, ": %s",
		    old);
	return false;
}

bool
err_errno(struct err *e, enum err_kind kind, int error_number, const char *fmt, ...)
{
	char reason[128] = "";
	va_list ap;
	int used;

	e->kind = kind;
	va_start(ap, fmt);
	used = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (used < 0 || (size_t)used >= sizeof(e->text))
		return false;
	/* The GNU strerror_r returns its text, which need not be in the buffer. */
	(void)snprintf(e->text + used, sizeof(e->text) - (size_t)used, ": %s",
	    strerror_r(error_number, reason, sizeof(reason)));
	return false;
}

void
err_clear(struct err *e)
{
	e->kind = ERR_NONE;
	e->text[0] = '\0';
}

const char *
err_kind_name(enum err_kind kind)
{
	static const char *const names[] = { "none", "input", "not found", "conflict",
		"denied", "limit", "unreachable", "again", "internal" };

	if ((unsigned)kind >= ARRAY_LEN(names))
		return "unknown";
	return names[kind];
}

/* "line 12" -> 12 and what follows it. */
static bool
word_number(const char **text, const char *word, size_t *n)
{
	const char *digits = *text + strlen(word);
	char *end = NULL;

	if (strncmp(*text, word, strlen(word)) != 0 || *digits < '0' || *digits > '9')
		return false;
	*n = strtoul(digits, &end, 10);
	*text = end;
	return true;
}

bool
err_place(const char *text, const char *prefix, size_t *line, size_t *column,
    const char **rest)
{
	size_t n[2];

	if (strncmp(text, prefix, strlen(prefix)) == 0)
		text += strlen(prefix);
	if (!word_number(&text, "line ", &n[0]) ||
	    !word_number(&text, ", column ", &n[1]))
		return false;
	*line = n[0];
	*column = n[1];
	*rest = text;
	return true;
}
