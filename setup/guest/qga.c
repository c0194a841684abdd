/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qga: the part of QEMU's guest agent protocol that Jeoul reads, for the demo and test
 * guest: one JSON object a line over the virtio-serial port org.qemu.guest_agent.0.  What
 * it tells is what the kernel says.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <mntent.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LINE_MOST = 4096, ANSWER_MOST = 65536 };

static char out[ANSWER_MOST];
static size_t used;

static void
say(const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(out + used, sizeof(out) - used, format, ap);
	va_end(ap);
	if (n > 0 && used + (size_t)n < sizeof(out))
		used += (size_t)n;
}

/* A JSON string; names of the kernel's hold nothing worse than quotes and backslashes. */
static void
say_text(const char *text)
{
	say("\"");
	for (; *text != '\0'; text++)
		if (*text == '"' || *text == '\\')
			say("\\%c", *text);
		else if ((unsigned char)*text >= 0x20)
			say("%c", *text);
	say("\"");
}

static void
host_name(void)
{
	char name[256] = "";

	gethostname(name, sizeof(name) - 1);
	say("{\"host-name\":");
	say_text(name);
	say("}");
}

static void
os_info(void)
{
	struct utsname u;

	uname(&u);
	say("{\"id\":\"jeoul-guest\",\"name\":\"Jeoul demo "
	    "guest\",\"pretty-name\":\"Jeoul demo guest (busybox)\","
	    "\"version\":\"1\",\"version-id\":\"1\",\"kernel-release\":");
	say_text(u.release);
	say(",\"kernel-version\":");
	say_text(u.version);
	say(",\"machine\":");
	say_text(u.machine);
	say("}");
}

static void
file_systems(void)
{
	FILE *f = setmntent("/proc/mounts", "r");
	struct mntent *m;
	int n = 0;

	say("[");
	while (f != NULL && (m = getmntent(f)) != NULL) {
		struct statvfs s;
		if (statvfs(m->mnt_dir, &s) != 0 || s.f_blocks == 0)
			continue; /* proc and its like hold nothing */
		say("%s{\"name\":", n++ > 0 ? "," : "");
		say_text(m->mnt_fsname);
		say(",\"mountpoint\":");
		say_text(m->mnt_dir);
		say(",\"type\":");
		say_text(m->mnt_type);
		say(",\"used-bytes\":%llu,\"total-bytes\":%llu,\"disk\":[]}",
		    (unsigned long long)(s.f_blocks - s.f_bfree) * s.f_frsize,
		    (unsigned long long)s.f_blocks * s.f_frsize);
	}
	if (f != NULL)
		endmntent(f);
	say("]");
}

static int
prefix_of(const struct sockaddr *mask)
{
	const unsigned char *p = mask->sa_family == AF_INET
	    ? (const unsigned char *)&((const struct sockaddr_in *)(const void *)mask)
		  ->sin_addr
	    : (const unsigned char *)&((const struct sockaddr_in6 *)(const void *)mask)
		  ->sin6_addr;
	int bytes = mask->sa_family == AF_INET ? 4 : 16;
	int bits = 0;

	for (int i = 0; i < bytes; i++)
		bits += __builtin_popcount(p[i]);
	return bits;
}

static void
addresses(const struct ifaddrs *all, const char *name)
{
	int n = 0;

	say("\"ip-addresses\":[");
	for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
		char text[INET6_ADDRSTRLEN];
		const void *from;
		if (a->ifa_addr == NULL || strcmp(a->ifa_name, name) != 0 ||
		    a->ifa_netmask == NULL ||
		    (a->ifa_addr->sa_family != AF_INET &&
			a->ifa_addr->sa_family != AF_INET6))
			continue;
		from = a->ifa_addr->sa_family == AF_INET
		    ? (const void *)&(
			  (const struct sockaddr_in *)(const void *)a->ifa_addr)
			  ->sin_addr
		    : (const void *)&(
			  (const struct sockaddr_in6 *)(const void *)a->ifa_addr)
			  ->sin6_addr;
		say("%s{\"ip-address\":\"%s\",\"ip-address-type\":\"%s\",\"prefix\":%d}",
		    n++ > 0 ? "," : "",
		    inet_ntop(a->ifa_addr->sa_family, from, text, sizeof(text)),
		    a->ifa_addr->sa_family == AF_INET ? "ipv4" : "ipv6",
		    prefix_of(a->ifa_netmask));
	}
	say("]");
}

static void
interfaces(void)
{
	struct ifaddrs *all = NULL;
	int n = 0;

	say("[");
	if (getifaddrs(&all) == 0)
		for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
			const struct sockaddr_ll *link = (const void *)a->ifa_addr;
			if (link == NULL || link->sll_family != AF_PACKET)
				continue;
			say("%s{\"name\":", n++ > 0 ? "," : "");
			say_text(a->ifa_name);
			say(",\"hardware-address\":\"%02x:%02x:%02x:%02x:%02x:%02x\",",
			    link->sll_addr[0], link->sll_addr[1], link->sll_addr[2],
			    link->sll_addr[3], link->sll_addr[4], link->sll_addr[5]);
			addresses(all, a->ifa_name);
			say("}");
		}
	freeifaddrs(all);
	say("]");
}

/* Host and agent find their place in the stream by a number that comes back. */
static void
sync_answer(const char *line)
{
	const char *id = strstr(line, "\"id\"");

	id = id != NULL ? strchr(id + 4, ':') : NULL;
	say("%lld", id != NULL ? strtoll(id + 1, NULL, 10) : 0LL);
}

static void
answer(int fd, const char *line)
{
	static const struct {
		const char *name;
		void (*tell)(void);
	} known[] = { { "\"guest-get-host-name\"", host_name },
		{ "\"guest-get-osinfo\"", os_info },
		{ "\"guest-get-fsinfo\"", file_systems },
		{ "\"guest-network-get-interfaces\"", interfaces } };
	void (*tell)(void) = NULL;

	used = 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(line, known[i].name) != NULL)
			tell = known[i].tell;
	if (strstr(line, "\"guest-sync-delimited\"") != NULL)
		say("\xff");
	say("{\"return\":");
	if (tell != NULL)
		tell();
	else if (strstr(line, "\"guest-sync") != NULL)
		sync_answer(line);
	else {
		used = 0;
		say("{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"the demo guest "
		    "does not know it\"}");
	}
	say("}\n");
	for (size_t at = 0; at < used;) {
		ssize_t n = write(fd, out + at, used - at);
		if (n > 0)
			at += (size_t)n;
		else
			usleep(1000);
	}
}

static int
port_open(void)
{
	char path[64], name[64];

	for (int device = 0; device < 8; device++)
		for (int port = 0; port < 8; port++) {
			FILE *f;
			snprintf(path, sizeof(path),
			    "/sys/class/virtio-ports/vport%dp%d/name", device, port);
			f = fopen(path, "r");
			if (f == NULL)
				continue;
			if (fgets(name, sizeof(name), f) == NULL)
				name[0] = '\0';
			fclose(f);
			snprintf(path, sizeof(path), "/dev/vport%dp%d", device, port);
			if (strncmp(name, "org.qemu.guest_agent.0", 22) == 0)
				return open(path, O_RDWR);
		}
	return -1;
}

int
main(void)
{
	static char line[LINE_MOST];
	size_t length = 0;
	int fd = -1;

	for (int i = 0; i < 50 && (fd = port_open()) < 0; i++)
		usleep(100000);
	while (fd >= 0) {
		char c;
		/* 0: nobody is at the other end. */
		if (read(fd, &c, 1) != 1) {
			usleep(200000);
		} else if (c == '\n') {
			line[length] = '\0';
			length = 0;
			answer(fd, line);
		} else if ((unsigned char)c != 0xff && length < sizeof(line) - 1)
			line[length++] = c;
	}
	return 0; /* a guest without that port has no agent */
}
