/* SPDX-License-Identifier: Apache-2.0 */
/* mirror: alarms, notices and deliveries in the tables, and what the tables say of them
 */
#pragma once
#include "snmp/book.h"
#include "snmp/desk.h"

/* Adds writes for what changed since the tables were told; a bounded number. */
void mirror_write(struct desk_order *o, struct alarms *alarms, struct notices *notices);
/* The answer to that order: what it held is in the tables now, if ok. */
void mirror_written(struct alarms *alarms, struct notices *notices, bool ok);

/* Rows of alarm_active and delivery_waiting as alarms and notices of one letter or more.
 */
must_check bool mirror_alarm(struct alarm **out, const struct rows *r, size_t row,
    struct err *e);
/* Reads from *row on all letters of one notice; leaves *row behind them. */
must_check bool mirror_notice(struct notice **out, const struct rows *r, size_t *row,
    struct err *e);

/* Conditions of a rule's rows (uuid, name, severity or null, text); point into rows. */
size_t mirror_conditions(struct condition *out, size_t most, enum rule_id rule,
    const struct rows *r);
