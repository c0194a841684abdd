/* SPDX-License-Identifier: Apache-2.0 */
/* auth: who calls: by signature, by API key, by the session of a page */
#pragma once
#include "web/web.h"

/*
 * All set c->caller, or answer ERR_DENIED with CloudStack's text.  Without any
 * credentials caller.known stays false and the answer is true: public calls go on.
 */

/* apikey and signature among the parameters, else JSESSIONID and sessionkey. */
must_check bool auth_cloudstack(struct call *c, struct err *e);
/* Authorization: Basic or Bearer with apikey:secretkey, else the session; writing calls
 * of a session must carry X-CSRF-Token. */
must_check bool auth_rest(struct call *c, struct err *e);

/* The key that calls of a session carry, derived from its token. */
const char *auth_session_key(struct call *c);
/* Opens a session of the caller and sets its cookies. */
must_check bool auth_open(struct call *c, struct err *e);
must_check bool auth_close(struct call *c, struct err *e);
/* Password against the user of that name: sets c->caller, answers the log-in's row. */
must_check bool auth_password(struct call *c, const char *name, const char *password,
    struct rows **out, struct err *e);
