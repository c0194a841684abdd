/* SPDX-License-Identifier: Apache-2.0 */
/* assets: files carried inside the program (assets.def) */
#pragma once
#include <stddef.h>

struct asset {
	const char *path; /* of the URL */
	const char *content_type;
	const char *start;
	const char *end;
};
extern const struct asset assets[];
extern const size_t assets_count;
const struct asset *asset_find(const char *path); /* NULL: none */
