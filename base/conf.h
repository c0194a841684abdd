/* SPDX-License-Identifier: Apache-2.0 */
/* conf: one file of settings; every key is declared once, in conf.def */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
	CONF_TEXT,     /* anything without control characters */
	CONF_PATH,     /* an absolute path */
	CONF_SPAN,     /* "250ms", "60s", "5min", "1h", "1d": nanoseconds */
	CONF_SIZE,     /* "512KiB", "10GiB": bytes */
	CONF_NUMBER,   /* a whole number */
	CONF_CHOICE,   /* one of the words in range */
	CONF_ENDPOINT, /* "address:port", "[address]:port", "unix:/path" */
};

/* Where a value came from; a later one wins. */
enum conf_source { CONF_DEFAULT, CONF_FILE, CONF_ENVIRONMENT, CONF_FLAG };

/* One id per key: CONF_WEB_LISTEN is "web.listen". */
#define CONF_KEY(id, key, type, range, standard, secret, help) CONF_##id,
enum conf_id {
#include "base/conf.def"
	CONF_COUNT
};
#undef CONF_KEY

struct conf; /* all settings of this program */

struct conf *conf_new(void) must_check; /* every key at its default */
void conf_free(struct conf *c);         /* NULL is fine */

/*
 * Precedence (usability A5): flag > environment JEOUL_WEB_LISTEN > file > default.
 * file NULL: /etc/jeoul/jeoul.conf if it exists.  flags: "web.listen=127.0.0.1:9000".
 * Fails as a whole with file:line, the nearest known key and what to write instead.
 */
must_check bool conf_load(struct conf *c, const char *file, const char *const *flags,
    size_t flag_count, struct err *e);

/* What the parent hands to a role: "key=value" lines of all keys, and back. */
void conf_dump(const struct conf *c, struct buf *out);
must_check bool conf_undump(struct conf *c, const char *text, struct err *e);

const char *conf_text(const struct conf *c, enum conf_id id); /* never NULL; may be "" */
int64_t conf_span_ns(const struct conf *c, enum conf_id id);
uint64_t conf_size(const struct conf *c, enum conf_id id);
int64_t conf_number(const struct conf *c, enum conf_id id);

/*
 * For `jeoul config show` and the manual: key, effective value ("(secret)" for secrets),
 * where it came from ("default", "/etc/jeoul/jeoul.conf:12", "environment", "flag").
 */
const char *conf_key(enum conf_id id);
const char *conf_help(enum conf_id id);
const char *conf_default(enum conf_id id);
const char *conf_shown(const struct conf *c, enum conf_id id);
const char *conf_origin(const struct conf *c, enum conf_id id);
/* The key of that name, or false with the nearest key in the message. */
must_check bool conf_find(enum conf_id *id, const char *key, struct err *e);
