/* SPDX-License-Identifier: Apache-2.0 */
/* client: signed calls of the CloudStack query API; the one file that knows libcurl */
#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "web/params.h"
#include "web/sign.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_S = 5, CALL_S = 60, FILE_S = 1200 };

static void
key_line(struct cli *c, char *line)
{
	char *equals = strchr(line, '=');
	char *value = equals != NULL ? equals + 1 + strspn(equals + 1, " ") : NULL;

	if (value == NULL)
		return;
	value[strcspn(value, "\r\n")] = '\0';
	if (strncmp(line, "url", 3) == 0 && c->url[0] == '\0')
		(void)snprintf(c->url, sizeof(c->url), "%s", value);
	if (strncmp(line, "apikey", 6) == 0 && c->api_key[0] == '\0')
		(void)snprintf(c->api_key, sizeof(c->api_key), "%s", value);
	if (strncmp(line, "secretkey", 9) == 0 && c->secret_key[0] == '\0')
		(void)snprintf(c->secret_key, sizeof(c->secret_key), "%s", value);
}

static void
environment_take(char *out, size_t room, const char *name)
{
	const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */

	if (value != NULL)
		(void)snprintf(out, room, "%s", value);
}

bool
client_keys(struct cli *c, struct err *e)
{
	char path[STATE_PATH_MAX];
	char line[1024];
	FILE *f;

	environment_take(c->url, sizeof(c->url), "JEOUL_URL");
	environment_take(c->api_key, sizeof(c->api_key), "JEOUL_API_KEY");
	environment_take(c->secret_key, sizeof(c->secret_key), "JEOUL_SECRET_KEY");
	f = fopen(state_path(c->conf, path, "admin.key"), "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		key_line(c, line);
	if (f != NULL)
		(void)fclose(f);
	if (c->url[0] == '\0')
		(void)snprintf(c->url, sizeof(c->url), "http://%s",
		    conf_text(c->conf, CONF_WEB_LISTEN));
	if (c->api_key[0] != '\0' && c->secret_key[0] != '\0')
		return true;
	return err_set(e, ERR_DENIED,
	    "no API key: %s can't be read (only root may), and JEOUL_API_KEY and "
	    "JEOUL_SECRET_KEY are not set",
	    path);
}

/* Where an answer goes: a file's bytes as they come, all else into memory. */
struct taking {
	CURL *handle;
	struct buf *body;
	FILE *file; /* NULL: everything is kept */
};

static size_t
piece_take(const char *piece, size_t unused_one unused, size_t length, void *context)
{
	struct taking *t = context;
	long status = 0;

	(void)curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status);
	if (t->file != NULL && status == 200)
		return fwrite(piece, 1, length, t->file);
	buf_add(t->body, piece, length);
	return length;
}

/* The form as it is sent, signature last. */
static bool
form_make(const struct cli *c, const char *command, const struct cli_param *params,
    size_t count, struct buf *form, struct err *e)
{
	struct arena *a = arena_new();
	struct param_list *p = arena_alloc(a, sizeof(*p));
	struct buf text = BUF_INIT;
	char signature[29];
	bool ok;

	p->arena = a;
	ok = params_add(p, "command", command, e) &&
	    params_add(p, "response", "json", e) &&
	    params_add(p, "apiKey", c->api_key, e);
	for (size_t i = 0; ok && i < count; i++)
		ok = params_add(p, params[i].name, params[i].value, e);
	sign_text(&text, p, sign_safe_sets[0], SIGN_BY_BYTES);
	sign_hmac(signature, c->secret_key, buf_text(&text));
	ok = ok && params_add(p, "signature", signature, e);
	for (size_t i = 0; ok && i < p->count; i++) {
		char *value = curl_easy_escape(NULL, p->list[i].value, 0);
		buf_printf(form, "%s%s=%s", i > 0 ? "&" : "", p->list[i].name, value);
		curl_free(value);
	}
	buf_done(&text);
	arena_free(a);
	return ok;
}

static enum err_kind
kind_of(long status)
{
	switch (status) {
	case 400:
	case 430:
	case 431:
	case 432:
		return ERR_INPUT;
	case 401:
	case 403:
	case 531:
		return ERR_DENIED;
	case 404:
		return ERR_NOT_FOUND;
	case 409:
	case 536:
	case 537:
		return ERR_CONFLICT;
	case 532:
	case 533:
	case 535:
		return ERR_LIMIT;
	case 503:
		return ERR_GONE;
	default:
		return ERR_INTERNAL;
	}
}

static bool
post(const struct cli *c, const char *form, struct taking *t, long *status, struct err *e)
{
	scoped_free char *url = mem_printf("%s/client/api", c->url);
	char reason[CURL_ERROR_SIZE] = "";
	CURL *h = curl_easy_init();
	CURLcode code;

	if (h == NULL)
		return err_set(e, ERR_INTERNAL, "libcurl can't start");
	t->handle = h;
	(void)curl_easy_setopt(h, CURLOPT_URL, url);
	(void)curl_easy_setopt(h, CURLOPT_POSTFIELDS, form);
	(void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, piece_take);
	(void)curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(h, CURLOPT_ERRORBUFFER, reason);
	(void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	(void)curl_easy_setopt(h, CURLOPT_TIMEOUT,
	    (long)(t->file != NULL ? FILE_S : CALL_S));
	(void)curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	code = curl_easy_perform(h);
	(void)curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, status);
	curl_easy_cleanup(h);
	if (code != CURLE_OK)
		return err_set(e, ERR_GONE, "%s does not answer: %s", c->url,
		    reason[0] != '\0' ? reason : curl_easy_strerror(code));
	return true;
}

const struct jval *
client_body(const struct json *doc)
{
	return json_first(json_root(doc));
}

/* Why a call failed, as the server says it. */
static bool
refused(const struct json *doc, long status, struct err *e)
{
	const char *text = json_text(json_get(client_body(doc), "errortext"));

	return err_set(e, kind_of(status), "%s",
	    text != NULL ? text : "the server does not say why");
}

bool
client_call(const struct cli *c, const char *command, const struct cli_param *params,
    size_t count, struct json **out, struct err *e)
{
	struct buf form = BUF_INIT;
	struct buf body = BUF_INIT;
	struct taking t = { .body = &body };
	struct json *doc = NULL;
	long status = 0;
	bool ok = form_make(c, command, params, count, &form, e) &&
	    post(c, buf_text(&form), &t, &status, e) &&
	    json_parse(&doc, buf_text(&body), body.length, e);

	if (ok && status != 200)
		ok = refused(doc, status, e);
	buf_done(&form);
	buf_done(&body);
	if (ok)
		*out = doc;
	else
		json_free(doc);
	return ok;
}

bool
client_file(const struct cli *c, const char *command, const struct cli_param *params,
    size_t count, FILE *out, struct err *e)
{
	struct buf form = BUF_INIT;
	struct buf body = BUF_INIT;
	struct taking t = { .body = &body, .file = out };
	struct json *doc = NULL;
	long status = 0;
	bool ok = form_make(c, command, params, count, &form, e) &&
	    post(c, buf_text(&form), &t, &status, e);

	if (ok && status != 200)
		ok = json_parse(&doc, buf_text(&body), body.length, e) &&
		    refused(doc, status, e);
	buf_done(&form);
	buf_done(&body);
	json_free(doc);
	return ok;
}
