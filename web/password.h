/* SPDX-License-Identifier: Apache-2.0 */
/* password: yescrypt by libcrypt */
#pragma once
#include "base/err.h"

#define PASSWORD_HASH_MAX 384 /* CRYPT_OUTPUT_SIZE */
#define PASSWORD_LEAST 8

must_check bool password_hash(char out[PASSWORD_HASH_MAX], const char *password,
    struct err *e);
/* hash NULL: takes as long as a real one and says no. */
bool password_good(const char *password, const char *hash);
/* Long enough, not too long.  ERR_INPUT. */
must_check bool password_fit(const char *password, struct err *e);
/* A one-time password that can be read aloud: "kfu7-p2mw-9xhe-4tqc". */
void password_make(char out[20]);
