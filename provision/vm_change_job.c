/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs that change a VM and leave it what it is: pause, reset, size, drive, rescue.
 */
#include "base/log.h"
#include "base/mem.h"
#include "provision/define.h"
#include "provision/image.h"
#include "provision/pool.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- suspend, resume, reset */

static bool
write_paused(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_state_set(db, &w->vm, "Paused", w->at, w->epoch, NULL, e);
}

static bool
write_resumed(struct db *db, void *context, struct err *e)
{
	struct work *w = context;

	return vm_running_open(db, &w->vm, w->at, "resumed", e) &&
	    vm_state_set(db, &w->vm, "Running", w->at, w->epoch, NULL, e);
}

/* Its state now; what is not running can be neither paused nor reset. */
static bool
runs(struct work *w, enum hv_state *state, struct err *e)
{
	struct hv_domain d = { .name = NULL };

	if (!work_domain(w, &d, e))
		return false;
	*state = d.state;
	hv_domain_done(&d);
	w->at = clock_now();
	return *state != HV_STOPPED ||
	    err_set(e, ERR_CONFLICT, "%s does not run", w->vm.name);
}

bool
job_vm_suspend(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	enum hv_state state = HV_STOPPED;
	bool ok = work_find(&w, j, e) && work_connect(&w, e) && runs(&w, &state, e);

	if (ok && state == HV_RUNNING)
		ok = hv_suspend(w.hv, w.vm.uuid, e);
	w.at = clock_now();
	ok = ok && work_transaction(&w, write_paused, e);
	work_done(&w);
	return ok;
}

bool
job_vm_resume(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	enum hv_state state = HV_STOPPED;
	bool ok = work_find(&w, j, e) && work_connect(&w, e) && runs(&w, &state, e);

	if (ok && state != HV_RUNNING)
		ok = hv_resume(w.hv, w.vm.uuid, e);
	w.at = clock_now();
	ok = ok && work_transaction(&w, write_resumed, e);
	work_done(&w);
	return ok;
}

/* Of the same run: the counters of the guest's process go on. */
bool
job_vm_reset(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	enum hv_state state = HV_STOPPED;
	bool ok = work_find(&w, j, e) && work_connect(&w, e) && runs(&w, &state, e) &&
	    hv_reset(w.hv, w.vm.uuid, e);

	work_done(&w);
	return ok;
}

/* ---- size */

/* Linux takes new memory in sections of this size only. */
#define MEMORY_SECTION (INT64_C(128) << 20)

struct scale {
	struct work w;
	int64_t offering_id, vcpus, memory_bytes; /* wanted */
	int64_t now_vcpus, now_memory;            /* what the guest has, after trying */
	bool running;
};

static bool
write_scaled(struct db *db, void *context, struct err *e)
{
	struct scale *s = context;
	struct vm *v = &s->w.vm;
	char id[24];
	char account[24];
	bool later = s->now_vcpus != s->vcpus || s->now_memory != s->memory_bytes;
	char vcpus[24];
	char memory[24];

	(void)db_number(v->account_id, account);
	(void)db_number(v->id, id);
	(void)db_number(s->vcpus, vcpus);
	(void)db_number(s->memory_bytes, memory);
	/* The interval says what the guest has, and of which offering that is. */
	v->offering_id = s->offering_id;
	return db_run(db, STMT_VM_SIZE_NEXT,
		   DB_ARGS(account, id, later ? vcpus : NULL, later ? memory : NULL,
		       DB_NUMBER(s->offering_id)),
		   NULL, e) &&
	    vm_resized(db, v, s->now_vcpus, s->now_memory, s->w.at, e);
}

/* As much as the running guest takes; the rest waits for its next start. */
static bool
scale_live(struct scale *s, struct err *e)
{
	struct work *w = &s->w;
	struct hv_domain d = { .name = NULL };
	struct err why = ERR_INIT;
	int64_t more;

	if (!work_domain(w, &d, e))
		return false;
	s->now_vcpus = d.vcpus;
	s->now_memory = (int64_t)d.memory_bytes;
	hv_domain_done(&d);
	if (s->vcpus > s->now_vcpus) {
		job_step(w->job, "adding virtual CPUs");
		if (hv_vcpus_set(w->hv, w->vm.uuid, s->vcpus, &why))
			s->now_vcpus = s->vcpus;
		else
			log_info("vm %s: %s: at its next start", w->vm.uuid, why.text);
	}
	more = s->memory_bytes - s->now_memory;
	if (more > 0 && more % MEMORY_SECTION == 0) {
		scoped_free char *xml = memory_xml(more);
		job_step(w->job, "adding memory");
		err_clear(&why);
		if (hv_attach(w->hv, w->vm.uuid, xml, &why))
			s->now_memory = s->memory_bytes;
		else
			log_info("vm %s: %s: at its next start", w->vm.uuid, why.text);
	}
	return true;
}

static bool
offering_read(struct scale *s, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = job_text(s->w.job, "serviceofferingid");

	if (!db_query(s->w.job->db, STMT_OFFERING_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "no service offering %.36s",
		    uuid != NULL ? uuid : "");
	s->offering_id = rows_i64(r, 0, 0);
	s->vcpus = rows_i64(r, 0, 1);
	s->memory_bytes = rows_i64(r, 0, 2);
	return true;
}

static bool
scale_all(struct scale *s, struct err *e)
{
	struct work *w = &s->w;
	struct hv_domain d = { .name = NULL };
	bool ready = true;

	if (w->vm.adopted)
		return err_set(e, ERR_DENIED, "%s was adopted: its size is its owner's",
		    w->vm.name);
	if (!offering_read(s, e) || !work_connect(w, e) || !work_domain(w, &d, e))
		return false;
	s->running = d.state != HV_STOPPED;
	hv_domain_done(&d);
	s->now_vcpus = s->vcpus;
	s->now_memory = s->memory_bytes;
	if (s->running && !scale_live(s, e))
		return false;
	w->at = clock_now();
	if (!job_transaction(w->job, write_scaled, s, e) || !work_reload(w, e))
		return false;
	return s->running || define_vm(w, &ready, e);
}

bool
job_vm_scale(struct job *j, struct err *e)
{
	struct scale s = { .w = { .job = j } };
	struct err ignored = ERR_INIT;
	bool found = work_find(&s.w, j, e);
	bool ok = found && scale_all(&s, e);

	/* What was wished for counted against its owner's limits. */
	if (found && !ok && !j->overtaken && !job_may_retry(j, e) &&
	    !db_run(j->db, STMT_VM_SIZE_TAKEN,
		DB_ARGS(DB_NUMBER(s.w.vm.account_id), DB_NUMBER(s.w.vm.id)), NULL,
		&ignored))
		log_warning("vm %s: %s", s.w.vm.uuid, ignored.text);
	work_done(&s.w);
	return ok;
}

/* ---- the drive */

static bool
iso_find(struct job *j, int64_t *id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = job_text(j,
	    strcmp(j->command, "attachIso") == 0 ? "id" : "isoid");

	if (uuid == NULL)
		return err_set(e, ERR_INPUT, "%s: the image's id is missing", j->command);
	if (!db_query(j->db, STMT_ISO_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "no ISO image %.36s", uuid);
	*id = rows_i64(r, 0, 0);
	return true;
}

struct drive {
	struct work w;
	int64_t iso_id; /* 0: empty */
};

static bool
write_drive(struct db *db, void *context, struct err *e)
{
	struct drive *d = context;

	return db_run(db, STMT_VM_ISO,
	    DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id),
		d->iso_id != 0 ? DB_NUMBER(d->iso_id) : NULL),
	    NULL, e);
}

static bool
drive_change(struct drive *d, struct err *e)
{
	struct work *w = &d->w;
	struct image iso = { .path = NULL };
	struct want_disk disk;
	bool stopped = false;
	bool ready = true;
	bool ok;

	if (d->iso_id != 0 &&
	    !image_ready(w->job, w->hv, w->vm.host_id, d->iso_id, &iso, &ready, e))
		return false;
	if (!ready)
		return true;
	ok = work_stopped(w, &stopped, e);
	define_drive(&disk, w, iso.path);
	scoped_free char *xml = disk_xml(&disk);
	ok = ok && (stopped || hv_device_update(w->hv, w->vm.uuid, xml, e)) &&
	    job_transaction(w->job, write_drive, d, e);
	image_done(&iso);
	return ok && work_reload(w, e) && (w->vm.adopted || define_vm(w, &ready, e));
}

bool
job_iso_attach(struct job *j, struct err *e)
{
	struct drive d = { .w = { .job = j } };
	bool ok = work_find(&d.w, j, e) && iso_find(j, &d.iso_id, e) &&
	    work_connect(&d.w, e) && drive_change(&d, e);

	work_done(&d.w);
	return ok;
}

bool
job_iso_detach(struct job *j, struct err *e)
{
	struct drive d = { .w = { .job = j } };
	bool ok = work_find(&d.w, j, e) && work_connect(&d.w, e) && drive_change(&d, e);

	work_done(&d.w);
	return ok;
}

/* ---- console */

enum { CONSOLE_MOST = 65536, CONSOLE_USUAL = 16384 };

static bool
text_take(void *context, const char *bytes, size_t count)
{
	struct buf *b = context;

	buf_add(b, bytes, count);
	return true;
}

static bool
console_read(struct work *w, struct buf *text, struct err *e)
{
	const char *wish = job_text(w->job, "length");
	int64_t most = wish != NULL ? strtoll(wish, NULL, 10) : CONSOLE_USUAL;
	scoped_free char *file = mem_printf("%s.log", w->vm.uuid);
	struct hv_volume log = { .path = NULL };
	struct err why = ERR_INIT;

	if (most < 1 || most > CONSOLE_MOST)
		most = CONSOLE_USUAL;
	if (!pool_console(w->job, w->hv, e))
		return false;
	if (!hv_volume_get(w->hv, POOL_CONSOLE, file, &log, &why)) {
		if (why.kind == ERR_NOT_FOUND)
			return true; /* it never ran */
		*e = why;
		return false;
	}
	free(log.path);
	if (log.capacity_bytes == 0)
		return true;
	most = (int64_t)log.capacity_bytes < most ? (int64_t)log.capacity_bytes : most;
	return hv_volume_read(w->hv, POOL_CONSOLE, file,
	    log.capacity_bytes - (uint64_t)most, (uint64_t)most, text_take, text, e);
}

/* Changes nothing, so its object is a number of its own and no other job waits for it. */
bool
job_console_log(struct job *j, struct err *e)
{
	struct work w = { .job = j };
	scoped(buf_done) struct buf text = BUF_INIT;
	scoped(buf_done) struct buf result = BUF_INIT;
	const char *uuid = job_text(j, "id");
	bool ok = uuid != NULL
	    ? work_find_uuid(&w, j, uuid, e)
	    : err_set(e, ERR_INPUT, "getConsoleLog: the id is missing");

	ok = ok && work_connect(&w, e) && console_read(&w, &text, e);
	if (ok) {
		struct jout out = JOUT_INIT(&result);
		/* A guest may write NULs, which no JSON of PostgreSQL takes. */
		for (size_t i = 0; i < text.length; i++)
			if (text.data[i] == '\0')
				text.data[i] = ' ';
		jout_open(&out, NULL, '{');
		jout_string(&out, "log", buf_text(&text));
		jout_close(&out, '}');
		j->result = buf_take(&result);
	}
	work_done(&w);
	return ok;
}

/* ---- rescue */

static bool
write_rescue(struct db *db, void *context, struct err *e)
{
	struct drive *d = context;

	return db_run(db, STMT_VM_RESCUE,
	    DB_ARGS(DB_NUMBER(d->w.vm.account_id), DB_NUMBER(d->w.vm.id),
		d->iso_id != 0 ? DB_NUMBER(d->iso_id) : NULL),
	    NULL, e);
}

/* From another image, or from its own disk again: it stops, and starts so. */
static bool
rescue_turn(struct drive *d, struct err *e)
{
	struct work *w = &d->w;
	bool ended = job_noted(w->job, "stopped") != NULL;
	bool again = ended;

	if (w->vm.adopted)
		return err_set(e, ERR_DENIED,
		    "%s was adopted: how it boots is its owner's", w->vm.name);
	if (!work_connect(w, e) ||
	    (!ended && !work_stop_turn(w, job_true(w->job, "forced"), &ended, e)))
		return false;
	if (!ended)
		return true;
	w->reason = d->iso_id != 0 ? "rescue" : "rescued";
	if (!again &&
	    (!work_transaction(w, write_stopped, e) ||
		!job_transaction(w->job, write_rescue, d, e) ||
		!job_note(w->job, "stopped", "yes", e) || !work_reload(w, e)))
		return false;
	return work_start_anew(w, w->reason, e);
}

bool
job_vm_rescue(struct job *j, struct err *e)
{
	struct drive d = { .w = { .job = j } };
	bool ok = work_find(&d.w, j, e) && iso_find(j, &d.iso_id, e) &&
	    rescue_turn(&d, e);

	work_done(&d.w);
	return ok;
}

bool
job_vm_unrescue(struct job *j, struct err *e)
{
	struct drive d = { .w = { .job = j } };
	bool ok = work_find(&d.w, j, e);

	if (ok && work_column(&d.w, "rescue_id") == NULL &&
	    job_noted(j, "stopped") == NULL)
		ok = err_set(e, ERR_CONFLICT, "%s is in no rescue", d.w.vm.name);
	ok = ok && rescue_turn(&d, e);
	work_done(&d.w);
	return ok;
}
