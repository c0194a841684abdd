/* SPDX-License-Identifier: Apache-2.0 */
/* assets: files carried inside the program (assets.def) */
#include "web/assets.h"
#include "base/attr.h"
#include <string.h>

#define ASSET(symbol, path, type, file)                                                  \
	__asm__(".section .rodata\nasset_" #symbol ":\n.incbin \"" file                  \
		"\"\nasset_" #symbol "_end:\n.byte 0\n.previous\n");                     \
	extern const char asset_##symbol[];                                              \
	extern const char asset_##symbol##_end[];
#include "web/assets.def"
#undef ASSET

#define ASSET(symbol, path, type, file)                                                  \
	{ path, type, asset_##symbol, asset_##symbol##_end },
const struct asset assets[] = {
#include "web/assets.def"
};
const size_t assets_count = ARRAY_LEN(assets);

const struct asset *
asset_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(assets); i++)
		if (strcmp(assets[i].path, path) == 0)
			return &assets[i];
	return NULL;
}
