/* SPDX-License-Identifier: Apache-2.0 */
/* face: the two faces of the operations: CloudStack's query API and REST */
#pragma once
#include "web/web.h"

/* What was found out of a request before any work is done. */
struct route {
	const struct operation *op; /* NULL: unknown command, or no such path */
	struct param_list params;
	struct err broken; /* the parameters could not even be read */
	bool rest;
	const char *allow; /* REST: the path is there, by these methods */
};

void cloudstack_prepare(struct route *route, struct request *r);
void cloudstack_answer(struct web *web, struct route *route, struct request *r,
    struct reply *out);

void rest_prepare(struct route *route, struct request *r);
void rest_answer(struct web *web, struct route *route, struct request *r,
    struct reply *out);

/* The OpenAPI 3.1 document; pure. */
void openapi_write(struct buf *to);

void face_begin(struct call *c, struct web *web, struct route *route, struct request *r,
    struct reply *out);
/* Runs it with a connection of this thread; the failures of both faces are logged here.
 */
must_check bool face_run(struct call *c, bool (*auth)(struct call *c, struct err *e),
    struct err *e);
