/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what libvirt's record of a guest's statistics says, looked through once */
#include "meter/stats.h"
#include <string.h>

/*
 * A record is some forty names and values in no promised order.  Asking for each value by
 * its name costs more than the values: names are printed and the list is searched for
 * each.
 */

/* An unsigned value of any of libvirt's widths. */
static void
value_take(struct read_value *out, const virTypedParameter *p)
{
	out->has = true;
	switch (p->type) {
	case VIR_TYPED_PARAM_ULLONG:
		out->value = p->value.ul;
		break;
	case VIR_TYPED_PARAM_LLONG:
		out->value = p->value.l < 0 ? 0 : (uint64_t)p->value.l;
		break;
	case VIR_TYPED_PARAM_UINT:
		out->value = p->value.ui;
		break;
	case VIR_TYPED_PARAM_INT:
		out->value = p->value.i < 0 ? 0 : (uint64_t)p->value.i;
		break;
	default:
		out->has = false;
	}
}

static void
text_take(const char **out, const virTypedParameter *p)
{
	if (p->type == VIR_TYPED_PARAM_STRING)
		*out = p->value.s;
}

/* "3.rx.bytes" -> 3, and what follows; NULL: no number below most stands there. */
static const char *
index_of(const char *rest, size_t most, size_t *index)
{
	size_t n = 0;
	const char *p = rest;

	for (; *p >= '0' && *p <= '9' && n < most; p++)
		n = n * 10 + (size_t)(*p - '0');
	if (p == rest || *p != '.' || n >= most)
		return NULL;
	*index = n;
	return p + 1;
}

struct word {
	const char *text;
	struct read_value *out;
};

static struct read_value *
word_find(const struct word *words, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i].text, text) == 0)
			return words[i].out;
	return NULL;
}

static void
word_take(const struct word *words, size_t count, const char *text,
    const virTypedParameter *p)
{
	struct read_value *out = word_find(words, count, text);

	if (out != NULL)
		value_take(out, p);
}

static void
nic_take(struct stats *out, const char *rest, const virTypedParameter *p)
{
	size_t i = 0;
	const char *what = index_of(rest, READ_DEVICES_MOST, &i);

	if (what == NULL)
		return;
	for (; out->nic_count <= i; out->nic_count++)
		out->nics[out->nic_count] = (struct stats_nic){ .target = NULL };
	if (strcmp(what, "name") == 0)
		text_take(&out->nics[i].target, p);
	else if (strcmp(what, "rx.bytes") == 0)
		value_take(&out->nics[i].rx, p);
	else if (strcmp(what, "tx.bytes") == 0)
		value_take(&out->nics[i].tx, p);
}

static void
disk_take(struct stats *out, const char *rest, const virTypedParameter *p)
{
	size_t i = 0;
	const char *what = index_of(rest, READ_DEVICES_MOST, &i);
	struct stats_disk *d;

	if (what == NULL)
		return;
	for (; out->disk_count <= i; out->disk_count++)
		out->disks[out->disk_count] = (struct stats_disk){ .target = NULL };
	d = &out->disks[i];
	const struct word words[] = { { "rd.bytes", &d->read_bytes },
		{ "wr.bytes", &d->write_bytes }, { "rd.reqs", &d->read_requests },
		{ "wr.reqs", &d->write_requests }, { "capacity", &d->capacity },
		{ "allocation", &d->allocation }, { "physical", &d->physical } };
	if (strcmp(what, "name") == 0)
		text_take(&d->target, p);
	else
		word_take(words, ARRAY_LEN(words), what, p);
}

/* libvirt counts memory in KiB. */
static void
balloon_take(struct stats *out, const char *rest, const virTypedParameter *p)
{
	struct read_memory *m = &out->memory;
	const struct word words[] = { { "current", &m->current }, { "rss", &m->rss },
		{ "unused", &m->guest_free }, { "usable", &m->usable },
		{ "swap_in", &m->swap_in }, { "swap_out", &m->swap_out } };
	struct read_value *kib = word_find(words, ARRAY_LEN(words), rest);

	if (kib != NULL) {
		value_take(kib, p);
		kib->value *= 1024;
	} else if (strcmp(rest, "major_fault") == 0)
		value_take(&m->major_faults, p);
}

/* How long all vCPUs were ready to run while the host had no core for them. */
static void
vcpu_take(struct stats *out, const char *rest, const virTypedParameter *p)
{
	struct read_value delay = { 0, false };
	size_t i = 0;
	const char *what = index_of(rest, READ_VCPUS_MOST, &i);

	if (what == NULL || strcmp(what, "delay") != 0)
		return;
	value_take(&delay, p);
	out->steal_ns.value += delay.value;
	out->steal_ns.has = out->steal_ns.has || delay.has;
}

static void
perf_take(struct stats *out, const char *rest, const virTypedParameter *p)
{
	static const char *const names[PERF_COUNT] = { "instructions", "cpu_cycles",
		"cache_references", "cache_misses", "branch_instructions",
		"branch_misses", "page_faults", "context_switches" };

	for (int i = 0; i < PERF_COUNT; i++)
		if (strcmp(names[i], rest) == 0)
			value_take(&out->perf[i], p);
}

void
stats_read(struct stats *out, const virTypedParameter *params, int count)
{
	static const struct {
		const char *group;
		size_t length;
		void (*take)(struct stats *out, const char *rest,
		    const virTypedParameter *p);
	} groups[] = { { "net.", 4, nic_take }, { "block.", 6, disk_take },
		{ "balloon.", 8, balloon_take }, { "vcpu.", 5, vcpu_take },
		{ "perf.", 5, perf_take } };

	out->nic_count = out->disk_count = 0;
	out->memory = (struct read_memory){ .current = { 0, false } };
	out->steal_ns = (struct read_value){ 0, false };
	memset(out->perf, 0, sizeof(out->perf));
	for (int i = 0; i < count; i++)
		for (size_t g = 0; g < ARRAY_LEN(groups); g++)
			if (strncmp(params[i].field, groups[g].group, groups[g].length) ==
			    0) {
				groups[g].take(out, params[i].field + groups[g].length,
				    &params[i]);
				break;
			}
}
