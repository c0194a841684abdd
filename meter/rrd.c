/* SPDX-License-Identifier: Apache-2.0 */
/* rrd: graphs, never bills; the one file of the collector that knows librrd */
#include "meter/rrd.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_MOST = 4096, VALUES_MOST = 64, BUCKETS = 4096 };

struct object {
	struct object *next;
	enum rrd_kind kind;
	char uuid[40];
	char *values[VALUES_MOST];
	int count;
	int64_t first_s, last_s; /* of what is gathered */
	bool met;                /* the file's own last time is known */
};

struct rrd_store {
	char *folder;
	int64_t step_s, guarded_step_s;
	struct object *buckets[BUCKETS];
	uint64_t errors;
};

static const char *const vm_sources[] = { "up:GAUGE", "cpu_ns:DERIVE", "mem:GAUGE",
	"rx:DERIVE", "tx:DERIVE", NULL };
static const char *const disk_sources[] = { "rd:DERIVE", "wr:DERIVE", NULL };
static const char *const host_sources[] = { "vms:GAUGE", "cpu_ns:DERIVE", "rx:DERIVE",
	"tx:DERIVE", NULL };

static const char *const *
sources_of(enum rrd_kind kind)
{
	return kind == RRD_VM  ? vm_sources
	    : kind == RRD_HOST ? host_sources
			       : disk_sources;
}

struct rrd_store *
rrd_store_new(const char *folder, int64_t step_ns, int64_t guarded_step_ns)
{
	struct rrd_store *r = mem_alloc(sizeof(*r));

	r->folder = mem_strdup(folder);
	r->step_s = step_ns >= NS_PER_S ? step_ns / NS_PER_S : 1;
	r->guarded_step_s = guarded_step_ns >= NS_PER_S ? guarded_step_ns / NS_PER_S : 1;
	return r;
}

static void
path_of(const struct rrd_store *r, const struct object *o, char out[PATH_MOST])
{
	(void)snprintf(out, PATH_MOST, "%s/v1/%s/%.2s/%s%s.rrd", r->folder,
	    o->kind == RRD_HOST ? "host" : "vm", o->uuid, o->uuid,
	    o->kind == RRD_VM_DISK ? ".disk" : "");
}

static bool
folders_make(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST) {
			*p = '/';
			return false;
		}
		(void)chmod(path,
		    0755); /* the web's user reads them; others' folders stay */
		*p = '/';
	}
	return true;
}

/* An hour at the step, a day by minutes, a week by 5, a quarter by hours, 5 years by
 * days. */
static int
archives(char out[][64], int64_t step_s)
{
	static const struct {
		int64_t seconds, rows;
	} levels[] = { { 60, 1440 }, { 300, 2016 }, { 3600, 2208 }, { 86400, 1830 } };
	int n = 0;

	(void)snprintf(out[n++], 64, "RRA:AVERAGE:0.5:1:%lld",
	    (long long)(3600 / step_s + 1));
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		int64_t steps = levels[i].seconds / step_s;
		if (steps <= 1)
			continue;
		(void)snprintf(out[n++], 64, "RRA:AVERAGE:0.5:%lld:%lld",
		    (long long)steps, (long long)levels[i].rows);
		if (levels[i].seconds >= 3600)
			(void)snprintf(out[n++], 64, "RRA:MAX:0.5:%lld:%lld",
			    (long long)steps, (long long)levels[i].rows);
	}
	return n;
}

static void
complain(struct rrd_store *r, const char *path)
{
	/* One line for the first and then every thousandth: graphs are no reason for a
	 * flood. */
	if (r->errors++ % 1000 == 0)
		log_warning("graph %s: %s", path, rrd_get_error());
	rrd_clear_error();
}

static bool
create(struct rrd_store *r, const struct object *o, char *path)
{
	char text[RRD_FIELDS_MOST + 10][64];
	const char *argv[RRD_FIELDS_MOST + 10];
	const char *const *sources = sources_of(o->kind);
	int64_t step = o->kind == RRD_VM_DISK ? r->guarded_step_s : r->step_s;
	int n = 0;

	if (!folders_make(path))
		return false;
	for (; sources[n] != NULL; n++)
		(void)snprintf(text[n], sizeof(text[n]), "DS:%s:%lld:0:U", sources[n],
		    (long long)(3 * step));
	n += archives(text + n, step);
	for (int i = 0; i < n; i++)
		argv[i] = text[i];
	if (rrd_create_r(path, (unsigned long)step, (time_t)(o->first_s - 1), n, argv) !=
	    0) {
		complain(r, path);
		return false;
	}
	(void)chmod(path, 0644);
	return true;
}

/* After a restart the file may hold these seconds: one refused value refuses its call. */
static void
first_meeting(struct object *o, const char *path)
{
	time_t last = o->met ? -1 : rrd_last_r(path);
	int kept = 0;

	o->met = true;
	rrd_clear_error(); /* not there yet is fine */
	if (last < 0)
		return;
	for (int i = 0; i < o->count; i++) {
		if (strtoll(o->values[i], NULL, 10) <= (long long)last)
			free(o->values[i]);
		else
			o->values[kept++] = o->values[i];
	}
	o->count = kept;
}

static void
object_flush(struct rrd_store *r, struct object *o)
{
	char path[PATH_MOST];
	struct stat st;

	if (o->count == 0)
		return;
	path_of(r, o, path);
	first_meeting(o, path);
	if (o->count == 0)
		return;
	if (stat(path, &st) == 0 || create(r, o, path))
		if (rrd_update_r(path, NULL, o->count,
			(const char **)(uintptr_t)o->values) != 0)
			complain(r, path);
	for (int i = 0; i < o->count; i++)
		free(o->values[i]);
	o->count = 0;
}

static struct object *
object_find(struct rrd_store *r, enum rrd_kind kind, const char *uuid)
{
	uint32_t hash = (uint32_t)kind;
	struct object **bucket;
	struct object *o;

	for (const char *p = uuid; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char)*p;
	bucket = &r->buckets[hash % BUCKETS];
	for (o = *bucket; o != NULL; o = o->next)
		if (o->kind == kind && strcmp(o->uuid, uuid) == 0)
			return o;
	o = mem_alloc(sizeof(*o));
	o->kind = kind;
	(void)snprintf(o->uuid, sizeof(o->uuid), "%s", uuid);
	o->next = *bucket;
	*bucket = o;
	return o;
}

void
rrd_add(struct rrd_store *r, enum rrd_kind kind, const char *uuid, struct instant t,
    const uint64_t *values, int count)
{
	struct object *o = object_find(r, kind, uuid);
	struct buf b = BUF_INIT;
	int64_t seconds = t.ns / NS_PER_S;

	if (seconds <= o->last_s)
		return; /* the clock went back, or twice within a second */
	if (o->count == VALUES_MOST)
		object_flush(r, o);
	if (o->count == 0)
		o->first_s = seconds;
	o->last_s = seconds;
	buf_printf(&b, "%lld", (long long)seconds);
	for (int i = 0; i < count; i++)
		buf_printf(&b, ":%llu", (unsigned long long)values[i]);
	o->values[o->count++] = buf_take(&b);
}

void
rrd_flush(struct rrd_store *r)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct object *o = r->buckets[i]; o != NULL; o = o->next)
			object_flush(r, o);
}
