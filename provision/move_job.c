/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job that takes a VM to another host.  Each turn looks at both hosts and goes on
 * from what is there, whoever was killed before: the guest runs where it was until it is
 * whole where it goes, and only then is it let run there.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/define.h"
#include "provision/image.h"
#include "provision/link.h"
#include "provision/move.h"
#include "provision/move_disk.h"
#include "provision/place.h"
#include "provision/pool.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS (100 * NS_PER_MS)
#define CLEAR_LOOK_NS (200 * NS_PER_MS)
/* A host that does not say what became of a guest that was on its way. */
#define UNDECIDED_MOST_NS (900 * NS_PER_S)
enum { SOCKET_PATH_MOST = 107 };

struct moving {
	struct work w;
	struct side from, to;
	bool stood; /* its owner had paused it */
	bool cold;  /* it was stopped */
	struct hv_domain here, there;
	bool is_here, is_there; /* as a definition at least */
	struct instant at;      /* from when on it counts as there */
	struct move_state end;  /* of a move that this process made */
	struct move_disks disks;
};

/* ---- where to */

static bool
side_find(struct job *j, struct side *s, int64_t id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (s->id == id)
		return true;
	if (!db_query(j->db, STMT_HOST_BY_ID, DB_ARGS(DB_NUMBER(id)), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_CONFLICT, "the host %lld is no more",
		    (long long)id);
	s->id = id;
	(void)snprintf(s->uuid, sizeof(s->uuid), "%s", rows_text(r, 0, 0));
	(void)snprintf(s->uri, sizeof(s->uri), "%s", rows_text(r, 0, 1));
	(void)snprintf(s->name, sizeof(s->name), "%s", rows_text(r, 0, 2));
	s->simulated = rows_bool(r, 0, 3);
	if (rows_text(r, 0, 6) != NULL)
		(void)snprintf(s->reach, sizeof(s->reach), "%s", rows_text(r, 0, 6));
	return true;
}

static bool
side_connect(struct side *s, struct err *e)
{
	return s->hv != NULL || link_take(&s->hv, s->uri, e) ||
	    err_wrap(e, "host %s", s->name);
}

static struct place_vm
place_of(const struct moving *m)
{
	const struct work *w = &m->w;
	struct place_vm p = { .account_id = w->vm.account_id,
		.vm_id = w->vm.id,
		.strategy = conf_text(w->job->conf, CONF_PROVISION_PLACEMENT),
		.moves = true,
		.want = { .memory_bytes = w->vm.memory_bytes,
		    .vcpus = w->vm.vcpus,
		    .avoid_host_id = w->vm.host_id } };

	(void)snprintf(p.want.tags, sizeof(p.want.tags), "%s",
	    work_column(w, "host_tags"));
	return p;
}

/* The host that was asked for, or 0. */
static bool
asked_host(struct moving *m, int64_t *id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = job_text(m->w.job, "hostid");

	*id = 0;
	if (uuid == NULL)
		return true;
	if (!db_query(m->w.job->db, STMT_HOST_BY_UUID, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_NOT_FOUND, "no host %.36s", uuid);
	*id = rows_i64(r, 0, 0);
	return *id != m->w.vm.host_id ||
	    err_set(e, ERR_INPUT, "%s is on that host already", m->w.vm.name);
}

static bool
host_may(struct moving *m, struct place_vm *p, struct err *e)
{
	const char *says = NULL;

	if (!side_find(m->w.job, &m->to, p->want.host_id, e) ||
	    !place_why_not(m->w.job->db, p, p->want.host_id, &says, e))
		return false;
	return says == NULL ||
	    err_set(e, ERR_CONFLICT,
		"%s cannot go to host %s, which is %s: choose another, see "
		"findHostsForMigration",
		m->w.vm.name, m->to.name, says);
}

/* Room there is held by a row from now on: whoever takes the job up finds it. */
static bool
target_choose(struct moving *m, struct err *e)
{
	struct place_vm p = place_of(m);
	int64_t id = 0;

	job_step(m->w.job, "choosing a host");
	if (!asked_host(m, &p.want.host_id, e) ||
	    (p.want.host_id != 0 && !host_may(m, &p, e)) ||
	    !place_choose(m->w.job->db, &p, &id, e))
		return false;
	return work_reload(&m->w, e);
}

static bool
moves_at_all(struct moving *m, struct err *e)
{
	struct work *w = &m->w;

	if (w->vm.adopted)
		return err_set(e, ERR_DENIED,
		    "%s was adopted, not made by Jeoul: move it with virsh migrate, it "
		    "is followed",
		    w->vm.name);
	if (w->vm.host_id == 0)
		return err_set(e, ERR_CONFLICT, "%s is on no host", w->vm.name);
	if (strcmp(w->vm.state, "Running") != 0 && strcmp(w->vm.state, "Paused") != 0 &&
	    strcmp(w->vm.state, "Stopped") != 0)
		return err_set(e, ERR_CONFLICT, "%s is %s", w->vm.name, w->vm.state);
	return work_no_snapshots(w, e);
}

/* Written down before anything is done; then both hosts are known. */
static bool
begin(struct moving *m, struct err *e)
{
	struct job *j = m->w.job;
	const char *from = job_noted(j, "from");
	const char *was = job_noted(j, "was");
	int64_t from_id = from != NULL ? strtoll(from, NULL, 10) : m->w.vm.host_id;
	int64_t to_id;

	if (from == NULL) {
		if (!moves_at_all(m, e) || !job_note(j, "was", m->w.vm.state, e) ||
		    !job_note(j, "from", DB_NUMBER(from_id), e))
			return false;
		was = m->w.vm.state;
	}
	m->stood = strcmp(was, "Paused") == 0;
	m->cold = strcmp(was, "Stopped") == 0;
	if (m->w.vm.host_id == from_id && work_column_i64(&m->w, "move_host_id") == 0 &&
	    !target_choose(m, e))
		return false;
	to_id = m->w.vm.host_id != from_id ? m->w.vm.host_id
					   : work_column_i64(&m->w, "move_host_id");
	return side_find(j, &m->from, from_id, e) && side_find(j, &m->to, to_id, e) &&
	    side_connect(&m->from, e) && side_connect(&m->to, e);
}

/* ---- looking */

static bool
side_look(const struct side *s, const char *uuid, bool *there, struct hv_domain *d,
    struct err *e)
{
	struct err why = ERR_INIT;

	hv_domain_done(d);
	*there = hv_domain_get(s->hv, uuid, d, &why);
	if (*there || why.kind == ERR_NOT_FOUND)
		return true;
	*e = why;
	return false;
}

static bool
both_look(struct moving *m, struct err *e)
{
	return side_look(&m->from, m->w.vm.uuid, &m->is_here, &m->here, e) &&
	    side_look(&m->to, m->w.vm.uuid, &m->is_there, &m->there, e);
}

static bool
active(bool is, const struct hv_domain *d)
{
	return is && d->id >= 0;
}

/* ---- written down */

static bool
running_turn(struct db *db, struct moving *m, struct err *e)
{
	struct vm *v = &m->w.vm;
	char epoch[96];

	(void)snprintf(epoch, sizeof(epoch), "%s/%lld", m->to.uuid,
	    (long long)m->there.id);
	return vm_running_close(db, v, m->at, "migrated", e) &&
	    vm_running_open(db, v, m->at, "migrated", e) &&
	    vm_state_set(db, v, m->there.state == HV_RUNNING ? "Running" : "Paused",
		m->at, epoch, NULL, e);
}

/* One run on two hosts, with no moment between them. */
static bool
write_moved(struct db *db, void *context, struct err *e)
{
	struct moving *m = context;
	struct vm *v = &m->w.vm;
	char account[24];
	char id[24];

	(void)db_number(v->account_id, account);
	(void)db_number(v->id, id);
	v->host_id = m->to.id;
	v->simulated = m->to.simulated;
	return db_run(db, STMT_VM_MOVE_RELEASE, DB_ARGS(account, id), NULL, e) &&
	    db_run(db, STMT_VM_PLACE, DB_ARGS(account, id, DB_NUMBER(m->to.id)), NULL,
		e) &&
	    move_disks_write(db, &m->w, &m->disks, m->at, e) &&
	    (m->cold || running_turn(db, m, e));
}

static bool
write_stays(struct db *db, void *context, struct err *e)
{
	const struct moving *m = context;

	return db_run(db, STMT_VM_MOVE_RELEASE,
	    DB_ARGS(DB_NUMBER(m->w.vm.account_id), DB_NUMBER(m->w.vm.id)), NULL, e);
}

static void
moved_tell(struct moving *m)
{
	const struct move_state *s = &m->end;
	char how[600] = "";

	if (s->moved && s->stood)
		(void)snprintf(how, sizeof(how),
		    ": it stood still for %lld ms (%lld for its last sample, %lld for "
		    "the "
		    "rest of its memory and the end of its old process); %s%s",
		    (long long)((s->resumed.ns - s->paused.ns) / NS_PER_MS),
		    (long long)((s->released.ns - s->paused.ns) / NS_PER_MS),
		    (long long)((s->carried.ns - s->released.ns) / NS_PER_MS),
		    s->missing[0] == '\0' ? "all that it did is metered"
					  : "not metered, at most: ",
		    s->missing);
	else if (s->moved && s->missing[0] != '\0')
		(void)snprintf(how, sizeof(how),
		    ": it was there before its counters stood still; not metered, at "
		    "most: %s",
		    s->missing);
	event_note(m->w.job->db, m->w.vm.account_id, "VM.MIGRATE", m->w.vm.uuid,
	    "it is on host %s now, was on host %s%s", m->to.name, m->from.name, how);
}

static bool
gone_from(const struct side *s, const char *uuid, struct err *e)
{
	struct err why = ERR_INIT;

	if (hv_undefine(s->hv, uuid, &why) || why.kind == ERR_NOT_FOUND)
		return true;
	*e = why;
	return false;
}

/* The rows say that it is there: nothing of it stays here. */
static bool
tidy(struct moving *m, struct err *e)
{
	struct work *w = &m->w;
	bool ready = true;

	job_step(w->job, "tidying up");
	if (!work_reload(w, e))
		return false;
	if (m->cold) {
		link_give(w->hv);
		w->hv = NULL;
		if (!work_connect(w, e) || !define_vm(w, &ready, e))
			return false;
		if (!ready)
			return true;
	}
	return gone_from(&m->from, w->vm.uuid, e) &&
	    move_disks_tidy(w->job, &m->from, &m->to, e);
}

/* It runs there, or will at its next start. */
static bool
arrived(struct moving *m, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (!m->cold && !m->stood && m->there.state == HV_PAUSED) {
		if (!hv_resume(m->to.hv, m->w.vm.uuid, e))
			return false;
		m->there.state = HV_RUNNING;
	}
	if ((m->disks.rows == NULL &&
		!move_disks_plan(&m->disks, &m->w, &m->from, &m->to, e)) ||
	    !move_disks_there(&m->disks, &m->to, e))
		return false;
	if (m->at.ns == 0)
		m->at = clock_now();
	if (!job_transaction(m->w.job, write_moved, m, e))
		return false;
	moved_tell(m);
	move_forget(m->w.vm.uuid);
	/* The collector reads at once whom it belongs to now. */
	if (!db_run(m->w.job->db, STMT_NOTIFY, DB_ARGS("jeoul_sample", m->w.vm.uuid),
		NULL, &ignored))
		log_debug("%s", ignored.text);
	return tidy(m, e);
}

/* ---- live */

/* Two processes of one machine must not share a socket; on two machines it is no harm. */
static const char *
control_path(const struct moving *m, char out[STATE_PATH_MAX])
{
	char name[80];

	(void)snprintf(name, sizeof(name), "console/%.8s-%.8s.ctl", m->w.vm.uuid,
	    m->to.uuid);
	(void)state_path(m->w.job->conf, out, name);
	return strlen(out) < SOCKET_PATH_MOST ? out : NULL;
}

static char *
moved_xml(struct moving *m, bool inactive, struct err *e)
{
	const struct move_disks *disks = &m->disks;
	struct domain_move change = { .control_path = NULL };
	char control[STATE_PATH_MAX];
	char *xml = NULL;
	char *moved = NULL;

	change.control_path = control_path(m, control);
	for (size_t i = 0; i < disks->count; i++)
		if (disks->list[i].copied && change.disk_count < XML_DISKS_MOST) {
			change.disks[change.disk_count].target = disks->list[i].target;
			change.disks[change.disk_count++].path = disks->list[i].path;
		}
	if (hv_move_xml(m->from.hv, m->w.vm.uuid, inactive, &xml, e))
		moved = domain_moved(xml, &change, e);
	free(xml);
	return moved;
}

/* "unix:///folder" is for hosts of one machine; else libvirt chooses a port. */
static char *
reach(const struct moving *m, const char *what)
{
	if (m->to.reach[0] == '\0')
		return NULL;
	if (strncmp(m->to.reach, "unix:", 5) != 0)
		return strcmp(what, "vm") == 0 ? mem_strdup(m->to.reach) : NULL;
	return mem_printf("%s/%.8s-%.8s.%s", m->to.reach, m->w.vm.uuid, m->to.uuid, what);
}

static bool
fly(struct moving *m, struct err *e)
{
	struct job *j = m->w.job;
	const struct move_disks *disks = &m->disks;
	const char *copied[XML_DISKS_MOST];
	scoped_free char *uri = reach(m, "vm");
	scoped_free char *disks_uri = reach(m, "disks");
	scoped_free char *xml = moved_xml(m, false, e);
	scoped_free char *later = xml != NULL ? moved_xml(m, true, e) : NULL;
	struct move_want want = { .uuid = m->w.vm.uuid,
		.account_id = m->w.vm.account_id,
		.vm_id = m->w.vm.id,
		.from_uri = m->from.uri,
		.to_uri = m->to.uri,
		.stands = m->stood,
		.how = { .uri = uri,
		    .disks_uri = disks_uri,
		    .xml = xml,
		    .persistent_xml = later,
		    .disks = copied } };
	char now[CLOCK_TEXT_MAX];

	for (size_t i = 0; i < disks->count && i < XML_DISKS_MOST; i++)
		if (disks->list[i].copied)
			copied[want.how.disk_count++] = disks->list[i].target;
	if (later == NULL || !job_note(j, "begun", instant_text(clock_now(), now), e) ||
	    !move_begin(j->conf, &want, e))
		return false;
	return job_again(j, "moving", LOOK_NS);
}

static bool
networks_there(struct moving *m, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const struct vm *v = &m->w.vm;

	if (!db_query(m->w.job->db, STMT_VM_NICS,
		DB_ARGS(DB_NUMBER(v->account_id), DB_NUMBER(v->id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++) {
		const char *network = rows_text(r, i, 3);
		if (network != NULL && !hv_network_active(m->to.hv, network))
			return err_set(e, ERR_CONFLICT,
			    "%s has a card on the network %s, which is not active on "
			    "host %s: define and start it there (virsh net-start)",
			    v->name, network, m->to.name);
	}
	return true;
}

static bool
drive_there(struct moving *m, bool *ready, struct err *e)
{
	int64_t id = work_column_i64(&m->w, "rescue_id");
	struct image iso = { .path = NULL };
	bool ok;

	*ready = true;
	if (id == 0)
		id = work_column_i64(&m->w, "iso_id");
	if (id == 0 || m->disks.own_shared)
		return true;
	ok = image_ready(m->w.job, m->to.hv, m->to.id, id, &iso, ready, e);
	image_done(&iso);
	return ok;
}

/* All that it needs there; then it goes. */
static bool
leave(struct moving *m, struct err *e)
{
	bool ready = true;

	if (!networks_there(m, e) ||
	    !move_disks_plan(&m->disks, &m->w, &m->from, &m->to, e) ||
	    !drive_there(m, &ready, e))
		return false;
	if (!ready)
		return true;
	if (!pool_console(m->w.job, m->to.hv, e) ||
	    !move_disks_make(&m->disks, &m->w, &m->from, &m->to, m->cold, e))
		return false;
	return m->cold ? arrived(m, e) : fly(m, e);
}

/* ---- what is there decides */

/* Half a move that nobody carries on any more: taken back, then looked at again. */
static bool
take_back(struct moving *m, struct err *e)
{
	struct err ignored = ERR_INIT;

	(void)!hv_job_abort(m->from.hv, m->w.vm.uuid, &ignored);
	err_clear(&ignored);
	if (active(m->is_there, &m->there) && m->there.arriving)
		(void)!hv_destroy(m->to.hv, m->w.vm.uuid, &ignored);
	(void)e;
	return job_again(m->w.job, "taking back what was half done", CLEAR_LOOK_NS);
}

/* Two that stand still are the same guest: the one that is whole there is kept.  One that
 * runs was let run by us, or by libvirt after the other was given up. */
static bool
one_of_two(struct moving *m, struct err *e)
{
	bool here_runs = m->here.state == HV_RUNNING;
	bool there_runs = m->there.state == HV_RUNNING;

	if (here_runs && there_runs)
		return err_set(e, ERR_INTERNAL,
		    "%s runs on the hosts %s and %s: stop one of them with virsh "
		    "destroy, "
		    "its disks may be damaged",
		    m->w.vm.name, m->from.name, m->to.name);
	if (here_runs)
		return hv_destroy(m->to.hv, m->w.vm.uuid, e) &&
		    job_again(m->w.job, "taking back what was half done", CLEAR_LOOK_NS);
	return hv_destroy(m->from.hv, m->w.vm.uuid, e) && arrived(m, e);
}

static bool
decide(struct moving *m, struct err *e)
{
	struct hv_move_look l = { .moving = false };
	bool here;
	bool there;

	if (!both_look(m, e))
		return false;
	here = active(m->is_here, &m->here);
	there = active(m->is_there, &m->there);
	if (here && !hv_move_look(m->from.hv, m->w.vm.uuid, &l, e))
		return false;
	if (l.moving || (there && m->there.arriving))
		return take_back(m, e);
	if (there)
		return here ? one_of_two(m, e) : arrived(m, e);
	if (m->cold)
		return !here
		    ? leave(m, e)
		    : err_set(e, ERR_CONFLICT, "%s was started meanwhile", m->w.vm.name);
	if (!here)
		return err_set(e, ERR_CONFLICT, "%s stopped before it was moved",
		    m->w.vm.name);
	if (m->here.state == HV_PAUSED && !m->stood &&
	    !hv_resume(m->from.hv, m->w.vm.uuid, e))
		return false;
	return leave(m, e);
}

/* What our own threads say of it. */
static bool
carried(struct moving *m, bool *over, struct err *e)
{
	char step[64];

	move_look(m->w.vm.uuid, &m->end);
	*over = !m->end.known || m->end.ended;
	if (!*over) {
		(void)snprintf(step, sizeof(step), "moving: %u %%", m->end.percent);
		job_step(m->w.job, step);
		return job_again(m->w.job, "moving", LOOK_NS);
	}
	if (m->end.known && !m->end.moved) {
		*e = m->end.why;
		move_forget(m->w.vm.uuid);
		return false;
	}
	if (m->end.known)
		m->at = m->end.resumed;
	return true;
}

static bool
turn(struct moving *m, struct err *e)
{
	bool over = true;

	if (!begin(m, e) || !carried(m, &over, e))
		return false;
	if (!over)
		return true;
	return m->w.vm.host_id == m->to.id ? tidy(m, e) : decide(m, e);
}

/* Both hosts must have told what became of it before anything may be given up. */
static bool
undecided(struct moving *m, const struct err *why)
{
	struct job *j = m->w.job;
	struct instant begun;

	if (j->overtaken || (why->kind != ERR_GONE && why->kind != ERR_AGAIN) ||
	    strncmp(why->text, "database", 8) == 0 || !job_noted_at(j, "begun", &begun) ||
	    clock_now().ns - begun.ns > UNDECIDED_MOST_NS)
		return false;
	log_info("job %s (%s): %s: trying again", j->uuid, j->command, why->text);
	return job_again(j, "waiting for what became of it", CLEAR_LOOK_NS);
}

/* It stays where it is. */
static void
give_up(struct moving *m)
{
	struct err ignored = ERR_INIT;
	const char *uuid = m->w.vm.uuid;

	if (m->from.id == 0 || m->w.vm.host_id != m->from.id) {
		if (!job_transaction(m->w.job, write_stays, m, &ignored))
			log_warning("vm %s: %s", uuid, ignored.text);
		return;
	}
	if (m->from.hv != NULL && m->to.hv != NULL && both_look(m, &ignored)) {
		if (m->is_there && m->there.id < 0)
			(void)gone_from(&m->to, uuid, &ignored);
		if (active(m->is_here, &m->here) && m->here.state == HV_PAUSED &&
		    !m->stood && !m->cold)
			(void)!hv_resume(m->from.hv, uuid, &ignored);
	}
	err_clear(&ignored);
	if (!job_transaction(m->w.job, write_stays, m, &ignored) ||
	    !move_disks_tidy(m->w.job, &m->from, &m->to, &ignored))
		log_warning("vm %s: %s: tidied up later", uuid, ignored.text);
}

bool
job_vm_migrate(struct job *j, struct err *e)
{
	struct moving m = { .w = { .job = j } };
	bool found = work_find(&m.w, j, e);
	bool ok = found && turn(&m, e);

	if (found && !ok && undecided(&m, e)) {
		err_clear(e);
		ok = true;
	}
	if (found && !ok && !j->overtaken && !job_may_retry(j, e) &&
	    strncmp(e->text, "database", 8) != 0)
		give_up(&m);
	move_disks_done(&m.disks);
	hv_domain_done(&m.here);
	hv_domain_done(&m.there);
	link_give(m.from.hv);
	link_give(m.to.hv);
	work_done(&m.w);
	return ok;
}
