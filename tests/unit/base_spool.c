/* SPDX-License-Identifier: Apache-2.0 */
/* The spool after a torn page: what can still be read is not lost, and it goes on. */
#include "base/mem.h"
#include "base/spool.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { RECORDS = 400, PAGE = 4096 };

static char folder[] = "/tmp/jeoul-spool-XXXXXX";
static char path[64];

static int
folder_make(void **unused_state unused)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/jeoul-spool-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/usage.db", folder);
	return 0;
}

static int
folder_remove(void **unused_state unused)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	return rmdir(folder);
}

struct seen {
	size_t good;
	int64_t last;
};

/* Every payload says its key, and all come in the order in which they were put. */
static bool
whole(const struct spool_record *r, void *context)
{
	struct seen *seen = context;

	assert_non_null(strstr(r->payload, r->key));
	assert_true(r->seq > seen->last);
	seen->last = r->seq;
	seen->good++;
	return true;
}

static void
fill(struct spool *s)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < RECORDS; i++) {
		scoped_free char *key = mem_printf("7/%04d/2026-11-21", i);
		scoped_free char *payload = mem_printf("%s\t%0200d", key, i);
		struct spool_record r = { key, i, payload, 0 };
		assert_true(spool_put(s, &r, 1, &e));
	}
}

static void
tear(off_t at)
{
	char nonsense[PAGE];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	memset(nonsense, 0x5a, sizeof(nonsense));
	assert_true(fd >= 0 && pwrite(fd, nonsense, PAGE, at) == PAGE && close(fd) == 0);
}

static void
what_a_torn_file_still_tells_is_kept(void **unused_state unused)
{
	struct spool_record late = { "late", 1, "late", 0 };
	struct spool *s = NULL;
	struct err e = ERR_INIT;
	struct stat st;
	struct seen seen = { 0, 0 };

	assert_true(spool_open(&s, path, SPOOL_SALVAGE, &e));
	fill(s);
	spool_close(s); /* the log is worked in */
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 20 * PAGE);
	tear(st.st_size / PAGE * 3 / 4 * PAGE);
	assert_true(spool_open(&s, path, SPOOL_SALVAGE, &e));
	assert_true(spool_put(s, &late, 1, &e));
	assert_true(spool_each(s, 10 * RECORDS, whole, &seen, &e));
	assert_in_range(seen.good, RECORDS / 4, RECORDS); /* some lay on that page */
	spool_close(s);
}

static void
a_file_torn_while_it_is_open_is_replaced(void **unused_state unused)
{
	struct spool_record late = { "late", 1, "late", 0 };
	struct spool *s = NULL;
	struct err e = ERR_INIT;
	uint64_t count = 0;

	assert_true(spool_open(&s, path, SPOOL_SALVAGE, &e));
	fill(s);
	spool_close(s);
	assert_true(spool_open(&s, path, SPOOL_SALVAGE, &e));
	tear(PAGE); /* the root of a tree */
	assert_true(spool_put(s, &late, 1, &e));
	assert_true(spool_count(s, &count, &e));
	assert_true(count >= 1);
	spool_close(s);
}

static bool
last_order(const struct spool_record *record, void *context)
{
	int64_t *last = context;

	*last = record->order;
	return true;
}

static void
spool_keeps_the_later_and_survives_damage(void **unused_state unused)
{
	struct spool_record early = { .key = "k", .order = 5, .payload = "early" };
	struct spool_record late = { .key = "k", .order = 9, .payload = "late" };
	struct spool *s = NULL;
	struct err e = ERR_INIT;
	uint64_t count = 0;
	int64_t last = 0;

	assert_true(spool_open(&s, path, SPOOL_SALVAGE, &e));
	assert_true(spool_put(s, &late, 1, &e) && spool_put(s, &early, 1, &e));
	assert_true(spool_each(s, 10, last_order, &last, &e));
	assert_int_equal(last, 9);
	assert_true(spool_drop(s, "k", 5, &e) && spool_count(s, &count, &e));
	assert_int_equal(count, 1); /* a later one was put meanwhile: it stays */
	assert_true(spool_drop(s, "k", 9, &e) && spool_count(s, &count, &e));
	assert_int_equal(count, 0);
	spool_close(s);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(
	    fputs("this is no database, but it is long enough to look like something",
		f) >= 0);
	assert_int_equal(fclose(f), 0);
	scoped_free char *wal = mem_printf("%s-wal", path);
	(void)unlink(wal);
	assert_true(spool_open(&s, path, SPOOL_SALVAGE, &e));
	assert_true(spool_put(s, &late, 1, &e));
	spool_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(spool_keeps_the_later_and_survives_damage,
		    folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(what_a_torn_file_still_tells_is_kept,
		    folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(a_file_torn_while_it_is_open_is_replaced,
		    folder_make, folder_remove),
	};

	return cmocka_run_group_tests_name("base_spool", tests, NULL, NULL);
}
