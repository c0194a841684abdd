/* SPDX-License-Identifier: Apache-2.0 */
/* A whole request as the HTTP library hands it over, up to the operation that it asks for
 */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "web/face.h"
#include "web/pages.h"
#include "web/sign.h"
#include <stdlib.h>
#include <string.h>

static void
rest_check(const struct route *route, const struct request *r)
{
	const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;

	if (route->op == NULL) {
		must(route->params.count == 0, "parameters of no operation");
		return;
	}
	must(route->allow == NULL, "found, and yet only other methods");
	must(operation_path(route->op, r->path, NULL, NULL), "%s is not %s", r->path,
	    route->op->path);
	must(strcmp(route->op->method, method) == 0, "%s asked for %s", r->method,
	    route->op->method);
	/* The path goes before the query and the body: nobody asks for one thing and
	 * gets another. */
	const char *brace = strchr(route->op->path, '{');
	if (brace == NULL || route->broken.kind != ERR_NONE)
		return;
	scoped_free char *name = mem_strndup(brace + 1, strcspn(brace + 1, "}"));
	const char *value = params_get(&route->params, name);
	const char *start = r->path + (brace - route->op->path);
	const char *wanted = percent_decode(r->arena, start, strcspn(start, "/"));
	must(value != NULL && wanted != NULL && strcmp(value, wanted) == 0,
	    "{%s} of %s is \"%s\"", name, r->path, value != NULL ? value : "(none)");
}

static void
cloudstack_check(const struct route *route)
{
	const char *command = params_get(&route->params, "command");

	if (route->op != NULL)
		must(command != NULL && strcmp(command, route->op->name) == 0,
		    "asked for %s, found %s", command, route->op->name);
	must(route->broken.kind == ERR_NONE || route->broken.kind == ERR_INPUT, "%s",
	    route->broken.text);
}

/* Only what was sent, whole, and never another cookie's. */
static void
cookie_check(const struct request *r)
{
	const char *all = r->headers[HEADER_COOKIE];
	const char *value = request_cookie(r, "JSESSIONID");

	if (value == NULL)
		return;
	scoped_free char *pair = mem_printf("JSESSIONID=%s", value);
	const char *at = strstr(all, pair);
	must(at != NULL, "%s was not sent", pair);
	must(strchr(value, ';') == NULL, "%s", value);
}

static void
base64_check(const char *text)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char out[64];
	size_t n;

	memset(out, 'x', sizeof(out));
	if (!base64_read(out, sizeof(out), text))
		return;
	n = strlen(out);
	must(n < sizeof(out), "%zu bytes", n);
	/* Each whole group of three gives its four digits back. */
	for (size_t i = 0; i + 2 < n; i += 3) {
		unsigned group = (unsigned)(unsigned char)out[i] << 16 |
		    (unsigned)(unsigned char)out[i + 1] << 8 | (unsigned char)out[i + 2];
		for (size_t k = 0; k < 4; k++) {
			char c = text[i / 3 * 4 + k];
			char plain = c == '-' ? '+' : c == '_' ? '/' : c;
			must(digits[group >> (18 - 6 * k) & 63] == plain, "%s", text);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE",
		"HEAD", "OPTIONS" };
	static const char *const types[] = { NULL, "application/json",
		"application/x-www-form-urlencoded", "application/json; charset=utf-8",
		"text/plain", "" };
	struct arena *arena = arena_new();
	struct request r = { .arena = arena };
	struct route *route = arena_alloc(arena, sizeof(*route));

	r.method = methods[fuzz_choice(&data, &size, ARRAY_LEN(methods))];
	r.headers[HEADER_CONTENT_TYPE] =
	    types[fuzz_choice(&data, &size, ARRAY_LEN(types))];
	route->rest = fuzz_choice(&data, &size, 2) == 0;
	scoped_free char *path = fuzz_piece(&data, &size);
	scoped_free char *query = fuzz_piece(&data, &size);
	scoped_free char *cookie = fuzz_piece(&data, &size);
	scoped_free char *language = fuzz_piece(&data, &size);
	scoped_free char *body = fuzz_text(data, size);
	r.path = path;
	r.query = query;
	r.headers[HEADER_COOKIE] = cookie;
	r.headers[HEADER_ACCEPT_LANGUAGE] = language;
	r.body = body;
	r.body_length = size;
	route->params.arena = arena;
	(route->rest ? rest_prepare : cloudstack_prepare)(route, &r);
	if (route->rest)
		rest_check(route, &r);
	else
		cloudstack_check(route);
	cookie_check(&r);
	base64_check(cookie);
	const char *shown = pages_language(&r);
	must(strcmp(shown, "ko") == 0 || strcmp(shown, "en") == 0, "language %s", shown);
	arena_free(arena);
	return 0;
}
