/* SPDX-License-Identifier: Apache-2.0 */
/* json_place: where in a JSON text something stands */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* From 1, columns in characters as editors count them; line 0: nowhere. */
struct text_at {
	size_t line;
	size_t column;
};
/* Of a byte in its line. */
size_t text_column(const char *line, size_t bytes);

/*
 * Where a value such as "prices[2].model.price" stands, or the nearest thing around it
 * that is there.
 */
struct text_at json_place_of(const char *text, size_t length, const char *path);
/* Where its grammar is broken first, or an object has the key twice (NULL: none is
 * looked for); line 0: nowhere. */
struct text_at json_place_broken(const char *text, size_t length, const char *twice);
