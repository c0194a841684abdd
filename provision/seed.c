/* SPDX-License-Identifier: Apache-2.0 */
/* seed: the small FAT volume CIDATA that a guest's cloud-init reads (NoCloud) */
#include "provision/seed.h"
#include "base/json.h"
#include "base/mem.h"
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * FAT12 with clusters of one sector: at most 4084 of them, so files of 2 MiB in all.
 * Layout: boot sector, two FATs, root folder, clusters from number 2 on.
 */
enum {
	SECTOR = 512,
	ROOT_ENTRIES = 64,
	ROOT_SECTORS = ROOT_ENTRIES * 32 / SECTOR,
	CLUSTERS_MOST = 4084,
	CLUSTERS_LEAST = 200, /* 100 KiB: what mkfs.vfat would take for a FAT12 too */
	FILES_MOST = 5,
	LFN_CHARS = 13,
};
#define USER_DATA_MOST ((size_t)1 << 20)

struct file {
	const char *name;       /* "user-data" */
	const char *short_name; /* "USER-D~1   ": 11 bytes */
	struct buf data;
};

static void
put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v & 0xff);
	p[1] = (unsigned char)(v >> 8 & 0xff);
}

static void
put32(unsigned char *p, size_t v)
{
	put16(p, (unsigned)(v & 0xffff));
	put16(p + 2, (unsigned)(v >> 16 & 0xffff));
}

static size_t
sectors_of(size_t bytes)
{
	return (bytes + SECTOR - 1) / SECTOR;
}

/* ---- the file system */

static void
fat12_set(unsigned char *fat, unsigned cluster, unsigned value)
{
	unsigned char *p = fat + cluster * 3 / 2;

	if (cluster % 2 == 0) {
		p[0] = (unsigned char)(value & 0xff);
		p[1] = (unsigned char)((p[1] & 0xf0) | (value >> 8 & 0x0f));
	} else {
		p[0] = (unsigned char)((p[0] & 0x0f) | (value << 4 & 0xf0));
		p[1] = (unsigned char)(value >> 4 & 0xff);
	}
}

static unsigned char
short_sum(const char *name)
{
	unsigned sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (((sum & 1) << 7) + (sum >> 1) + (unsigned char)name[i]) & 0xff;
	return (unsigned char)sum;
}

/* One entry of a long name holds 13 characters, in three places. */
static void
long_entry(unsigned char *p, const char *name, unsigned order, bool last,
    unsigned char sum)
{
	static const unsigned char places[LFN_CHARS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20,
		22, 24, 28, 30 };
	size_t length = strlen(name);

	memset(p, 0, 32);
	p[0] = (unsigned char)(order | (last ? 0x40U : 0));
	p[11] = 0x0f;
	p[13] = sum;
	for (size_t i = 0; i < LFN_CHARS; i++) {
		size_t at = (size_t)(order - 1) * LFN_CHARS + i;
		put16(p + places[i],
		    at < length        ? (unsigned char)name[at]
			: at == length ? 0
				       : 0xffff);
	}
}

static unsigned char *
entries_put(unsigned char *p, const struct file *f, unsigned cluster)
{
	unsigned longs = (unsigned)((strlen(f->name) + LFN_CHARS - 1) / LFN_CHARS);

	for (unsigned i = longs; i > 0; i--, p += 32)
		long_entry(p, f->name, i, i == longs, short_sum(f->short_name));
	memcpy(p, f->short_name, 11);
	p[11] = 0x20;
	put16(p + 24, (45U << 9) | (1U << 5) | 1U); /* some day: 2025-01-01 */
	put16(p + 26, f->data.length > 0 ? cluster : 0);
	put32(p + 28, f->data.length);
	return p + 32;
}

static void
boot_put(unsigned char *p, size_t sectors, size_t fat_sectors)
{
	memcpy(p, "\xeb\x3c\x90mkfs.fat", 11);
	put16(p + 11, SECTOR);
	p[13] = 1; /* sectors of a cluster */
	put16(p + 14, 1);
	p[16] = 2;
	put16(p + 17, ROOT_ENTRIES);
	put16(p + 19, (unsigned)sectors);
	p[21] = 0xf8;
	put16(p + 22, (unsigned)fat_sectors);
	put16(p + 24, 32);
	put16(p + 26, 2);
	p[36] = 0x80;
	p[38] = 0x29;
	put32(p + 39, 0x4a454f55);
	memcpy(p + 43, "CIDATA     FAT12   ", 19);
	put16(p + 510, 0xaa55);
}

static void
files_put(unsigned char *image, size_t fat_sectors, const struct file *files,
    size_t count)
{
	unsigned char *fat = image + SECTOR;
	unsigned char *root = fat + 2 * fat_sectors * SECTOR;
	unsigned char *data = root + (size_t)ROOT_SECTORS * SECTOR;
	unsigned cluster = 2;

	fat12_set(fat, 0, 0xff8);
	fat12_set(fat, 1, 0xfff);
	memcpy(root, "CIDATA     \x08", 12);
	root += 32;
	for (size_t i = 0; i < count; i++) {
		size_t n = sectors_of(files[i].data.length);
		root = entries_put(root, &files[i], cluster);
		if (n > 0)
			memcpy(data + (size_t)(cluster - 2) * SECTOR, files[i].data.data,
			    files[i].data.length);
		for (size_t k = 0; k < n; k++, cluster++)
			fat12_set(fat, cluster, k + 1 < n ? cluster + 1 : 0xfff);
	}
	memcpy(fat + fat_sectors * SECTOR, fat, fat_sectors * SECTOR);
}

static bool
image_make(struct buf *out, const struct file *files, size_t count, struct err *e)
{
	size_t clusters = 0;
	size_t fat_sectors;
	size_t sectors;
	unsigned char *image;

	for (size_t i = 0; i < count; i++)
		clusters += sectors_of(files[i].data.length);
	if (clusters > CLUSTERS_MOST - 2)
		return err_set(e, ERR_INPUT, "the user data is larger than 1 MiB");
	if (clusters < CLUSTERS_LEAST)
		clusters = CLUSTERS_LEAST;
	fat_sectors = sectors_of(((clusters + 2) * 3 + 1) / 2);
	sectors = 1 + 2 * fat_sectors + ROOT_SECTORS + clusters;
	image = mem_array(sectors, SECTOR);
	boot_put(image, sectors, fat_sectors);
	files_put(image, fat_sectors, files, count);
	buf_clear(out);
	buf_add(out, image, sectors * SECTOR);
	free(image);
	return true;
}

/* ---- what is in it */

static int
base64_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c == '-' ? digits + 62
	    : c == '_'           ? digits + 63
				 : strchr(digits, c);

	return c == '\0' || p == NULL ? -1 : (int)(p - digits);
}

bool
seed_base64(const char *text, unsigned char *out, size_t *count)
{
	unsigned bits = 0;
	int have = 0;
	size_t n = 0;

	for (const char *p = text; *p != '\0' && *p != '='; p++) {
		int digit = base64_digit(*p);
		if (digit < 0 && isspace((unsigned char)*p) != 0)
			continue;
		if (digit < 0)
			return false;
		bits = (bits << 6 | (unsigned)digit) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (unsigned char)(bits >> have & 0xff);
		}
	}
	*count = n;
	return true;
}

static bool
base64_read(struct buf *to, const char *text, struct err *e)
{
	size_t length = strnlen(text, 2 * USER_DATA_MOST);
	scoped_free unsigned char *bytes = mem_alloc(length + 1);
	size_t count = 0;

	if (!seed_base64(text, bytes, &count) || count > USER_DATA_MOST)
		return err_set(e, ERR_INPUT,
		    "the user data is no base64 of at most 1 MiB");
	buf_add(to, bytes, count);
	return true;
}

static void
config_write(struct buf *to, const struct seed *s)
{
	const char *p = s->public_keys;

	buf_puts(to, "#cloud-config\n");
	if (p != NULL && *p != '\0')
		buf_puts(to, "ssh_authorized_keys:\n");
	while (p != NULL && *p != '\0') {
		size_t length = strcspn(p, "\n");
		scoped_free char *line = mem_strndup(p, length);
		if (length > 0) {
			buf_puts(to, "  - ");
			json_escape(to, line); /* YAML reads JSON's strings */
			buf_putc(to, '\n');
		}
		p += length + (p[length] == '\n');
	}
	if (s->password_hash == NULL)
		return;
	buf_puts(to, "ssh_pwauth: true\nchpasswd:\n  expire: false\npassword: ");
	json_escape(to, s->password_hash);
	buf_putc(to, '\n');
}

bool
seed_make(struct buf *out, const struct seed *s, struct err *e)
{
	struct file files[FILES_MOST] = {
		{ "meta-data", "META-D~1   ", BUF_INIT },
		{ "user-data", "USER-D~1   ", BUF_INIT },
		{ "vendor-data", "VENDOR~1   ", BUF_INIT },
		{ "network-config", "NETWOR~1   ", BUF_INIT },
	};
	size_t count = s->network_config != NULL ? 4 : 3;
	bool own = s->user_data != NULL && s->user_data[0] != '\0';
	bool ok;

	buf_puts(&files[0].data, "instance-id: ");
	json_escape(&files[0].data, s->instance_id);
	buf_puts(&files[0].data, "\nlocal-hostname: ");
	json_escape(&files[0].data, s->host_name);
	buf_putc(&files[0].data, '\n');
	config_write(&files[own ? 2 : 1].data, s);
	if (!own)
		buf_puts(&files[2].data, "#cloud-config\n{}\n");
	ok = !own || base64_read(&files[1].data, s->user_data, e);
	if (s->network_config != NULL)
		buf_puts(&files[3].data, s->network_config);
	ok = ok && image_make(out, files, count, e);
	for (size_t i = 0; i < FILES_MOST; i++)
		buf_done(&files[i].data);
	return ok;
}

void
seed_host_name(char out[64], const char *name)
{
	size_t n = 0;

	for (const char *p = name; *p != '\0' && n < 63; p++) {
		bool letter = isalnum((unsigned char)*p) != 0 && (unsigned char)*p < 0x80;
		if (letter)
			out[n++] = *p;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	if (n == 0)
		(void)snprintf(out, 64, "guest");
}
