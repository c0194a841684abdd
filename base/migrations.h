/* SPDX-License-Identifier: Apache-2.0 */
/* migrations: the numbered files of sql/, carried inside the programs */
#pragma once
#include <stddef.h>

struct migration {
	int version;
	const char *name; /* "001-foundation.sql" */
	const char *sql;  /* NUL-terminated */
};

extern const struct migration migrations[]; /* by version */
extern const size_t migrations_count;
extern const int migrations_latest; /* alone in its file, so that roles carry no SQL */
