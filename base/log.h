/* SPDX-License-Identifier: Apache-2.0 */
/* log: one line an event, to the journal, to syslog or to stderr; never a secret */
#pragma once
#include "base/attr.h"
#include "base/err.h"

/* Numbers are those of syslog, so that journald reads the "<n>" in front. */
enum log_level {
	LOG_LVL_ERROR = 3,
	LOG_LVL_WARNING = 4,
	LOG_LVL_INFO = 6,
	LOG_LVL_DEBUG = 7
};

/* auto: the journal's prefix when stderr is the journal, else plain lines with a time. */
enum log_target { LOG_TO_AUTO, LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL };

/* program: "jeoul-meter"; must live as long as the process. */
void log_open(const char *program, enum log_target target, enum log_level most);

/*
 * "host kvm07: no answer for 15 s, retry in 30 s": the thing first, then the
 * trouble, then what will happen.  Control characters are escaped, so that data
 * from outside can't forge a line; a line is cut at 2048 bytes.  Thread-safe.
 */
void log_error(const char *fmt, ...) printf_like(1, 2);
void log_warning(const char *fmt, ...) printf_like(1, 2);
void log_info(const char *fmt, ...) printf_like(1, 2);
void log_debug(const char *fmt, ...) printf_like(1, 2);
