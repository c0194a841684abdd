/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: a file from a URL, with its checksum; the one file here that knows libcurl */
#include "provision/fetch.h"
#include "base/mem.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_S = 15, STALL_S = 60, STALL_BYTES = 1024, REDIRECTS = 5 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
start(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort(); /* out of memory */
}

struct fetching {
	int fd;
	int64_t bytes, most;
	fetch_progress progress;
	void *context;
	bool too_large, full;
};

static size_t
take(char *data, size_t size, size_t count, void *context)
{
	struct fetching *f = context;
	size_t left = size * count;

	f->bytes += (int64_t)left;
	if (f->bytes > f->most) {
		f->too_large = true;
		return 0;
	}
	while (left > 0) {
		ssize_t n = write(f->fd, data, left);
		if (n < 0) {
			f->full = true;
			return 0;
		}
		data += n;
		left -= (size_t)n;
	}
	return size * count;
}

static int
progress(void *context, curl_off_t unused_total unused, curl_off_t now,
    curl_off_t unused_up_total unused, curl_off_t unused_up unused)
{
	const struct fetching *f = context;

	return f->progress == NULL || f->progress(f->context, now) ? 0 : 1;
}

static void
options(CURL *c, const char *url, struct fetching *f)
{
	(void)curl_easy_setopt(c, CURLOPT_URL, url);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,file");
	(void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	(void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
	(void)curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES);
	(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
	(void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, progress);
	(void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, f);
}

static bool
failed(CURLcode code, const struct fetching *f, const char *url, struct err *e)
{
	if (f->too_large)
		return err_set(e, ERR_LIMIT, "%.300s is larger than %lld MiB", url,
		    (long long)(f->most >> 20));
	if (f->full)
		return err_set(e, ERR_LIMIT,
		    "the disk of the images is full: %.300s was not kept", url);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return err_set(e, ERR_CONFLICT, "another worker fetches %.300s", url);
	return err_set(e,
	    code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT ? ERR_GONE
									      : ERR_INPUT,
	    "%.300s can't be fetched: %s", url, curl_easy_strerror(code));
}

bool
fetch_url(const char *url, const char *path, int64_t most, fetch_progress told,
    void *context, struct err *e)
{
	struct fetching f = { .most = most, .progress = told, .context = context };
	scoped_free char *part = mem_printf("%s.part", path);
	CURLcode code;
	CURL *c;
	bool ok;

	(void)pthread_once(&once, start);
	c = curl_easy_init();
	if (c == NULL)
		abort(); /* out of memory */
	f.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (f.fd < 0) {
		curl_easy_cleanup(c);
		return err_errno(e, ERR_LIMIT, errno, "%s", part);
	}
	options(c, url, &f);
	code = curl_easy_perform(c);
	curl_easy_cleanup(c);
	ok = code == CURLE_OK && fsync(f.fd) == 0;
	if (close(f.fd) != 0)
		ok = false;
	if (ok && rename(part, path) == 0)
		return true;
	(void)unlink(part);
	return code != CURLE_OK ? failed(code, &f, url, e)
				: err_errno(e, ERR_LIMIT, errno, "%s", path);
}

/* ---- checksums */

struct kind {
	const char *name;
	gnutls_digest_algorithm_t algorithm;
	size_t digits;
};

static const struct kind kinds[] = { { "MD5", GNUTLS_DIG_MD5, 32 },
	{ "SHA-1", GNUTLS_DIG_SHA1, 40 }, { "SHA-256", GNUTLS_DIG_SHA256, 64 },
	{ "SHA-512", GNUTLS_DIG_SHA512, 128 } };

static const struct kind *
kind_of(const char *checksum, const char **digits)
{
	const char *end = checksum[0] == '{' ? strchr(checksum, '}') : NULL;

	*digits = end != NULL ? end + 1 : checksum;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strlen(*digits) == kinds[i].digits &&
		    strspn(*digits, "0123456789abcdefABCDEF") == kinds[i].digits &&
		    (end == NULL ||
			strncasecmp(checksum + 1, kinds[i].name, strlen(kinds[i].name)) ==
			    0))
			return &kinds[i];
	return NULL;
}

static void
hex(const unsigned char *bytes, size_t count, char *out)
{
	for (size_t i = 0; i < count; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool
digest(int fd, gnutls_digest_algorithm_t algorithm, char *out)
{
	unsigned char bytes[64];
	gnutls_hash_hd_t h;
	char *buffer;
	ssize_t n = 0;
	bool ok;

	if (gnutls_hash_init(&h, algorithm) < 0)
		return false;
	buffer = mem_alloc(1 << 20);
	ok = lseek(fd, 0, SEEK_SET) == 0;
	while (ok && (n = read(fd, buffer, 1 << 20)) > 0)
		ok = gnutls_hash(h, buffer, (size_t)n) == 0;
	free(buffer);
	gnutls_hash_deinit(h, bytes);
	hex(bytes, gnutls_hash_get_len(algorithm), out);
	return ok && n == 0;
}

bool
fetch_check(const char *path, const char *checksum, char sha256[65], struct err *e)
{
	const char *wanted = NULL;
	const struct kind *k = checksum != NULL ? kind_of(checksum, &wanted) : NULL;
	char found[129] = "";
	int fd;
	bool ok;

	if (checksum != NULL && k == NULL)
		return err_set(e, ERR_INPUT,
		    "the checksum %.140s is none: write SHA-256 in hexadecimal, or "
		    "{SHA-512} and the digits",
		    checksum);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, ERR_INPUT, errno, "%s", path);
	ok = digest(fd, GNUTLS_DIG_SHA256, sha256) &&
	    (k == NULL || digest(fd, k->algorithm, found));
	(void)close(fd);
	if (!ok)
		return err_set(e, ERR_INTERNAL, "%s can't be read to its end", path);
	return k == NULL || strcasecmp(found, wanted) == 0 ||
	    err_set(e, ERR_INPUT,
		"the checksum does not fit: %s of the file is %s, not %.140s", k->name,
		found, wanted);
}
