/* SPDX-License-Identifier: Apache-2.0 */
/* params: what a call carries, from a query string, a form or a JSON body */
#pragma once
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#define PARAMS_MAX 256

struct param {
	const char *name;  /* as it was sent: signatures are made over it */
	const char *lower; /* names mean the same in any case */
	const char *value;
};

/* Lives in the arena of its request. */
struct param_list {
	struct arena *arena;
	struct param list[PARAMS_MAX];
	size_t count;
};

/* "a=b&c=d", percent-encoded; a name that is there already keeps its first value. */
must_check bool params_query(struct param_list *p, const char *text, size_t length,
    struct err *e);
/*
 * The members of a JSON object.  Arrays become "a,b,c", but those with objects in them
 * stay JSON; an object x becomes both its
 * own JSON text and x[0].key, as CloudStack writes maps.  null is as if not sent.
 */
must_check bool params_json(struct param_list *p, const char *text, size_t length,
    struct err *e);
/* Adds name=value, unless the name is there. */
must_check bool params_add(struct param_list *p, const char *name, const char *value,
    struct err *e);

const char *params_get(const struct param_list *p,
    const char *lower_name); /* NULL: none */

/*
 * A value of the map "details": details[0].key=K with details[0].value=V, or
 * details[0].K=V; K in lower case.  NULL: none.
 */
const char *params_map_get(const struct param_list *p, const char *map, const char *key);

/* Undoes percent-encoding ('+' is a blank); NULL for a broken one or a NUL byte. */
char *percent_decode(struct arena *a, const char *text, size_t length);

/*
 * "2023-01-01T12:00:00+01:00", "...+0100", "...Z", "2023-01-01 12:00:00" and
 * "2023-01-01" (UTC).  end: a bare day means its end, the next midnight.
 */
must_check bool date_read(struct instant *t, const char *text, bool end, struct err *e);
