/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile: what libvirt shows against what the database says, level-triggered */
#include "provision/reconcile.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision/domain_xml.h"
#include "provision/vm.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_NS (10 * NS_PER_S)
#define RETRY_FIRST_NS (NS_PER_S / 2)
/* Who left for another host is told there within this time, or has ended. */
#define ARRIVAL_NS (10 * NS_PER_S)
#define MEMORY_MOST ((uint64_t)1 << 50)

struct sight {
	struct host *host;
	const struct hv_domain *domain; /* NULL: the domain is gone */
	struct vm vm;
	struct instant at;
	struct domain_found found;
	int64_t sizes[XML_DISKS_MOST];
	bool has_event;
};

static bool
is_running(const char *state)
{
	return strcmp(state, "Running") == 0 || strcmp(state, "Paused") == 0;
}

static const char *
state_word(enum hv_state s)
{
	static const char *const words[] = { "Stopped", "Running", "Paused", "Paused" };

	return words[s];
}

static void
epoch_text(const struct host *h, const struct hv_domain *d, char out[96])
{
	if (d->id < 0)
		out[0] = '\0';
	else
		(void)snprintf(out, 96, "%s/%lld", h->uuid, (long long)d->id);
}

/* Bounded by the last proof of life when nobody told us the instant. */
static bool
end_instant(struct db *db, const struct sight *s, struct instant *at, struct err *e)
{
	*at = s->at;
	return s->has_event || vm_last_proof(db, &s->vm, at, e);
}

static bool
stopped_now(struct db *db, struct sight *s, struct err *e)
{
	struct instant end;
	const char *why = s->domain->crashed ? "crashed" : "stopped";

	if (s->domain->state == HV_PAUSED_BY_FAULT)
		why = "paused by a fault of the provider";
	/* What is paused by a fault is not charged, but keeps its host's memory. */
	return end_instant(db, s, &end, e) && vm_running_close(db, &s->vm, end, why, e) &&
	    (s->domain->state != HV_STOPPED || vm_release(db, &s->vm, e));
}

/* A new run that we did not begin: the old one ended unseen, at the latest when this
 * began. */
static bool
running_now(struct db *db, struct sight *s, bool new_run, struct err *e)
{
	struct instant end;

	if (new_run && is_running(s->vm.state) &&
	    (!vm_last_proof(db, &s->vm, &end, e) ||
		!vm_running_close(db, &s->vm, end, "restarted unseen", e)))
		return false;
	return vm_running_open(db, &s->vm, s->at, "started", e);
}

static bool
observe(struct db *db, void *context, struct err *e)
{
	struct sight *s = context;
	const struct hv_domain *d = s->domain;
	const char *state = state_word(d->state);
	bool runs = d->state == HV_RUNNING || d->state == HV_PAUSED;
	bool same_size = d->vcpus == s->vm.vcpus &&
	    (int64_t)d->memory_bytes == s->vm.memory_bytes;
	char epoch[96];

	epoch_text(s->host, d, epoch);
	bool new_run = runs && strcmp(epoch, s->vm.epoch) != 0;
	if (!same_size &&
	    !vm_resized(db, &s->vm, d->vcpus, (int64_t)d->memory_bytes, s->at, e))
		return false;
	if (strcmp(state, s->vm.state) == 0 && !new_run)
		return true;
	if (runs ? !running_now(db, s, new_run && s->vm.epoch[0] != '\0', e)
		 : !stopped_now(db, s, e))
		return false;
	log_info("vm %s (%s): %s, was %s", s->vm.name, s->vm.uuid, state, s->vm.state);
	return vm_state_set(db, &s->vm, state, s->at, runs ? epoch : NULL,
	    d->state == HV_PAUSED_BY_FAULT
		? "paused by an I/O error: is its disk's pool full?"
		: NULL,
	    e);
}

/* An adopted one ends with its domain; ours is made again from its rows at its next
 * start.
 */
static bool
gone(struct db *db, void *context, struct err *e)
{
	struct sight *s = context;
	struct instant end;

	if (!end_instant(db, s, &end, e))
		return false;
	if (s->vm.adopted)
		return vm_ended(db, &s->vm, "Destroyed", s->at, end, true,
		    "gone from the host", e);
	if (strcmp(s->vm.state, "Stopped") == 0)
		return true;
	log_warning("vm %s (%s): its definition is gone from host %s: it is made again "
		    "when it is started",
	    s->vm.name, s->vm.uuid, s->host->name);
	return vm_running_close(db, &s->vm, end, "gone from the host", e) &&
	    vm_release(db, &s->vm, e) &&
	    vm_state_set(db, &s->vm, "Stopped", s->at, NULL,
		"its definition is gone from the host: it is made again when it is "
		"started",
		e);
}

static bool
account_for(struct db *db, const char *uuid, int64_t *id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped(rows_clear) struct rows *other = NULL;
	bool looks = strlen(uuid) == 36 && strspn(uuid, "0123456789abcdefABCDEF-") == 36;

	if (looks && !db_query(db, STMT_ACCOUNT_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (r != NULL && rows_count(r) == 1) {
		*id = rows_i64(r, 0, 0);
		return true;
	}
	if (!db_query(db, STMT_ACCOUNT_UNASSIGNED, DB_NONE, &other, e))
		return false;
	*id = rows_i64(other, 0, 0);
	return true;
}

/* Names that libvirt chose are of one run only. */
static const char *
lasting_name(const char *tap)
{
	return tap[0] == '\0' || strncmp(tap, "vnet", 4) == 0 ? NULL : tap;
}

static bool
devices_adopt(struct db *db, const struct sight *s, struct err *e)
{
	for (size_t i = 0; i < s->found.disk_count; i++) {
		char name[200];
		(void)snprintf(name, sizeof(name), "%.120s-%s", s->vm.name,
		    s->found.disks[i].target);
		struct volume_want w = { .name = name,
			.target = s->found.disks[i].target,
			.kind = "adopted",
			.path = s->found.disks[i].path,
			.format = s->found.disks[i].format,
			.size_bytes = s->sizes[i] };
		if (!vm_volume_add(db, &s->vm, &w, s->at, "adopted", e))
			return false;
	}
	for (size_t i = 0; i < s->found.nic_count; i++)
		if (!vm_nic_add(db, &s->vm, s->found.nics[i].mac,
			s->found.nics[i].network, 0, lasting_name(s->found.nics[i].tap),
			s->at, e))
			return false;
	return true;
}

static bool
adopt_write(struct db *db, void *context, struct err *e)
{
	struct sight *s = context;
	const struct hv_domain *d = s->domain;
	scoped(rows_clear) struct rows *r = NULL;
	char epoch[96];
	bool runs = d->state == HV_RUNNING || d->state == HV_PAUSED;

	epoch_text(s->host, d, epoch);
	if (!account_for(db, s->found.account_uuid, &s->vm.account_id, e) ||
	    !db_query(db, STMT_VM_ADOPT,
		DB_ARGS(DB_NUMBER(s->vm.account_id), s->vm.uuid, s->vm.name,
		    DB_NUMBER(s->host->id), DB_NUMBER(s->vm.vcpus),
		    DB_NUMBER(s->vm.memory_bytes), state_word(d->state),
		    DB_INSTANT(s->at), epoch),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return true; /* the host was taken out meanwhile */
	s->vm.id = rows_i64(r, 0, 0);
	return vm_allocated_open(db, &s->vm, s->at, "adopted", e) &&
	    (!runs || vm_running_open(db, &s->vm, s->at, "adopted", e)) &&
	    devices_adopt(db, s, e);
}

/* What a hostile or broken domain could say: refused once, the others go on. */
static bool
adopt_check(struct sight *s, struct err *e)
{
	const struct hv_domain *d = s->domain;
	char *xml = NULL;

	for (const char *p = d->name; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_INPUT, "its name has control characters");
	if (strlen(d->name) > 120)
		return err_set(e, ERR_INPUT, "its name is longer than 120 bytes");
	if (d->memory_bytes == 0 || d->memory_bytes > MEMORY_MOST)
		return err_set(e, ERR_INPUT, "its memory size makes no sense");
	if (!hv_domain_xml(s->host->hv, d->uuid, &xml, e))
		return false;
	bool ok = domain_read(&s->found, xml, e);
	free(xml);
	return ok;
}

/* Unknown stays 0 and is asked again: an empty drive, or a guest that does not answer. */
static void
sizes_look(struct sight *s)
{
	for (size_t i = 0; i < s->found.disk_count; i++) {
		struct err e = ERR_INIT;
		if (!hv_disk_size(s->host->hv, s->vm.uuid, s->found.disks[i].target,
			&s->sizes[i], &e))
			log_debug("%s", e.text);
	}
}

struct unsized {
	struct vm vm;
	int64_t volume_id;
	struct volume_want want;
	struct instant since;
};

static bool
size_write(struct db *db, void *context, struct err *e)
{
	const struct unsized *u = context;

	return vm_volume_sized(db, &u->vm, u->volume_id, &u->want, u->since, e);
}

/* Disks whose size could not be asked when they were found. */
static bool
unsized_look(struct host *h, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_VOLUME_UNSIZED, DB_ARGS(DB_NUMBER(h->id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct err why = ERR_INIT;
		struct unsized u = { .vm = { .account_id = rows_i64(r, i, 0),
					 .id = rows_i64(r, i, 1),
					 .host_id = h->id,
					 .simulated = h->simulated },
			.volume_id = rows_i64(r, i, 4),
			.want = { .uuid = rows_text(r, i, 5),
			    .name = rows_text(r, i, 6) } };
		if (!hv_disk_size(h->hv, rows_text(r, i, 2), rows_text(r, i, 7),
			&u.want.size_bytes, &why)) {
			log_debug("%s", why.text);
			continue;
		}
		if (u.want.size_bytes > 0 &&
		    (!instant_parse(&u.since, rows_text(r, i, 8), e) ||
			!db_transaction(db, size_write, &u, e)))
			return false;
	}
	return true;
}

static bool
known_elsewhere(struct db *db, const char *uuid)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct err e = ERR_INIT;

	return !db_query(db, STMT_VM_KNOWN, DB_ARGS(uuid), &r, &e) || rows_bool(r, 0, 0);
}

/* One run on two hosts: not a moment between them, and none of them twice. */
static bool
follow_write(struct db *db, void *context, struct err *e)
{
	struct sight *s = context;
	const struct hv_domain *d = s->domain;
	char epoch[96];

	epoch_text(s->host, d, epoch);
	if (is_running(s->vm.state) &&
	    !vm_running_close(db, &s->vm, s->at, "migrated", e))
		return false;
	s->vm.host_id = s->host->id;
	return db_run(db, STMT_VM_PLACE,
		   DB_ARGS(DB_NUMBER(s->vm.account_id), DB_NUMBER(s->vm.id),
		       DB_NUMBER(s->host->id)),
		   NULL, e) &&
	    vm_running_open(db, &s->vm, s->at, d->arrived ? "migrated" : "started", e) &&
	    vm_state_set(db, &s->vm, state_word(d->state), s->at, epoch, NULL, e);
}

/*
 * A guest of another host that runs here.  It is believed at once if libvirt says that
 * its run came from there, else when it does not run there any more: a copy of its
 * definition is not the guest.
 */
static void
follow(struct host *h, struct db *db, const struct hv_domain *d)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct sight s = { .host = h, .domain = d, .at = clock_now() };
	struct err e = ERR_INIT;
	const char *left;

	if ((d->state != HV_RUNNING && d->state != HV_PAUSED) || d->arriving)
		return;
	if (!db_query(db, STMT_VM_ELSEWHERE, DB_ARGS(d->uuid, DB_NUMBER(h->id)), &r,
		&e) ||
	    rows_count(r) == 0)
		return;
	vm_from_row(&s.vm, r, 0);
	if (s.vm.busy || (is_running(s.vm.state) && !d->arrived))
		return;
	s.vm.simulated = h->simulated;
	(void)host_event_take(h, d->uuid, &s.at);
	left = rows_text(r, 0, 15);
	if (d->arrived && left != NULL && !instant_parse(&s.at, left, &e))
		return;
	if (db_transaction(db, follow_write, &s, &e))
		event_note(db, s.vm.account_id, "VM.MIGRATE", d->uuid,
		    "it runs on host %s now, was on host %s", h->name,
		    rows_text(r, 0, 14));
	else
		log_warning("host %s: vm %s has come from another host: %s: tried again",
		    h->name, d->uuid, e.text);
}

static void
adopt(struct host *h, struct db *db, const struct hv_domain *d)
{
	struct sight s = { .host = h, .domain = d, .at = clock_now() };
	struct err e = ERR_INIT;

	if (known_elsewhere(db, d->uuid)) {
		follow(h, db, d);
		return;
	}
	(void)snprintf(s.vm.uuid, sizeof(s.vm.uuid), "%s", d->uuid);
	(void)snprintf(s.vm.name, sizeof(s.vm.name), "%.120s", d->name);
	s.vm.host_id = h->id;
	s.vm.vcpus = d->vcpus;
	s.vm.memory_bytes = (int64_t)d->memory_bytes;
	s.vm.simulated = h->simulated;
	if (adopt_check(&s, &e)) {
		sizes_look(&s);
		if (db_transaction(db, adopt_write, &s, &e)) {
			if (s.vm.id == 0)
				return;
			event_note(db, s.vm.account_id, "VM.ADOPT", d->uuid,
			    "domain %s found on host %s, metered from now on", s.vm.name,
			    h->name);
			return;
		}
	}
	/* Each look would say it again: once an hour is enough for a person. */
	if (e.kind != ERR_GONE && (h->failures++ % 360) == 0)
		log_warning(
		    "host %s: domain %.60s is not adopted: %s: mend it with virsh edit",
		    h->name, d->uuid, e.text);
}

static const struct hv_domain *
domain_of(const struct hv_domain *list, size_t count, const char *uuid)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].uuid, uuid) == 0)
			return &list[i];
	return NULL;
}

static bool
row_of(const struct rows *r, const char *uuid)
{
	for (size_t i = 0; i < rows_count(r); i++)
		if (strcmp(rows_text(r, i, 2), uuid) == 0)
			return true;
	return false;
}

/* A job that waits for this very event looks now, and knows when it was. */
static void
job_hurry(struct host *h, struct db *db, const char *uuid)
{
	struct err e = ERR_INIT;
	struct instant at;
	char text[CLOCK_TEXT_MAX];

	if (host_event_take(h, uuid, &at) &&
	    (!db_run(db, STMT_JOB_HURRY, DB_ARGS(uuid, instant_text(at, text)), NULL,
		 &e) ||
		!db_run(db, STMT_NOTIFY, DB_ARGS("jeoul_job", uuid), NULL, &e)))
		log_debug("%s", e.text); /* it looks by itself, only later */
}

/* When what is seen came to be.  False: it left for another host, which will tell soon.
 */
static bool
sight_time(struct sight *s)
{
	bool runs = s->domain != NULL && s->domain->id >= 0;
	struct instant left;
	struct instant now = clock_now();

	s->at = now;
	s->has_event = host_event_take(s->host, s->vm.uuid, &s->at);
	if (runs || !is_running(s->vm.state) || !host_left(s->host, s->vm.uuid, &left))
		return true;
	s->at = left;
	s->has_event = true;
	return now.ns - left.ns > ARRIVAL_NS;
}

static bool
compare(struct host *h, struct db *db, const struct hv_domain *list, size_t count,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_VM_OF_HOST, DB_ARGS(DB_NUMBER(h->id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		struct sight s = { .host = h };
		vm_from_row(&s.vm, r, i);
		if (s.vm.busy) { /* a job works on it and writes what it does itself */
			job_hurry(h, db, s.vm.uuid);
			continue;
		}
		s.vm.host_id = h->id;
		s.vm.simulated = h->simulated;
		s.domain = domain_of(list, count, s.vm.uuid);
		/* One that is being started, or comes or goes just now, does not run yet
		 * or runs still: an event tells when that is over. */
		if ((s.domain != NULL && s.domain->arriving) || !sight_time(&s))
			continue;
		if (!db_transaction(db, s.domain != NULL ? observe : gone, &s, e))
			return false;
	}
	for (size_t i = 0; i < count; i++)
		if (!row_of(r, list[i].uuid))
			adopt(h, db, &list[i]);
	return true;
}

static bool
look(struct host *h, struct db *db, struct err *e)
{
	struct hv_domain *list = NULL;
	size_t count = 0;
	struct instant begun;
	bool ok;

	if (!host_connect(h, db, e))
		return false;
	begun = clock_now();
	if (!hv_domains(h->hv, &list, &count, e))
		return false;
	ok = db_run(db, STMT_HOST_STATE, DB_ARGS(DB_NUMBER(h->id), "Up", NULL), NULL,
		 e) &&
	    compare(h, db, list, count, e) && unsized_look(h, db, e);
	hv_domains_free(list, count);
	host_events_forget(h, begun);
	return ok;
}

int64_t
reconcile_host(struct host *h, struct db *db)
{
	struct err e = ERR_INIT;
	struct err ignored = ERR_INIT;
	bool was_up = h->hv != NULL;

	if (look(h, db, &e))
		return LOOK_EVERY_NS;
	/* The database away is not the host's fault; a connection that broke is. */
	if (strncmp(e.text, "database", 8) == 0)
		return RETRY_FIRST_NS;
	hv_close(h->hv);
	h->hv = NULL;
	if (was_up || h->failures++ % 60 == 0)
		log_warning("host %s: %s: trying again each second", h->name, e.text);
	(void)!db_run(db, STMT_HOST_STATE,
	    DB_ARGS(DB_NUMBER(h->id), "Unreachable", e.text), NULL, &ignored);
	return was_up ? RETRY_FIRST_NS : 2 * RETRY_FIRST_NS;
}
