/* SPDX-License-Identifier: Apache-2.0 */
/* request: one HTTP request and its reply, free of any HTTP library */
#pragma once
#include "base/buf.h"
#include "base/mem.h"
#include <stdint.h>

enum request_header {
	HEADER_COOKIE,
	HEADER_AUTHORIZATION,
	HEADER_CSRF,    /* X-CSRF-Token */
	HEADER_REFRESH, /* X-Jeoul-Refresh: asked by the page itself, not by a click */
	HEADER_ACCEPT_LANGUAGE,
	HEADER_CONTENT_TYPE,
	HEADER_IF_NONE_MATCH,
	HEADER_COUNT
};

struct request {
	struct arena *arena; /* ends with the request */
	const char *method;
	const char *path;                  /* raw, without the query */
	const char *query;                 /* raw; "" when there is none */
	const char *headers[HEADER_COUNT]; /* NULL: absent */
	const char *body;
	size_t body_length;
	const char *source; /* address of the client */
	void *prepared;     /* what route_prepare() found out */
	bool lengthy;       /* set by route_prepare(): the answer may take minutes */
};

#define REPLY_HEADERS_MAX 8

struct reply {
	unsigned status;
	const char *content_type;
	struct buf body;
	const void *fixed; /* instead of body: bytes that live as long as the program */
	size_t fixed_length;
	bool has_file; /* instead of body: an open file, which the reply owns */
	int file;
	uint64_t file_length;
	struct {
		const char *name;
		const char *value;
	} headers[REPLY_HEADERS_MAX];
	size_t header_count;
};

/* value: of the request's arena, or static. */
void reply_header(struct reply *r, const char *name, const char *value);
/* A cookie's value of the request, or NULL. */
const char *request_cookie(const struct request *r, const char *name);
