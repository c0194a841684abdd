/* SPDX-License-Identifier: Apache-2.0 */
/* seed: the small FAT volume CIDATA that a guest's cloud-init reads (NoCloud) */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct seed {
	const char *instance_id; /* another one makes cloud-init run again */
	const char *host_name;
	const char *user_data;      /* base64 as it was sent, or NULL */
	const char *public_keys;    /* one a line, or "" */
	const char *password_hash;  /* for crypt(3), or NULL */
	const char *network_config; /* version 2, or NULL: what the guest's image does */
};

/*
 * The whole image, a multiple of 512 bytes.  User data of the tenant's own wins: keys and
 * password then go into vendor-data, which cloud-init merges below it.  ERR_INPUT: the
 * user data is no base64.
 */
must_check bool seed_make(struct buf *out, const struct seed *s, struct err *e);

/* Decodes base64 into out, which has room for as many bytes as text has. */
bool seed_base64(const char *text, unsigned char *out, size_t *count);

/* "web 1!" -> "web-1": what may stand for a host name (RFC 1123). */
void seed_host_name(char out[64], const char *name);
