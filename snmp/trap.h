/* SPDX-License-Identifier: Apache-2.0 */
/* trap: alarms as SNMP notifications; the one file that knows net-snmp */
#pragma once
#include "base/err.h"
#include "snmp/notice.h"

/* root: OID of JEOUL-MIB as "1.3.6.1.4...."; state: where net-snmp may keep its files. */
must_check bool trap_init(const char *root, const char *state, struct err *e);
/*
 * receiver "address:port".  Sent as a v2c inform would be as a trap: UDP tells nothing
 * back, so "sent" means that the kernel took it.
 */
must_check bool trap_send(const char *receiver, const char *community,
    const struct notice *n, struct err *e);
