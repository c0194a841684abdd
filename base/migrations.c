/* SPDX-License-Identifier: Apache-2.0 */
/* migrations: the numbered files of sql/, carried inside jeoul-migrate */
#include "base/migrations.h"

/* Each file as bytes of this program, closed by a NUL. */
#define EMBED(version, name, file)                                                       \
	__asm__(".section .rodata\n"                                                     \
		"migration_" #version ":\n.incbin \"" file "\"\n.byte 0\n.previous\n");  \
	extern const char migration_##version[];
#include "migrations.inc"
#undef EMBED

#define EMBED(version, name, file) { 1##version - 1000, name, migration_##version },
const struct migration migrations[] = {
#include "migrations.inc"
};
#undef EMBED

const size_t migrations_count = sizeof(migrations) / sizeof(migrations[0]);
