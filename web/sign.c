/* SPDX-License-Identifier: Apache-2.0 */
/* sign: signatures of CloudStack's API, tokens and digests */
#include "web/sign.h"
#include <ctype.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHA1_BYTES = 20, SHA256_BYTES = 32 };

const char *const sign_safe_sets[SIGN_SAFE_SETS] = { "*", "*~", "*[]", "*~[]" };

static const char base64_plain[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
base64_write(char *out, const unsigned char *bytes, size_t n, const char *digits,
    bool padded)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t group = (uint32_t)bytes[i] << 16;
		if (i + 1 < n)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < n)
			group |= bytes[i + 2];
		for (size_t k = 0; k < 4; k++) {
			if (k <= n - i)
				*out++ = digits[group >> (18 - 6 * k) & 63];
			else if (padded)
				*out++ = '=';
		}
	}
	*out = '\0';
}

static int
base64_digit(char c)
{
	const char *plain = strchr(base64_plain, c);
	const char *url = strchr(base64_url, c);

	if (plain != NULL)
		return (int)(plain - base64_plain);
	return url != NULL ? (int)(url - base64_url) : -1;
}

bool
base64_read(char *out, size_t room, const char *text)
{
	uint32_t group = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (; *text != '\0' && *text != '='; text++) {
		int digit = base64_digit(*text);
		if (digit < 0)
			return false;
		group = group << 6 | (uint32_t)digit;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n + 1 >= room)
			return false;
		out[n++] = (char)(group >> bits & 255);
	}
	out[n] = '\0';
	return true;
}

static bool
stays_bare(char c, const char *safe)
{
	return isalnum((unsigned char)c) != 0 || strchr("-_.", c) != NULL ||
	    strchr(safe, c) != NULL;
}

static void
char_encode(struct buf *to, char c, const char *safe)
{
	int lower = tolower((unsigned char)c);

	if (stays_bare(c, safe))
		buf_putc(to, (char)lower);
	else
		buf_printf(to, "%%%02x", (unsigned char)c);
}

static void
value_encode(struct buf *to, const char *value, const char *safe)
{
	for (const char *c = value; *c != '\0'; c++)
		char_encode(to, *c, safe);
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp((*(const struct param *const *)a)->name,
	    (*(const struct param *const *)b)->name);
}

static int
by_lower_case(const void *a, const void *b)
{
	return strcmp((*(const struct param *const *)a)->lower,
	    (*(const struct param *const *)b)->lower);
}

void
sign_text(struct buf *to, const struct param_list *p, const char *safe,
    enum sign_order order)
{
	const struct param *sorted[PARAMS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->list[i].lower, "signature") != 0)
			sorted[count++] = &p->list[i];
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are sorted */
	qsort(sorted, count, sizeof(sorted[0]),
	    order == SIGN_BY_BYTES ? by_bytes : by_lower_case);
	for (size_t i = 0; i < count; i++) {
		buf_puts(to, i > 0 ? "&" : "");
		buf_puts(to, sorted[i]->lower);
		buf_putc(to, '=');
		value_encode(to, sorted[i]->value, safe);
	}
}

void
sign_hmac(char out[29], const char *secret, const char *text)
{
	unsigned char digest[SHA1_BYTES];

	/* Fails only where SHA-1 was forbidden on the whole machine: then nothing fits.
	 */
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA1, secret, strlen(secret), text, strlen(text),
		digest) != 0)
		abort();
	base64_write(out, digest, sizeof(digest), base64_plain, true);
}

bool
secret_equal(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && gnutls_memcmp(a, b, n) == 0;
}

bool
sign_good(const struct param_list *p, const char *secret, const char *signature)
{
	unsigned good = 0;

	for (int order = SIGN_BY_BYTES; order <= SIGN_BY_LOWER_CASE; order++) {
		for (size_t i = 0; i < SIGN_SAFE_SETS; i++) {
			struct buf text = BUF_INIT;
			char wanted[29];
			sign_text(&text, p, sign_safe_sets[i], (enum sign_order)order);
			sign_hmac(wanted, secret, buf_text(&text));
			good |= (unsigned)secret_equal(wanted, signature);
			buf_done(&text);
		}
	}
	return good != 0;
}

void
token_make(char out[TOKEN_TEXT_MAX], size_t bytes)
{
	unsigned char random[64];

	if (bytes > sizeof(random) || gnutls_rnd(GNUTLS_RND_KEY, random, bytes) != 0)
		abort();
	base64_write(out, random, bytes, base64_url, false);
	gnutls_memset(random, 0, sizeof(random));
}

void
digest_hex(char out[65], const char *text)
{
	unsigned char digest[SHA256_BYTES];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest) != 0)
		abort();
	for (size_t i = 0; i < sizeof(digest); i++)
		(void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void
token_derive(char out[TOKEN_TEXT_MAX], const char *token, const char *purpose)
{
	unsigned char digest[SHA256_BYTES];

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, token, strlen(token), purpose,
		strlen(purpose), digest) != 0)
		abort();
	base64_write(out, digest, 20, base64_url, false);
}

bool
sign_fingerprint(char out[64], const char *base64, size_t length)
{
	unsigned char digest[SHA256_BYTES];
	gnutls_datum_t decoded = { NULL, 0 };
	scoped_free char *text = mem_strndup(base64, length);
	const gnutls_datum_t in = { (unsigned char *)text, (unsigned)length };
	bool ok = length > 16 && gnutls_base64_decode2(&in, &decoded) == 0 &&
	    gnutls_hash_fast(GNUTLS_DIG_SHA256, decoded.data, decoded.size, digest) == 0;

	gnutls_free(decoded.data);
	if (!ok)
		return false;
	memcpy(out, "SHA256:", 7);
	base64_write(out + 7, digest, sizeof(digest), base64_plain, false);
	return true;
}
