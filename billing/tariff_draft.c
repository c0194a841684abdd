/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_draft: a price list as its lines said it, before anything of it is checked */
#include "billing/tariff_draft.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
list_grow(void *list, size_t count, size_t size)
{
	/* Room is doubled: at 4, 8, 16 ... the list moves. */
	if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
		return list;
	return mem_resize(list, count < 4 ? 4 : count * 2, size);
}

const char *
entries_value(const struct entries *e, const char *key)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->list[i].key, key) == 0)
			return e->list[i].value;
	return NULL;
}

void
entries_add(struct entries *e, const struct entry *one)
{
	e->list = list_grow(e->list, e->count, sizeof(*e->list));
	e->list[e->count++] = *one;
}

struct group *
groups_add(struct groups *g, struct text_at at)
{
	g->list = list_grow(g->list, g->count, sizeof(*g->list));
	g->list[g->count] = (struct group){ .at = at };
	return &g->list[g->count++];
}

struct draft_version *
draft_version_add(struct draft_price *p, struct text_at at)
{
	p->versions = list_grow(p->versions, p->version_count, sizeof(*p->versions));
	p->versions[p->version_count] = (struct draft_version){ .at = at };
	return &p->versions[p->version_count++];
}

struct draft_price *
draft_price_add(struct draft *d, struct text_at at)
{
	d->prices = list_grow(d->prices, d->price_count, sizeof(*d->prices));
	d->prices[d->price_count] = (struct draft_price){ .at = at };
	return &d->prices[d->price_count++];
}

/* ---- the document */

struct writer {
	struct jout j;
	struct tariff_places *places;
	struct arena *arena;
	char path[256]; /* of what is written */
};

/* Remembers where the present path was written. */
static void
place_note(struct writer *w, const char *key, struct text_at at)
{
	struct tariff_places *p = w->places;

	if (p->count == p->capacity) {
		p->capacity = p->capacity == 0 ? 64 : p->capacity * 2;
		p->list = mem_resize(p->list, p->capacity, sizeof(*p->list));
	}
	p->list[p->count++] = (struct tariff_place){
		arena_printf(w->arena, "%s%s%s", w->path,
		    w->path[0] == '\0' || key[0] == '\0' ? "" : ".", key),
		at
	};
}

/* The path goes one step down for an inner object, and up again after it. */
static size_t
path_enter(struct writer *w, const char *step, struct text_at at)
{
	size_t outer = strlen(w->path);

	(void)snprintf(w->path + outer, sizeof(w->path) - outer, "%s%s",
	    outer == 0 ? "" : ".", step);
	place_note(w, "", at);
	return outer;
}

static size_t
item_enter(struct writer *w, const char *list, size_t place, struct text_at at)
{
	return path_enter(w, arena_printf(w->arena, "%s[%zu]", list, place), at);
}

static void
entries_write(struct writer *w, const struct entries *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct entry *x = &e->list[i];

		place_note(w, x->key, x->at);
		if (x->raw)
			jout_raw(&w->j, x->key, x->value);
		else
			jout_string(&w->j, x->key, x->value);
	}
}

static void
groups_write(struct writer *w, const char *key, const struct groups *g)
{
	if (g->count == 0)
		return;
	jout_open(&w->j, key, '[');
	for (size_t i = 0; i < g->count; i++) {
		size_t outer = item_enter(w, key, i, g->list[i].at);

		jout_open(&w->j, NULL, '{');
		entries_write(w, &g->list[i].of);
		jout_close(&w->j, '}');
		w->path[outer] = '\0';
	}
	jout_close(&w->j, ']');
}

static void
model_write(struct writer *w, const struct draft_version *v)
{
	const struct draft_model *m = &v->model;
	size_t outer = path_enter(w, "model", m->at.line == 0 ? v->at : m->at);

	jout_open(&w->j, "model", '{');
	jout_string(&w->j, "type", m->type); /* NULL: left out, and told as missing */
	entries_write(w, &m->of);
	groups_write(w, "tiers", &m->tiers);
	groups_write(w, "bands", &m->bands);
	jout_close(&w->j, '}');
	w->path[outer] = '\0';
}

static void
versions_write(struct writer *w, const struct draft_price *p)
{
	if (!p->versioned) {
		if (p->version_count == 1)
			model_write(w, &p->versions[0]);
		return;
	}
	jout_open(&w->j, "versions", '[');
	for (size_t i = 0; i < p->version_count; i++) {
		const struct draft_version *v = &p->versions[i];
		size_t outer = item_enter(w, "versions", i, v->at);

		jout_open(&w->j, NULL, '{');
		entries_write(w, &v->of);
		model_write(w, v);
		jout_close(&w->j, '}');
		w->path[outer] = '\0';
	}
	jout_close(&w->j, ']');
}

static void
inner_write(struct writer *w, const char *key, const struct entries *e,
    const struct entries *classes, struct text_at at)
{
	size_t outer = path_enter(w, key, at);

	jout_open(&w->j, key, '{');
	entries_write(w, e);
	if (classes != NULL && classes->count > 0)
		inner_write(w, "classes", classes, NULL, at);
	jout_close(&w->j, '}');
	w->path[outer] = '\0';
}

static void
price_write(struct writer *w, const struct draft_price *p)
{
	jout_open(&w->j, NULL, '{');
	entries_write(w, &p->of);
	if (p->match.count > 0)
		inner_write(w, "match", &p->match, NULL, p->match.list[0].at);
	versions_write(w, p);
	jout_close(&w->j, '}');
}

void
draft_write(const struct draft *d, struct buf *json_out, struct tariff_places *places,
    struct arena *a)
{
	struct writer w = { .j = JOUT_INIT(json_out), .places = places, .arena = a };

	jout_open(&w.j, NULL, '{');
	entries_write(&w, &d->of);
	if (d->fx_at.line != 0)
		inner_write(&w, "fx", &d->fx, NULL, d->fx_at);
	if (d->tax_at.line != 0)
		inner_write(&w, "tax", &d->tax, &d->classes, d->tax_at);
	jout_open(&w.j, "prices", '[');
	for (size_t i = 0; i < d->price_count; i++) {
		size_t outer = item_enter(&w, "prices", i, d->prices[i].at);

		price_write(&w, &d->prices[i]);
		w.path[outer] = '\0';
	}
	jout_close(&w.j, ']');
	jout_close(&w.j, '}');
}

/* ---- done */

static void
groups_free(struct groups *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->list[i].of.list);
	free(g->list);
}

static void
price_free(struct draft_price *p)
{
	for (size_t i = 0; i < p->version_count; i++) {
		free(p->versions[i].of.list);
		free(p->versions[i].model.of.list);
		groups_free(&p->versions[i].model.tiers);
		groups_free(&p->versions[i].model.bands);
	}
	free(p->versions);
	free(p->of.list);
	free(p->match.list);
}

void
draft_done(struct draft *d)
{
	for (size_t i = 0; i < d->price_count; i++)
		price_free(&d->prices[i]);
	free(d->prices);
	free(d->of.list);
	free(d->fx.list);
	free(d->tax.list);
	free(d->classes.list);
}

/* ---- where */

struct text_at
tariff_places_find(const struct tariff_places *p, const char *path)
{
	size_t best = 0;
	struct text_at at = { 0, 0 };

	for (size_t i = 0; i < p->count; i++) {
		size_t n = strlen(p->list[i].path);

		if (n >= best && strncmp(path, p->list[i].path, n) == 0 &&
		    (path[n] == '\0' || path[n] == '.' || path[n] == '[')) {
			best = n;
			at = p->list[i].at;
		}
	}
	return at;
}
