/* SPDX-License-Identifier: Apache-2.0 */
/* engine: who we are for SNMPv3, and how often we have started */
#include "snmp/engine.h"
#include "base/log.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { BOOTS_MOST = 2147483646, RANDOM_BYTES = 12, NETSNMP_ENTERPRISE = 8072 };

const char *
engine_text(const struct engine *g, char out[2 + 2 * 32 + 1])
{
	(void)snprintf(out, 3, "0x");
	for (size_t i = 0; i < g->length; i++)
		(void)snprintf(out + 2 + 2 * i, 3, "%02x", g->id[i]);
	return out;
}

/* "0x8000... 12": id and number of the last start. */
static bool
text_read(struct engine *g, const char *text)
{
	const char *p = text + 2;

	if (strncmp(text, "0x", 2) != 0)
		return false;
	for (; isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1]); p += 2) {
		const char digits[] = { p[0], p[1], '\0' };
		if (g->length == sizeof(g->id))
			return false;
		g->id[g->length++] = (unsigned char)strtoul(digits, NULL, 16);
	}
	g->boots = (uint32_t)strtoul(p, NULL, 10);
	return *p == ' ' && g->length >= 5 && g->boots >= 1 && g->boots < BOOTS_MOST;
}

/* RFC 3411, SnmpEngineID: enterprise with the first bit set, 5, then octets of ours. */
static bool
id_make(struct engine *g, const char *root, struct err *e)
{
	const char *prefix = "1.3.6.1.4.1.";
	unsigned long enterprise = NETSNMP_ENTERPRISE;

	if (strncmp(root, prefix, strlen(prefix)) == 0)
		enterprise = strtoul(root + strlen(prefix), NULL, 10);
	*g = (struct engine){ .length = 5 + RANDOM_BYTES };
	for (int i = 0; i < 4; i++)
		g->id[i] = (unsigned char)(enterprise >> (24 - 8 * i));
	g->id[0] |= 0x80;
	g->id[4] = 5;
	if (getrandom(g->id + 5, RANDOM_BYTES, 0) != RANDOM_BYTES)
		return err_errno(e, ERR_INTERNAL, errno, "random numbers");
	return true;
}

static bool
write_through(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t length = strlen(text);
	bool ok = fd >= 0 && write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;

	if (fd >= 0 && close(fd) != 0)
		ok = false;
	return ok;
}

static bool
folder_sync(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		(void)close(fd); /* only read */
	return ok;
}

static bool
save(const struct engine *g, const char *folder, struct err *e)
{
	scoped_free char *path = mem_printf("%s/engine", folder);
	scoped_free char *fresh = mem_printf("%s/engine.new", folder);
	char id[2 + 2 * 32 + 1];
	scoped_free char *text = mem_printf("%s %u\n", engine_text(g, id), g->boots);

	if (write_through(fresh, text) && rename(fresh, path) == 0 && folder_sync(folder))
		return true;
	return err_errno(e, ERR_INTERNAL, errno,
	    "%s: the number of starts can't be kept, and without it receivers refuse "
	    "SNMPv3",
	    path);
}

bool
engine_open(struct engine *out, const char *folder, const char *root, struct err *e)
{
	scoped_free char *path = mem_printf("%s/engine", folder);
	char id[2 + 2 * 32 + 1];
	char text[256] = "";
	struct engine g = { .length = 0 };
	FILE *f = fopen(path, "re");

	if (f != NULL && fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	if (f != NULL)
		(void)fclose(f); /* only read */
	if (!text_read(&g, text)) {
		if (!id_make(&g, root, e))
			return false;
		log_warning("SNMPv3 engine %s is new: receivers of v3 traps need "
			    "\"createUser -e %s ...\" (see docs/noc.md)",
		    engine_text(&g, id), id);
	}
	g.boots++;
	if (!save(&g, folder, e))
		return false;
	log_info("SNMPv3 engine %s, start %u", engine_text(&g, id), g.boots);
	*out = g;
	return true;
}
