/* SPDX-License-Identifier: Apache-2.0 */
/* replay: a target's corpus and a fixed number of its mutations, the same each time; for
 * `make check`, where libFuzzer's own search would take too long */
#include "base/attr.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS_MOST = 500, BYTES_MOST = 1 << 16, CHANGES_MOST = 6 };

struct seed {
	uint8_t *data;
	size_t size;
};

static struct seed seeds[SEEDS_MOST];
static size_t seed_count;
static uint64_t state;
/* What is being tried; kept in a file when it kills us. */
static uint8_t now[BYTES_MOST];
static size_t now_size;
static const char *kept_path;

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* splitmix64 */
static uint64_t
chance(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t
below(size_t n)
{
	return n == 0 ? 0 : (size_t)(chance() % n);
}

static void
keep(void)
{
	int fd = open(kept_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, now, now_size) != (ssize_t)now_size)
		(void)!write(STDERR_FILENO, "the input could not be kept\n", 28);
	if (fd >= 0)
		(void)close(fd);
}

static void
killed(int number)
{
	keep();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void
seed_read(const char *folder, const char *name)
{
	scoped_free char *path = mem_printf("%s/%s", folder, name);
	FILE *f = fopen(path, "re");
	struct seed *s = &seeds[seed_count];

	if (f == NULL)
		return;
	s->data = mem_alloc(BYTES_MOST);
	s->size = fread(s->data, 1, BYTES_MOST, f);
	(void)fclose(f);
	seed_count++;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
seeds_read(const char *folder)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, by_name);

	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.' && seed_count < SEEDS_MOST)
			seed_read(folder, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void
insert(const uint8_t *bytes, size_t length, size_t at)
{
	if (length > BYTES_MOST - now_size)
		length = BYTES_MOST - now_size;
	memmove(now + at + length, now + at, now_size - at);
	memcpy(now + at, bytes, length);
	now_size += length;
}

/* One change: what parsers stumble over. */
static void
change(void)
{
	static const char *const words[] = { "0", "-1", "9223372036854775808",
		"18446744073709551615", "1e999", "\"", "\\u0000", "\\ud800", "{", "[",
		"]]>", "<!--", "&amp;", "&#0;", "%00", "%", "&", "=", ";", "\n", "\r\n",
		"\t", "\x1b[2J", "\xff", "\xc3\xa9", "\xed\xa0\x80", "\xef\xbf\xbf",
		"\xf0\x9f\x98\x80", "null", "true", "Infinity", "2024-02-30T24:00:60Z",
		"12/0", "../", "'", "..", ",", ":" };
	const struct seed *other = &seeds[below(seed_count)];
	size_t at = below(now_size + 1);
	size_t length = below(32) + 1;
	uint8_t copy[64];

	switch (below(8)) {
	case 0:
		if (at < now_size)
			now[at] ^= (uint8_t)(1U << below(8));
		return;
	case 1:
		if (at < now_size)
			now[at] = (uint8_t)chance();
		return;
	case 2: /* something is missing */
		length = at + length > now_size ? now_size - at : length;
		memmove(now + at, now + at + length, now_size - at - length);
		now_size -= length;
		return;
	case 3: /* something stands twice */
		length = at + length > now_size ? now_size - at : length;
		memcpy(copy, now + at, length);
		for (size_t i = below(40) + 1; i > 0; i--)
			insert(copy, length, at);
		return;
	case 4: /* it ends too early */
		now_size = at;
		return;
	case 5: /* a part of another one */
		if (other->size > 0) {
			size_t from = below(other->size);
			insert(other->data + from, below(other->size - from) + 1, at);
		}
		return;
	default: {
		const char *word = words[below(ARRAY_LEN(words))];
		insert((const uint8_t *)word, strlen(word), at);
	}
	}
}

static void
try(const struct seed *s, size_t changes)
{
	now_size = s->size;
	if (s->size > 0)
		memcpy(now, s->data, s->size);
	while (changes-- > 0)
		change();
	/* A copy of its own size, so that a read past its end is seen. */
	uint8_t *exact = malloc(now_size > 0 ? now_size : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, now, now_size);
	(void)LLVMFuzzerTestOneInput(exact, now_size);
	free(exact);
}

int
main(int argc, char **argv)
{
	long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 5000;
	const struct seed nothing = { NULL, 0 };

	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s CORPUS [ROUNDS]\n", argv[0]);
		return 2;
	}
	kept_path = mem_printf("%s.crash", argv[0]);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(keep);
	(void)signal(SIGABRT, killed);
	(void)signal(SIGSEGV, killed);
	seeds_read(argv[1]);
	try(&nothing, 0);
	for (size_t i = 0; i < seed_count; i++)
		try(&seeds[i], 0);
	for (long i = 0; i < rounds && seed_count > 0; i++)
		try(&seeds[below(seed_count)], below(CHANGES_MOST) + 1);
	(void)printf("%zu seeds, %ld mutations\n", seed_count, rounds);
	for (size_t i = 0; i < seed_count; i++)
		free(seeds[i].data);
	free((void *)(uintptr_t)kept_path);
	return seed_count > 0 ? 0 : 1;
}
