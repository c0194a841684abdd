/* SPDX-License-Identifier: Apache-2.0 */
/* json: reading with cJSON behind a fence, writing as text; no amount is ever a double */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reading.  A document keeps its values until json_free().  Numbers are handed out
 * as they stand in the text, never through a double (DESIGN 7, law 1).
 */
struct json; /* a document */
struct jval; /* a value in it; NULL means "absent" and every reader takes it */

#define JSON_DEPTH_MAX 32
#define JSON_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Refuses more than JSON_BYTES_MAX, JSON_DEPTH_MAX, double keys and trailing text. */
must_check bool json_parse(struct json **out, const char *text, size_t length,
    struct err *e);
void json_free(struct json *doc); /* NULL is fine */
const struct jval *json_root(const struct json *doc);

enum json_type {
	JSON_ABSENT,
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};
enum json_type json_type(const struct jval *v);
const struct jval *json_get(const struct jval *object,
    const char *key);                    /* NULL: absent */
size_t json_count(const struct jval *v); /* members or items */
const struct jval *json_at(const struct jval *v, size_t index);
const char *json_key_at(const struct jval *object, size_t index);
const struct jval *json_first(const struct jval *v); /* walking in linear time */
const struct jval *json_next(const struct jval *v);
const char *json_name(const struct jval *member); /* its key in the object */

/* Bytes of the UTF-8 character at text, 0 when it is none; left > 0. */
size_t utf8_length(const char *text, size_t left);

/* String or, for numbers, their text as written; NULL for anything else. */
const char *json_text(const struct jval *v);
bool json_bool(const struct jval *v, bool otherwise);
/* Whole numbers, from a number or a string of digits. */
must_check bool json_i64(int64_t *out, const struct jval *v, struct err *e);

/*
 * Writing: straight into a buffer.  Commas are set by the writer; text is escaped
 * and broken UTF-8 becomes U+FFFD.  Amounts and counters go out as strings.
 */
struct jout {
	struct buf *to;
	bool comma; /* something stands before in this object or array */
};
#define JOUT_INIT(buffer)                                                                \
	{                                                                                \
		.to = (buffer), .comma = false                                           \
	}

/* key NULL: an item of an array, or the document itself. */
void jout_open(struct jout *j, const char *key, char bracket);       /* '{' or '[' */
void jout_close(struct jout *j, char bracket);                       /* '}' or ']' */
void jout_string(struct jout *j, const char *key, const char *text); /* NULL: left out */
void jout_number(struct jout *j, const char *key, int64_t number);
void jout_u64_string(struct jout *j, const char *key, uint64_t number);
void jout_bool(struct jout *j, const char *key, bool value);
void jout_raw(struct jout *j, const char *key, const char *json); /* ready JSON text */
void json_escape(struct buf *to, const char *text);    /* with the quotes around it */
void json_write(struct buf *to, const struct jval *v); /* a value that was read */
