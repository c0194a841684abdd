/* SPDX-License-Identifier: Apache-2.0 */
/* keep: what the collector has on this machine */
#include "meter/keep.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SNAPSHOT_MOST (512L * 1024 * 1024)

struct keep {
	struct spool *spool;
	char *folder;
};

/* What stands before a line in the spool. */
static const char letters[STORE_KINDS] = { [STORE_WINDOW] = 'w',
	[STORE_GAP] = 'g',
	[STORE_CONTACT_OK] = 'o',
	[STORE_CONTACT_FAILED] = 'f',
	[STORE_POOL] = 'p',
	[STORE_NETWORK] = 'n',
	[STORE_CELL] = 'c',
	[STORE_EVIDENCE] = 'e',
	[STORE_SAMPLED] = 's' };

bool
keep_open(struct keep **out, const char *folder, struct err *e)
{
	struct keep *k = mem_alloc(sizeof(*k));
	scoped_free char *path = mem_printf("%s/usage.db", folder);

	k->folder = mem_strdup(folder);
	if (!spool_open(&k->spool, path, SPOOL_START_OVER, e)) {
		keep_snapshot_forget(k);
		keep_close(k);
		return false;
	}
	*out = k;
	return true;
}

void
keep_close(struct keep *k)
{
	if (k == NULL)
		return;
	spool_close(k->spool);
	free(k->folder);
	free(k);
}

void
keep_key(char out[160], const struct series *s)
{
	char when[CLOCK_TEXT_MAX];

	(void)snprintf(out, 160, "%lld/%lld/%s", (long long)s->account_id,
	    (long long)s->resource_id, instant_text(s->from, when));
}

static char *
payload_of(const struct keep_row *row)
{
	size_t length = strlen(row->line);
	char *text = mem_alloc(length + 2);

	text[0] = letters[row->kind];
	memcpy(text + 1, row->line, length + 1);
	return text;
}

bool
keep_put(struct keep *k, const struct keep_row *rows, size_t count, struct err *e)
{
	struct spool_record *records = mem_array(count, sizeof(*records));
	bool ok;

	for (size_t i = 0; i < count; i++)
		records[i] = (struct spool_record){ .key = rows[i].key,
			.order = rows[i].order,
			.payload = payload_of(&rows[i]) };
	ok = spool_put(k->spool, records, count, e);
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)records[i].payload);
	free(records);
	return ok;
}

bool
keep_drop(struct keep *k, const struct keep_row *rows, size_t count, struct err *e)
{
	struct spool_record *records = mem_array(count, sizeof(*records));
	bool ok;

	for (size_t i = 0; i < count; i++)
		records[i] = (struct spool_record){ .key = rows[i].key,
			.order = rows[i].order,
			.payload = "" };
	ok = spool_drop_all(k->spool, records, count, e);
	free(records);
	return ok;
}

struct walk {
	keep_visit visit;
	void *context;
};

static bool
walk_one(const struct spool_record *record, void *context)
{
	const struct walk *w = context;
	const char *at = memchr(letters, record->payload[0], sizeof(letters));

	/* A letter of another version of this program: left where it is. */
	if (record->payload[0] == '\0' || at == NULL)
		return true;
	return w->visit(w->context, (enum store_kind)(at - letters), record->key,
	    record->order, record->payload + 1, record->seq);
}

bool
keep_each(struct keep *k, int64_t place, size_t count, keep_visit visit, void *context,
    struct err *e)
{
	struct walk w = { visit, context };

	return spool_each_after(k->spool, place, count, walk_one, &w, e);
}

static bool
file_write(const char *path, const char *text, struct err *e)
{
	size_t length = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return err_errno(e, ERR_INTERNAL, errno, "open %s", path);
	while (length > 0) {
		ssize_t n = write(fd, text, length);
		if (n < 0 && errno != EINTR)
			break;
		text += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	ok = length == 0 && fsync(fd) == 0;
	if (!ok)
		(void)err_errno(e, ERR_INTERNAL, errno, "write %s", path);
	return (close(fd) == 0 || !ok) && ok;
}

/* Whole or not at all: written beside, then renamed. */
bool
keep_snapshot(struct keep *k, const char *text, struct err *e)
{
	scoped_free char *path = mem_printf("%s/inventory", k->folder);
	scoped_free char *fresh = mem_printf("%s/inventory.new", k->folder);

	if (!file_write(fresh, text, e))
		return false;
	return rename(fresh, path) == 0 ||
	    err_errno(e, ERR_INTERNAL, errno, "rename %s", fresh);
}

static char *
file_read(FILE *f)
{
	struct buf b = BUF_INIT;
	char piece[65536];
	size_t n;

	b.limit = SNAPSHOT_MOST;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&b, piece, n);
	if (ferror(f) != 0 || !buf_ok(&b)) {
		buf_done(&b);
		return NULL;
	}
	return buf_take(&b);
}

bool
keep_snapshot_read(struct keep *k, char **text, struct err *e)
{
	scoped_free char *path = mem_printf("%s/inventory", k->folder);
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return err_errno(e, ERR_NOT_FOUND, errno, "open %s", path);
	*text = file_read(f);
	(void)fclose(f); /* it was only read */
	return *text != NULL || err_set(e, ERR_INTERNAL, "%s can't be read", path);
}

/* On a full disk nothing can be written, but a file can go. */
void
keep_snapshot_forget(const struct keep *k)
{
	scoped_free char *path = mem_printf("%s/inventory", k->folder);

	(void)remove(path); /* mostly it is gone already */
}
