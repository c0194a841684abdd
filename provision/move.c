/* SPDX-License-Identifier: Apache-2.0 */
/* move: a running guest on its way to another host, so that its last byte is counted */
#include "provision/move.h"
#include "base/db.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision/link.h"
#include "provision_stmt.gen.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STACK = 256 * 1024 };
/* A guest of this size is stopped in the first pass over its memory: what it changed
 * meanwhile is copied as fast as the rest. */
#define SMALL_BYTES (UINT64_C(128) << 20)
#define LANDING_NS (NS_PER_S / 5) /* what is left is not over sooner */
#define NEAR_NS (2 * NS_PER_S)
#define LOOK_NEAR_NS (20 * NS_PER_MS)
#define LOOK_FAR_NS (100 * NS_PER_MS)
#define SAMPLE_NS (2 * NS_PER_S) /* as before every end of a run */
#define SAMPLE_LOOK_NS (10 * NS_PER_MS)
/* What was released must be over after this, or is cancelled. */
#define AFTER_NS (120 * NS_PER_S)
#define CANCEL_EVERY_NS (5 * NS_PER_S)
#define INSIST_NS (10 * NS_PER_S)
#define INSIST_EVERY_NS (50 * NS_PER_MS)

/* ---- when what is done */

static uint64_t
in_time(uint64_t bytes_s, int64_t ns)
{
	return bytes_s / 1000 * (uint64_t)(ns / NS_PER_MS);
}

static enum move_deed
speed_set(struct move_flight *f, uint64_t mib, uint64_t *mib_s)
{
	uint64_t apart = mib > f->speed ? mib - f->speed : f->speed - mib;

	if (f->speed_known &&
	    (mib == f->speed || (mib != 0 && f->speed != 0 && apart <= f->speed / 5)))
		return MOVE_WAIT;
	f->speed = mib;
	f->speed_known = true;
	*mib_s = mib;
	return MOVE_SPEED;
}

enum move_deed
move_decide(struct move_flight *f, const struct hv_move_look *l, uint64_t *mib_s)
{
	bool small = l->memory_total <= SMALL_BYTES;
	uint64_t fits;
	uint64_t mib = l->memory_left * (uint64_t)(NS_PER_S / LANDING_NS) >> 20;

	if (l->bytes_s > f->best)
		f->best = l->bytes_s;
	fits = in_time(f->best, f->pause_ns);
	/* Its disks first, as fast as they can; the memory that follows must wait. */
	if (l->memory_total == 0)
		return l->disk_total > 0 ? speed_set(f, 1, mib_s) : MOVE_WAIT;
	if (f->late || (l->pass > 1 && (l->memory_left <= fits || small)) ||
	    ((small || f->stands) &&
		(l->memory_left <= fits || l->memory_left <= l->memory_total / 4)))
		return MOVE_HOLD;
	/* Slower than it can be is only what is nearly over. */
	if (mib << 20 > 4 * f->best && f->best > 0 && mib > 64)
		return speed_set(f, 0, mib_s);
	return speed_set(f, mib > 0 ? mib : 1, mib_s);
}

/* ---- one move */

struct move {
	struct move *next;
	const struct conf *conf;
	char uuid[HV_UUID_MAX];
	int64_t account_id, vm_id;
	char *from_uri, *to_uri;
	char *uri, *disks_uri, *xml, *persistent_xml;
	char *disks[64];
	size_t disk_count;
	struct move_flight flight;
	struct hv *here, *there; /* the pilot's own */
	struct mono moved_on;    /* when its disks last did, or its memory began */
	uint64_t disk_left;
	bool memory_begun, patient, cancelled;
	/* Under the lock: */
	bool carried; /* the call is over, with or without success */
	bool arrived;
	struct move_state state;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct move *moves;

static void
move_free(struct move *m)
{
	for (size_t i = 0; i < m->disk_count; i++)
		free(m->disks[i]);
	free(m->from_uri);
	free(m->to_uri);
	free(m->uri);
	free(m->disks_uri);
	free(m->xml);
	free(m->persistent_xml);
	free(m);
}

static void
pause_ns(int64_t ns)
{
	const struct timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	(void)nanosleep(&t, NULL);
}

/* The call that lasts as long as the move. */
static void *
carry(void *context)
{
	struct move *m = context;
	struct hv_move how = { .uri = m->uri,
		.disks_uri = m->disks_uri,
		.xml = m->xml,
		.persistent_xml = m->persistent_xml,
		.disks = (const char *const *)m->disks,
		.disk_count = m->disk_count };
	struct hv *from = NULL;
	struct err e = ERR_INIT;
	bool ok = link_take(&from, m->from_uri, &e) &&
	    link_take(&how.to, m->to_uri, &e) && hv_move(from, m->uuid, &how, &e);

	link_give(from);
	link_give(how.to);
	(void)pthread_mutex_lock(&lock);
	m->carried = true;
	m->arrived = ok;
	m->state.carried = clock_now();
	m->state.why = e;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
	return NULL;
}

/* True: the call is over. */
static bool
carried_wait(struct move *m, int64_t ns)
{
	int64_t end = clock_now().ns + ns;
	const struct timespec until = { .tv_sec = end / NS_PER_S,
		.tv_nsec = end % NS_PER_S };
	bool over;

	(void)pthread_mutex_lock(&lock);
	while (!m->carried && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	over = m->carried;
	(void)pthread_mutex_unlock(&lock);
	return over;
}

typedef bool (*insisted)(struct hv *hv, const char *uuid, struct err *e);

/* What must be: its channel may be taken at this moment, its libvirtd be starting anew.
 */
static bool
insist(struct hv **hv, const char *uri, const char *uuid, insisted call)
{
	struct mono begun = clock_mono();
	struct err e = ERR_INIT;

	for (;;) {
		err_clear(&e);
		if (*hv != NULL && !hv_alive(*hv)) {
			hv_close(*hv);
			*hv = NULL;
		}
		if ((*hv != NULL || link_take(hv, uri, &e)) && call(*hv, uuid, &e))
			return true;
		if (clock_mono().ns - begun.ns > INSIST_NS ||
		    (e.kind != ERR_GONE && e.kind != ERR_AGAIN))
			break;
		pause_ns(INSIST_EVERY_NS);
	}
	log_warning("%s", e.text);
	return false;
}

static bool
released(struct hv *hv, const char *uuid, struct err *e)
{
	return hv_move_speed(hv, uuid, 0, e);
}

/* Paused here although its move has failed: it runs on. */
static bool
runs_on(struct hv *hv, const char *uuid, struct err *e)
{
	struct hv_domain d = { .name = NULL };

	if (!hv_domain_get(hv, uuid, &d, e))
		return false;
	hv_domain_done(&d);
	return d.state != HV_PAUSED || hv_resume(hv, uuid, e);
}

/* ---- its last sample */

/* Its counters stand still: what they are, and what the usage knows of them. */
static void
missing_tell(struct move *m, struct db *db)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct hv_counters c;
	struct err e = ERR_INIT;

	(void)snprintf(m->state.missing, sizeof(m->state.missing),
	    "what it did since its last sample");
	if (db == NULL || !hv_counters(m->here, m->uuid, &c, &e) ||
	    !db_query(db, STMT_VM_UNSAMPLED,
		DB_ARGS(DB_NUMBER(m->account_id), DB_NUMBER(m->vm_id),
		    DB_NUMBER(c.received), DB_NUMBER(c.sent), DB_NUMBER(c.disk_read),
		    DB_NUMBER(c.disk_written)),
		&r, &e) ||
	    rows_text(r, 0, 4) == NULL)
		return;
	(void)snprintf(m->state.missing, sizeof(m->state.missing),
	    "%s bytes received, %s sent, %s read and %s written, all of them since %s",
	    rows_text(r, 0, 0), rows_text(r, 0, 1), rows_text(r, 0, 2),
	    rows_text(r, 0, 3), rows_text(r, 0, 4));
}

/* Of a guest that stands still; no answer in time is one too. */
static bool
sampled(struct move *m, struct db *db)
{
	struct instant asked = clock_now();
	struct mono begun = clock_mono();
	bool told = false;

	while (db != NULL && clock_mono().ns - begun.ns < SAMPLE_NS) {
		scoped(rows_clear) struct rows *r = NULL;
		struct err e = ERR_INIT;
		if (!told)
			told = db_run(db, STMT_NOTIFY, DB_ARGS("jeoul_sample", m->uuid),
			    NULL, &e);
		else if (!db_query(db, STMT_VM_SAMPLED,
			     DB_ARGS(DB_NUMBER(m->account_id), DB_NUMBER(m->vm_id),
				 DB_INSTANT(asked)),
			     &r, &e))
			told = false; /* it was away: it is asked anew */
		else if (rows_bool(r, 0, 0))
			return true;
		pause_ns(SAMPLE_LOOK_NS);
	}
	return false;
}

/* ---- the pilot */

static bool
stop_still(struct move *m)
{
	struct err e = ERR_INIT;
	int64_t until = clock_mono().ns + NS_PER_S;

	while (!hv_suspend(m->here, m->uuid, &e)) {
		if (e.kind != ERR_AGAIN || clock_mono().ns > until)
			return false; /* it is tried again, or is over */
		err_clear(&e);
		pause_ns(LOOK_NEAR_NS / 4);
	}
	m->state.stood = true;
	m->state.paused = clock_now();
	return true;
}

/* Nothing goes over, the guest stands still, its counters are read; then the rest. */
static bool
land(struct move *m, struct db *db)
{
	struct err e = ERR_INIT;

	if (!hv_move_hold(m->here, m->uuid, &e))
		return false;
	if (!m->flight.stands && !stop_still(m)) {
		m->flight.speed_known = false;
		return false;
	}
	m->state.sampled = sampled(m, db);
	if (!m->state.sampled)
		missing_tell(m, db);
	m->state.released = clock_now();
	(void)insist(&m->here, m->from_uri, m->uuid, released);
	return true;
}

static void
percent_tell(struct move *m, const struct hv_move_look *l)
{
	uint64_t total = l->disk_total + l->memory_total;
	uint64_t left = l->disk_left + l->memory_left;

	(void)pthread_mutex_lock(&lock);
	if (total > 0 && left <= total)
		m->state.percent = (unsigned)((total - left) * 100 / total);
	(void)pthread_mutex_unlock(&lock);
}

static int64_t
look_again(const struct move *m, const struct hv_move_look *l)
{
	bool far = l->memory_total > SMALL_BYTES && m->flight.best > 0 &&
	    l->memory_left > in_time(m->flight.best, NEAR_NS);

	return far ? LOOK_FAR_NS : LOOK_NEAR_NS;
}

/* Disks may take long as long as they go on; memory that is copied for so long changes
 * too fast. */
static bool
is_late(struct move *m, const struct hv_move_look *l)
{
	bool memory = l->memory_total > 0;

	if (memory != m->memory_begun || (!memory && l->disk_left != m->disk_left))
		m->moved_on = clock_mono();
	m->memory_begun = memory;
	m->disk_left = l->disk_left;
	return clock_mono().ns - m->moved_on.ns >
	    conf_span_ns(m->conf, CONF_PROVISION_MOVE_MOST);
}

static void
cancel(struct move *m)
{
	struct err e = ERR_INIT;

	m->cancelled = true;
	if (!hv_job_abort(m->here, m->uuid, &e))
		log_debug("%s", e.text);
}

/* A look, and what follows from it.  True: it has landed or was given up. */
static bool
steer(struct move *m, struct db *db, int64_t *again_ns)
{
	struct hv_move_look l;
	struct err e = ERR_INIT;
	uint64_t mib = 0;
	bool late;

	*again_ns = LOOK_NEAR_NS;
	if (!hv_move_look(m->here, m->uuid, &l, &e) || !l.moving)
		return false;
	if (!m->patient)
		m->patient = hv_move_patient(m->here, m->uuid, &e);
	percent_tell(m, &l);
	late = is_late(m, &l);
	if (late &&
	    (l.memory_total == 0 ||
		strcmp(conf_text(m->conf, CONF_PROVISION_MOVE_LATE), "cancel") == 0)) {
		cancel(m);
		return true;
	}
	m->flight.late = late;
	switch (move_decide(&m->flight, &l, &mib)) {
	case MOVE_HOLD:
		return land(m, db);
	case MOVE_SPEED:
		if (!hv_move_speed(m->here, m->uuid, mib, &e))
			m->flight.speed_known = false;
		break;
	case MOVE_WAIT:
	default:
		break;
	}
	*again_ns = look_again(m, &l);
	return false;
}

/* The call is over: the guest runs where it is now. */
static void
ended(struct move *m, struct db *db)
{
	struct err e = ERR_INIT;

	if (m->arrived) {
		if (!m->flight.stands)
			(void)insist(&m->there, m->to_uri, m->uuid, hv_resume);
		if (!m->state.stood && !m->flight.stands)
			missing_tell(m, db);
	} else {
		if (!m->flight.stands)
			(void)insist(&m->here, m->from_uri, m->uuid, runs_on);
		/* For others who move it. */
		if (m->here != NULL && !hv_move_speed(m->here, m->uuid, 0, &e))
			log_debug("%s", e.text);
		if (m->cancelled)
			(void)err_set(&m->state.why, ERR_CONFLICT,
			    "its memory changes faster than it can be copied, or nothing "
			    "moved any more, for longer than provision.move_most: %.300s",
			    m->state.why.text);
	}
	m->state.resumed = clock_now();
}

static void
fly(struct move *m, struct db *db)
{
	int64_t again_ns = LOOK_NEAR_NS;
	bool landed = false;

	while (!landed && !carried_wait(m, again_ns))
		landed = steer(m, db, &again_ns);
	again_ns = m->cancelled ? CANCEL_EVERY_NS : AFTER_NS;
	while (!carried_wait(m, again_ns)) {
		cancel(m);
		again_ns = CANCEL_EVERY_NS;
	}
	ended(m, db);
}

static bool
thread_start(pthread_t *thread, void *(*run)(void *), struct move *m)
{
	pthread_attr_t attr;
	bool ok = pthread_attr_init(&attr) == 0 &&
	    pthread_attr_setstacksize(&attr, STACK) == 0 &&
	    pthread_create(thread, &attr, run, m) == 0;

	(void)pthread_attr_destroy(&attr);
	return ok;
}

static void *
pilot(void *context)
{
	struct move *m = context;
	struct err e = ERR_INIT;
	struct db *db = NULL;
	pthread_t carrier = 0;
	bool ok = link_take(&m->here, m->from_uri, &e) &&
	    link_take(&m->there, m->to_uri, &e) &&
	    hv_move_speed(m->here, m->uuid, m->disk_count > 0 ? 0 : 1, &e);
	struct err ignored = ERR_INIT;

	/* The database may be away: that costs its last sample, not its move. */
	if (ok && !db_open(m->conf, "provision", &provision_statements, &db, &ignored))
		log_debug("%s", ignored.text);
	ok = ok &&
	    (thread_start(&carrier, carry, m) ||
		err_set(&e, ERR_INTERNAL, "no thread can be started"));
	if (ok) {
		fly(m, db);
		(void)pthread_join(carrier, NULL);
	}
	db_close(db);
	link_give(m->here);
	link_give(m->there);
	(void)pthread_mutex_lock(&lock);
	if (!ok)
		m->state.why = e;
	m->state.moved = ok && m->arrived;
	m->state.ended = true;
	(void)pthread_mutex_unlock(&lock);
	return NULL;
}

/* ---- for the job */

static struct move *
move_find(const char *uuid)
{
	for (struct move *m = moves; m != NULL; m = m->next)
		if (strcmp(m->uuid, uuid) == 0)
			return m;
	return NULL;
}

static char *
copy(const char *text)
{
	return text != NULL ? mem_strdup(text) : NULL;
}

static struct move *
move_new(const struct conf *conf, const struct move_want *want)
{
	struct move *m = mem_alloc(sizeof(*m));

	m->conf = conf;
	(void)snprintf(m->uuid, sizeof(m->uuid), "%s", want->uuid);
	m->account_id = want->account_id;
	m->vm_id = want->vm_id;
	m->from_uri = mem_strdup(want->from_uri);
	m->to_uri = mem_strdup(want->to_uri);
	m->uri = copy(want->how.uri);
	m->disks_uri = copy(want->how.disks_uri);
	m->xml = copy(want->how.xml);
	m->persistent_xml = copy(want->how.persistent_xml);
	for (size_t i = 0; i < want->how.disk_count && i < 64; i++)
		m->disks[m->disk_count++] = mem_strdup(want->how.disks[i]);
	m->flight.stands = want->stands;
	m->flight.pause_ns = conf_span_ns(conf, CONF_PROVISION_MOVE_PAUSE);
	m->flight.speed = m->disk_count > 0 ? 0 : 1;
	m->flight.speed_known = true;
	m->moved_on = clock_mono();
	m->state.known = true;
	return m;
}

bool
move_begin(const struct conf *conf, const struct move_want *want, struct err *e)
{
	struct move *m = move_new(conf, want);
	pthread_t thread = 0;
	bool ok;

	(void)pthread_mutex_lock(&lock);
	ok = move_find(want->uuid) == NULL ||
	    err_set(e, ERR_CONFLICT, "%s is on its way already", want->uuid);
	ok = ok &&
	    (thread_start(&thread, pilot, m) ||
		err_set(e, ERR_INTERNAL, "no thread can be started"));
	if (ok) {
		m->next = moves;
		moves = m;
		(void)pthread_detach(thread);
	}
	(void)pthread_mutex_unlock(&lock);
	if (!ok)
		move_free(m);
	return ok;
}

void
move_look(const char *uuid, struct move_state *out)
{
	const struct move *m;

	memset(out, 0, sizeof(*out));
	(void)pthread_mutex_lock(&lock);
	m = move_find(uuid);
	if (m != NULL)
		*out = m->state;
	(void)pthread_mutex_unlock(&lock);
}

void
move_forget(const char *uuid)
{
	(void)pthread_mutex_lock(&lock);
	for (struct move **p = &moves; *p != NULL; p = &(*p)->next) {
		struct move *m = *p;
		if (strcmp(m->uuid, uuid) != 0 || !m->state.ended)
			continue;
		*p = m->next;
		move_free(m);
		break;
	}
	(void)pthread_mutex_unlock(&lock);
}
