/* SPDX-License-Identifier: Apache-2.0 */
/* host: the hosts that this program drives, and their turn to be looked at */
#include "provision/host.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "provision/domain_xml.h"
#include "provision/vm.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TAKE_WAIT_MS = 200 };

void
hosts_init(struct hosts *all, const struct conf *conf)
{
	memset(all, 0, sizeof(*all));
	all->conf = conf;
	if (pthread_mutex_init(&all->lock, NULL) != 0 ||
	    pthread_cond_init(&all->changed, NULL) != 0)
		abort();
}

static struct host *
host_by_id(struct hosts *all, int64_t id)
{
	for (struct host *h = all->first; h != NULL; h = h->next)
		if (h->id == id)
			return h;
	return NULL;
}

static void
host_from_row(struct hosts *all, const struct rows *r, size_t i)
{
	struct host *h = host_by_id(all, rows_i64(r, i, 0));

	if (h == NULL) {
		h = mem_alloc(sizeof(*h));
		h->id = rows_i64(r, i, 0);
		(void)snprintf(h->uuid, sizeof(h->uuid), "%s", rows_text(r, i, 1));
		(void)snprintf(h->name, sizeof(h->name), "%s", rows_text(r, i, 3));
		(void)snprintf(h->domain_type, sizeof(h->domain_type), "%.7s",
		    rows_text(r, i, 7));
		h->uri = mem_strdup(rows_text(r, i, 4));
		h->all = all;
		h->next = all->first;
		all->first = h;
	}
	h->account_id = rows_i64(r, i, 2);
	h->simulated = rows_bool(r, i, 5);
	h->listed = true;
}

static void
unlisted_drop(struct hosts *all)
{
	for (struct host **p = &all->first; *p != NULL;) {
		struct host *h = *p;
		if (h->listed || h->busy) {
			p = &h->next;
			continue;
		}
		*p = h->next;
		hv_close(h->hv);
		free(h->uri);
		free(h);
	}
}

bool
hosts_refresh(struct hosts *all, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_HOST_LIST, DB_NONE, &r, e))
		return false;
	(void)pthread_mutex_lock(&all->lock);
	for (struct host *h = all->first; h != NULL; h = h->next)
		h->listed = false;
	for (size_t i = 0; i < rows_count(r); i++)
		host_from_row(all, r, i);
	unlisted_drop(all);
	(void)pthread_mutex_unlock(&all->lock);
	return true;
}

static struct host *
due_host(const struct hosts *all)
{
	struct mono now = clock_mono();

	for (struct host *h = all->first; h != NULL; h = h->next)
		if (h->listed && !h->busy && h->due.ns <= now.ns)
			return h;
	return NULL;
}

struct host *
hosts_take(struct hosts *all)
{
	struct timespec until;
	struct host *h;

	if (clock_gettime(CLOCK_REALTIME, &until) != 0)
		abort();
	until.tv_nsec += TAKE_WAIT_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	(void)pthread_mutex_lock(&all->lock);
	h = due_host(all);
	if (h == NULL && pthread_cond_timedwait(&all->changed, &all->lock, &until) == 0)
		h = due_host(all);
	if (h != NULL)
		h->busy = true;
	(void)pthread_mutex_unlock(&all->lock);
	return h;
}

void
hosts_give_back(struct hosts *all, struct host *h, int64_t again_ns)
{
	(void)pthread_mutex_lock(&all->lock);
	h->busy = false;
	/* An event that came meanwhile has made it due already: that stays. */
	if (h->event_count == 0)
		h->due.ns = clock_mono().ns + again_ns;
	(void)pthread_mutex_unlock(&all->lock);
}

static struct seen_event *
left_find(struct host *h, const char *uuid)
{
	for (size_t i = 0; i < HOST_LEFT_MOST; i++)
		if (strcmp(h->left[i].uuid, uuid) == 0)
			return &h->left[i];
	return NULL;
}

static void
left_note(struct host *h, const char *uuid, struct instant at, enum hv_change change)
{
	struct seen_event *s = left_find(h, uuid);

	if (change == HV_STARTED && s != NULL)
		s->uuid[0] = '\0';
	if (change != HV_LEFT)
		return;
	if (s == NULL)
		s = &h->left[h->left_next++ % HOST_LEFT_MOST];
	(void)snprintf(s->uuid, sizeof(s->uuid), "%s", uuid);
	s->at = at;
}

bool
host_left(struct host *h, const char *uuid, struct instant *at)
{
	const struct seen_event *s;

	(void)pthread_mutex_lock(&h->all->lock);
	s = left_find(h, uuid);
	if (s != NULL)
		*at = s->at;
	(void)pthread_mutex_unlock(&h->all->lock);
	return s != NULL;
}

static void
event_came(void *context, const char *uuid, struct instant at, enum hv_change change)
{
	struct host *h = context;
	struct hosts *all = h->all;
	struct seen_event *s;

	(void)pthread_mutex_lock(&all->lock);
	s = &h->events[h->event_count < HOST_EVENTS_MOST ? h->event_count++
							 : HOST_EVENTS_MOST - 1];
	(void)snprintf(s->uuid, sizeof(s->uuid), "%s", uuid);
	s->at = at;
	left_note(h, uuid, at, change);
	h->due.ns = 0;
	(void)pthread_cond_broadcast(&all->changed);
	(void)pthread_mutex_unlock(&all->lock);
}

bool
host_event_take(struct host *h, const char *uuid, struct instant *at)
{
	bool found = false;
	size_t kept = 0;

	(void)pthread_mutex_lock(&h->all->lock);
	for (size_t i = 0; i < h->event_count; i++) {
		if (strcmp(h->events[i].uuid, uuid) != 0) {
			h->events[kept++] = h->events[i];
			continue;
		}
		*at = h->events[i].at;
		found = true;
	}
	h->event_count = kept;
	(void)pthread_mutex_unlock(&h->all->lock);
	return found;
}

/* After a look: what came before it has been seen, used or not. */
void
host_events_forget(struct host *h, struct instant until)
{
	size_t kept = 0;

	(void)pthread_mutex_lock(&h->all->lock);
	for (size_t i = 0; i < h->event_count; i++)
		if (h->events[i].at.ns > until.ns)
			h->events[kept++] = h->events[i];
	h->event_count = kept;
	(void)pthread_mutex_unlock(&h->all->lock);
}

struct topology_change {
	struct host *host;
	const struct hv_facts *facts;
	struct topology topology;
};

static bool
licence_open(struct db *db, int64_t id, int64_t account_id, const char *uuid,
    const char *name, const struct topology *t, bool simulated, struct instant at,
    const char *reason, struct err *e)
{
	return db_run(db, STMT_LIFETIME_OPEN,
	    DB_ARGS(DB_NUMBER(account_id), DB_NUMBER(id), "host", DB_INSTANT(at), uuid,
		name, NULL, DB_NUMBER(id), NULL, NULL, NULL, NULL, NULL,
		DB_NUMBER(t->sockets), DB_NUMBER(t->cores), simulated ? "t" : "f",
		reason),
	    NULL, e);
}

/* What it is like, from now on; nothing changes when it is what it was. */
static bool
history_turn(struct db *db, int64_t id, const struct hv_facts *f,
    const struct topology *t, struct err *e)
{
	return db_run(db, STMT_HOST_HISTORY_TURN,
		   DB_ARGS(DB_NUMBER(id), DB_INSTANT(clock_now()), DB_NUMBER(t->sockets),
		       DB_NUMBER(t->cores), DB_NUMBER(t->threads),
		       DB_NUMBER(t->numa_cells > 0 ? t->numa_cells : 1),
		       DB_NUMBER((int64_t)f->memory_bytes), t->cpu_model, f->type,
		       f->libvirt_version, f->hv_version, f->capabilities),
		   NULL, e) &&
	    db_run(db, STMT_HOST_ROOM, DB_ARGS(DB_NUMBER(id)), NULL, e);
}

/* Other sockets or cores than yesterday: the licence interval ends and a new one begins.
 */
static bool
topology_keep(struct db *db, void *context, struct err *e)
{
	struct topology_change *c = context;
	struct host *h = c->host;
	struct instant now = clock_now();
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_HOST_TOPOLOGY, DB_ARGS(DB_NUMBER(h->id)), &r, e))
		return false;
	if (rows_i64(r, 0, 0) != c->topology.sockets ||
	    rows_i64(r, 0, 1) != c->topology.cores) {
		if (!db_run(db, STMT_LIFETIME_CLOSE,
			DB_ARGS(DB_NUMBER(h->account_id), DB_NUMBER(h->id), "host",
			    DB_INSTANT(now), "sockets or cores changed"),
			NULL, e) ||
		    !licence_open(db, h->id, h->account_id, h->uuid, h->name,
			&c->topology, h->simulated, now, "sockets or cores changed", e))
			return false;
		log_warning("host %s: now %d sockets and %d cores", h->name,
		    c->topology.sockets, c->topology.cores);
	}
	return db_run(db, STMT_HOST_FACTS,
		   DB_ARGS(DB_NUMBER(h->id), c->facts->type, c->facts->libvirt_version,
		       c->facts->hv_version, DB_NUMBER(c->topology.sockets),
		       DB_NUMBER(c->topology.cores), DB_NUMBER(c->topology.threads),
		       DB_NUMBER((int64_t)c->facts->memory_bytes), c->facts->capabilities,
		       DB_NUMBER(c->topology.numa_cells > 0 ? c->topology.numa_cells : 1),
		       c->topology.cpu_model),
		   NULL, e) &&
	    history_turn(db, h->id, c->facts, &c->topology, e);
}

bool
host_connect(struct host *h, struct db *db, struct err *e)
{
	struct hv_facts facts;
	struct topology_change c = { .host = h, .facts = &facts };
	bool ok;

	if (h->hv == NULL && !hv_open(&h->hv, h->uri, event_came, h, e))
		return false;
	if (h->facts_known)
		return true;
	if (!hv_facts(h->hv, &facts, e))
		return false;
	ok = topology_read(&c.topology, facts.capabilities, e) &&
	    db_transaction(db, topology_keep, &c, e);
	hv_facts_done(&facts);
	h->facts_known = ok;
	return ok;
}

struct new_host {
	const char *uri, *name, *zone_uuid, *cluster_uuid, *tags, *domain_type;
	char *uuid;
	bool simulated;
	struct hv_facts facts;
	struct topology topology;
};

static bool
host_write(struct db *db, void *context, struct err *e)
{
	struct new_host *n = context;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_HOST_INSERT,
		DB_ARGS(n->uuid, n->name, n->uri, n->simulated ? "t" : "f", n->facts.type,
		    n->domain_type, n->facts.libvirt_version, n->facts.hv_version,
		    DB_NUMBER(n->topology.sockets), DB_NUMBER(n->topology.cores),
		    DB_NUMBER(n->topology.threads),
		    DB_NUMBER((int64_t)n->facts.memory_bytes), n->facts.capabilities,
		    n->zone_uuid,
		    DB_NUMBER(n->topology.numa_cells > 0 ? n->topology.numa_cells : 1),
		    n->topology.cpu_model, n->cluster_uuid, n->tags),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return err_set(e, ERR_INPUT,
		    "no cluster of that id in that zone: see jeoul cluster list");
	return history_turn(db, rows_i64(r, 0, 0), &n->facts, &n->topology, e) &&
	    licence_open(db, rows_i64(r, 0, 0), rows_i64(r, 0, 1), n->uuid, n->name,
		&n->topology, n->simulated, clock_now(), "added", e);
}

/* "kvm" only where a probe guest proved it (written by set-up); else TCG. */
static void
domain_type_of(const struct conf *conf, const char *type, char out[8])
{
	char path[STATE_PATH_MAX];
	FILE *f = fopen(state_path(conf, path, "libvirt/domain-type"), "re");

	(void)snprintf(out, 8, "%s", strcmp(type, "TEST") == 0 ? "test" : "qemu");
	if (f == NULL)
		return;
	if (strcmp(out, "qemu") == 0 && fgets(out, 8, f) != NULL)
		out[strcspn(out, "\n")] = '\0';
	(void)fclose(f);
	if (strcmp(out, "kvm") != 0 && strcmp(out, "test") != 0)
		(void)snprintf(out, 8, "qemu");
}

static bool
host_look(struct new_host *n, const struct conf *conf, struct err *e)
{
	static char type[8];
	struct hv *hv = NULL;
	bool ok;

	if (strstr(n->uri, "://") == NULL)
		return err_set(e, ERR_INPUT,
		    "\"%.200s\" is no libvirt URI: write it as "
		    "qemu:///system, qemu+ssh://user@host/system or "
		    "qemu+tls://host/system",
		    n->uri);
	if (!hv_open(&hv, n->uri, NULL, NULL, e)) {
		char why[ERR_TEXT_MAX];
		(void)snprintf(why, sizeof(why), "%.700s", e->text);
		return err_set(e, ERR_GONE,
		    "the host was not added: %s: check that libvirtd runs there "
		    "and that `virsh -c '%.200s' version` works as the user "
		    "jeoul-provision",
		    why, n->uri);
	}
	ok = hv_facts(hv, &n->facts, e);
	hv_close(hv);
	if (!ok)
		return false;
	n->simulated = strcmp(n->facts.type, "TEST") == 0;
	domain_type_of(conf, n->facts.type, type);
	n->domain_type = type;
	return topology_read(&n->topology, n->facts.capabilities, e);
}

bool
host_add(struct db *db, const struct conf *conf, const struct host_place *at,
    const char *uri, const char *name, char uuid[HV_UUID_MAX], struct err *e)
{
	struct new_host n = { .uri = uri,
		.name = name,
		.zone_uuid = at->zone_uuid,
		.cluster_uuid = at->cluster_uuid,
		.tags = at->tags,
		.uuid = uuid };
	scoped(rows_clear) struct rows *r = NULL;
	bool ok;

	if (!db_query(db, STMT_HOST_BY_URI, DB_ARGS(uri), &r, e))
		return false;
	if (rows_count(r) != 0)
		return err_set(e, ERR_CONFLICT, "the host %.200s is there already, as %s",
		    uri, rows_text(r, 0, 0));
	if (uuid[0] == '\0')
		uuid_make(uuid);
	ok = host_look(&n, conf, e) && db_transaction(db, host_write, &n, e);
	hv_facts_done(&n.facts);
	if (ok)
		event_note(db, 0, "HOST.ADD", uuid,
		    "host %s (%s): %d sockets, %d cores%s", name, uri, n.topology.sockets,
		    n.topology.cores, n.simulated ? ", simulated" : "");
	return ok;
}

/* Asked by one thread only. */
static struct mono
waiting_since(void)
{
	static struct mono since;

	if (since.ns == 0)
		since = clock_mono();
	return since;
}

bool
host_find_first(struct db *db, const struct conf *conf, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	char path[STATE_PATH_MAX];
	char uuid[HV_UUID_MAX] = "";
	char name[65] = "host1";
	const struct host_place anywhere = { .zone_uuid = NULL };
	const char *asked = conf_text(conf, CONF_HYPERVISOR_URI);
	scoped_free char *private_uri = mem_printf("qemu+unix:///system?socket=%s",
	    state_path(conf, path, "libvirt/run/libvirt-sock"));

	if (!db_query(db, STMT_HOST_COUNT, DB_NONE, &r, e))
		return false;
	if (rows_i64(r, 0, 0) != 0)
		return true;
	if (gethostname(name, sizeof(name) - 1) != 0)
		(void)snprintf(name, sizeof(name), "host1");
	if (asked[0] != '\0')
		return host_add(db, conf, &anywhere, asked, name, uuid, e);
	if (strcmp(conf_text(conf, CONF_HYPERVISOR), "none") == 0)
		return true;
	if (access(path, F_OK) == 0)
		return host_add(db, conf, &anywhere, private_uri, name, uuid, e);
	if (access("/run/libvirt/libvirt-sock", F_OK) == 0)
		return host_add(db, conf, &anywhere, "qemu:///system", name, uuid, e);
	if (strcmp(conf_text(conf, CONF_HYPERVISOR), "auto") != 0 ||
	    clock_mono().ns - waiting_since().ns <
		conf_span_ns(conf, CONF_HYPERVISOR_PATIENCE))
		return err_set(e, ERR_GONE, "no hypervisor answers yet");
	/* So that there is something to look at; marked "simulated" wherever it appears.
	 */
	log_warning(
	    "no hypervisor can run here: libvirt's test driver is shown instead, marked "
	    "simulated; add a real host with: jeoul host add URI");
	return host_add(db, conf, &anywhere, "test:///default", "simulated", uuid, e);
}
