/* SPDX-License-Identifier: Apache-2.0 */
/* tags: names and values that usage carries and prices ask for */
#include "billing/tags.h"
#include <stdlib.h>
#include <string.h>

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct tag *)a)->key, ((const struct tag *)b)->key);
}

bool
tags_read(struct tags *out, struct arena *a, const struct jval *object, const char *path,
    struct err *e)
{
	struct tags read = { NULL, 0 };

	if (json_type(object) == JSON_ABSENT) {
		*out = read;
		return true;
	}
	if (json_type(object) != JSON_OBJECT || json_count(object) > TAGS_MAX)
		return err_set(e, ERR_INPUT,
		    "%s: these are no tags; write them as {\"name\":\"value\"}, at most "
		    "%d",
		    path, TAGS_MAX);
	read.list = arena_alloc(a, (json_count(object) + 1) * sizeof(*read.list));
	for (const struct jval *v = json_first(object); v != NULL; v = json_next(v)) {
		if (json_type(v) != JSON_STRING)
			return err_set(e, ERR_INPUT,
			    "%s.%s: a tag's value is a string; put it in quotes", path,
			    json_name(v));
		read.list[read.count++] = (struct tag){ arena_strdup(a, json_name(v)),
			arena_strdup(a, json_text(v)) };
	}
	if (read.count > 1)
		qsort(read.list, read.count, sizeof(*read.list), by_key);
	*out = read;
	return true;
}

const char *
tags_get(const struct tags *t, const char *key)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].key, key) == 0)
			return t->list[i].value;
	return NULL;
}

bool
tags_hold(const struct tags *t, const struct tags *wanted)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const char *value = tags_get(t, wanted->list[i].key);

		if (value == NULL || strcmp(value, wanted->list[i].value) != 0)
			return false;
	}
	return true;
}

bool
tags_equal(const struct tags *a, const struct tags *b)
{
	return a->count == b->count && tags_hold(a, b);
}
