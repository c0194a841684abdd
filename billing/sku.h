/* SPDX-License-Identifier: Apache-2.0 */
/* sku: what the metered things are called and counted in */
#pragma once
#include "billing/tariff.h"

/* The names that usage from our own meters carries (docs/tariffs.md). */
#define SKU_VM_RUNNING "vm.running"
#define SKU_VM_ALLOCATED "vm.allocated" /* whether it runs or not */
#define SKU_VCPU "vcpu"
#define SKU_MEMORY "memory.gib"
#define SKU_VOLUME "volume.gib"
#define SKU_CPU_TIME "cpu.time"
#define SKU_HOST_SOCKET "host.socket"
#define SKU_HOST_CORE "host.core"
#define SKU_HOST_CORE16 "host.core16" /* at least 16 a socket, as some licences count */

/* What our own meters count it in: "GiB", "byte"; NULL: it is none of theirs. */
const char *sku_own_unit(const char *sku);
const char *sku_own_at(size_t place); /* one after the other; NULL: no more */
/* Of those: whether it is counted at instants (bytes), not for a time (GiB). */
bool sku_own_amount(const char *sku);

/* Another measure of what a sku counts already: without a price it is no loss. */
bool sku_optional(const char *sku);
#define SKUS_OPTIONAL "{" SKU_VM_ALLOCATED "," SKU_HOST_CORE "," SKU_HOST_CORE16 "}"

/* What a line's quantity counts: "vCPU-hour", "GiB", "socket-year". Caller frees. */
char *sku_unit(const struct price *p) must_check;
