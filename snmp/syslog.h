/* SPDX-License-Identifier: Apache-2.0 */
/* syslog: alarms as RFC 5424 lines with the alarm element of RFC 5674 */
#pragma once
#include "base/buf.h"
#include "snmp/notice.h"

enum { SYSLOG_BYTES_MOST = 2048 }; /* RFC 5426: one datagram that every receiver takes */

/*
 * One line, at most SYSLOG_BYTES_MOST bytes, no control characters, MSG in UTF-8 with
 * BOM.  notice="..." is the same in every copy of it.
 */
void syslog_format(struct buf *out, const struct notice *n, const char *hostname,
    const char *enterprise);
