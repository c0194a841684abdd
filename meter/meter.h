/* SPDX-License-Identifier: Apache-2.0 */
/* meter: the collector's state and its rounds */
#pragma once
#include "base/proc.h"
#include "meter/read.h"

struct meter;

struct meter *meter_new(struct proc *p) must_check;
/* A lane's result of one host came back from a worker thread. */
struct meter_result {
	int64_t host_id;
	bool guarded;
	bool ok;
	int64_t latency_us;
	char error[512];
	char blocked[READ_UUID_MAX]; /* guarded: a guest whose channel is taken, or "" */
	unsigned blocked_ms;
	struct read_round round;
};
void meter_take(struct meter *m, struct meter_result *result);

/* Every periodic duty is a function of now. */
void meter_fast_round(struct meter *m, struct instant now);
void meter_guarded_round(struct meter *m, struct instant now);
void meter_write(struct meter *m,
    struct instant now);           /* rows, contacts, graphs when due */
void meter_hints(struct meter *m); /* NOTIFYs: sample or draw now */
