/* SPDX-License-Identifier: Apache-2.0 */
/* alarm: raising and clearing in the database, one active alarm per rule and object */
#pragma once
#include "base/conf.h"
#include "base/db.h"

struct alarm {
	const char *rule, *object_kind, *object_uuid, *object_name, *severity, *text;
	struct instant at;
	bool raised; /* false: clears */
};

/* Receivers of the settings: "trap:127.0.0.1:162", "syslog:udp:127.0.0.1:514". */
struct receivers {
	char **list;
	size_t count;
};
void receivers_read(struct receivers *r, const struct conf *conf);

/*
 * Alarm, notification and one delivery per receiver in one transaction; what is raised
 * (or cleared) already changes nothing.
 */
must_check bool alarm_set(struct db *db, const struct alarm *a, const struct receivers *r,
    struct err *e);
/* Level-triggered: hosts unreachable for `after` raise, reachable ones clear. */
must_check bool alarm_hosts(struct db *db, struct instant now, int64_t after_ns,
    const struct receivers *r, struct err *e);
