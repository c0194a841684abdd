/* SPDX-License-Identifier: Apache-2.0 */
/* sign: signatures of CloudStack's API, tokens and digests */
#pragma once
#include "web/params.h"
#include <stddef.h>
#include <stdint.h>

/*
 * Clients differ in what they leave bare when they sign (clients.md 9); a signature
 * that fits any of these four, in either sort order, is good.  All are always computed.
 */
#define SIGN_SAFE_SETS 4
extern const char *const sign_safe_sets[SIGN_SAFE_SETS]; /* "*", "*~", "*[]", "*~[]" */

enum sign_order { SIGN_BY_BYTES, SIGN_BY_LOWER_CASE };

/* The text that is signed: lower case, sorted, without the signature itself. */
void sign_text(struct buf *to, const struct param_list *p, const char *safe,
    enum sign_order order);
/* base64 of HMAC-SHA1; out has room for 29 bytes. */
void sign_hmac(char out[29], const char *secret, const char *text);
bool sign_good(const struct param_list *p, const char *secret, const char *signature);

/* Equal, in a time that does not depend on where they differ. */
bool secret_equal(const char *a, const char *b);

/* Random bytes as base64url without padding; bytes at most 64, out 4/3 of it and a NUL.
 */
#define TOKEN_TEXT_MAX 90
void token_make(char out[TOKEN_TEXT_MAX], size_t bytes);
/* SHA-256 in hexadecimal. */
void digest_hex(char out[65], const char *text);
/* A key of its own for a purpose: HMAC-SHA256, base64url of the first 20 bytes. */
void token_derive(char out[TOKEN_TEXT_MAX], const char *token, const char *purpose);
/* "SHA256:..." of what base64 text of that length says, as ssh-keygen shows keys; false:
 * it is none. */
bool sign_fingerprint(char out[64], const char *base64, size_t length);
/* Bytes of base64, ordinary or url form; false when it is none or too long. */
bool base64_read(char *out, size_t room, const char *text);
