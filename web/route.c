/* SPDX-License-Identifier: Apache-2.0 */
/* route: which face or page a request is for */
#include "web/route.h"
#include "web/face.h"
#include "web/pages.h"
#include <string.h>

static bool
below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool
route_prepare(void *unused_web unused, struct request *r)
{
	struct route *route;

	if (!below(r->path, "/client/api") && !below(r->path, "/v1"))
		return false;
	route = arena_alloc(r->arena, sizeof(*route));
	route->params.arena = r->arena;
	route->rest = below(r->path, "/v1");
	r->prepared = route;
	if (route->rest)
		rest_prepare(route, r);
	else
		cloudstack_prepare(route, r);
	r->lengthy = route->op != NULL && route->op->form == FORM_FILE;
	return route->op != NULL && route->broken.kind == ERR_NONE &&
	    call_slow(route->op);
}

static void
openapi_answer(struct reply *out)
{
	out->status = 200;
	out->content_type = "application/json";
	openapi_write(&out->body);
}

void
route_answer(void *web, struct request *r, struct reply *out)
{
	struct route *route = r->prepared;

	if (route == NULL)
		pages_answer(r, out);
	else if (strcmp(r->path, "/v1/openapi.json") == 0 &&
	    (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0))
		openapi_answer(out);
	else if (route->rest)
		rest_answer(web, route, r, out);
	else
		cloudstack_answer(web, route, r, out);
}
