/* SPDX-License-Identifier: Apache-2.0 */
/* route: which face or page a request is for */
#pragma once
#include "web/web.h"

/* true: it may wait; both are calls of server.h with a struct web as context. */
bool route_prepare(void *web, struct request *r);
void route_answer(void *web, struct request *r, struct reply *out);
