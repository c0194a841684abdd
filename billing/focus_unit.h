/* SPDX-License-Identifier: Apache-2.0 */
/* focus_unit: skus and units in the words of FOCUS */
#pragma once
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

struct focus_service {
	const char *prefix;
	const char *category;
	const char *name;
	const char *subcategory;
	const char *resource; /* what kind of thing it is */
};
/* Never NULL: what is told from outside is "Other". */
const struct focus_service *focus_service(const char *sku);

/* "vCPU-hour" as "Core-Hours", "1000000 request" as "1000000 Requests"; of the arena. */
const char *focus_unit(struct arena *a, const char *unit);

/* A flat object as JSON text. */
void focus_json(struct buf *out, const struct jval *object);
