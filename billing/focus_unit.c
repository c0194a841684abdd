/* SPDX-License-Identifier: Apache-2.0 */
/* focus_unit: skus and units in the words of FOCUS */
#include "billing/focus_unit.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The first prefix that fits; the last fits all. */
static const struct focus_service services[] = {
	{ "vm.snapshot", "Storage", "Virtual Machine Snapshots", "Backup Storage",
	    "Virtual Machine Snapshot" },
	{ "vm.", "Compute", "Virtual Machines", "Virtual Machines", "Virtual Machine" },
	{ "vcpu", "Compute", "Virtual Machines", "Virtual Machines", "Virtual Machine" },
	{ "memory.", "Compute", "Virtual Machines", "Virtual Machines",
	    "Virtual Machine" },
	{ "cpu.", "Compute", "Virtual Machines", "Virtual Machines", "Virtual Machine" },
	{ "volume.", "Storage", "Block Storage", "Block Storage", "Volume" },
	{ "disk.", "Storage", "Block Storage", "Block Storage", "Volume" },
	{ "snapshot.", "Storage", "Volume Snapshots", "Backup Storage", "Snapshot" },
	{ "template.", "Storage", "Images", "Other (Storage)", "Template" },
	{ "iso.", "Storage", "Images", "Other (Storage)", "Installation Image" },
	{ "net.", "Networking", "Network", "Network Connectivity", "Network Interface" },
	{ "network", "Networking", "Network", "Network Infrastructure", "Network" },
	{ "address", "Networking", "Network", "Network Infrastructure", "Address" },
	{ "port.", "Networking", "Network", "Network Routing", "Port Forward" },
	{ "security.", "Networking", "Network", "Network Security", "Security Group" },
	{ "host.", "Other", "Host Licences", "Other (Other)", "Host" },
	{ "", "Other", "Other Services", "Other (Other)", "Service" },
};

const struct focus_service *
focus_service(const char *sku)
{
	size_t i = 0;

	while (strncmp(sku, services[i].prefix, strlen(services[i].prefix)) != 0)
		i++;
	return &services[i];
}

/* Words that FOCUS writes in its own way: alone, and before a hyphen. */
static const char *const words[][3] = {
	{ "byte", "B", "B" },
	{ "vCPU", "Cores", "Core" },
	{ "VM", "VMs", "VM" },
	{ "second", "Seconds", "Second" },
	{ "minute", "Minutes", "Minute" },
	{ "hour", "Hours", "Hour" },
	{ "day", "Days", "Day" },
	{ "month", "Months", "Month" },
	{ "year", "Years", "Year" },
};
static const char *const sizes[] = { "B", "KB", "MB", "GB", "TB", "PB", "KiB", "MiB",
	"GiB", "TiB", "PiB" };

static const char *
capital(struct arena *a, const char *word, bool plural)
{
	size_t n = strlen(word);
	char *text = arena_printf(a, "%s%s", word,
	    plural && n > 0 && word[n - 1] != 's' ? "s" : "");

	text[0] = (char)toupper((unsigned char)text[0]);
	return text;
}

static const char *
word_of(struct arena *a, const char *word, bool plural)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i][0], word) == 0)
			return words[i][plural ? 1 : 2];
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (strcmp(sizes[i], word) == 0)
			return sizes[i];
	return capital(a, word, plural);
}

static bool
is_time(const char *word)
{
	static const char *const times[] = { "second", "minute", "hour", "day", "month",
		"year" };

	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		if (strcmp(times[i], word) == 0)
			return true;
	return false;
}

const char *
focus_unit(struct arena *a, const char *unit)
{
	size_t digits = strspn(unit, "0123456789");
	const char *hyphen = strrchr(unit, '-');
	const char *how_many = "";

	if (digits > 0 && unit[digits] == ' ') {
		how_many = arena_strndup(a, unit, digits + 1);
		unit += digits + 1;
	} else if (digits > 0) {
		return "Units"; /* of a fraction there is no word */
	}
	if (hyphen == NULL || !is_time(hyphen + 1))
		return arena_printf(a, "%s%s", how_many, word_of(a, unit, true));
	return arena_printf(a, "%s%s-%s", how_many,
	    word_of(a, arena_strndup(a, unit, (size_t)(hyphen - unit)), false),
	    word_of(a, hyphen + 1, true));
}

void
focus_json(struct buf *out, const struct jval *object)
{
	struct jout j = JOUT_INIT(out);

	jout_open(&j, NULL, '{');
	for (const struct jval *v = json_first(object); v != NULL; v = json_next(v))
		if (json_text(v) != NULL)
			jout_string(&j, json_name(v), json_text(v));
	jout_close(&j, '}');
}
