/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: files in memory under SQLite's own code and under keep.c's, so that a disk can be
 * full, a process can die between any two writes or in the middle of one, and a file can
 * be torn, all of it at a virtual instant.  Linked with --wrap for the calls of libc.
 */
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { REGIONS_MOST = 64, FDS = 1000000 };

/* What a write since the last sync has written over: power that fails may undo it. */
struct undo {
	struct undo *next; /* of an earlier write */
	size_t at, count, size;
	unsigned char old[];
};

struct file {
	struct file *next;
	char *name;
	unsigned char *data;
	size_t size, room;
	struct undo *unsynced;
	void *regions[REGIONS_MOST]; /* shared memory of the write-ahead log */
};

struct handle {
	sqlite3_file base;
	struct file *file;
	bool temporary;
};

static struct file *files;
static bool full;

/* ---- files */

static struct file *
file_find(const char *name)
{
	for (struct file *f = files; f != NULL; f = f->next)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static struct file *
file_make(const char *name)
{
	struct file *f = file_find(name);

	if (f != NULL)
		return f;
	f = mem_alloc(sizeof(*f));
	f->name = mem_strdup(name);
	f->next = files;
	files = f;
	return f;
}

static void
regions_forget(struct file *f)
{
	for (size_t i = 0; i < REGIONS_MOST; i++) {
		free(f->regions[i]);
		f->regions[i] = NULL;
	}
}

static void
file_synced(struct file *f)
{
	while (f->unsynced != NULL) {
		struct undo *next = f->unsynced->next;
		free(f->unsynced);
		f->unsynced = next;
	}
}

static void
file_free(struct file *f)
{
	file_synced(f);
	regions_forget(f);
	free(f->name);
	free(f->data);
	free(f);
}

static bool
file_drop(const char *name)
{
	for (struct file **at = &files; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct file *f = *at;
			*at = f->next;
			file_free(f);
			return true;
		}
	return false;
}

static void
undo_note(struct file *f, size_t count, size_t at)
{
	size_t old = at >= f->size ? 0 : f->size - at < count ? f->size - at : count;
	struct undo *u = mem_alloc(sizeof(*u) + old);

	*u = (struct undo){ f->unsynced, at, old, f->size };
	if (old > 0)
		memcpy(u->old, f->data + at, old);
	f->unsynced = u;
}

/* Power fails: of what was not synced the later half is gone. */
static void
power_fails(struct file *f)
{
	size_t count = 0;

	for (const struct undo *u = f->unsynced; u != NULL; u = u->next)
		count++;
	for (size_t i = 0; i < (count + 1) / 2; i++) {
		struct undo *u = f->unsynced;
		f->unsynced = u->next;
		memcpy(f->data + u->at, u->old, u->count);
		f->size = u->size;
		free(u);
	}
}

/* False: the disk is full.  What lies in the file already may be written over. */
static bool
file_write(struct file *f, const void *bytes, size_t count, size_t at)
{
	if (full && at + count > f->size)
		return false;
	if (at + count > f->room) {
		f->room = 2 * (at + count) + 4096;
		f->data = mem_resize(f->data, f->room, 1);
	}
	if (at > f->size)
		memset(f->data + f->size, 0, at - f->size);
	undo_note(f, count, at);
	memcpy(f->data + at, bytes, count);
	if (at + count > f->size)
		f->size = at + count;
	return true;
}

/* ---- SQLite's side */

static struct file *
file_of(sqlite3_file *h)
{
	return ((struct handle *)(void *)h)->file;
}

static int
x_close(sqlite3_file *h)
{
	struct handle *own = (struct handle *)(void *)h;

	if (own->temporary)
		file_free(own->file);
	return SQLITE_OK;
}

static int
x_read(sqlite3_file *h, void *out, int count, sqlite3_int64 at)
{
	const struct file *f = file_of(h);
	size_t n = (size_t)count;
	size_t have = (size_t)at < f->size ? f->size - (size_t)at : 0;

	if (have > n)
		have = n;
	if (have > 0)
		memcpy(out, f->data + at, have);
	if (have == n)
		return SQLITE_OK;
	memset((char *)out + have, 0, n - have);
	return SQLITE_IOERR_SHORT_READ;
}

static int
x_write(sqlite3_file *h, const void *bytes, int count, sqlite3_int64 at)
{
	size_t half = (size_t)count / 2;

	sim_touch();
	if (!file_write(file_of(h), bytes, half, (size_t)at))
		return SQLITE_FULL;
	sim_touch(); /* dies in the middle of a write */
	return file_write(file_of(h), bytes, (size_t)count, (size_t)at) ? SQLITE_OK
									: SQLITE_FULL;
}

static int
x_truncate(sqlite3_file *h, sqlite3_int64 size)
{
	struct file *f = file_of(h);

	sim_touch();
	file_synced(f);
	if ((size_t)size < f->size)
		f->size = (size_t)size;
	return SQLITE_OK;
}

static int
x_sync(sqlite3_file *h, int unused_flags unused)
{
	sim_touch();
	file_synced(file_of(h));
	return SQLITE_OK;
}

static int
x_size(sqlite3_file *h, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)file_of(h)->size;
	return SQLITE_OK;
}

static int
x_lock(sqlite3_file *unused_h unused, int unused_how unused)
{
	return SQLITE_OK; /* there is one process */
}

static int
x_reserved(sqlite3_file *unused_h unused, int *out)
{
	*out = 0;
	return SQLITE_OK;
}

static int
x_control(sqlite3_file *unused_h unused, int unused_op unused, void *unused_arg unused)
{
	return SQLITE_NOTFOUND;
}

static int
x_sector(sqlite3_file *unused_h unused)
{
	return 4096;
}

static int
x_traits(sqlite3_file *unused_h unused)
{
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int
x_shm_map(sqlite3_file *h, int region, int size, int extend, void volatile **out)
{
	struct file *f = file_of(h);

	if (region >= REGIONS_MOST)
		return SQLITE_NOMEM;
	if (f->regions[region] == NULL && extend != 0)
		f->regions[region] = mem_alloc((size_t)size);
	*out = f->regions[region];
	return SQLITE_OK;
}

static int
x_shm_lock(sqlite3_file *unused_h unused, int unused_offset unused, int unused_n unused,
    int unused_flags unused)
{
	return SQLITE_OK;
}

static void
x_shm_barrier(sqlite3_file *unused_h unused)
{
}

static int
x_shm_unmap(sqlite3_file *h, int unused_remove unused)
{
	regions_forget(file_of(h));
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = { .iVersion = 2,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_size,
	.xLock = x_lock,
	.xUnlock = x_lock,
	.xCheckReservedLock = x_reserved,
	.xFileControl = x_control,
	.xSectorSize = x_sector,
	.xDeviceCharacteristics = x_traits,
	.xShmMap = x_shm_map,
	.xShmLock = x_shm_lock,
	.xShmBarrier = x_shm_barrier,
	.xShmUnmap = x_shm_unmap };

static int
x_open(sqlite3_vfs *unused_v unused, const char *name, sqlite3_file *h, int flags,
    int *out)
{
	struct handle *own = (struct handle *)(void *)h;

	memset(own, 0, sizeof(*own));
	if (name == NULL) {
		own->file = mem_alloc(sizeof(*own->file));
		own->temporary = true;
	} else if ((flags & SQLITE_OPEN_CREATE) != 0)
		own->file = file_make(name);
	else
		own->file = file_find(name);
	if (own->file == NULL)
		return SQLITE_CANTOPEN;
	own->base.pMethods = &methods;
	if (out != NULL)
		*out = flags;
	return SQLITE_OK;
}

static int
x_delete(sqlite3_vfs *unused_v unused, const char *name, int unused_sync unused)
{
	sim_touch();
	(void)file_drop(name); /* not there is fine */
	return SQLITE_OK;
}

static int
x_access(sqlite3_vfs *unused_v unused, const char *name, int unused_flags unused,
    int *out)
{
	*out = file_find(name) != NULL;
	return SQLITE_OK;
}

static int
x_full_path(sqlite3_vfs *unused_v unused, const char *name, int room, char *out)
{
	(void)snprintf(out, (size_t)room, "%s", name);
	return SQLITE_OK;
}

/* The same on every run: a seed must replay. */
static int
x_random(sqlite3_vfs *unused_v unused, int count, char *out)
{
	memset(out, 7, (size_t)count);
	return count;
}

static int
x_sleep(sqlite3_vfs *unused_v unused, int us)
{
	return us;
}

static int
x_time(sqlite3_vfs *unused_v unused, sqlite3_int64 *out)
{
	*out = clock_now().ns / NS_PER_MS + INT64_C(210866760000000);
	return SQLITE_OK;
}

static sqlite3_vfs vfs = { .iVersion = 2,
	.szOsFile = (int)sizeof(struct handle),
	.mxPathname = 512,
	.zName = "sim",
	.xOpen = x_open,
	.xDelete = x_delete,
	.xAccess = x_access,
	.xFullPathname = x_full_path,
	.xRandomness = x_random,
	.xSleep = x_sleep,
	.xCurrentTimeInt64 = x_time };

/* ---- libc's side, as keep.c and spool.c use it: whole files, one at a time */

static struct file *opened;
static size_t opened_at;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_remove(const char *path);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
FILE *__wrap_fopen(const char *path, const char *mode);

int
__wrap_rename(const char *from, const char *to)
{
	struct file *f;

	sim_touch();
	f = file_find(from);
	if (f == NULL) {
		errno = ENOENT;
		return -1;
	}
	(void)file_drop(to);
	free(f->name);
	f->name = mem_strdup(to);
	return 0;
}

int
__wrap_remove(const char *path)
{
	sim_touch();
	errno = ENOENT;
	return file_drop(path) ? 0 : -1;
}

int
__wrap_open(const char *path, int flags, ...)
{
	sim_touch();
	opened = file_make(path);
	if ((flags & O_TRUNC) != 0)
		opened->size = 0;
	opened_at = 0;
	return FDS;
}

ssize_t
__wrap_write(int fd, const void *bytes, size_t count)
{
	size_t some = count > 1 ? count / 2 : count; /* short writes are allowed */

	sim_touch();
	if (fd != FDS || !file_write(opened, bytes, some, opened_at)) {
		errno = fd != FDS ? EBADF : ENOSPC;
		return -1;
	}
	opened_at += some;
	return (ssize_t)some;
}

int
__wrap_fsync(int unused_fd unused)
{
	sim_touch();
	file_synced(opened);
	return 0;
}

int
__wrap_close(int unused_fd unused)
{
	return 0;
}

FILE *
__wrap_fopen(const char *path, const char *unused_mode unused)
{
	struct file *f = file_find(path);

	if (f == NULL || f->size == 0) {
		errno = ENOENT;
		return NULL;
	}
	return fmemopen(f->data, f->size, "r");
}

/* ---- for the driver */

void
disk_begin(void)
{
	(void)sqlite3_initialize();
	(void)sqlite3_vfs_register(&vfs, 1);
}

void
disk_full(bool now)
{
	full = now;
}

static bool
is_in(const struct file *f, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(f->name, folder, length) == 0 && f->name[length] == '/';
}

/* Shared memory ends with the last process that has it. */
void
disk_died(const char *folder)
{
	for (struct file *f = files; f != NULL; f = f->next)
		if (is_in(f, folder))
			regions_forget(f);
}

static void
file_damage(struct file *f, const char *how)
{
	if (f == NULL)
		return;
	if (strcmp(how, "gone") == 0)
		f->size = 0;
	else if (strcmp(how, "inventory") == 0)
		f->size -= f->size < 1000 ? f->size / 2 : 777;
	else if (strcmp(how, "head") == 0)
		memset(f->data, 'x', f->size < 64 ? f->size : 64);
	else /* garbage: a page that was never written */
		memset(f->data + f->size / 2 / 4096 * 4096, 0, f->size < 8192 ? 0 : 4096);
}

void
disk_tear(const char *folder, const char *how)
{
	scoped_free char *main_file = mem_printf("%s/usage.db", folder);
	scoped_free char *log = mem_printf("%s/usage.db-wal", folder);
	scoped_free char *inventory = mem_printf("%s/inventory", folder);

	if (strcmp(how, "inventory") == 0)
		file_damage(file_find(inventory), how);
	else if (strcmp(how, "power") == 0)
		for (struct file *f = files; f != NULL; f = f->next) {
			if (is_in(f, folder))
				power_fails(f);
		}
	else if (strcmp(how, "gone") == 0) {
		(void)file_drop(main_file);
		(void)file_drop(log);
		(void)file_drop(inventory);
	} else
		file_damage(file_find(main_file), how);
}

static void
copy_file(const char *from, const char *to)
{
	const struct file *f = file_find(from);
	bool was = full;

	(void)file_drop(to);
	full = false;
	if (f != NULL && f->size > 0)
		(void)file_write(file_make(to), f->data, f->size, 0);
	full = was;
}

/* What SQLite calls damaged is set aside as a whole. */
static bool
is_whole(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	bool whole = sqlite3_prepare_v2(db, "pragma integrity_check", -1, &st, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW &&
	    strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;

	(void)sqlite3_finalize(st);
	return whole;
}

/* "wACCOUNT RESOURCE FROM TO ...": us */
static int64_t
end_of(const char *payload)
{
	struct instant to = { 0 };
	struct err e = ERR_INIT;
	char text[CLOCK_TEXT_MAX];

	for (int i = 0; i < 3 && payload != NULL; i++)
		payload = strchr(payload, '\t') != NULL ? strchr(payload, '\t') + 1
							: NULL;
	if (payload == NULL)
		return 0;
	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(payload, "\t"), payload);
	return instant_parse(&to, text, &e) ? to.ns / NS_PER_US : 0;
}

/* "account/resource/window begin" */
static void
newest_print(sqlite3_stmt *st, FILE *out)
{
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(st, 0);
		const char *id = key != NULL ? strchr(key, '/') : NULL;
		if (id != NULL && key[0] >= '0' && key[0] <= '9')
			(void)fprintf(out, "D %lld %lld disk %lld\n",
			    strtoll(id + 1, NULL, 10), sqlite3_column_int64(st, 1),
			    (long long)end_of((const char *)sqlite3_column_text(st, 2)));
	}
}

void
disk_newest(const char *path, FILE *out)
{
	scoped_free char *log = mem_printf("%s-wal", path);
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	/* A look must change nothing: a copy is looked at. */
	copy_file(path, "look.db");
	copy_file(log, "look.db-wal");
	if (sqlite3_open_v2("look.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) == SQLITE_OK &&
	    is_whole(db) &&
	    sqlite3_prepare_v2(db, "select key, rank, payload from record", -1, &st,
		NULL) == SQLITE_OK)
		newest_print(st, out);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	(void)file_drop("look.db");
	(void)file_drop("look.db-wal");
}
