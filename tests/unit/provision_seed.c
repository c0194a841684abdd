/* SPDX-License-Identifier: Apache-2.0 */
/* The seed of a guest: a FAT volume that a reader of its own (below) finds whole. */
#include "base/mem.h"
#include "provision/seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned
at16(const struct buf *b, size_t at)
{
	const unsigned char *p = (const unsigned char *)b->data + at;

	return p[0] | (unsigned)p[1] << 8;
}

static unsigned
fat_next(const struct buf *b, unsigned cluster)
{
	unsigned pair = at16(b, 512 + cluster * 3 / 2);

	return cluster % 2 == 0 ? pair & 0xfff : pair >> 4;
}

/* As the standard has it: rotated right, byte by byte. */
static unsigned char
short_sum(const char *name)
{
	unsigned char sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (unsigned char)((sum >> 1 | sum << 7) + (unsigned char)name[i]);
	return sum;
}

/* The long name before a short entry, read backwards as a FAT driver does. */
static void
long_name(const struct buf *b, size_t entry, char out[64])
{
	static const unsigned char places[] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28,
		30 };
	size_t n = 0;

	for (size_t at = entry - 32; b->data[at + 11] == 0x0f; at -= 32) {
		/* A driver takes the long name only with the sum of its short one. */
		assert_int_equal((unsigned char)b->data[at + 13],
		    short_sum(b->data + entry));
		for (size_t i = 0; i < sizeof(places); i++) {
			unsigned c = at16(b, at + places[i]);
			if (c == 0 || c == 0xffff)
				break;
			out[n++] = (char)c;
		}
		if ((b->data[at] & 0x40) != 0)
			break;
	}
	out[n] = '\0';
}

/* What the file of that name holds, following the FAT; caller frees; NULL: no such file.
 */
static char *
file_read(const struct buf *b, const char *name)
{
	size_t fat = at16(b, 22);
	size_t root = 512 + 2 * fat * 512;
	size_t data = root + at16(b, 17) * 32;

	for (size_t at = root; at < data && b->data[at] != 0; at += 32) {
		char found[64] = "";
		unsigned cluster = at16(b, at + 26);
		size_t left = at16(b, at + 28) | (size_t)at16(b, at + 30) << 16;
		struct buf text = BUF_INIT;
		if (b->data[at + 11] != 0x20)
			continue;
		long_name(b, at, found);
		if (strcmp(found, name) != 0)
			continue;
		while (left > 0 && cluster >= 2 && cluster < 0xff0) {
			size_t n = left < 512 ? left : 512;
			buf_add(&text, b->data + data + (size_t)(cluster - 2) * 512, n);
			left -= n;
			cluster = fat_next(b, cluster);
		}
		assert_int_equal(left, 0);
		buf_puts(&text, "");
		return buf_take(&text);
	}
	return NULL;
}

static void
keys_and_password_are_the_user_data(void **unused_state unused)
{
	struct buf image = BUF_INIT;
	struct err e = ERR_INIT;
	const struct seed s = { .instance_id = "i-1",
		.host_name = "web-1",
		.public_keys = "ssh-ed25519 AAAA a\"b\nssh-rsa BBBB c",
		.password_hash = "$y$j9T$x" };

	assert_true(seed_make(&image, &s, &e));
	assert_int_equal(image.length % 512, 0);
	assert_int_equal(image.length / 512, at16(&image, 19));
	assert_memory_equal(image.data + 43, "CIDATA     FAT12   ", 19);
	scoped_free char *meta = file_read(&image, "meta-data");
	scoped_free char *user = file_read(&image, "user-data");
	assert_string_equal(meta, "instance-id: \"i-1\"\nlocal-hostname: \"web-1\"\n");
	assert_non_null(strstr(user, "#cloud-config\n"));
	assert_non_null(strstr(user, "  - \"ssh-ed25519 AAAA a\\\"b\"\n"));
	assert_non_null(strstr(user, "  - \"ssh-rsa BBBB c\"\n"));
	assert_non_null(strstr(user, "password: \"$y$j9T$x\"\n"));
	assert_null(file_read(&image, "network-config"));
	buf_done(&image);
}

/* Longer than a sector, than a FAT sector's clusters, and up to the largest. */
static void
user_data_of_any_size_comes_back_whole(void **unused_state unused)
{
	static const char digits[] = "QUJD"; /* ABC */
	static const size_t sizes[] = { 3, 510, 513, 511998, 786432 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf image = BUF_INIT;
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;
		struct seed s = { .instance_id = "i",
			.host_name = "h",
			.public_keys = "" };
		for (size_t k = 0; k < sizes[i] / 3; k++)
			buf_puts(&text, digits);
		s.user_data = buf_text(&text);
		assert_true(seed_make(&image, &s, &e));
		scoped_free char *user = file_read(&image, "user-data");
		assert_non_null(user);
		assert_int_equal(strlen(user), sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(user[k], "ABC"[k % 3]);
		buf_done(&image);
		buf_done(&text);
	}
}

static void
what_is_no_base64_is_refused(void **unused_state unused)
{
	struct buf image = BUF_INIT;
	struct err e = ERR_INIT;
	const struct seed s = { .instance_id = "i",
		.host_name = "h",
		.public_keys = "",
		.user_data = "not base64 {}" };

	assert_false(seed_make(&image, &s, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(image.length, 0);
}

static void
host_names_are_such(void **unused_state unused)
{
	static const char *const names[][2] = { { "web1", "web1" }, { "web 1!", "web-1" },
		{ "--a..b--", "a-b" }, { "웹", "guest" }, { "", "guest" },
		{ "012345678901234567890123456789012345678901234567890123456789012345678"
		  "9",
		    "012345678901234567890123456789012345678901234567890123456789012" } };
	char out[64];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		seed_host_name(out, names[i][0]);
		assert_string_equal(out, names[i][1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_password_are_the_user_data),
		cmocka_unit_test(user_data_of_any_size_comes_back_whole),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(host_names_are_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
