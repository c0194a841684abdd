/* SPDX-License-Identifier: Apache-2.0 */
/* form: reading objects of a JSON document with a known set of keys */
#pragma once
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rat.h"
#include <stdbool.h>

/*
 * An object and where it stands ("prices[2].model"), for messages.  Readers answer
 * false with ERR_INPUT for what is wrong and with ERR_NOT_FOUND for a word that this
 * version does not know, so that a caller can tell the two apart.
 */
struct form {
	const struct jval *object;
	const char *path;
};

/* keys ends with NULL; any other key is refused with the list of known ones. */
must_check bool form_open(struct form *f, const struct jval *object, const char *path,
    const char *const *keys, struct err *e);
bool form_has(const struct form *f, const char *key); /* there, and not null */

/* Optional keys: what is absent leaves *out as it is. */
must_check bool form_text(const struct form *f, struct arena *a, const char *key,
    const char **out, struct err *e);
must_check bool form_exact(const struct form *f, const char *key, mpq_t out,
    struct err *e); /* "0.05": a string, or a whole number */
must_check bool form_exact_positive(const struct form *f, const char *key, mpq_t out,
    struct err *e);
must_check bool form_instant(const struct form *f, const char *key, struct instant *out,
    struct err *e);
must_check bool form_whole(const struct form *f, const char *key, int64_t *out,
    int64_t least, int64_t most, struct err *e);
/* words ends with NULL; *out is the index of the word. */
must_check bool form_choice(const struct form *f, const char *key,
    const char *const *words, int *out, struct err *e);
must_check bool form_date(const struct form *f, struct arena *a, const char *key,
    const char **out, struct err *e); /* "2024-02-29" */

/* For keys that must be there. */
must_check bool form_need(const struct form *f, const char *key, const char *example,
    struct err *e);
