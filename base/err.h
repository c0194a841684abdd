/* SPDX-License-Identifier: Apache-2.0 */
/* err: what went wrong, told once by the one who knows */
#pragma once
#include "base/attr.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* The kind decides what the caller does; the text is for people. */
enum err_kind {
	ERR_NONE = 0,
	ERR_INPUT,     /* the caller's data is wrong: refuse, change nothing */
	ERR_NOT_FOUND, /* no such thing, or not visible to this caller */
	ERR_CONFLICT,  /* exists already, or is in a state that forbids it */
	ERR_DENIED,    /* not allowed */
	ERR_LIMIT,     /* a limit or capacity is used up */
	ERR_GONE,      /* the other side does not answer: try again later */
	ERR_AGAIN,     /* serialisation or dead lock: the same call may work now */
	ERR_INTERNAL,  /* our own fault, or the machine's */
};

#define ERR_TEXT_MAX 1024

/*
 * Lives on the caller's stack, is the last parameter of what can fail, and is
 * untouched on success.  Start with ERR_INIT.
 */
struct err {
	enum err_kind kind;
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT                                                                         \
	{                                                                                \
		.kind = ERR_NONE, .text = ""                                             \
	}

/* Sets kind and text and answers false, so that "return err_set(...)" reads well. */
bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...) printf_like(3, 4);

/* Puts "context: " in front of a text that a deeper level wrote; answers false. */
bool err_wrap(struct err *e, const char *fmt, ...) printf_like(2, 3);

/* Appends strerror(error_number), as in "open /x: No such file or directory". */
bool err_errno(struct err *e, enum err_kind kind, int error_number, const char *fmt, ...)
    printf_like(4, 5);

void err_clear(struct err *e);

/* "input", "gone"...: the word for logs and JSON.  Static, never NULL. */
const char *err_kind_name(enum err_kind kind);

/*
 * Of a text that begins with "line 12, column 7", after prefix if that is there ("JSON,
 * "): the place, and in *rest what follows it.  False: it names none, all is untouched.
 */
bool err_place(const char *text, const char *prefix, size_t *line, size_t *column,
    const char **rest);
