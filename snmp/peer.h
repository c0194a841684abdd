/* SPDX-License-Identifier: Apache-2.0 */
/* peer: numeric addresses, and sockets that tell when nobody is there */
#pragma once
#include "base/err.h"
#include <sys/socket.h>

struct peer {
	struct sockaddr_storage address;
	socklen_t length;
};

/* "192.0.2.7:162" or "[2001:db8::7]:162": no name server may ever delay an alarm. */
must_check bool peer_parse(struct peer *p, const char *text, struct err *e);

/*
 * Connects a datagram socket, so that the kernel hands back what ICMP says of our own
 * datagrams: a closed port, an unreachable host or net (RFC 1122, 4.1.3.3).
 */
must_check bool peer_attach(int fd, const struct peer *p, struct err *e);

/* The socket's pending error, or 0; takes it off the socket. */
int peer_trouble(int fd);
