/* SPDX-License-Identifier: Apache-2.0 */
/* tls: a connection that nobody reads or forges; the one file here that knows GnuTLS */
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <sys/types.h>

/* Files in PEM; "" for each that is not there. */
struct tls_setup {
	const char *ca;         /* who may vouch for receivers; "": those of the system */
	const char *cert, *key; /* who we are, for receivers that ask */
};

/* Keys and certificates, read once. */
struct tls_trust;
must_check bool tls_trust_read(struct tls_trust **out, const struct tls_setup *setup,
    struct err *e);

/* One connection over a socket that does not block and stays the caller's. */
struct tls;
/* name: what the receiver's certificate must be for, a host's name or an address. */
must_check bool tls_begin(struct tls **out, struct tls_trust *trust, int fd,
    const char *name, struct err *e);
void tls_end(struct tls *t); /* NULL is fine */

enum tls_step { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };
enum tls_step tls_greet(struct tls *t, struct err *e);
/* Bytes that were taken, 0: later, -1: broken. */
ssize_t tls_write(struct tls *t, const void *bytes, size_t length, struct err *e);
/* Takes in what came, which says nothing to us; false: the connection is over. */
bool tls_drain(struct tls *t, struct err *e);
