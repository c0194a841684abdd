/* SPDX-License-Identifier: Apache-2.0 */
/* Tags and SSH keys. */
#include "web/cloud.h"
#include "web/sign.h"
#include "web_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS_MOST = 64, THINGS_MOST = 256 };

struct tags {
	size_t count;
	struct {
		const char *key, *value;
		long place; /* of tags[3].key and tags[3].value; -1 of tags[0].env */
	} list[TAGS_MOST];
};

static bool
tag_add(struct tags *t, const char *key, const char *value, struct err *e)
{
	if (t->count == TAGS_MOST)
		return err_set(e, ERR_INPUT, "%d tags at most", TAGS_MOST);
	t->list[t->count].place = -1;
	t->list[t->count].key = key;
	t->list[t->count++].value = value;
	return true;
}

/* tags[0].key=K with tags[0].value=V, or tags[0].K=V as REST's object becomes. */
static bool
tag_part(struct tags *t, const struct param *p, struct err *e)
{
	char *end = NULL;
	long place = strtol(p->lower + 5, &end, 10);
	const char *part = p->name + (end - p->lower) + 2;

	if (end == p->lower + 5 || strncmp(end, "].", 2) != 0 || part[0] == '\0')
		return true; /* tags={...}: told again part by part */
	if (strcasecmp(part, "key") != 0 && strcasecmp(part, "value") != 0)
		return tag_add(t, part, p->value, e);
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].place == place) {
			if (strcasecmp(part, "key") == 0)
				t->list[i].key = p->value;
			else
				t->list[i].value = p->value;
			return true;
		}
	if (!tag_add(t, NULL, NULL, e))
		return false;
	t->list[t->count - 1].place = place;
	if (strcasecmp(part, "key") == 0)
		t->list[t->count - 1].key = p->value;
	else
		t->list[t->count - 1].value = p->value;
	return true;
}

static bool
tags_read(struct call *c, struct tags *t, struct err *e)
{
	t->count = 0;
	for (size_t i = 0; i < c->params->count; i++)
		if (strncmp(c->params->list[i].lower, "tags[", 5) == 0 &&
		    !tag_part(t, &c->params->list[i], e))
			return false;
	for (size_t i = 0; i < t->count; i++) {
		const char *key = t->list[i].key;
		const char *value = t->list[i].value;
		if (key == NULL || key[0] == '\0' || strlen(key) > 255 ||
		    (value != NULL && strlen(value) > 255))
			return err_set(e, ERR_INPUT,
			    "tags: keys of 1 to 255 bytes, values of at most 255");
	}
	return true;
}

typedef bool (
    *tag_work)(struct call *c, const char *uuid, const struct tags *t, struct err *e);

static bool
each_thing(struct call *c, const struct tags *t, tag_work work, struct err *e)
{
	char *list = arena_strdup(c->arena, call_value(c, "resourceids"));
	char *rest = NULL;
	size_t count = 0;

	for (char *one = strtok_r(list, ",", &rest); one != NULL;
	     one = strtok_r(NULL, ",", &rest)) {
		if (++count > THINGS_MOST || strlen(one) != 36)
			return err_set(e, ERR_INPUT, "resourceids: %d ids at most",
			    THINGS_MOST);
		if (!work(c, one, t, e))
			return false;
	}
	return true;
}

static bool
tags_pin(struct call *c, const char *uuid, const struct tags *t, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, STMT_TAG_OWNER, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "resourceids", uuid, e);
	for (size_t i = 0; i < t->count; i++)
		if (!db_run(c->db, STMT_TAG_PUT,
			DB_ARGS(rows_text(r, 0, 0), rows_text(r, 0, 1), uuid,
			    t->list[i].key,
			    t->list[i].value != NULL ? t->list[i].value : ""),
			NULL, e))
			return false;
	return true;
}

static bool
tags_take_off(struct call *c, const char *uuid, const struct tags *t, struct err *e)
{
	if (t->count == 0)
		return db_run(c->db, STMT_TAG_DELETE, DB_ARGS(uuid, NULL, NULL), NULL, e);
	for (size_t i = 0; i < t->count; i++)
		if (!db_run(c->db, STMT_TAG_DELETE,
			DB_ARGS(uuid, t->list[i].key, t->list[i].value), NULL, e))
			return false;
	return true;
}

bool
handle_tags_create(struct call *c, struct err *e)
{
	struct tags t;

	if (!tags_read(c, &t, e))
		return false;
	if (t.count == 0)
		return err_set(e, ERR_INPUT,
		    "tags: tags[0].key=K and tags[0].value=V is wanted");
	return each_thing(c, &t, tags_pin, e);
}

bool
handle_tags_delete(struct call *c, struct err *e)
{
	struct tags t;

	return tags_read(c, &t, e) && each_thing(c, &t, tags_take_off, e);
}

/* ---- keys */

/* "ssh-ed25519 AAAA... comment": the kind, and base64 whose first field says the same. */
static bool
key_fingerprint(struct call *c, const char *key, const char **fingerprint, struct err *e)
{
	static const char *const kinds[] = { "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-",
		"sk-ssh-ed25519", "sk-ecdsa-sha2-" };
	const char *body = strchr(key, ' ');
	bool known = false;
	char *text = arena_alloc(c->arena, 64);

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		known = known || strncmp(key, kinds[i], strlen(kinds[i])) == 0;
	if (!known || body == NULL || strpbrk(key, "\r\n") != NULL ||
	    !sign_fingerprint(text, body + 1, strcspn(body + 1, " ")))
		return err_set(e, ERR_INPUT,
		    "publickey: one line as in authorized_keys is wanted, as "
		    "\"ssh-ed25519 AAAA... name\"");
	*fingerprint = text;
	return true;
}

bool
handle_key_pair_register(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *key = call_value(c, "publickey");
	const char *fingerprint = NULL;

	if (!key_fingerprint(c, key, &fingerprint, e))
		return false;
	if (!db_query(c->db, STMT_KEY_PAIR_INSERT,
		DB_ARGS(DB_NUMBER(c->owner), call_value(c, "name"), fingerprint, key), &r,
		e))
		return e->kind == ERR_CONFLICT
		    ? err_set(e, ERR_CONFLICT, "there is an SSH key %.120s already",
			  call_value(c, "name"))
		    : false;
	c->object = arena_strdup(c->arena, rows_text(r, 0, 0));
	return call_answer_one(c, STMT_KEY_PAIR_ONE, c->object, e);
}

bool
handle_key_pair_delete(struct call *c, struct err *e)
{
	uint64_t done = 0;

	return db_run(c->db, STMT_KEY_PAIR_DELETE,
		   DB_ARGS(DB_NUMBER(c->owner), call_value(c, "name")), &done, e) &&
	    (done > 0 ||
		err_set(e, ERR_NOT_FOUND, "there is no SSH key %.120s",
		    call_value(c, "name")));
}
