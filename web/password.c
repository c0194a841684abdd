/* SPDX-License-Identifier: Apache-2.0 */
/* password: yescrypt by libcrypt */
#include "web/password.h"
#include "base/mem.h"
#include "web/sign.h"
#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MOST = 512 };

/* crypt_data is 32 KiB: too much for the small stacks of the server's threads. */
static bool
crypt_to(char out[PASSWORD_HASH_MAX], const char *password, const char *setting)
{
	struct crypt_data *data = mem_alloc(sizeof(*data));
	const char *hash = crypt_r(password, setting, data);
	bool ok = hash != NULL && hash[0] != '*' && strlen(hash) < PASSWORD_HASH_MAX;

	if (ok)
		(void)snprintf(out, PASSWORD_HASH_MAX, "%s", hash);
	gnutls_memset(data, 0, sizeof(*data));
	free(data);
	return ok;
}

bool
password_hash(char out[PASSWORD_HASH_MAX], const char *password, struct err *e)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)) == NULL ||
	    !crypt_to(out, password, setting))
		return err_errno(e, ERR_INTERNAL, errno, "libcrypt");
	return true;
}

bool
password_good(const char *password, const char *hash)
{
	/* Of no password at all; an unknown user must cost the same time. */
	static const char nobody[] =
	    "$y$j9T$aaaaaaaaaaaaaaaaaaaaa.$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	char got[PASSWORD_HASH_MAX];
	bool ok = crypt_to(got, password, hash != NULL ? hash : nobody);

	return ok && hash != NULL && secret_equal(got, hash);
}

bool
password_fit(const char *password, struct err *e)
{
	size_t n = strlen(password);

	if (n < PASSWORD_LEAST || n > PASSWORD_MOST)
		return err_set(e, ERR_INPUT, "a password has %d to %d characters",
		    PASSWORD_LEAST, PASSWORD_MOST);
	return true;
}

void
password_make(char out[20])
{
	/* Without letters that look alike; 32 of them, so that no one is likelier. */
	static const char letters[] = "23456789abcdefghijkmnpqrstuvwxyz";
	unsigned char random[16];
	size_t n = 0;

	if (gnutls_rnd(GNUTLS_RND_KEY, random, sizeof(random)) != 0)
		abort();
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i > 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = letters[random[i] & 31];
	}
	out[n] = '\0';
}
