/* SPDX-License-Identifier: Apache-2.0 */
/* tags: names and values that usage carries and prices ask for */
#pragma once
#include "base/json.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>

#define TAGS_MAX 64

struct tag {
	const char *key;
	const char *value;
};
struct tags {
	struct tag *list; /* sorted by key */
	size_t count;
};

/* From {"class":"ssd"}; absent is no tag.  Texts are copied into the arena. */
must_check bool tags_read(struct tags *out, struct arena *a, const struct jval *object,
    const char *path, struct err *e);
const char *tags_get(const struct tags *t, const char *key);     /* NULL: none */
bool tags_hold(const struct tags *t, const struct tags *wanted); /* each one equal */
bool tags_equal(const struct tags *a, const struct tags *b);
