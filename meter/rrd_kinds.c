/* SPDX-License-Identifier: Apache-2.0 */
/* rrd_kinds: what is in the graph files, and how it is shown */
#include "meter/rrd_kinds.h"
#include <stdio.h>
#include <string.h>

/* A file's sources can't be changed cheaply: another set means another version folder. */
#define VERSION "v2"

/* ns of CPU a second as percent of one core */
#define CORE_PERCENT 10000000

const struct rrd_layout rrd_layouts[RRD_KINDS] = {
	[RRD_VM] = { "vm", "", false,
	    { { "up", false, "up", 1, "up", "sampled", "#888888" },
		{ "cpu_ns", true, "cpu", CORE_PERCENT, "cpu", "% of a core", "#1f77b4" },
		{ "mem", false, "mem", 1, "memory", "memory", "#2ca02c" },
		{ "rx", true, "rx", 1, "network", "received B/s", "#17becf" },
		{ "tx", true, "tx", 1, "network", "sent B/s", "#9467bd" },
		{ "vcpus", false, "vcpus", 1, "size", "vCPUs", "#7f7f7f" } } },
	[RRD_VM_DISK] = { "vm", ".disk", true,
	    { { "rd", true, "rd", 1, "disk", "read B/s", "#ff7f0e" },
		{ "wr", true, "wr", 1, "disk", "written B/s", "#d62728" },
		{ "rd_ops", true, "rd_ops", 1, "requests", "reads/s", "#bcbd22" },
		{ "wr_ops", true, "wr_ops", 1, "requests", "writes/s", "#8c564b" },
		{ "phys", false, "phys", 1, "space", "on the pool", "#e377c2" },
		{ "mem_rss", false, "mem_rss", 1, "memory", "of the host", "#98df8a" },
		{ "mem_unused", false, "mem_unused", 1, "memory", "free in the guest",
		    "#c5b0d5" },
		{ "steal_ns", true, "steal", CORE_PERCENT, "cpu", "% without a core",
		    "#ff9896" },
		{ "majflt", true, "majflt", 1, "faults", "major faults/s", "#c49c94" },
		{ "swap_in", true, "swap_in", 1, "swap", "in B/s", "#f7b6d2" },
		{ "swap_out", true, "swap_out", 1, "swap", "out B/s", "#dbdb8d" } } },
	[RRD_HOST] = { "host", "", false,
	    { { "vms", false, "vms", 1, "guests", "guests", "#888888" },
		{ "cpu_ns", true, "cpu", CORE_PERCENT, "cpu", "guests, % of a core",
		    "#1f77b4" },
		{ "rx", true, "rx", 1, "network", "received B/s", "#17becf" },
		{ "tx", true, "tx", 1, "network", "sent B/s", "#9467bd" },
		{ "user_ns", true, "user", CORE_PERCENT, "cpu", "user", "#2ca02c" },
		{ "kernel_ns", true, "kernel", CORE_PERCENT, "cpu", "kernel", "#d62728" },
		{ "idle_ns", true, "idle", CORE_PERCENT, "idle", "idle", "#c7c7c7" },
		{ "iowait_ns", true, "iowait", CORE_PERCENT, "cpu", "waiting for I/O",
		    "#ff7f0e" },
		{ "mem_total", false, "mem_total", 1, "memory", "all", "#98df8a" },
		{ "mem_free", false, "mem_free", 1, "memory", "free", "#aec7e8" },
		{ "latency_us", false, "latency", 1, "latency", "answers after us",
		    "#8c564b" } } },
	[RRD_POOL] = { "pool", "", true,
	    { { "capacity", false, "capacity", 1, "space", "capacity", "#888888" },
		{ "allocation", false, "allocation", 1, "space", "allocated", "#1f77b4" },
		{ "available", false, "available", 1, "space", "available",
		    "#2ca02c" } } },
	[RRD_VM_PERF] = { "vm", ".perf", true,
	    { { "instr", true, "instructions", 1, "perf", "instructions/s", "#1f77b4" },
		{ "cycles", true, "cycles", 1, "perf", "cycles/s", "#ff7f0e" },
		{ "cache_refs", true, "cache_refs", 1, "cache", "references/s",
		    "#2ca02c" },
		{ "cache_misses", true, "cache_misses", 1, "cache", "misses/s",
		    "#d62728" },
		{ "branches", true, "branches", 1, "branches", "branches/s", "#9467bd" },
		{ "branch_misses", true, "branch_misses", 1, "branches", "misses/s",
		    "#8c564b" },
		{ "page_faults", true, "page_faults", 1, "faults", "faults/s",
		    "#e377c2" },
		{ "switches", true, "switches", 1, "switches", "context switches/s",
		    "#7f7f7f" } } },
};

int
rrd_source_count(enum rrd_kind kind)
{
	int n = 0;

	while (rrd_layouts[kind].sources[n].name != NULL)
		n++;
	return n;
}

size_t
rrd_kinds_of(const char *object, enum rrd_kind out[RRD_KINDS])
{
	size_t n = 0;

	for (int k = 0; k < RRD_KINDS; k++)
		if (strcmp(rrd_layouts[k].folder, object) == 0)
			out[n++] = (enum rrd_kind)k;
	return n;
}

void
rrd_path(char out[RRD_PATH_MAX], const char *folder, enum rrd_kind kind, const char *uuid)
{
	(void)snprintf(out, RRD_PATH_MAX, "%s/" VERSION "/%s/%.2s/%s%s.rrd", folder,
	    rrd_layouts[kind].folder, uuid, uuid, rrd_layouts[kind].suffix);
}
