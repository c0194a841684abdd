/* SPDX-License-Identifier: Apache-2.0 */
/* vm: a virtual machine's rows, and the lifetimes that change with them */
#include "provision/vm.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision_stmt.gen.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void
text_copy(char *out, size_t room, const struct rows *r, size_t row, size_t column)
{
	const char *text = rows_text(r, row, column);

	(void)snprintf(out, room, "%s", text != NULL ? text : "");
}

void
vm_from_row(struct vm *v, const struct rows *r, size_t row)
{
	memset(v, 0, sizeof(*v));
	v->account_id = rows_i64(r, row, 0);
	v->id = rows_i64(r, row, 1);
	text_copy(v->uuid, sizeof(v->uuid), r, row, 2);
	text_copy(v->name, sizeof(v->name), r, row, 3);
	text_copy(v->state, sizeof(v->state), r, row, 4);
	text_copy(v->desired, sizeof(v->desired), r, row, 5);
	v->adopted = rows_bool(r, row, 6);
	v->vcpus = rows_i64(r, row, 7);
	v->memory_bytes = rows_i64(r, row, 8);
	text_copy(v->epoch, sizeof(v->epoch), r, row, 9);
	v->busy = rows_bool(r, row, 10);
	v->offering_id = rows_i64(r, row, 11);
	v->template_id = rows_i64(r, row, 12);
	v->holds = rows_bool(r, row, 13);
}

/* 0 is "none": SQL's null. */
static const char *
id_or_null(int64_t id, char out[24])
{
	return id == 0 ? NULL : db_number(id, out);
}
#define ID_OR_NULL(id) id_or_null((id), (char[24]){ 0 })

static bool
vm_interval_open(struct db *db, const struct vm *v, const char *kind, struct instant at,
    const char *reason, struct err *e)
{
	return db_run(db, STMT_LIFETIME_OPEN,
	    DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), kind, DB_INSTANT(at),
		v->uuid, v->name, DB_NUMBER(v->id), ID_OR_NULL(v->host_id),
		ID_OR_NULL(v->offering_id), ID_OR_NULL(v->template_id),
		DB_NUMBER(v->vcpus), DB_NUMBER(v->memory_bytes), NULL, NULL, NULL,
		v->simulated ? "t" : "f", reason),
	    NULL, e);
}

bool
thing_close(struct db *db, int64_t account_id, int64_t id, const char *kind,
    struct instant at, const char *reason, struct err *e)
{
	return db_run(db, STMT_LIFETIME_CLOSE,
	    DB_ARGS(DB_NUMBER(account_id), DB_NUMBER(id), kind, DB_INSTANT(at), reason),
	    NULL, e);
}

bool
thing_open(struct db *db, const struct thing *t, const char *kind, struct instant at,
    const char *reason, struct err *e)
{
	return db_run(db, STMT_LIFETIME_OPEN,
	    DB_ARGS(DB_NUMBER(t->account_id), DB_NUMBER(t->id), kind, DB_INSTANT(at),
		t->uuid, t->name, ID_OR_NULL(t->vm_id), ID_OR_NULL(t->host_id), NULL,
		NULL, NULL, NULL, DB_NUMBER(t->size_bytes), NULL, NULL,
		t->simulated ? "t" : "f", reason),
	    NULL, e);
}

/* Free again: the interval that names its VM ends and one of its own begins. */
static bool
volume_loose(struct db *db, const struct vm *v, const struct rows *r, size_t i,
    struct instant at, struct err *e)
{
	const struct thing t = { .account_id = v->account_id,
		.id = rows_i64(r, i, 0),
		.uuid = rows_text(r, i, 1),
		.name = rows_text(r, i, 2),
		.size_bytes = rows_i64(r, i, 4),
		.simulated = v->simulated };

	return thing_close(db, t.account_id, t.id, "volume", at, "detached", e) &&
	    thing_open(db, &t, "volume", at, "detached", e) &&
	    db_run(db, STMT_VOLUME_FREE,
		DB_ARGS(DB_NUMBER(t.account_id), DB_NUMBER(t.id)), NULL, e);
}

bool
vm_hold(struct db *db, const struct vm *v, struct err *e)
{
	return db_run(db, STMT_VM_HOLD,
	    DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), DB_NUMBER(v->host_id),
		DB_NUMBER(v->vcpus), DB_NUMBER(v->memory_bytes), "t"),
	    NULL, e);
}

bool
vm_release(struct db *db, const struct vm *v, struct err *e)
{
	return db_run(db, STMT_VM_RELEASE,
	    DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id)), NULL, e);
}

bool
vm_running_open(struct db *db, const struct vm *v, struct instant at, const char *reason,
    struct err *e)
{
	return vm_interval_open(db, v, "running", at, reason, e) && vm_hold(db, v, e);
}

bool
vm_running_close(struct db *db, const struct vm *v, struct instant at, const char *reason,
    struct err *e)
{
	return thing_close(db, v->account_id, v->id, "running", at, reason, e);
}

bool
vm_allocated_open(struct db *db, const struct vm *v, struct instant at,
    const char *reason, struct err *e)
{
	return vm_interval_open(db, v, "allocated", at, reason, e);
}

bool
vm_resized(struct db *db, struct vm *v, int64_t vcpus, int64_t memory_bytes,
    struct instant at, struct err *e)
{
	uint64_t ran = 0;

	if (!db_run(db, STMT_LIFETIME_CLOSE,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), "running",
		    DB_INSTANT(at), "resized"),
		&ran, e) ||
	    !thing_close(db, v->account_id, v->id, "allocated", at, "resized", e))
		return false;
	v->vcpus = vcpus;
	v->memory_bytes = memory_bytes;
	return db_run(db, STMT_VM_SIZE,
		   DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), DB_NUMBER(vcpus),
		       DB_NUMBER(memory_bytes)),
		   NULL, e) &&
	    (!v->holds || vm_hold(db, v, e)) &&
	    vm_allocated_open(db, v, at, "resized", e) &&
	    (ran == 0 || vm_running_open(db, v, at, "resized", e));
}

/* Its own disks, and those that were still being made with it, end with it; a tenant's
 * data volumes come free. */
static bool
volumes_end(struct db *db, const struct vm *v, struct instant at, const char *reason,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_VOLUME_OF_VM,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		int64_t id = rows_i64(r, i, 0);
		if (strcmp(rows_text(r, i, 5), "data") == 0 &&
		    strcmp(rows_text(r, i, 7), "Creating") != 0) {
			if (!volume_loose(db, v, r, i, at, e))
				return false;
			continue;
		}
		if (!thing_close(db, v->account_id, id, "volume", at, reason, e) ||
		    !db_run(db, STMT_VOLUME_REMOVE,
			DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(id), DB_INSTANT(at)),
			NULL, e))
			return false;
	}
	return true;
}

bool
vm_ended(struct db *db, const struct vm *v, const char *state, struct instant at,
    struct instant running_until, bool expunged, const char *reason, struct err *e)
{
	return vm_running_close(db, v, running_until, reason, e) &&
	    vm_release(db, v, e) &&
	    thing_close(db, v->account_id, v->id, "allocated", at, reason, e) &&
	    volumes_end(db, v, at, reason, e) &&
	    db_run(db, STMT_NIC_REMOVE,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), DB_INSTANT(at)), NULL,
		e) &&
	    db_run(db, STMT_VM_REMOVE,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), state, DB_INSTANT(at),
		    expunged ? "t" : "f"),
		NULL, e);
}

bool
vm_state_set(struct db *db, const struct vm *v, const char *state, struct instant at,
    const char *epoch, const char *error, struct err *e)
{
	return db_run(db, STMT_VM_STATE,
	    DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id), state, DB_INSTANT(at),
		epoch, error),
	    NULL, e);
}

bool
vm_volume_add(struct db *db, const struct vm *v, const struct volume_want *w,
    struct instant at, const char *reason, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	char fresh[HV_UUID_MAX];
	struct thing t = { .account_id = v->account_id,
		.vm_id = v->id,
		.host_id = v->host_id,
		.uuid = w->uuid,
		.name = w->name,
		.size_bytes = w->size_bytes,
		.simulated = v->simulated };

	if (t.uuid == NULL) {
		uuid_make(fresh);
		t.uuid = fresh;
	}
	if (!db_query(db, STMT_VOLUME_INSERT,
		DB_ARGS(DB_NUMBER(v->account_id), t.uuid, DB_NUMBER(v->id), w->name,
		    w->target, w->kind, w->pool, w->path, w->format,
		    DB_NUMBER(w->size_bytes), DB_INSTANT(at), ID_OR_NULL(w->pool_id),
		    w->state != NULL ? w->state : "Ready", w->file),
		&r, e))
		return false;
	t.id = rows_i64(r, 0, 0);
	return w->size_bytes == 0 || w->state != NULL ||
	    thing_open(db, &t, "volume", at, reason, e);
}

bool
vm_volume_sized(struct db *db, const struct vm *v, int64_t volume_id,
    const struct volume_want *w, struct instant since, struct err *e)
{
	const struct thing t = { .account_id = v->account_id,
		.id = volume_id,
		.vm_id = v->id,
		.host_id = v->host_id,
		.uuid = w->uuid,
		.name = w->name,
		.size_bytes = w->size_bytes,
		.simulated = v->simulated };

	return db_run(db, STMT_VOLUME_SIZE,
		   DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(volume_id),
		       DB_NUMBER(w->size_bytes)),
		   NULL, e) &&
	    thing_open(db, &t, "volume", since, "adopted", e);
}

bool
vm_nic_add(struct db *db, const struct vm *v, const char *mac, const char *network,
    int64_t network_id, const char *tap, struct instant at, struct err *e)
{
	char uuid[HV_UUID_MAX];

	uuid_make(uuid);
	return db_run(db, STMT_NIC_INSERT,
	    DB_ARGS(DB_NUMBER(v->account_id), uuid, DB_NUMBER(v->id), mac, network,
		DB_INSTANT(at), tap, ID_OR_NULL(network_id)),
	    NULL, e);
}

bool
vm_last_proof(struct db *db, const struct vm *v, struct instant *at, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *text;

	if (!db_query(db, STMT_VM_LAST_PROOF,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id)), &r, e))
		return false;
	text = rows_text(r, 0, 0);
	if (text == NULL) {
		*at = clock_now();
		return true;
	}
	return instant_parse(at, text, e);
}

void
event_note(struct db *db, int64_t account_id, const char *kind, const char *uuid,
    const char *fmt, ...)
{
	char text[1024];
	struct err e = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info("%s %s: %s", kind, uuid != NULL ? uuid : "-", text);
	if (!db_run(db, STMT_EVENT_INSERT,
		DB_ARGS(ID_OR_NULL(account_id), kind, uuid, text), NULL, &e))
		log_warning("event %s: %s", kind, e.text);
}

void
uuid_make(char out[HV_UUID_MAX])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		log_warning("no random numbers from the kernel");
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, HV_UUID_MAX,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
	    b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
	    b[13], b[14], b[15]);
}
