/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz: what the targets share; each is tests/fuzz/<folder>_<name>.c with its corpus
 * beside */
#pragma once
#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry; tests/fuzz/replay.c calls it too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The oracle: says what was found, then aborts, so that the input is kept. */
#define must(condition, ...)                                                             \
	do {                                                                             \
		if (!(condition))                                                        \
			fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);          \
	} while (0)
void fuzz_fail(const char *file, int line, const char *condition, const char *fmt, ...)
    printf_like(4, 5) no_return;

/* Input as text that ends in a NUL (NULs inside stay); caller frees. */
char *fuzz_text(const uint8_t *data, size_t size) must_check;
/* The first byte as a choice below n; data moves on. */
unsigned fuzz_choice(const uint8_t **data, size_t *size, unsigned n);
/* The piece up to the next byte 0xff (which no text has), as text; caller frees. */
char *fuzz_piece(const uint8_t **data, size_t *size) must_check;

/* Whole, well formed UTF-8 without NUL. */
bool fuzz_utf8(const char *text, size_t length);
/* No byte that a terminal, a log or a header would obey. */
bool fuzz_printable(const char *text);
