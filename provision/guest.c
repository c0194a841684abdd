/* SPDX-License-Identifier: Apache-2.0 */
/* guest: what a guest's agent tells of the guest, bounded and made harmless */
#include "provision/guest.h"
#include <stdio.h>
#include <string.h>

/* Bytes of the character at text that people may be shown, 0: a mark stands for it. */
static size_t
shown_length(const char *text, size_t left)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t n = utf8_length(text, left);

	if (n == 0 || c[0] < 0x20 || c[0] == 0x7f)
		return 0;
	/* U+0080 to U+009F obey terminals as well; U+202A to E and U+2066 to 9 turn the
	 * writing around. */
	if (c[0] == 0xc2 && c[1] < 0xa0)
		return 0;
	if (c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae)
		return 0;
	return c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9 ? 0 : n;
}

static void
text_take(char *out, size_t room, const char *value)
{
	size_t left = strlen(value);
	size_t used = 0;

	while (left > 0) {
		size_t n = shown_length(value, left);
		size_t step = n > 0 ? n : 1;
		if (used + step >= room)
			break;
		if (n > 0)
			memcpy(out + used, value, n);
		else
			out[used] = '?';
		used += step;
		value += step;
		left -= step;
	}
	out[used] = '\0';
}

/* "fs.12.name" with prefix "fs.": 12, and what follows it; false: something else. */
static bool
index_read(const char *name, const char *prefix, size_t most, size_t *index,
    const char **rest)
{
	size_t n = 0;
	size_t digits;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	name += strlen(prefix);
	digits = strspn(name, "0123456789");
	if (digits == 0 || digits > 3 || name[digits] != '.')
		return false;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (size_t)(name[i] - '0');
	*index = n;
	*rest = name + digits + 1;
	return n < most;
}

/* ---- one value */

static void
filesystem_text(struct guest_filesystem *s, const char *what, const char *value)
{
	if (strcmp(what, "mountpoint") == 0)
		text_take(s->mountpoint, sizeof(s->mountpoint), value);
	else if (strcmp(what, "name") == 0)
		text_take(s->name, sizeof(s->name), value);
	else if (strcmp(what, "fstype") == 0)
		text_take(s->type, sizeof(s->type), value);
}

static void
interface_text(struct guest_interface *n, const char *what, const char *value)
{
	const char *rest;
	size_t i;

	if (strcmp(what, "name") == 0)
		text_take(n->name, sizeof(n->name), value);
	else if (strcmp(what, "hwaddr") == 0)
		text_take(n->mac, sizeof(n->mac), value);
	else if (index_read(what, "addr.", GUEST_ADDRESSES_MOST, &i, &rest) &&
	    strcmp(rest, "addr") == 0 &&
	    value[strspn(value, "0123456789abcdefABCDEF:.")] == '\0')
		text_take(n->addresses[i].text, sizeof(n->addresses[i].text), value);
}

void
guest_text(struct guest_facts *f, const char *name, const char *value)
{
	const struct {
		const char *name;
		char *out;
		size_t room;
	} plain[] = {
		{ "hostname", f->hostname, sizeof(f->hostname) },
		{ "os.name", f->os_name, sizeof(f->os_name) },
		{ "os.pretty-name", f->os_name, sizeof(f->os_name) },
		{ "os.version", f->os_version, sizeof(f->os_version) },
		{ "os.id", f->os_id, sizeof(f->os_id) },
		{ "os.kernel-release", f->kernel, sizeof(f->kernel) },
		{ "os.machine", f->machine, sizeof(f->machine) },
	};
	const char *rest;
	size_t i;

	for (size_t k = 0; k < ARRAY_LEN(plain); k++)
		/* The plain name gives way to the pretty one. */
		if (strcmp(plain[k].name, name) == 0 &&
		    (strcmp(name, "os.name") != 0 || f->os_name[0] == '\0'))
			text_take(plain[k].out, plain[k].room, value);
	if (index_read(name, "fs.", GUEST_LIST_MOST, &i, &rest))
		filesystem_text(&f->filesystems[i], rest, value);
	else if (index_read(name, "if.", GUEST_LIST_MOST, &i, &rest))
		interface_text(&f->interfaces[i], rest, value);
}

static void
filesystem_number(struct guest_filesystem *s, const char *what, uint64_t value)
{
	if (strcmp(what, "total-bytes") == 0) {
		s->total = value;
		s->told[0] = true;
	} else if (strcmp(what, "used-bytes") == 0) {
		s->used = value;
		s->told[1] = true;
	}
	s->sized = s->told[0] && s->told[1];
}

void
guest_number(struct guest_facts *f, const char *name, uint64_t value)
{
	const char *rest;
	const char *more;
	size_t i;
	size_t k;

	if (index_read(name, "fs.", GUEST_LIST_MOST, &i, &rest))
		filesystem_number(&f->filesystems[i], rest, value);
	else if (index_read(name, "if.", GUEST_LIST_MOST, &i, &rest) &&
	    index_read(rest, "addr.", GUEST_ADDRESSES_MOST, &k, &more) &&
	    strcmp(more, "prefix") == 0 && value <= 128) {
		f->interfaces[i].addresses[k].prefix = value;
		f->interfaces[i].addresses[k].has_prefix = true;
	}
}

/* ---- all of it */

static void
word_write(struct jout *j, const char *key, const char *text)
{
	if (text[0] != '\0')
		jout_string(j, key, text);
}

static void
filesystem_write(struct jout *j, const struct guest_filesystem *s)
{
	if (s->mountpoint[0] == '\0')
		return;
	jout_open(j, NULL, '{');
	word_write(j, "mountpoint", s->mountpoint);
	word_write(j, "name", s->name);
	word_write(j, "type", s->type);
	if (s->sized) {
		jout_u64_string(j, "total", s->total);
		jout_u64_string(j, "used", s->used);
	}
	jout_close(j, '}');
}

static void
interface_write(struct jout *j, const struct guest_interface *n)
{
	if (n->name[0] == '\0')
		return;
	jout_open(j, NULL, '{');
	word_write(j, "name", n->name);
	word_write(j, "mac", n->mac);
	jout_open(j, "addresses", '[');
	for (size_t i = 0; i < GUEST_ADDRESSES_MOST; i++) {
		char text[GUEST_WORD_MAX + 8];
		if (n->addresses[i].text[0] == '\0')
			continue;
		(void)snprintf(text, sizeof(text), "%s/%u", n->addresses[i].text,
		    (unsigned)n->addresses[i].prefix);
		jout_string(j, NULL,
		    n->addresses[i].has_prefix ? text : n->addresses[i].text);
	}
	jout_close(j, ']');
	jout_close(j, '}');
}

void
guest_facts_write(struct jout *j, const struct guest_facts *f)
{
	jout_open(j, NULL, '{');
	word_write(j, "hostname", f->hostname);
	word_write(j, "osname", f->os_name);
	word_write(j, "osversion", f->os_version);
	word_write(j, "osid", f->os_id);
	word_write(j, "kernel", f->kernel);
	word_write(j, "machine", f->machine);
	jout_open(j, "filesystems", '[');
	for (size_t i = 0; i < GUEST_LIST_MOST; i++)
		filesystem_write(j, &f->filesystems[i]);
	jout_close(j, ']');
	jout_open(j, "interfaces", '[');
	for (size_t i = 0; i < GUEST_LIST_MOST; i++)
		interface_write(j, &f->interfaces[i]);
	jout_close(j, ']');
	jout_close(j, '}');
}
