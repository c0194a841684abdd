/* SPDX-License-Identifier: Apache-2.0 */
/* pages: the static files of the browser, embedded into the program, in ko and en */
#include "web/pages.h"
#include "base/json.h"
#include "web/assets.h"
#include "web/sign.h"
#include "web/xml.h"
#include <stdlib.h>
#include <string.h>

enum { LANGUAGES = 2, PAGES_MOST = 16, ASSETS_MOST = 64, KEY_MAX_BYTES = 64 };

static const char *const languages[LANGUAGES] = { "en", "ko" };

/* Made by pages_load() and never changed after. */
struct page {
	const struct asset *asset;
	char *html[LANGUAGES];
	char *etag[LANGUAGES];
};
static struct page pages[PAGES_MOST];
static size_t page_count;
static char *asset_etags[ASSETS_MOST];

static char *
etag_make(const char *bytes)
{
	char digest[65];

	digest_hex(digest, bytes);
	return mem_printf("\"%.16s\"", digest);
}

bool
pages_translate(struct buf *to, const char *html, size_t length,
    const struct jval *catalogue, const char *language, struct err *e)
{
	const char *at = html;
	const char *end = html + length;

	while (at < end) {
		const char *open = memmem(at, (size_t)(end - at), "{{", 2);
		const char *close = open != NULL
		    ? memmem(open, (size_t)(end - open), "}}", 2)
		    : NULL;
		char key[KEY_MAX_BYTES] = "";
		const char *text;
		if (close == NULL)
			break;
		buf_add(to, at, (size_t)(open - at));
		if (close - open - 2 < KEY_MAX_BYTES)
			memcpy(key, open + 2, (size_t)(close - open - 2));
		text = strcmp(key, "lang") == 0 ? language
						: json_text(json_get(catalogue, key));
		if (text == NULL)
			return err_set(e, ERR_INTERNAL, "%s.json has no text for \"%s\"",
			    language, key);
		xml_escape(to, text);
		at = close + 2;
	}
	buf_add(to, at, (size_t)(end - at));
	return true;
}

static bool
is_page(const struct asset *a)
{
	return strncmp(a->content_type, "text/html", 9) == 0;
}

static bool
page_load(struct page *p, size_t language, const struct jval *catalogue, struct err *e)
{
	struct buf b = BUF_INIT;
	const struct asset *a = p->asset;

	if (!pages_translate(&b, a->start, (size_t)(a->end - a->start), catalogue,
		languages[language], e)) {
		buf_done(&b);
		return err_wrap(e, "page %s", a->path);
	}
	p->etag[language] = etag_make(buf_text(&b));
	p->html[language] = buf_take(&b);
	return true;
}

static bool
language_load(size_t language, struct err *e)
{
	scoped_free char *path = mem_printf("/pages/%s.json", languages[language]);
	const struct asset *a = asset_find(path);
	struct json *doc = NULL;
	bool ok = true;

	if (a == NULL || !json_parse(&doc, a->start, (size_t)(a->end - a->start), e))
		return err_wrap(e, "%s", path);
	for (size_t i = 0; ok && i < page_count; i++)
		ok = page_load(&pages[i], language, json_root(doc), e);
	json_free(doc);
	return ok;
}

bool
pages_load(struct err *e)
{
	page_count = 0;
	for (size_t i = 0; i < assets_count && i < ASSETS_MOST; i++) {
		if (is_page(&assets[i]) && page_count < PAGES_MOST)
			pages[page_count++].asset = &assets[i];
		asset_etags[i] = etag_make(assets[i].start);
	}
	for (size_t i = 0; i < LANGUAGES; i++)
		if (!language_load(i, e))
			return false;
	return true;
}

/* ---- language */

static size_t
language_index(const char *tag, size_t length)
{
	for (size_t i = 0; i < LANGUAGES; i++)
		if (length >= 2 && strncasecmp(tag, languages[i], 2) == 0 &&
		    (length == 2 || tag[2] == '-'))
			return i;
	return LANGUAGES;
}

/* "ko;q=0.8" -> 800; without q it is 1000. */
static long
quality_of(const char *item, size_t length)
{
	const char *q = memmem(item, length, "q=", 2);

	if (q == NULL)
		return 1000;
	if (q[2] == '1')
		return 1000;
	if (q + 4 < item + length && q[3] == '.' && q[4] >= '0' && q[4] <= '9')
		return (q[4] - '0') * 100L;
	return 0;
}

static size_t
language_accepted(const char *header)
{
	size_t best = 0;
	long best_quality = 0;

	while (header != NULL && *header != '\0') {
		size_t length;
		size_t tag_length;
		header += strspn(header, " ");
		length = strcspn(header, ",");
		tag_length = strcspn(header, ",; ");
		if (language_index(header, tag_length) < LANGUAGES &&
		    quality_of(header, length) > best_quality) {
			best = language_index(header, tag_length);
			best_quality = quality_of(header, length);
		}
		header += length + (header[length] == ',' ? 1 : 0);
	}
	return best;
}

static size_t
language_of(const struct request *r)
{
	const char *cookie = request_cookie(r, "jeoul_lang");
	size_t i = cookie != NULL ? language_index(cookie, strlen(cookie)) : LANGUAGES;

	return i < LANGUAGES ? i : language_accepted(r->headers[HEADER_ACCEPT_LANGUAGE]);
}

const char *
pages_language(const struct request *r)
{
	return languages[language_of(r)];
}

/* ---- answers */

static void
redirect(struct reply *out, const char *to)
{
	out->status = 303;
	reply_header(out, "Location", to);
	reply_header(out, "Cache-Control", "no-store");
}

/* ?lang=ko: keep it in a cookie and go on without it. */
static bool
language_switch(const struct request *r, struct reply *out)
{
	const char *wanted = strstr(r->query, "lang=");
	size_t i = wanted != NULL ? language_index(wanted + 5, strcspn(wanted + 5, "&"))
				  : LANGUAGES;

	if (i == LANGUAGES)
		return false;
	redirect(out, arena_strdup(r->arena, r->path));
	reply_header(out, "Set-Cookie",
	    arena_printf(r->arena,
		"jeoul_lang=%s; Path=/; Max-Age=31536000; SameSite=Lax", languages[i]));
	return true;
}

static void
bytes_answer(const struct request *r, struct reply *out, const char *bytes, size_t length,
    const char *etag)
{
	const char *known = r->headers[HEADER_IF_NONE_MATCH];

	out->status = 200;
	reply_header(out, "ETag", etag);
	reply_header(out, "Cache-Control", "no-cache");
	if (known != NULL && strcmp(known, etag) == 0) {
		out->status = 304;
		return;
	}
	out->fixed = bytes;
	out->fixed_length = length;
}

static void
page_answer(const struct page *p, const struct request *r, struct reply *out)
{
	size_t language = language_of(r);

	if (language_switch(r, out))
		return;
	out->content_type = p->asset->content_type;
	reply_header(out, "Vary", "Accept-Language, Cookie");
	reply_header(out, "Content-Language", languages[language]);
	bytes_answer(r, out, p->html[language], strlen(p->html[language]),
	    p->etag[language]);
}

static void
asset_answer(const struct asset *a, const struct request *r, struct reply *out)
{
	for (size_t i = 0; i < page_count; i++)
		if (pages[i].asset == a) {
			page_answer(&pages[i], r, out);
			return;
		}
	out->content_type = a->content_type;
	bytes_answer(r, out, a->start, (size_t)(a->end - a->start),
	    asset_etags[a - assets]);
}

void
pages_answer(const struct request *r, struct reply *out)
{
	const struct asset *a = asset_find(r->path);
	bool root = strcmp(r->path, "/") == 0;

	if ((root || a != NULL) && strcmp(r->method, "GET") != 0 &&
	    strcmp(r->method, "HEAD") != 0) {
		out->status = 405;
		reply_header(out, "Allow", "GET, HEAD");
	} else if (root) {
		redirect(out,
		    request_cookie(r, "JSESSIONID") != NULL ? "/admin" : "/login");
	} else if (a != NULL) {
		asset_answer(a, r, out);
	} else {
		out->status = 404;
		out->content_type = "text/plain; charset=utf-8";
		buf_puts(&out->body, "There is nothing at this address.\n");
	}
}
