/* SPDX-License-Identifier: Apache-2.0 */
/* sku: what the metered things are called and counted in */
#include "billing/sku.h"
#include <string.h>

struct sku_base {
	const char *sku;
	const char *unit;
};
static const struct sku_base bases[] = {
	{ SKU_VM_RUNNING, "VM" },
	{ SKU_VM_ALLOCATED, "VM" },
	{ SKU_VCPU, "vCPU" },
	{ SKU_MEMORY, "GiB" },
	{ SKU_VOLUME, "GiB" },
	{ "snapshot.gib", "GiB" },
	{ "vm.snapshot.gib", "GiB" },
	{ "template.gib", "GiB" },
	{ "iso.gib", "GiB" },
	{ "network", "network" },
	{ "address", "address" },
	{ "port.forward", "forward" },
	{ "security.group", "group" },
	{ SKU_CPU_TIME, "vCPU-second" },
	{ SKU_HOST_SOCKET, "socket" },
	{ SKU_HOST_CORE, "core" },
	{ SKU_HOST_CORE16, "core" },
	{ "disk.read.bytes", "byte" },
	{ "disk.write.bytes", "byte" },
	{ "disk.read.requests", "request" },
	{ "disk.write.requests", "request" },
	{ "net.rx.bytes", "byte" },
	{ "net.tx.bytes", "byte" },
};

/* Usual divisors have names of their own. */
struct sku_multiple {
	const char *unit;
	unsigned long divisor;
	const char *name;
};
static const struct sku_multiple multiples[] = {
	{ "vCPU-second", 3600, "vCPU-hour" },
	{ "byte", 1024UL * 1024, "MiB" },
	{ "byte", 1024UL * 1024 * 1024, "GiB" },
	{ "byte", 1000UL * 1000, "MB" },
	{ "byte", 1000UL * 1000 * 1000, "GB" },
};

const char *
sku_own_unit(const char *sku)
{
	for (size_t i = 0; i < ARRAY_LEN(bases); i++)
		if (strcmp(bases[i].sku, sku) == 0)
			return bases[i].unit;
	return NULL;
}

const char *
sku_own_at(size_t place)
{
	return place < ARRAY_LEN(bases) ? bases[place].sku : NULL;
}

bool
sku_own_amount(const char *sku)
{
	static const char *const units[] = { "vCPU-second", "byte", "request" };
	const char *unit = sku_own_unit(sku);

	for (size_t i = 0; unit != NULL && i < ARRAY_LEN(units); i++)
		if (strcmp(unit, units[i]) == 0)
			return true;
	return false;
}

bool
sku_optional(const char *sku)
{
	static const char *const others[] = { SKU_VM_ALLOCATED, SKU_HOST_CORE,
		SKU_HOST_CORE16 };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strcmp(others[i], sku) == 0)
			return true;
	return false;
}

static char *
divided_unit(const char *unit, const mpq_t divisor)
{
	scoped_free char *text = NULL;

	if (mpq_cmp_ui(divisor, 1, 1) == 0)
		return mem_strdup(unit);
	for (size_t i = 0; i < ARRAY_LEN(multiples); i++)
		if (strcmp(multiples[i].unit, unit) == 0 &&
		    mpq_cmp_ui(divisor, multiples[i].divisor, 1) == 0)
			return mem_strdup(multiples[i].name);
	text = rat_text(divisor);
	return mem_printf("%s %s", text, unit);
}

char *
sku_unit(const struct price *p)
{
	const char *base = p->unit != NULL ? p->unit : sku_own_unit(p->sku);
	scoped_free char *unit = divided_unit(base != NULL ? base : "unit", p->divisor);

	if (p->per == PER_NONE)
		return mem_strdup(unit);
	return mem_printf("%s-%s", unit, per_name(p->per));
}
