/* SPDX-License-Identifier: Apache-2.0 */
/* log: one line an event, to the journal, to syslog or to stderr; never a secret */
#include "base/log.h"
#include "base/clock.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *log_program = "jeoul";
static enum log_target log_where = LOG_TO_STDERR;
static enum log_level log_most = LOG_LVL_INFO;

void
log_open(const char *program, enum log_target target, enum log_level most)
{
	log_program = program;
	log_most = most;
	log_where = target;
	if (target == LOG_TO_AUTO)
		log_where = getenv("JOURNAL_STREAM") !=
			NULL /* NOLINT(concurrency-mt-unsafe) */
		    ? LOG_TO_JOURNAL
		    : LOG_TO_STDERR;
	if (log_where == LOG_TO_SYSLOG)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

/* Control characters become \xNN: one event stays one line, whatever is in it. */
static void
escape(char *out, size_t room, const char *in)
{
	size_t used = 0;

	for (; *in != '\0' && used + 5 < room; in++) {
		unsigned char c = (unsigned char)*in;
		if (c < 0x20 || c == 0x7f)
			used += (size_t)snprintf(out + used, room - used, "\\x%02x", c);
		else
			out[used++] = (char)c;
	}
	out[used] = '\0';
}

static void
line_write(enum log_level level, const char *text)
{
	static const char words[8][8] = { "", "", "", "error", "warning", "", "info",
		"debug" };
	char line[LINE_MAX_BYTES + 128];
	char when[CLOCK_TEXT_MAX];
	int n;

	if (log_where == LOG_TO_SYSLOG) {
		syslog((int)level, "%s", text);
		return;
	}
	if (log_where == LOG_TO_JOURNAL)
		n = snprintf(line, sizeof(line), "<%d>%s: %s\n", (int)level, log_program,
		    text);
	else
		n = snprintf(line, sizeof(line), "%s %s[%d] %s: %s\n",
		    instant_text(clock_now(), when), log_program, (int)getpid(),
		    words[level & 7], text);
	/* One write, so that lines of several programs never mix; nowhere to complain. */
	if (n > 0)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

static void printf_like(2, 0)
    line_format(enum log_level level, const char *fmt, va_list ap)
{
	char raw[LINE_MAX_BYTES];
	char clean[LINE_MAX_BYTES];

	if (level > log_most)
		return;
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	escape(clean, sizeof(clean), raw);
	line_write(level, clean);
}

#define LOG_FUNCTION(name, level)                                                        \
	void name(const char *fmt, ...)                                                  \
	{                                                                                \
		va_list ap;                                                              \
		va_start(ap, fmt);                                                       \
		line_format(level, fmt, ap);                                             \
		va_end(ap);                                                              \
	}

LOG_FUNCTION(log_error, LOG_LVL_ERROR)
LOG_FUNCTION(log_warning, LOG_LVL_WARNING)
LOG_FUNCTION(log_info, LOG_LVL_INFO)
LOG_FUNCTION(log_debug, LOG_LVL_DEBUG)
