/* SPDX-License-Identifier: Apache-2.0 */
/* peer: numeric addresses, and sockets that tell when nobody is there */
#include "snmp/peer.h"
#include "base/mem.h"
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
/* After the C library's headers, which linux/errqueue.h needs. */
#include <linux/errqueue.h>
#include <netinet/in.h>

bool
peer_parse(struct peer *p, const char *text, struct err *e)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM };
	struct addrinfo *found = NULL;
	bool bracket = text[0] == '[';
	scoped_free char *host = mem_strdup(bracket ? text + 1 : text);
	char *colon = strrchr(host, ':');

	if (colon != NULL && (!bracket || (colon > host && colon[-1] == ']'))) {
		colon[bracket ? -1 : 0] = '\0';
		if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
			found = NULL;
	}
	if (found == NULL)
		return err_set(e, ERR_INPUT,
		    "\"%.80s\" is no numeric address and port: write 192.0.2.7:162 or "
		    "[2001:db8::7]:162",
		    text);
	*p = (struct peer){ .length = found->ai_addrlen };
	memcpy(&p->address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return true;
}

bool
peer_attach(int fd, const struct peer *p, struct err *e)
{
	bool six = p->address.ss_family == AF_INET6;
	int on = 1;

	/* Without it only closed ports would be told, unreachable hosts would not. */
	if (setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
		six ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on)) != 0 ||
	    connect(fd, (const struct sockaddr *)&p->address, p->length) != 0)
		return err_errno(e, ERR_GONE, errno, "connecting a datagram socket");
	return true;
}

/* What ICMP said stands in the error queue as well: it keeps the socket "readable". */
static int
queue_take(int fd)
{
	union {
		char room[512];
		struct cmsghdr align;
	} control;
	int last = 0;

	for (int i = 0; i < 1024; i++) {
		struct msghdr m = { .msg_control = &control,
			.msg_controllen = sizeof(control) };
		if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return last;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL;
		     c = CMSG_NXTHDR(&m, c)) {
			struct sock_extended_err said;
			if (c->cmsg_len < CMSG_LEN(sizeof(said)))
				continue;
			memcpy(&said, CMSG_DATA(c), sizeof(said));
			last = (int)said.ee_errno;
		}
	}
	return last;
}

int
peer_trouble(int fd)
{
	int queued = queue_take(fd);
	int pending = 0;
	socklen_t length = sizeof(pending);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) == 0 && pending != 0)
		return pending;
	return queued;
}
