/* SPDX-License-Identifier: Apache-2.0 */
/* A spool's file as a crash, a full disk or a foreign hand left it: it is read, or set
 * aside, and what is put in afterwards comes out again */
#include "base/log.h"
#include "base/mem.h"
#include "base/spool.h"
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/dev/shm/jeoul-fuzz-XXXXXX";

static void
folder_empty(void)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;

	must(d != NULL, "%s", folder);
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			must(unlinkat(dirfd(d), entry->d_name, 0) == 0, "%s",
			    entry->d_name);
	(void)closedir(d);
}

static void
folder_remove(void)
{
	folder_empty();
	(void)rmdir(folder);
}

static void
file_write(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size, "%s", path);
	(void)close(fd);
}

static bool
find(const struct spool_record *record, void *context)
{
	int *found = context;

	*found += strcmp(record->key, "fuzz/key") == 0 && record->order == INT64_MAX &&
	    strcmp(record->payload, "payload") == 0;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	const struct spool_record record = { "fuzz/key", INT64_MAX, "payload", 0 };
	struct spool *s = NULL;
	struct err e = ERR_INIT;
	uint64_t count = 0;
	int found = 0;

	if (!made) {
		must(mkdtemp(folder) != NULL, "%s", folder);
		made = atexit(folder_remove) == 0;
		log_open("fuzz", LOG_TO_STDERR, LOG_LVL_ERROR);
	}
	folder_empty();
	scoped_free char *path = mem_printf("%s/usage.db", folder);
	file_write(path, data, size);
	must(spool_open(&s, path, SPOOL_SALVAGE, &e), "%s", e.text);
	must(spool_put(s, &record, 1, &e), "%s", e.text);
	must(spool_count(s, &count, &e) && count >= 1, "%s", e.text);
	must(spool_each(s, 1000000, find, &found, &e), "%s", e.text);
	must(found == 1, "what was put came out %d times", found);
	must(spool_drop(s, record.key, record.order, &e), "%s", e.text);
	spool_close(s);
	return 0;
}
