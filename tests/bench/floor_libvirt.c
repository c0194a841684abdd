/* SPDX-License-Identifier: Apache-2.0 */
/* floor_libvirt fast|guarded URI [PID]: nothing but the libvirt calls for the same fields
 */
#include "base/attr.h"
#include "tests/bench/bench.h"
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VCPUS_MOST = 256, STATS_MOST = 16 };

struct floor {
	virConnectPtr link;
	virVcpuInfo vcpus[VCPUS_MOST];
	int cpu_stats, memory_stats; /* how many the host has */
};

/* The host's own CPU time and memory. */
static void
host(struct floor *f)
{
	virNodeCPUStats cpu[STATS_MOST];
	virNodeMemoryStats memory[STATS_MOST];

	(void)virNodeGetCPUStats(f->link, VIR_NODE_CPU_STATS_ALL_CPUS,
	    f->cpu_stats == 0 ? NULL : cpu, &f->cpu_stats, 0);
	(void)virNodeGetMemoryStats(f->link, VIR_NODE_MEMORY_STATS_ALL_CELLS,
	    f->memory_stats == 0 ? NULL : memory, &f->memory_stats, 0);
}

/* State and network of all by one call, CPU time by two calls a guest: the bulk groups
 * for CPU ask the guest's monitor and may hang, so they bring no such fields. */
static uint64_t
fast(void *context)
{
	struct floor *f = context;
	virDomainStatsRecordPtr *list = NULL;
	virDomainInfo info;
	int n = virConnectGetAllDomainStats(f->link,
	    VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_INTERFACE, &list,
	    VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
	uint64_t samples = 0;

	for (int i = 0; i < n; i++) {
		if (virDomainGetInfo(list[i]->dom, &info) < 0)
			continue;
		(void)virDomainGetVcpus(list[i]->dom, f->vcpus, VCPUS_MOST, NULL, 0);
		samples++;
	}
	if (n >= 0)
		virDomainStatsRecordListFree(list);
	host(f);
	return samples;
}

/* Disks, balloon and waiting vCPUs of all by one call, as a program asks that does not
 * mind a hung guest. */
static uint64_t
guarded(void *context)
{
	struct floor *f = context;
	virDomainStatsRecordPtr *list = NULL;
	int n = virConnectGetAllDomainStats(f->link,
	    VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU |
		VIR_DOMAIN_STATS_PERF,
	    &list, VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);

	if (n >= 0)
		virDomainStatsRecordListFree(list);
	return n > 0 ? (uint64_t)n : 0;
}

/* The test driver has no memory to tell of: that is no news. */
static void
silent(void *unused_context unused, virErrorPtr unused_error unused)
{
}

int
main(int argc, char **argv)
{
	static struct floor f;
	int status;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: floor_libvirt fast|guarded URI [PID]\n");
		return 2;
	}
	f.link = virConnectOpenReadOnly(argv[2]);
	if (f.link == NULL)
		return 1; /* libvirt has said why */
	virSetErrorFunc(NULL, silent);
	status = bench_serve(strcmp(argv[1], "guarded") == 0 ? guarded : fast, &f,
	    argc > 3 ? (pid_t)strtol(argv[3], NULL, 10) : 0);
	(void)virConnectClose(f.link);
	return status;
}
