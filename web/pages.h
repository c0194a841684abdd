/* SPDX-License-Identifier: Apache-2.0 */
/* pages: the static files of the browser, embedded into the program, in ko and en */
#pragma once
#include "base/err.h"
#include "web/request.h"

/* Reads the catalogues and translates the pages once; ERR_INTERNAL names what is broken.
 */
must_check bool pages_load(struct err *e);
void pages_answer(const struct request *r, struct reply *out);

/* The language for a page: cookie jeoul_lang, then Accept-Language, then English. */
const char *pages_language(const struct request *r);
/* {{key}} in a page becomes the catalogue's text, HTML-escaped; false: a key is missing.
 */
struct jval;
must_check bool pages_translate(struct buf *to, const char *html, size_t length,
    const struct jval *catalogue, const char *language, struct err *e);
