/* SPDX-License-Identifier: Apache-2.0 */
/* auth: who calls: by signature, by API key, by the session of a page */
#include "web/auth.h"
#include "base/log.h"
#include "web/password.h"
#include "web/sign.h"
#include "web_stmt.gen.h"
#include <string.h>

enum { SESSION_TOKEN_BYTES = 32, CREDENTIALS_MAX = 512 };

static const char refused[] =
    "unable to verify user credentials and/or request signature";
static const char refused_session[] = "unable to verify user credentials";

/* Columns of caller_by_key() and its sisters. */
enum column {
	C_USER_ID,
	C_USER_UUID,
	C_USER_NAME,
	C_USER_STATE,
	C_MUST_CHANGE,
	C_SECRET,
	C_ACCOUNT_ID,
	C_ACCOUNT_UUID,
	C_ACCOUNT_NAME,
	C_KIND,
	C_ACCOUNT_STATE,
	C_DOMAIN_UUID,
	C_LOCALE,
	C_TIMEZONE,
};

static const char *
text_of(struct call *c, const struct rows *r, enum column column)
{
	return arena_strdup(c->arena, rows_text(r, 0, column));
}

static bool
caller_enabled(const struct rows *r)
{
	return strcmp(rows_text(r, 0, C_USER_STATE), "enabled") == 0 &&
	    strcmp(rows_text(r, 0, C_ACCOUNT_STATE), "enabled") == 0;
}

static void
caller_set(struct call *c, const struct rows *r)
{
	c->caller = (struct caller){ .known = true,
		.user_id = rows_i64(r, 0, C_USER_ID),
		.account_id = rows_i64(r, 0, C_ACCOUNT_ID),
		.user_uuid = text_of(c, r, C_USER_UUID),
		.user_name = text_of(c, r, C_USER_NAME),
		.account_uuid = text_of(c, r, C_ACCOUNT_UUID),
		.account_name = text_of(c, r, C_ACCOUNT_NAME),
		.domain_uuid = text_of(c, r, C_DOMAIN_UUID),
		.locale = text_of(c, r, C_LOCALE),
		.timezone = text_of(c, r, C_TIMEZONE),
		.provider = strcmp(rows_text(r, 0, C_KIND), "provider") == 0,
		.must_change = rows_bool(r, 0, C_MUST_CHANGE) };
}

/* The secret of a key, if its user may work; NULL otherwise. */
static bool
key_find(struct call *c, const char *key, const char **secret, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	*secret = NULL;
	if (!db_query(c->db, STMT_CALLER_BY_KEY, DB_ARGS(key), &r, e))
		return false;
	if (rows_count(r) != 1 || !caller_enabled(r))
		return true;
	*secret = text_of(c, r, C_SECRET);
	caller_set(c, r);
	/* A one-time password is for pages; keys are as good as they will ever be. */
	c->caller.must_change = false;
	return true;
}

static bool
deny(struct call *c, const char *text, struct err *e)
{
	c->caller = (struct caller){ .known = false };
	return err_set(e, ERR_DENIED, "%s", text);
}

/* signatureVersion 3 makes a signature end. */
static bool
signature_expired(const struct param_list *p)
{
	const char *version = params_get(p, "signatureversion");
	const char *expires = params_get(p, "expires");
	struct err ignored = ERR_INIT;
	struct instant t;

	if (version == NULL || strcmp(version, "3") != 0)
		return false;
	return expires == NULL || !date_read(&t, expires, false, &ignored) ||
	    t.ns < clock_now().ns;
}

static bool
auth_signature(struct call *c, const char *key, struct err *e)
{
	const char *signature = params_get(c->params, "signature");
	const char *secret = NULL;

	if (signature == NULL)
		return deny(c, refused, e);
	if (!key_find(c, key, &secret, e))
		return false;
	/* An unknown key takes as long as a known one. */
	if (!sign_good(c->params, secret != NULL ? secret : "none", signature) ||
	    secret == NULL || signature_expired(c->params))
		return deny(c, refused, e);
	return true;
}

static bool
session_find(struct call *c, const char *token, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *refresh = c->request->headers[HEADER_REFRESH];
	int64_t idle_us = conf_span_ns(c->web->conf, CONF_WEB_SESSION) / NS_PER_US;
	char hash[65];

	digest_hex(hash, token);
	if (!db_query(c->db, STMT_CALLER_BY_SESSION,
		DB_ARGS(hash, DB_NUMBER(idle_us), refresh != NULL ? "false" : "true"), &r,
		e))
		return false;
	if (rows_count(r) != 1 || !caller_enabled(r))
		return deny(c, refused_session, e);
	caller_set(c, r);
	c->caller.by_session = true;
	c->caller.token = arena_strdup(c->arena, token);
	return true;
}

const char *
auth_session_key(struct call *c)
{
	char *out = arena_alloc(c->arena, TOKEN_TEXT_MAX);

	token_derive(out, c->caller.token, "sessionkey");
	return out;
}

static const char *
session_token(struct call *c)
{
	const char *token = request_cookie(c->request, "JSESSIONID");

	return token != NULL && token[0] != '\0' && strlen(token) < TOKEN_TEXT_MAX ? token
										   : NULL;
}

bool
auth_cloudstack(struct call *c, struct err *e)
{
	const char *key = params_get(c->params, "apikey");
	const char *given = params_get(c->params, "sessionkey");
	const char *cookie = request_cookie(c->request, "sessionkey");
	const char *token = session_token(c);

	if (key != NULL && key[0] != '\0')
		return auth_signature(c, key, e);
	if (token == NULL)
		return true;
	if (!session_find(c, token, e))
		return false;
	if (given == NULL || cookie == NULL ||
	    !secret_equal(given, auth_session_key(c)) || !secret_equal(cookie, given))
		return deny(c, refused_session, e);
	return true;
}

/* "Basic base64(key:secret)" or "Bearer key:secret"; false: it is neither. */
static bool
credentials_read(struct call *c, const char *header, const char **key,
    const char **secret)
{
	char *both = arena_alloc(c->arena, CREDENTIALS_MAX);
	char *colon;

	if (strncasecmp(header, "Basic ", 6) == 0) {
		if (!base64_read(both, CREDENTIALS_MAX, header + 6))
			return false;
	} else if (strncasecmp(header, "Bearer ", 7) == 0 &&
	    strlen(header + 7) < CREDENTIALS_MAX) {
		both = arena_strdup(c->arena, header + 7);
	} else {
		return false;
	}
	colon = strchr(both, ':');
	if (colon == NULL)
		return false;
	*colon = '\0';
	*key = both;
	*secret = colon + 1;
	return true;
}

static bool
auth_header(struct call *c, const char *header, struct err *e)
{
	const char *key = NULL;
	const char *given = NULL;
	const char *secret = NULL;

	if (!credentials_read(c, header, &key, &given))
		return deny(c,
		    "Authorization: write Basic or Bearer with an API key and its secret "
		    "key, apikey:secretkey",
		    e);
	if (!key_find(c, key, &secret, e))
		return false;
	if (!secret_equal(given, secret != NULL ? secret : "") || secret == NULL)
		return deny(c, "The API key and the secret key do not belong together.",
		    e);
	return true;
}

static bool
only_reads(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool
auth_rest(struct call *c, struct err *e)
{
	const char *header = c->request->headers[HEADER_AUTHORIZATION];
	const char *csrf = c->request->headers[HEADER_CSRF];
	const char *token = session_token(c);

	if (header != NULL)
		return auth_header(c, header, e);
	if (token == NULL)
		return true;
	if (!session_find(c, token, e))
		return false;
	if (only_reads(c->request->method) ||
	    (csrf != NULL && secret_equal(csrf, auth_session_key(c))))
		return true;
	return deny(c,
	    "a writing call of a session needs the header X-CSRF-Token with the "
	    "session's "
	    "key (GET /v1/session)",
	    e);
}

bool
auth_open(struct call *c, struct err *e)
{
	char token[TOKEN_TEXT_MAX];
	char hash[65];
	char csrf[65];

	token_make(token, SESSION_TOKEN_BYTES);
	c->caller.token = arena_strdup(c->arena, token);
	c->caller.by_session = true;
	digest_hex(hash, token);
	digest_hex(csrf, auth_session_key(c));
	if (!db_run(c->db, STMT_SESSION_OPEN,
		DB_ARGS(hash, DB_NUMBER(c->caller.user_id), csrf, c->request->source),
		NULL, e))
		return false;
	c->reply->header_count = 0; /* of an attempt that PostgreSQL wanted again */
	reply_header(c->reply, "Set-Cookie",
	    arena_printf(c->arena, "JSESSIONID=%s; Path=/; HttpOnly; SameSite=Lax",
		token));
	reply_header(c->reply, "Set-Cookie",
	    arena_printf(c->arena, "sessionkey=%s; Path=/; HttpOnly; SameSite=Lax",
		auth_session_key(c)));
	return true;
}

bool
auth_close(struct call *c, struct err *e)
{
	const char *token = session_token(c);
	char hash[65];

	c->reply->header_count = 0;
	reply_header(c->reply, "Set-Cookie",
	    "JSESSIONID=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
	reply_header(c->reply, "Set-Cookie",
	    "sessionkey=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
	if (token == NULL)
		return true;
	digest_hex(hash, token);
	return db_run(c->db, STMT_SESSION_CLOSE, DB_ARGS(hash), NULL, e);
}

bool
auth_password(struct call *c, const char *name, const char *password, struct rows **out,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *hash = NULL;

	if (!db_query(c->db, STMT_CALLER_BY_NAME, DB_ARGS(name), &r, e))
		return false;
	if (rows_count(r) == 1)
		hash = rows_text(r, 0, C_SECRET);
	if (!password_good(password, hash) || !caller_enabled(r)) {
		log_warning("log-in of %s from %s refused", name, c->request->source);
		return deny(c,
		    "Failed to authenticate user; please provide valid credentials", e);
	}
	caller_set(c, r);
	*out = r;
	r = NULL;
	return true;
}
