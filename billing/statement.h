/* SPDX-License-Identifier: Apache-2.0 */
/* statement: closed periods read back, as JSON, CSV, or HTML for print */
#pragma once
#include "base/buf.h"
#include "base/db.h"
#include "base/json.h"

/* A statement being read: its head at once, its lines one after the other. */
struct issued {
	struct db *db;
	int64_t account_id;
	int64_t id;
	char *document; /* the head's bytes, as they were closed */
	struct json *head;
	struct rows *rows;
	size_t row;
	int64_t last; /* number of the line that was read last */
	struct json *line;
};

/*
 * which: its uuid, or its number where only one statement has it.  account_id 0: of
 * any account that the connection may see.  ERR_NOT_FOUND, ERR_CONFLICT (the number is
 * of more than one issuer).  Needs a connection with billing_statements.
 */
must_check bool statement_open(struct issued *s, struct db *db, int64_t account_id,
    const char *which, struct err *e);
void statement_done(struct issued *s);
const struct jval *statement_head(const struct issued *s);

/* The next line's bytes and value, until *text is NULL; valid until the next call. */
must_check bool statement_line(struct issued *s, const char **text,
    const struct jval **line, struct err *e);

/* Where a rendering goes, piece by piece; the buffer is emptied after each. */
struct text_out {
	bool (*write)(void *context, const char *bytes, size_t length, struct err *e);
	void *context;
};
must_check bool text_flush(const struct text_out *out, struct buf *b, struct err *e);

/* {"statement":HEAD,"lines":[LINE,...]}: the very bytes that were closed. */
must_check bool statement_json(struct issued *s, const struct text_out *out,
    struct err *e);
/* One row a line, RFC 4180, with a row of names at its head. */
must_check bool statement_csv(struct issued *s, const struct text_out *out,
    struct err *e);
/* One page of HTML that needs nothing else; language of the customer, en or ko. */
must_check bool statement_html(struct issued *s, const struct text_out *out,
    struct err *e);
/* The rendering of that name: "json", "csv", "html"; ERR_INPUT for any other. */
must_check bool statement_render(struct issued *s, const char *form,
    const struct text_out *out, struct err *e);

/* A field of CSV: quoted where it must be; NULL is empty. */
void csv_field(struct buf *out, const char *text, bool last);
