/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz: what the targets share */
#include "tests/fuzz/fuzz.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
fuzz_fail(const char *file, int line, const char *condition, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s:%d: must be so: %s: ", file, line, condition);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	abort();
}

char *
fuzz_text(const uint8_t *data, size_t size)
{
	char *text = mem_alloc(size + 1);

	if (size > 0)
		memcpy(text, data, size);
	return text;
}

unsigned
fuzz_choice(const uint8_t **data, size_t *size, unsigned n)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++ % n;
}

char *
fuzz_piece(const uint8_t **data, size_t *size)
{
	size_t n = 0;
	char *text;

	while (n < *size && (*data)[n] != 0xff)
		n++;
	text = fuzz_text(*data, n);
	*data += n + (n < *size);
	*size -= n + (n < *size);
	return text;
}

/* Written apart from base/json.c, which has its own. */
bool
fuzz_utf8(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0;

	while (i < length) {
		unsigned code = p[i];
		int more = code < 0x80 ? 0
		    : code < 0xc0      ? -1
		    : code < 0xe0      ? 1
		    : code < 0xf0      ? 2
		    : code < 0xf5      ? 3
				       : -1;
		if (more < 0 || code == 0)
			return false;
		code &= more == 0 ? 0x7fU : more == 1 ? 0x1fU : more == 2 ? 0x0fU : 0x07U;
		for (int k = 1; k <= more; k++) {
			if (i + (size_t)k >= length || (p[i + (size_t)k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i + (size_t)k] & 0x3f);
		}
		if ((more == 1 && code < 0x80) || (more == 2 && code < 0x800) ||
		    (more == 3 && code < 0x10000) || code > 0x10ffff ||
		    (code >= 0xd800 && code < 0xe000))
			return false;
		i += (size_t)more + 1;
	}
	return true;
}

bool
fuzz_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}
