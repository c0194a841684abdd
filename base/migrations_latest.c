/* SPDX-License-Identifier: Apache-2.0 */
/* The newest migration's number: what a role needs to know of them. */
#include "base/migrations.h"

enum {
#define EMBED(version, name, file) MIGRATION_##version = 1##version - 1000,
#include "migrations.inc"
#undef EMBED
	MIGRATION_END
};
const int migrations_latest = MIGRATION_END - 1;
