/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: a file from a URL, with its checksum */
#pragma once
#include "base/err.h"
#include <stdint.h>

/* Told now and then how far it is; false gives up. */
typedef bool (*fetch_progress)(void *context, int64_t bytes);

/*
 * http, https and file; at most `most` bytes into the file at path, which is whole or not
 * there.  ERR_GONE: the server does not answer; ERR_INPUT: it answers no such file.
 */
must_check bool fetch_url(const char *url, const char *path, int64_t most,
    fetch_progress progress, void *context, struct err *e);

/*
 * The file is what the checksum says: hexadecimal MD5, SHA-1, SHA-256 or SHA-512, by
 * length, or with "{SHA-256}" before it as CloudStack writes it.  sha256 gets the file's.
 */
must_check bool fetch_check(const char *path, const char *checksum, char sha256[65],
    struct err *e);
