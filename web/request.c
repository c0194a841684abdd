/* SPDX-License-Identifier: Apache-2.0 */
/* request: one HTTP request and its reply, free of any HTTP library */
#include "web/request.h"
#include <stdlib.h>
#include <string.h>

void
reply_header(struct reply *r, const char *name, const char *value)
{
	if (r->header_count == REPLY_HEADERS_MAX)
		abort(); /* our own code sets them */
	r->headers[r->header_count].name = name;
	r->headers[r->header_count++].value = value;
}

const char *
request_cookie(const struct request *r, const char *name)
{
	const char *at = r->headers[HEADER_COOKIE];
	size_t n = strlen(name);

	while (at != NULL && *at != '\0') {
		size_t length;
		at += strspn(at, " ;");
		length = strcspn(at, ";");
		if (length > n && strncmp(at, name, n) == 0 && at[n] == '=')
			return arena_strndup(r->arena, at + n + 1, length - n - 1);
		at += length;
	}
	return NULL;
}
