/* SPDX-License-Identifier: Apache-2.0 */
/* bench: what is measured runs on request, so that two rivals can take turns */
#pragma once
#include <stdint.h>
#include <sys/types.h>

/* One round of the work; answers how many samples (rows, values) it brought, 0: it failed
 * and said why on standard error. */
typedef uint64_t (*bench_round)(void *context);

/*
 * Says "ready", then for each line "N" of standard input runs N rounds and answers
 * "samples own_ns beside_ns wall_ns": CPU time of this process with all its threads, of
 * the process `beside` (0: none; libvirtd, say), and time by the clock.  Ends at the end
 * of the input, with the status for main().
 */
int bench_serve(bench_round round, void *context, pid_t beside);
