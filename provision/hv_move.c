/* SPDX-License-Identifier: Apache-2.0 */
/* hv: a running domain goes to another host */
#include "provision/hv_own.h"
#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>

/* More than any wire; libvirt counts in MiB and takes no "unlimited". */
#define SPEED_ALL 8796093022207UL

struct params {
	virTypedParameterPtr list;
	int count, room;
	bool ok;
};

static void
text_add(struct params *p, const char *name, const char *value)
{
	if (value != NULL)
		p->ok = p->ok &&
		    virTypedParamsAddString(&p->list, &p->count, &p->room, name, value) ==
			0;
}

static void
params_make(struct params *p, const struct hv_move *m)
{
	text_add(p, VIR_MIGRATE_PARAM_URI, m->uri);
	text_add(p, VIR_MIGRATE_PARAM_DEST_XML, m->xml);
	text_add(p, VIR_MIGRATE_PARAM_PERSIST_XML, m->persistent_xml);
	if (m->disk_count > 0)
		text_add(p, VIR_MIGRATE_PARAM_DISKS_URI, m->disks_uri);
	for (size_t i = 0; i < m->disk_count; i++)
		text_add(p, VIR_MIGRATE_PARAM_MIGRATE_DISKS, m->disks[i]);
}

/*
 * Unsafe is what libvirt calls a disk on a file system that it does not know to be
 * shared: the caller has looked whether it is.
 */
bool
hv_move(struct hv *from, const char *uuid, const struct hv_move *m, struct err *e)
{
	struct params p = { .ok = true };
	unsigned flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PERSIST_DEST |
	    VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_PAUSED | VIR_MIGRATE_UNSAFE |
	    (m->disk_count > 0 ? VIR_MIGRATE_NON_SHARED_DISK : 0);
	virDomainPtr d = hv_domain_find(from, uuid, e);
	virDomainPtr there = NULL;

	if (d == NULL)
		return false;
	params_make(&p, m);
	if (p.ok)
		there = virDomainMigrate3(d, m->to->link, p.list, (unsigned)p.count,
		    flags);
	if (there == NULL)
		(void)hv_fail(e, "moving", uuid);
	else
		(void)virDomainFree(there);
	virTypedParamsFree(p.list, p.count);
	(void)virDomainFree(d);
	return there != NULL;
}

static void
number_get(const struct params *p, const char *name, uint64_t *out)
{
	unsigned long long n = 0;

	if (virTypedParamsGetULLong(p->list, p->count, name, &n) == 1)
		*out = n;
}

bool
hv_move_look(struct hv *hv, const char *uuid, struct hv_move_look *out, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	struct params p = { .ok = true };
	int type = VIR_DOMAIN_JOB_NONE;
	int operation = 0;

	memset(out, 0, sizeof(*out));
	if (d == NULL)
		return false;
	p.ok = virDomainGetJobStats(d, &type, &p.list, &p.count, 0) == 0 ||
	    hv_fail(e, "how far is the move of", uuid);
	(void)virTypedParamsGetInt(p.list, p.count, VIR_DOMAIN_JOB_OPERATION, &operation);
	out->moving = p.ok && type != VIR_DOMAIN_JOB_NONE &&
	    operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
	number_get(&p, VIR_DOMAIN_JOB_DISK_TOTAL, &out->disk_total);
	number_get(&p, VIR_DOMAIN_JOB_DISK_REMAINING, &out->disk_left);
	number_get(&p, VIR_DOMAIN_JOB_MEMORY_TOTAL, &out->memory_total);
	number_get(&p, VIR_DOMAIN_JOB_MEMORY_REMAINING, &out->memory_left);
	number_get(&p, VIR_DOMAIN_JOB_MEMORY_ITERATION, &out->pass);
	number_get(&p, VIR_DOMAIN_JOB_MEMORY_BPS, &out->bytes_s);
	virTypedParamsFree(p.list, p.count);
	(void)virDomainFree(d);
	return p.ok;
}

bool
hv_move_speed(struct hv *hv, const char *uuid, uint64_t mib_s, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	unsigned long speed = mib_s == 0 || mib_s > SPEED_ALL ? SPEED_ALL
							      : (unsigned long)mib_s;
	bool ok = d != NULL &&
	    (virDomainMigrateSetMaxSpeed(d, speed, 0) == 0 ||
		hv_fail(e, "the speed of the move of", uuid));

	if (d != NULL)
		(void)virDomainFree(d);
	return ok;
}

/*
 * libvirt's slowest is 1 MiB a second, which takes the rest of a small guest along in one
 * tenth of a second; QEMU itself counts in bytes.  Where it can't be told so, that
 * slowest it is.
 */
bool
hv_move_hold(struct hv *hv, const char *uuid, struct err *e)
{
	static const char command[] = "{\"execute\":\"migrate-set-parameters\","
				      "\"arguments\":{\"max-bandwidth\":10}}";
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	char *answer = NULL;
	bool ok;

	if (d == NULL)
		return false;
	ok = virDomainQemuMonitorCommand(d, command, &answer, 0) == 0 && answer != NULL &&
	    strstr(answer, "\"error\"") == NULL;
	free(answer);
	(void)virDomainFree(d);
	return ok || hv_move_speed(hv, uuid, 1, e);
}

bool
hv_move_patient(struct hv *hv, const char *uuid, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	bool ok = d != NULL &&
	    (virDomainMigrateSetMaxDowntime(d, 1, 0) == 0 ||
		hv_fail(e, "the patience of the move of", uuid));

	if (d != NULL)
		(void)virDomainFree(d);
	return ok;
}

/* "net.0.rx.bytes": ends so, of that group. */
static void
counter_add(const virTypedParameter *p, const char *group, const char *what, int64_t *sum)
{
	size_t length = strlen(p->field);
	size_t tail = strlen(what);

	if (p->type == VIR_TYPED_PARAM_ULLONG && length > tail &&
	    strncmp(p->field, group, strlen(group)) == 0 &&
	    strcmp(p->field + length - tail, what) == 0)
		*sum += (int64_t)p->value.ul;
}

bool
hv_counters(struct hv *hv, const char *uuid, struct hv_counters *out, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);
	virDomainPtr list[2] = { d, NULL };
	virDomainStatsRecordPtr *records = NULL;
	int n;

	memset(out, 0, sizeof(*out));
	if (d == NULL)
		return false;
	n = virDomainListGetStats(list,
	    VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK, &records,
	    VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
	for (int i = 0; n == 1 && i < records[0]->nparams; i++) {
		const virTypedParameter *p = &records[0]->params[i];
		counter_add(p, "net.", ".rx.bytes", &out->received);
		counter_add(p, "net.", ".tx.bytes", &out->sent);
		counter_add(p, "block.", ".rd.bytes", &out->disk_read);
		counter_add(p, "block.", ".wr.bytes", &out->disk_written);
	}
	if (n != 1)
		(void)hv_fail(e, "counters of", uuid);
	else
		virDomainStatsRecordListFree(records);
	(void)virDomainFree(d);
	return n == 1;
}

bool
hv_move_xml(struct hv *hv, const char *uuid, bool inactive, char **xml, struct err *e)
{
	virDomainPtr d = hv_domain_find(hv, uuid, e);

	if (d == NULL)
		return false;
	*xml = virDomainGetXMLDesc(d,
	    VIR_DOMAIN_XML_SECURE |
		(inactive ? VIR_DOMAIN_XML_INACTIVE : VIR_DOMAIN_XML_MIGRATABLE));
	(void)virDomainFree(d);
	return *xml != NULL || hv_fail(e, "domain", uuid);
}
