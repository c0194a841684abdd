/* SPDX-License-Identifier: Apache-2.0 */
/* told: which imported records a line is made of */
#include "billing/told.h"
#include <stdlib.h>
#include <string.h>

void
told_done(struct told *t)
{
	free(t->lines);
	*t = (struct told){ .lines = NULL };
}

const struct told_line *
told_find(const struct told *t, const struct price *p)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->lines[i].price == p)
			return &t->lines[i];
	return NULL;
}

static struct told_line *
line_of(struct told *t, const struct price *p)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->lines[i].price == p)
			return &t->lines[i];
	if (t->count == t->capacity) {
		t->capacity = t->capacity == 0 ? 8 : t->capacity * 2;
		t->lines = mem_resize(t->lines, t->capacity, sizeof(*t->lines));
	}
	t->lines[t->count] = (struct told_line){ .price = p };
	return &t->lines[t->count++];
}

static void
keys_add(struct told_line *l, struct arena *a, const char *keys)
{
	while (*keys != '\0' && l->shown < TOLD_SHOWN) {
		size_t n = strcspn(keys, "\n");

		l->first[l->shown++] = arena_strndup(a, keys, n);
		keys += n + (keys[n] == '\n' ? 1 : 0);
	}
}

bool
told_note(struct told *t, struct arena *a, const struct rate_job *job,
    const struct usage_stream *s, bool by_resource, struct err *e)
{
	for (size_t i = 0; i < s->list.count; i++) {
		const struct usage *u = &s->list.items[i];
		const struct usage_origin *o = &s->origins[i];
		const struct price *p = NULL;
		struct told_line *l;

		if (o->told == NULL || !usage_touches(u, &job->window))
			continue;
		if (!tariff_price(job->tariff, u->sku, &u->tags, &p, e))
			return false;
		if (p == NULL || p->by_resource != by_resource)
			continue;
		l = line_of(t, p);
		l->records += o->records;
		keys_add(l, a != NULL ? a : s->list.arena, o->told);
	}
	return true;
}

void
told_write(struct jout *j, const struct told_line *l)
{
	if (l == NULL)
		return;
	jout_open(j, "records", '{');
	jout_u64_string(j, "count", l->records);
	jout_open(j, "first", '[');
	for (size_t i = 0; i < l->shown; i++)
		jout_string(j, NULL, l->first[i]);
	jout_close(j, ']');
	jout_close(j, '}');
}
