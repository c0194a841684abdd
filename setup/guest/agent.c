/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent: the one program of the demo and test guest.  Takes commands from the
 * virtio-serial port org.jeoul.ctl and answers each with one line of JSON that holds the
 * guest's own account of what it did, so that a bill can be compared with it: cpu SECONDS
 * | write BYTES | read BYTES | send BYTES | mem MIB | report | poweroff | reboot, or
 * run COMMAND, which answers what the guest's shell said.  "#7 report" is answered with
 * "for":"7" in it, so that a late answer is not taken for another's.  The power button
 * (virsh shutdown) ends the guest too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK = 65536,
	PAYLOAD = 1400,
	INPUTS = 4,
	LINE_MAX_BYTES = 1024,
	SAID_MAX = 8192,
	TAG_MAX = 40
};

struct account {
	long long uptime_ns, cpu_ns, busy_ticks;
	long long rd_ios, rd_sectors, wr_ios, wr_sectors;
	long long rx_bytes, rx_packets, tx_bytes, tx_packets;
};

static long long
clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static long long
number_in(const char *path)
{
	char text[64] = "0";
	int fd = open(path, O_RDONLY);

	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	return atoll(text);
}

static void
account_take(struct account *a)
{
	long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0,
		  softirq = 0;
	FILE *f = fopen("/proc/stat", "r");

	memset(a, 0, sizeof(*a));
	a->uptime_ns = clock_ns(CLOCK_BOOTTIME);
	a->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (f != NULL) {
		if (fscanf(f, "cpu %lld %lld %lld %lld %lld %lld %lld", &user, &nice,
			&system, &idle, &iowait, &irq, &softirq) == 7)
			a->busy_ticks = user + nice + system + irq + softirq;
		fclose(f);
	}
	f = fopen("/sys/block/vda/stat", "r");
	if (f != NULL) {
		if (fscanf(f, "%lld %*d %lld %*d %lld %*d %lld", &a->rd_ios,
			&a->rd_sectors, &a->wr_ios, &a->wr_sectors) != 4)
			a->rd_ios = -1;
		fclose(f);
	}
	a->rx_bytes = number_in("/sys/class/net/eth0/statistics/rx_bytes");
	a->rx_packets = number_in("/sys/class/net/eth0/statistics/rx_packets");
	a->tx_bytes = number_in("/sys/class/net/eth0/statistics/tx_bytes");
	a->tx_packets = number_in("/sys/class/net/eth0/statistics/tx_packets");
}

static int
account_print(char *out, size_t room, const char *name, const struct account *a,
    const struct account *base)
{
	return snprintf(out, room,
	    "\"%s\":{\"uptime_ns\":%lld,\"cpu_ns\":%lld,\"busy_ticks\":%lld,"
	    "\"rd_ios\":%lld,\"rd_bytes\":%lld,\"wr_ios\":%lld,\"wr_bytes\":%lld,"
	    "\"rx_bytes\":%lld,\"rx_packets\":%lld,\"tx_bytes\":%lld,\"tx_packets\":%"
	    "lld}",
	    name, a->uptime_ns - base->uptime_ns, a->cpu_ns - base->cpu_ns,
	    a->busy_ticks - base->busy_ticks, a->rd_ios - base->rd_ios,
	    512 * (a->rd_sectors - base->rd_sectors), a->wr_ios - base->wr_ios,
	    512 * (a->wr_sectors - base->wr_sectors), a->rx_bytes - base->rx_bytes,
	    a->rx_packets - base->rx_packets, a->tx_bytes - base->tx_bytes,
	    a->tx_packets - base->tx_packets);
}

static const char *
do_cpu(long long seconds)
{
	long long until = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + seconds * 1000000000LL;
	volatile unsigned long spins = 0;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < until)
		for (int i = 0; i < 20000; i++)
			spins = spins + 1;
	return NULL;
}

static const char *
do_disk(long long bytes, int write_it)
{
	static off_t at;
	void *block = NULL;
	off_t size;
	int fd = open("/dev/vda", O_RDWR | O_DIRECT);

	if (fd < 0)
		return "no disk /dev/vda";
	size = lseek(fd, 0, SEEK_END);
	if (bytes % 512 != 0 || posix_memalign(&block, 4096, BLOCK) != 0 ||
	    size < BLOCK) {
		close(fd);
		return "bytes must be a multiple of 512, on a disk of 64 KiB or more";
	}
	memset(block, 0x5a, BLOCK);
	while (bytes > 0) {
		size_t n = bytes < BLOCK ? (size_t)bytes : BLOCK;
		if (at + (off_t)n > size)
			at = 0;
		ssize_t did = write_it ? pwrite(fd, block, n, at)
				       : pread(fd, block, n, at);
		if (did != (ssize_t)n) {
			free(block);
			close(fd);
			return strerror(errno);
		}
		at += did;
		bytes -= did;
	}
	free(block);
	if (write_it && fsync(fd) != 0)
		bytes = -1;
	close(fd);
	return bytes < 0 ? "fsync failed" : NULL;
}

static in_addr_t
gateway(void)
{
	char line[256];
	unsigned destination, via = 0;
	FILE *f = fopen("/proc/net/route", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "eth0 %x %x", &destination, &via) == 2 &&
		    destination == 0 && via != 0)
			break;
	if (f != NULL)
		fclose(f);
	return via;
}

/* UDP to the discard port: exactly BYTES of payload, one packet for each 1400 of them. */
static const char *
do_send(long long bytes)
{
	static char payload[PAYLOAD];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	long long sent = 0;

	to.sin_addr.s_addr = gateway();
	if (to.sin_addr.s_addr == 0 || fd < 0)
		return "no network";
	while (sent < bytes) {
		size_t n = bytes - sent < PAYLOAD ? (size_t)(bytes - sent) : PAYLOAD;
		ssize_t did = sendto(fd, payload, n, 0, (struct sockaddr *)&to,
		    sizeof(to));
		if (did < 0 && (errno == ENOBUFS || errno == EAGAIN)) {
			usleep(1000);
			continue;
		}
		if (did < 0) {
			close(fd);
			return strerror(errno);
		}
		sent += did;
	}
	close(fd);
	usleep(200000); /* let the ring empty, so that the counters tell all */
	return NULL;
}

static const char *
do_mem(long long mib)
{
	size_t size = (size_t)mib << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);

	if (p == MAP_FAILED)
		return "no memory";
	memset(p, 1, size);
	return NULL;
}

static void
power(int how)
{
	sync();
	reboot(how);
}

/* {"ok":..., "output":"..."}: what the command said, its end cut off. */
static void
do_run(int fd, const char *tag, const char *command)
{
	static char said[SAID_MAX], line[2 * SAID_MAX];
	FILE *f = popen(command, "r");
	size_t n = f != NULL ? fread(said, 1, sizeof(said) - 1, f) : 0;
	int status = f != NULL ? pclose(f) : -1;
	int used = snprintf(line, sizeof(line), "{%s\"ok\":%s,\"output\":\"", tag,
	    status == 0 ? "true" : "false");

	for (size_t i = 0; i < n && (size_t)used < sizeof(line) - 16; i++)
		if (said[i] == '\n')
			used += sprintf(line + used, "\\n");
		else if (said[i] == '"' || said[i] == '\\')
			used += sprintf(line + used, "\\%c", said[i]);
		else if ((unsigned char)said[i] >= 0x20)
			line[used++] = said[i];
	used += sprintf(line + used, "\"}\n");
	for (int at = 0; at < used;) {
		ssize_t did = write(fd, line + at, (size_t)(used - at));
		if (did > 0)
			at += (int)did;
		else
			usleep(1000);
	}
}

/* "#7 report" -> "report", and what its answer begins with. */
static const char *
tag_take(char tag[TAG_MAX], const char *command)
{
	size_t n = command[0] == '#' ? strspn(command + 1, "0123456789") : 0;

	tag[0] = '\0';
	if (n == 0 || n > 20 || command[n + 1] != ' ')
		return command;
	snprintf(tag, TAG_MAX, "\"for\":\"%.*s\",", (int)n, command + 1);
	return command + n + 2;
}

static void
answer(int fd, const char *command)
{
	struct account before, after, zero = { 0 };
	const char *why = NULL;
	char verb[16] = "", line[2048], tag[TAG_MAX];
	long long n = 0;
	int used;

	command = tag_take(tag, command);
	if (strncmp(command, "run ", 4) == 0) {
		do_run(fd, tag, command + 4);
		return;
	}
	account_take(&before);
	if (sscanf(command, "%15s %lld", verb, &n) < 1)
		return;
	if (n < 0)
		why = "a negative amount";
	else if (strcmp(verb, "cpu") == 0)
		why = do_cpu(n);
	else if (strcmp(verb, "write") == 0 || strcmp(verb, "read") == 0)
		why = do_disk(n, verb[0] == 'w');
	else if (strcmp(verb, "send") == 0)
		why = do_send(n);
	else if (strcmp(verb, "mem") == 0)
		why = do_mem(n);
	else if (strcmp(verb, "report") != 0 && strcmp(verb, "poweroff") != 0 &&
	    strcmp(verb, "reboot") != 0)
		why = "unknown command";
	account_take(&after);
	used = snprintf(line, sizeof(line),
	    "{%s\"command\":\"%s\",\"amount\":%lld,\"ok\":%s,\"why\":\"%s\",", tag, verb,
	    n, why == NULL ? "true" : "false", why == NULL ? "" : why);
	used += account_print(line + used, sizeof(line) - (size_t)used, "delta", &after,
	    &before);
	used += snprintf(line + used, sizeof(line) - (size_t)used, ",");
	used += account_print(line + used, sizeof(line) - (size_t)used, "total", &after,
	    &zero);
	used += snprintf(line + used, sizeof(line) - (size_t)used, "}\n");
	if (write(fd, line, (size_t)used) != used)
		perror("answer");
	if (strcmp(verb, "poweroff") == 0)
		power(RB_POWER_OFF);
	if (strcmp(verb, "reboot") == 0)
		power(RB_AUTOBOOT);
}

static void
input_take(int fd)
{
	struct input_event ev;

	if (read(fd, &ev, sizeof(ev)) == sizeof(ev) && ev.type == EV_KEY &&
	    ev.code == KEY_POWER && ev.value == 1)
		power(RB_POWER_OFF);
}

static void
port_take(int fd)
{
	static char line[LINE_MAX_BYTES];
	static size_t used;
	char c;

	while (read(fd, &c, 1) == 1) {
		if (c == '\n') {
			line[used] = '\0';
			used = 0;
			answer(fd, line);
		} else if (used < sizeof(line) - 1)
			line[used++] = c;
	}
}

/* The control port, whatever number virtio gave it. */
static int
port_open(void)
{
	char path[64], name[64];

	for (int device = 0; device < 8; device++)
		for (int port = 0; port < 8; port++) {
			snprintf(path, sizeof(path),
			    "/sys/class/virtio-ports/vport%dp%d/name", device, port);
			FILE *f = fopen(path, "r");
			if (f == NULL)
				continue;
			name[0] = '\0';
			if (fgets(name, sizeof(name), f) == NULL)
				name[0] = '\0';
			fclose(f);
			snprintf(path, sizeof(path), "/dev/vport%dp%d", device, port);
			if (strncmp(name, "org.jeoul.ctl", 13) == 0)
				return open(path, O_RDWR | O_NONBLOCK);
		}
	return -1;
}

int
main(void)
{
	struct pollfd fds[INPUTS + 1];
	char path[64];
	int n = 0;

	/* The host names its ports a moment after the driver is in. */
	for (int i = 0; i < 50 && (fds[n].fd = port_open()) < 0; i++)
		usleep(50000);
	fds[n++].events = POLLIN;
	for (int i = 0; i < INPUTS; i++) {
		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fds[n].fd = open(path, O_RDONLY | O_NONBLOCK);
		fds[n].events = POLLIN;
		n += fds[n].fd >= 0;
	}
	printf("jeoul-guest ready, port %d, %d inputs, at %lld ms\n", fds[0].fd, n - 1,
	    clock_ns(CLOCK_BOOTTIME) / 1000000);
	fflush(stdout);
	for (;;) {
		/* With nobody at the other end the port says POLLHUP without pause. */
		if (poll(fds, (nfds_t)n, -1) <= 0 || fds[0].fd < 0 ||
		    (fds[0].revents & POLLHUP) != 0)
			usleep(100000);
		for (int i = 0; i < n; i++)
			if ((fds[i].revents & POLLIN) != 0)
				i == 0 ? port_take(fds[i].fd) : input_take(fds[i].fd);
	}
}
